"""Dwellings: narrow town houses, terraces, detached houses."""

from dataclasses import replace

import numpy as np

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.layout import Box, Polygon, axes, inner_box
from cvgeo_ros.learn.scenes.roofing import (
    FLATS,
    SHEETS,
    TILES,
    WALLS,
    Clutter,
    clutter_on,
    lengthwise,
    pick,
    skylights,
    solar_rows,
    stair_head,
)
from cvgeo_ros.learn.scenes.world import Roof


def town_house(builder: WorldBuilder, plot: Polygon, taste: np.random.Generator) -> None:
    """A narrow house over the whole plot; houses with the same ``taste`` look alike."""
    rng = builder.rng
    box = inner_box(plot)
    if box.length < 4 or box.width < 3:
        return
    floors = int(
        taste.choice([1, 2, 2, 3, 3, 3, 4, 4, 5, 7], p=[0.1, 0.16, 0.16, 0.14, 0.14, 0.1, 0.08, 0.06, 0.04, 0.02])
    )
    wall = pick(taste, WALLS)
    style = taste.choice(["flat", "gable", "shed", "flat_sheet"], p=[0.42, 0.2, 0.1, 0.28])
    share = float(taste.uniform(0.5, 0.95)) if box.length > 9 else 0.97
    side = float(rng.choice([-1.0, 1.0]))
    main = Box(box.point(side * (1 - share) / 2 * box.length, 0), box.angle, box.length * share, box.width * 0.99)
    eave = floors * 3.1 + 0.4
    clutter: Clutter = []
    if style.startswith("flat"):
        roofs = [Roof(main, "flat", eave, 0.0, pick(taste, FLATS), "plain", float(taste.choice([0.3, 0.6, 1.0])))]
        if style == "flat_sheet":
            part = float(taste.uniform(0.4, 0.95))
            top = Box(
                main.point(-side * (1 - part) / 2 * main.length, 0), main.angle, main.length * part, main.width * 0.96
            )
            roofs.append(
                Roof(
                    lengthwise(top),
                    "gable" if taste.random() < 0.5 else "shed",
                    eave + 2.2,
                    0.6,
                    pick(taste, SHEETS),
                    "sheet",
                )
            )
            free = Box(main.point(side * part / 2 * main.length, 0), main.angle, main.length * (1 - part), main.width)
            clutter += clutter_on(rng, free, eave, 1.6)
        else:
            clutter += stair_head(rng, main, eave, wall)
            clutter += clutter_on(rng, main, eave, 1.8)
            if rng.random() < 0.08:
                clutter += solar_rows(rng, main, eave)
    elif style == "gable":
        tiled = taste.random() < 0.4
        colour = pick(taste, TILES if tiled else SHEETS)
        roofs = [
            Roof(
                main, "gable", eave, main.width * float(taste.uniform(0.12, 0.3)), colour, "tile" if tiled else "sheet"
            )
        ]
    else:
        roofs = [Roof(main, "shed", eave, main.width * 0.1, pick(taste, SHEETS), "sheet")]
    if share < 0.85:
        rest = Box(
            box.point(-side * share / 2 * box.length, 0),
            box.angle,
            box.length * (1 - share) * rng.uniform(0.6, 1),
            box.width * 0.96,
        )
        if rng.random() < 0.75:
            kind = str(rng.choice(["shed", "gable", "flat"]))
            low = rng.uniform(2.6, 4.5)
            roofs.append(
                Roof(
                    rest,
                    kind,
                    low,
                    0.0 if kind == "flat" else 0.5,
                    pick(rng, SHEETS if kind != "flat" else FLATS),
                    "sheet",
                )
            )
    builder.building(roofs, clutter, wall)


