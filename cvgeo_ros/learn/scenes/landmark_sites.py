"""Landmarks that are mostly ground: stadium, round pond, plaza, helipad, baths, solar farm, container yard."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.countryside import court_markings
from cvgeo_ros.learn.scenes.halls import shed
from cvgeo_ros.learn.scenes.landmark_buildings import disc
from cvgeo_ros.learn.scenes.layout import Box, Polygon, axes, ellipse
from cvgeo_ros.learn.scenes.roofing import TILES, WALLS, pick
from cvgeo_ros.learn.scenes.textures import Colour
from cvgeo_ros.learn.scenes.world import Line, Roof, colour_of

_STILL = np.zeros(1)
_SEATS: tuple[Colour, ...] = ((52, 92, 160), (176, 62, 54), (170, 172, 174), (206, 168, 62), (70, 130, 88))
_CONTAINERS: tuple[Colour, ...] = (
    (172, 66, 48),
    (48, 92, 150),
    (66, 126, 92),
    (204, 148, 52),
    (188, 190, 190),
    (120, 74, 60),
)


def stadium(builder: WorldBuilder, box: Box) -> None:
    """An oval: a pitch inside a running track, and stands that rise outwards around it."""
    rng = builder.rng
    a, b = box.length / 2, box.width / 2
    builder.patch(ellipse(box.centre, a, b, box.angle, _STILL), "pavement", 0.05, bent=True)
    depth = float(rng.uniform(8, 12))
    seats, wall = pick(rng, _SEATS, 0.05), pick(rng, WALLS)
    whole = rng.random() < 0.6
    roofs = []
    count = 44
    phase = np.arange(count) * 2 * np.pi / count
    rim = np.stack([(a - depth / 2 - 3) * np.cos(phase), (b - depth / 2 - 3) * np.sin(phase)], 1)
    for index in range(count):
        before, after = rim[index - 1], rim[(index + 1) % count]
        if not whole and abs(np.sin(phase[index])) < 0.55:
            continue
        turn = float(np.arctan2(*(after - before)[::-1]))
        # Across points to the left: turned round, that is outwards.
        part = Box(box.point(*rim[index]), box.angle + turn + np.pi, float(np.hypot(*(after - before))) * 0.56, depth)
        roofs.append(Roof(part, "shed", 1.6, depth * 0.62, seats, "plain"))
        if np.sin(phase[index]) > 0.6:
            cover = Box(part.point(0, depth * 0.3), part.angle, part.length, depth * 0.5)
            roofs.append(Roof(cover, "flat", depth * 0.62 + 4.5, 0.0, (206, 208, 208), "sheet"))
    builder.building(roofs, [], wall, "stadium", windows=0.0)
    key = max(builder.objects)
    reach_a, reach_b = a - depth - 4, b - depth - 4
    _ground(builder, ellipse(box.centre, reach_a, reach_b, box.angle, _STILL), "court_red", key)
    inner = ellipse(box.centre, reach_a - 9, reach_b - 9, box.angle, _STILL)
    _ground(builder, inner, "turf", key, (box.angle + np.pi / 2, 11.0, 0.06))
    for step in (1.6, 3.2, 4.8, 6.4):
        lane = ellipse(box.centre, reach_a - step, reach_b - step, box.angle, _STILL)
        builder.lines.append(Line(np.vstack([lane, lane[:1]]), 0.14, (226, 222, 214)))
    court_markings(builder, Box(box.centre, box.angle, (reach_a - 9) * 1.45, (reach_b - 9) * 1.3), goals=False)


def round_pond(builder: WorldBuilder, box: Box) -> None:
    """A circular basin with a paved rim on a lawn, often with an island or a fountain."""
    rng = builder.rng
    radius = box.width / 2
    builder.patch(ellipse(box.centre, radius, radius, 0.0, _STILL), "lawn", 0.08, bent=True)
    shore = radius * float(rng.uniform(0.62, 0.8))
    builder.patch(ellipse(box.centre, shore + 2.2, shore + 2.2, 0.0, _STILL), "pavement", 0.05, bent=True)
    builder.patch(ellipse(box.centre, shore, shore, 0.0, _STILL), "water", 0.15, "round pond", bent=True)
    if rng.random() < 0.5:
        island = shore * 0.22
        builder.patch(ellipse(box.centre, island, island, 0.0, _STILL), "lawn", 0.08, bent=True)
        builder.tree(float(box.centre[0]), float(box.centre[1]), float(rng.uniform(1.5, 3)))
    for angle in np.arange(0, 2 * np.pi, rng.uniform(0.3, 0.6)):
        x, y = box.centre + axes(float(angle))[0] * radius * 0.92
        builder.tree(float(x), float(y), float(rng.uniform(1.5, 2.6)))


def plaza(builder: WorldBuilder, box: Box) -> None:
    """A round paved square with a ring of paving, a monument in its middle and flower beds."""
    rng = builder.rng
    radius = box.width / 2
    for share, material in ((1.0, "asphalt"), (0.74, "pavement"), (0.5, "court_red"), (0.42, "pavement")):
        circle = ellipse(box.centre, radius * share, radius * share, 0.0, _STILL)
        builder.patch(circle, material, 0.04, "plaza" if share == 0.74 else None, bent=True)
        if share < 0.74:
            builder.patches[-1] = replace(builder.patches[-1], id=max(builder.objects))
    for angle in np.arange(4) * np.pi / 2 + box.angle + np.pi / 4:
        bed = ellipse(box.centre + axes(float(angle))[0] * radius * 0.6, 3.2, 1.8, float(angle) + np.pi / 2, _STILL)
        builder.patch(bed, str(rng.choice(["lawn", "crop_green"])), 0.05, bent=True)
    stone = pick(rng, ((214, 210, 200), (170, 160, 150), (120, 128, 124)), 0.05)
    steps = [(7.0, 0.8), (4.6, 2.0), (2.4, float(rng.uniform(9, 16)))]
    roofs = [Roof(Box(box.centre, box.angle, side, side), "flat", top, 0.0, stone, "plain") for side, top in steps]
    builder.building(roofs, [], stone, "monument", windows=0.0)
    for angle in np.arange(0, 2 * np.pi, np.pi / 9):
        x, y = box.centre + axes(float(angle))[0] * radius * 0.86
        builder.spot(np.array([x, y]), float(angle) + np.pi / 2)


def helipad(builder: WorldBuilder, box: Box) -> None:
    """A round landing pad with an H on a lawn, and a hut beside it."""
    radius = box.width / 2
    builder.patch(box.corners(), "lawn", 0.08, bent=True)
    pad = radius * 0.7
    colour = str(builder.rng.choice(["asphalt_new", "concrete", "court_green", "court_blue"]))
    builder.patch(ellipse(box.centre, pad, pad, 0.0, _STILL), colour, 0.03, "helipad", bent=True)
    ring = ellipse(box.centre, pad * 0.86, pad * 0.86, 0.0, _STILL)
    white = (236, 236, 230)
    builder.lines.append(Line(np.vstack([ring, ring[:1]]), 0.8, white))
    for start, end in (((-0.3, -0.42), (-0.3, 0.42)), ((0.3, -0.42), (0.3, 0.42)), ((-0.3, 0.0), (0.3, 0.0))):
        ends = np.array([box.point(start[0] * pad, start[1] * pad), box.point(end[0] * pad, end[1] * pad)])
        builder.lines.append(Line(ends, 1.3, white))
    shed(builder, Box(box.point(radius * 0.82, radius * 0.82), box.angle, 6, 5).corners())


def baths(builder: WorldBuilder, box: Box) -> None:
    """Open-air swimming baths: a long pool with lanes, a round one and a bath house on a lawn."""
    rng = builder.rng
    builder.patch(box.corners(), "lawn", 0.08, bent=True)
    deck = Box(box.point(-box.length * 0.1, -box.width * 0.12), box.angle, box.length * 0.7, box.width * 0.62)
    builder.patch(deck.corners(), str(rng.choice(["pavement", "concrete", "sand"])), 0.04, bent=True)
    pool = Box(deck.point(-deck.length * 0.15, 0), box.angle, deck.length * 0.56, deck.width * 0.52)
    builder.patch(pool.corners(), "pool", 0.04, "baths", bent=True)
    key = max(builder.objects)
    for t in np.linspace(-0.5, 0.5, 7)[1:-1] * pool.width:
        ends = np.array([pool.point(-pool.length / 2, t), pool.point(pool.length / 2, t)])
        builder.lines.append(Line(ends, 0.25, (70, 128, 160)))
    small = ellipse(deck.point(deck.length * 0.32, 0), deck.width * 0.26, deck.width * 0.26, 0.0, _STILL)
    _ground(builder, small, "pool", key)
    house = Box(box.point(0, box.width * 0.36), box.angle, box.length * 0.6, box.width * 0.16)
    builder.building([Roof(house, "gable", 3.2, 1.6, pick(rng, TILES), "tile")], [], pick(rng, WALLS), "house")
    for s in np.linspace(-0.46, 0.46, 9) * box.length:
        x, y = box.point(s, -box.width * 0.46)
        builder.tree(float(x), float(y), float(rng.uniform(1.6, 3.0)))


def solar_farm(builder: WorldBuilder, box: Box) -> None:
    """Rows of dark panels, leaning south, on a meadow."""
    builder.patch(box.corners(), "meadow", 0.08, bent=True)
    roofs = []
    for t in np.arange(-box.width / 2 + 4, box.width / 2 - 3, 5.6):
        row = Box(box.point(0, t), box.angle, box.length * 0.92, 3.2)
        roofs.append(Roof(row, "shed", 0.7, 1.4, (44, 54, 88), "plain"))
    builder.building(roofs, [], (66, 70, 84), "solar farm", windows=0.0)


def container_yard(builder: WorldBuilder, box: Box) -> None:
    """Stacks of containers in all colours on concrete."""
    rng = builder.rng
    builder.patch(box.corners(), "concrete", 0.06, bent=True)
    roofs = []
    for t in np.arange(-box.width / 2 + 5, box.width / 2 - 3, 6.4):
        for s in np.arange(-box.length / 2 + 8, box.length / 2 - 7, 6.6):
            for lane in (0.0, 2.6):
                if rng.random() < 0.86:
                    place = Box(box.point(s, t + lane), box.angle, 6.1, 2.44)
                    high = 2.6 * float(rng.integers(1, 4))
                    roofs.append(Roof(place, "flat", high, 0.0, pick(rng, _CONTAINERS, 0.1), "sheet"))
    builder.building(roofs, [], (150, 90, 70), "container yard", windows=0.0)


def gasometers(builder: WorldBuilder, box: Box) -> None:
    """A row of one to four round tanks on gravel."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["gravel", "concrete", "lawn"])), 0.06, bent=True)
    count = max(1, round(box.length / box.width))
    radius = min(box.width, box.length / count) / 2 - 2.5
    palette = ((222, 224, 222), (198, 196, 188), (96, 134, 112), (88, 124, 164))
    colour, height = pick(rng, palette, 0.04), float(rng.uniform(6, 14))
    for index in range(count):
        centre = box.point(((index + 0.5) / count - 0.5) * box.length, 0)
        roofs = disc(centre, radius, height, colour)
        cap = disc(centre, radius * 0.55, height + 0.7, colour_of(np.array(colour) * 0.94))
        builder.building(roofs + cap, [], colour, "tank", windows=0.0)


def _ground(
    builder: WorldBuilder, outline: Polygon, material: str, key: int, stripes: tuple[float, float, float] | None = None
) -> NDArray[np.float64]:
    """Add ground that belongs to the object ``key``."""
    result = builder.patch(outline, material, 0.04, stripes=stripes, bent=True)
    builder.patches[-1] = replace(builder.patches[-1], id=key)
    return result
