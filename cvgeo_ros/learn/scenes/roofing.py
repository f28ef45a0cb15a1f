"""Colours of buildings and what stands on their roofs."""

import numpy as np

from cvgeo_ros.learn.scenes.layout import Box
from cvgeo_ros.learn.scenes.textures import Colour
from cvgeo_ros.learn.scenes.world import Roof, colour_of

TILES: tuple[Colour, ...] = (
    (148, 92, 74),
    (160, 108, 88),
    (126, 78, 64),
    (112, 76, 64),
    (98, 84, 74),
    (84, 84, 86),
    (112, 108, 104),
    (146, 122, 100),
)
SHEETS: tuple[Colour, ...] = (
    (198, 200, 200),
    (168, 170, 170),
    (220, 222, 220),
    (140, 142, 140),
    (92, 116, 146),
    (112, 146, 172),
    (96, 136, 116),
    (118, 150, 134),
    (142, 84, 70),
    (150, 120, 96),
    (104, 104, 106),
    (176, 166, 146),
)
FLATS: tuple[Colour, ...] = (
    (136, 132, 126),
    (152, 148, 140),
    (120, 118, 116),
    (166, 160, 150),
    (104, 104, 104),
    (184, 180, 172),
    (118, 130, 116),
    (148, 108, 92),
    (206, 204, 198),
    (90, 92, 96),
)
WALLS: tuple[Colour, ...] = (
    (206, 200, 188),
    (188, 180, 166),
    (170, 164, 156),
    (216, 210, 196),
    (176, 148, 122),
    (158, 150, 144),
    (196, 176, 148),
    (150, 106, 86),
)

Clutter = list[tuple[Box, float, Colour]]


def pick(rng: np.random.Generator, palette: tuple[Colour, ...], spread: float = 0.09) -> Colour:
    """Draw a colour of a palette, varied."""
    base = np.array(palette[int(rng.integers(len(palette)))])
    return colour_of(base * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, spread / 3, 3)))


def clutter_on(rng: np.random.Generator, box: Box, top: float, density: float) -> Clutter:
    """Draw small boxes on a flat roof at height ``top``; ``density`` 1 is one in 40 square metres."""
    result: Clutter = []
    for _ in range(int(rng.poisson(density * box.length * box.width / 40))):
        small = rng.random() < 0.75
        size = rng.uniform(0.5, 1.4, 2) if small else rng.uniform(1.5, 3.2, 2)
        if size.max() > min(box.length, box.width) * 0.7:
            continue
        place = box.point(*(rng.uniform(-0.5, 0.5, 2) * (np.array([box.length, box.width]) - size - 0.6)))
        tone = float(rng.choice([60, 110, 150, 190, 225]))
        result.append(
            (Box(place, box.angle, float(size[0]), float(size[1])), top + rng.uniform(0.3, 1.2), (tone, tone, tone))
        )
    return result


def solar_rows(rng: np.random.Generator, box: Box, top: float) -> Clutter:
    """Rows of solar panels on a flat roof at height ``top``."""
    colour = (40.0, 48.0, 70.0)
    rows = int(box.width * 0.8 // 2.2)
    length = box.length * rng.uniform(0.4, 0.8)
    start = -(rows - 1) / 2 * 2.2
    return [(Box(box.point(0, start + 2.2 * row), box.angle, length, 1.6), top + 0.5, colour) for row in range(rows)]


def stair_head(rng: np.random.Generator, box: Box, top: float, wall: Colour) -> Clutter:
    """A stair head on a flat roof, often with a water tank."""
    length, width = min(rng.uniform(2.4, 4.5), box.length * 0.5), min(rng.uniform(2.4, 4.0), box.width * 0.7)
    head = Box(box.point(rng.choice([-1, 1]) * (box.length - length) * 0.45, 0), box.angle, length, width)
    result: Clutter = [(head, top + rng.uniform(2.3, 3.0), colour_of(np.array(wall) * 0.92))]
    if rng.random() < 0.6:
        tank = Box(head.point(0, 0), box.angle, 1.3, 1.3)
        steel = (206.0, 210.0, 214.0)
        result.append((tank, top + 4.2, steel))
    return result


def skylights(rng: np.random.Generator, roof: Roof, density: float) -> Clutter:
    """Draw windows in the slopes of a gabled roof, ``density`` a square metre."""
    result: Clutter = []
    for _ in range(int(rng.poisson(density * roof.box.length * roof.box.width))):
        t = rng.uniform(0.12, 0.4) * roof.box.width * rng.choice([-1, 1])
        top = roof.eave + roof.rise * (1 - abs(t) / (roof.box.width / 2)) + 0.35
        place = roof.box.point(rng.uniform(-0.42, 0.42) * roof.box.length, t)
        result.append((Box(place, roof.box.angle, 0.8, 1.1), top, (92.0, 106.0, 124.0)))
    return result


def lengthwise(box: Box) -> Box:
    """Return the same rectangle with its length along the longer side."""
    if box.length >= box.width:
        return box
    return Box(box.centre, box.angle + np.pi / 2, box.width, box.length)
