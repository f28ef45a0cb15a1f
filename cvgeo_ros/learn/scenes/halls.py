"""Large and small plain buildings: halls, apartment slabs, barns, greenhouses, sheds."""

from dataclasses import replace

import numpy as np

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.layout import Box, Polygon, inner_box
from cvgeo_ros.learn.scenes.roofing import (
    FLATS,
    SHEETS,
    TILES,
    WALLS,
    Clutter,
    clutter_on,
    lengthwise,
    pick,
    solar_rows,
)
from cvgeo_ros.learn.scenes.world import Roof, colour_of


def hall(builder: WorldBuilder, box: Box) -> None:
    """An industrial hall: flat with skylights and vents, a low gable, or a saw-tooth of shed roofs."""
    rng = builder.rng
    box = lengthwise(box)
    if box.width < 6:
        return
    eave = float(rng.uniform(5, 12))
    wall = pick(rng, WALLS + SHEETS)
    kind = str(rng.choice(["flat", "gable", "saw", "bays"], p=[0.4, 0.3, 0.1, 0.2]))
    clutter: Clutter = []
    if kind == "flat":
        roofs = [Roof(box, "flat", eave, 0.0, pick(rng, FLATS + SHEETS[:4]), "plain", 0.6)]
        clutter += clutter_on(rng, box, eave, 0.25)
        if rng.random() < 0.6:
            step = float(rng.uniform(5, 11))
            for s in np.arange(-box.length / 2 + step / 2, box.length / 2 - 1, step):
                for t in np.arange(-box.width / 2 + step / 2, box.width / 2 - 1, step):
                    clutter.append((Box(box.point(s, t), box.angle, 1.2, 1.2), eave + 0.4, (216.0, 220.0, 222.0)))
        if rng.random() < 0.2:
            clutter += solar_rows(rng, box, eave)
    else:
        count = {"gable": 1, "saw": max(2, int(box.length // 8)), "bays": max(2, int(box.length // 15))}[kind]
        colour = pick(rng, SHEETS)
        roofs = []
        for index in range(count):
            s = box.length * ((index + 0.5) / count - 0.5)
            crosswise = Box(box.point(s, 0), box.angle + np.pi / 2, box.width, box.length / count)
            bay = box if count == 1 else crosswise
            tone = np.exp(rng.normal(0, 0.03))
            roofs.append(
                Roof(
                    bay,
                    "shed" if kind == "saw" else "gable",
                    eave,
                    min(bay.width * 0.12, 3.0),
                    colour_of(np.array(colour) * tone),
                    "sheet",
                )
            )
        for roof in roofs:
            for s in np.arange(-roof.box.length / 2 + 4, roof.box.length / 2 - 3, 8.0):
                if kind == "gable" and rng.random() < 0.8:
                    for t in (-0.25, 0.25):
                        place = roof.box.point(s, t * roof.box.width)
                        strip = Box(place, roof.box.angle, 1.0, roof.box.width * 0.3)
                        clutter.append((strip, eave + roof.rise * 0.5, (206.0, 212.0, 206.0)))
    if rng.random() < 0.5:
        annex = Box(
            box.point(box.length * rng.uniform(-0.3, 0.3), -box.width / 2 - 2.2),
            box.angle,
            box.length * rng.uniform(0.15, 0.4),
            5.0,
        )
        roofs.append(Roof(annex, "flat", eave * 0.5, 0.0, pick(rng, FLATS), "plain", 0.3))
    builder.building(roofs, clutter, wall, "hall", windows=0.0)


def apartment_slab(builder: WorldBuilder, box: Box, floors: int, extra_wing: float = 0.0) -> None:
    """A flat-roofed slab with stair heads; ``extra_wing`` adds a wing of that length, m."""
    rng = builder.rng
    if min(box.length, box.width) < 6:
        return
    eave = floors * 2.9 + 0.6
    wall, colour = pick(rng, WALLS), pick(rng, FLATS)
    roofs = [Roof(box, "flat", eave, 0.0, colour, "plain", 0.7)]
    if extra_wing > 8:
        depth = box.width
        place = box.point(-(box.length - depth) / 2, -(box.width + extra_wing) / 2 + 1)
        roofs.append(Roof(Box(place, box.angle, depth, extra_wing), "flat", eave, 0.0, colour, "plain", 0.7))
    if rng.random() < 0.2:
        roofs = [
            replace(
                r, kind="hip", rise=3.0, colour=pick(rng, TILES), texture="tile", parapet=0.0, box=lengthwise(r.box)
            )
            for r in roofs
        ]
        builder.building(roofs, [], wall, "apartments")
        return
    clutter = clutter_on(rng, box, eave, 0.8)
    for s in np.arange(-box.length / 2 + 6, box.length / 2 - 4, 15.0):
        clutter.append((Box(box.point(s, 0), box.angle, 4.0, 3.2), eave + 2.6, colour_of(np.array(wall) * 0.9)))
    if rng.random() < 0.25:
        clutter += solar_rows(rng, box, eave)
    builder.building(roofs, clutter, wall, "apartments")


def barn(builder: WorldBuilder, box: Box, glass: bool = False) -> None:
    """A long gabled barn; ``glass`` makes it a greenhouse. A box of size 0 gets a size of its own."""
    rng = builder.rng
    if box.length == 0:
        box = Box(
            box.centre,
            box.angle + float(rng.choice([0, np.pi / 2])),
            float(rng.uniform(9, 24)),
            float(rng.uniform(6, 11)),
        )
    box = lengthwise(box)
    if box.width < 3:
        return
    if glass:
        tone = float(rng.uniform(150, 225))
        roof = Roof(box, "gable", 2.6, 1.4, (tone, tone + 3, tone), "sheet")
        builder.building([roof], [], (200, 205, 205), "greenhouse", windows=0.0)
        return
    sheet = rng.random() < 0.6
    roof = Roof(
        box,
        "gable",
        float(rng.uniform(3, 5)),
        box.width * float(rng.uniform(0.15, 0.4)),
        pick(rng, SHEETS if sheet else TILES),
        "sheet" if sheet else "tile",
    )
    builder.building([roof], [], pick(rng, WALLS), "barn", windows=0.0)


def shed(builder: WorldBuilder, polygon: Polygon) -> None:
    """A small low shed or a container over most of a polygon."""
    rng = builder.rng
    box = inner_box(polygon)
    if min(box.length, box.width) < 1.8:
        return
    kind = str(rng.choice(["flat", "gable", "shed"]))
    colour = pick(rng, SHEETS + FLATS, 0.14)
    roof = Roof(box, kind, float(rng.uniform(2.2, 3.2)), 0.0 if kind == "flat" else 0.5, colour, "sheet")
    builder.building([roof], [], pick(rng, WALLS), "shed", windows=0.0)