def terrace_house(builder: WorldBuilder, plot: Polygon, street: float) -> None:
    """A tiled house of a perimeter block, its ridge along the street (direction in rad)."""
    rng = builder.rng
    box = inner_box(plot)
    along, _ = axes(box.angle)
    if abs(along @ axes(street)[0]) < 0.7:
        box = Box(box.centre, box.angle + np.pi / 2, box.width, box.length)
    if min(box.length, box.width) < 4:
        return
    eave = float(rng.integers(2, 5)) * 3.1 + rng.uniform(0.2, 1.0)
    wall = pick(rng, WALLS)
    if rng.random() < 0.2:
        roof = Roof(box, "flat", eave, 0.0, pick(rng, FLATS), "plain", 0.5)
        builder.building([roof], clutter_on(rng, box, eave, 1.0) + stair_head(rng, box, eave, wall), wall)
        return
    rise = box.width * rng.uniform(0.22, 0.45)
    tiled = rng.random() < 0.8
    roofs = [Roof(box, "gable", eave, rise, pick(rng, TILES if tiled else SHEETS), "tile" if tiled else "sheet")]
    clutter: Clutter = []
    for _ in range(int(rng.integers(1, 4))):
        place = box.point(rng.uniform(-0.45, 0.45) * box.length, rng.uniform(-0.1, 0.1) * box.width)
        clutter.append((Box(place, box.angle, 1.0, 0.7), eave + rise + 0.8, (120.0, 84.0, 70.0)))
    clutter += skylights(rng, roofs[0], 0.03)
    if rng.random() < 0.4:
        wing = Box(
            box.point(rng.uniform(-0.2, 0.2) * box.length, box.width * 0.6),
            box.angle + np.pi / 2,
            box.width * 0.8,
            box.length * 0.4,
        )
        roofs.append(replace(roofs[0], box=wing, eave=eave * 0.8, rise=rise * 0.5))
    builder.building(roofs, clutter, wall)


def detached_house(builder: WorldBuilder, box: Box) -> None:
    """A one- or two-storey house with a gable or hip roof, often L-shaped."""
    rng = builder.rng
    box = lengthwise(box)
    if box.width < 5:
        return
    eave = float(rng.choice([2.8, 3.2, 5.8, 6.2]))
    tiled = rng.random() < 0.75
    colour = pick(rng, TILES if tiled else SHEETS)
    kind = str(rng.choice(["gable", "hip", "flat"], p=[0.52, 0.38, 0.10]))
    rise = 0.0 if kind == "flat" else box.width * rng.uniform(0.2, 0.42)
    texture = "plain" if kind == "flat" else ("tile" if tiled else "sheet")
    if kind == "flat":
        colour = pick(rng, FLATS)
    roofs = [Roof(box, kind, eave, rise, colour, texture, 0.3 if kind == "flat" else 0.0)]
    if rng.random() < 0.6:
        width = box.width * rng.uniform(0.5, 0.75)
        side = rng.choice([-1, 1])
        place = box.point(rng.choice([-1, 1]) * (box.length - width) / 2 * rng.uniform(0.5, 1), side * box.width * 0.45)
        wing = Box(place, box.angle + np.pi / 2, box.width * rng.uniform(0.7, 1.0), width)
        roofs.append(Roof(wing, kind, eave * rng.uniform(0.8, 1.0), rise * 0.8, colour, texture))
    clutter: Clutter = []
    if kind != "flat" and rng.random() < 0.7:
        place = box.point(rng.uniform(-0.3, 0.3) * box.length, rng.uniform(-0.15, 0.15) * box.width)
        clutter.append((Box(place, box.angle, 0.8, 0.8), eave + rise + 0.7, (128.0, 92.0, 78.0)))
    clutter += skylights(rng, roofs[0], 0.012)
    if rng.random() < 0.15 and kind == "gable":
        panel = Box(box.point(0, box.width * 0.22), box.angle, box.length * 0.6, box.width * 0.3)
        clutter.append((panel, eave + rise * 0.75, (38.0, 46.0, 68.0)))
    builder.building(roofs, clutter, pick(rng, WALLS), "house")
