"""Landmarks: what a person would name from the air, set into a town that makes room for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes import landmark_buildings, landmark_sites
from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.layout import Box, Polygon, axes, densify
from cvgeo_ros.learn.scenes.world import Line, Street


@dataclass(frozen=True)
class Kind:
    """How a landmark is drawn into a box, and the ranges of that box's width and length over width."""

    draw: Callable[[WorldBuilder, Box], None]
    width: tuple[float, float]
    stretch: tuple[float, float] = (1.0, 1.0)


KINDS: dict[str, Kind] = {
    "stadium": Kind(landmark_sites.stadium, (88, 112), (1.35, 1.55)),
    "round pond": Kind(landmark_sites.round_pond, (34, 66)),
    "plaza": Kind(landmark_sites.plaza, (36, 56)),
    "helipad": Kind(landmark_sites.helipad, (28, 38)),
    "baths": Kind(landmark_sites.baths, (42, 56), (1.4, 1.7)),
    "solar farm": Kind(landmark_sites.solar_farm, (40, 70), (1.2, 1.8)),
    "container yard": Kind(landmark_sites.container_yard, (36, 56), (1.2, 1.8)),
    "tank": Kind(landmark_sites.gasometers, (22, 40), (1.0, 3.4)),
    "church": Kind(landmark_buildings.church, (34, 42), (1.25, 1.5)),
    "domed hall": Kind(landmark_buildings.domed_hall, (36, 52)),
    "round tower": Kind(landmark_buildings.round_tower, (26, 38)),
    "tower block": Kind(landmark_buildings.tower_block, (28, 36), (1.0, 3.2)),
    "coloured hall": Kind(landmark_buildings.coloured_hall, (40, 64), (1.3, 1.9)),
}
_ROOM = 26_000.0  # square metres of town a landmark
_TRIES = 60


def set_landmarks(builder: WorldBuilder, blocks: list[Polygon], extent: float, rng: np.random.Generator) -> None:
    """Set landmarks into the middles of blocks, one kind after another in random order.

    Args:
        builder: The town; what stood in a landmark's place is removed.
        blocks: Blocks of the plan, not bent.
        extent: Side of the world, m.
        rng: Source of chance of its own; the town's is left alone.
    """
    town = builder.rng
    builder.rng = rng
    middles = [builder.bend(block.mean(axis=0)[None])[0] for block in blocks if len(block) >= 3]
    wet = [p.polygon for p in builder.patches if p.material == "water" and len(p.polygon) > 60]
    taken: list[tuple[NDArray[np.float64], float]] = []
    names: list[str] = []
    for _ in range(max(1, round(extent**2 / _ROOM))):
        names = names or [str(name) for name in rng.permutation(list(KINDS))]
        kind = KINDS[names.pop()]
        width = float(rng.uniform(*kind.width))
        length = width * float(rng.uniform(*kind.stretch))
        reach = float(np.hypot(length, width)) / 2
        for _ in range(_TRIES):
            centre = middles[int(rng.integers(len(middles)))] + rng.normal(0, 4, 2)
            box = Box(centre, _street_direction(builder, centre), length, width)
            rim = densify(box.corners(6.0), 5.0)
            if (
                np.abs(centre).max() > extent / 2 - 0.6 * reach
                or any(np.hypot(*(centre - other)) < reach + far + 6 for other, far in taken)
                or any(within(shore, rim).any() for shore in wet)
            ):
                continue
            clear(builder, box.corners(2.0))
            kind.draw(builder, box)
            taken.append((centre, reach))
            break
    builder.rng = town


def _street_direction(builder: WorldBuilder, place: NDArray[np.float64]) -> float:
    """Direction of the street nearest to a place, rad."""
    best, result = np.inf, 0.0
    for street in builder.streets:
        far = np.hypot(*(street.points - place).T)
        nearest = int(np.argmin(far))
        if far[nearest] < best:
            index = min(nearest, len(street.points) - 2)
            step = street.points[index + 1] - street.points[index]
            best, result = float(far[nearest]), float(np.arctan2(step[1], step[0]))
    return result


def within(polygon: Polygon, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (N, 2) lie in a polygon of any shape."""
    x, y = points[:, 0, None], points[:, 1, None]
    start, end = polygon, np.roll(polygon, -1, axis=0)
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(crosses, end[:, 1] - start[:, 1], 1.0)
    at = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
    return np.asarray((crosses & (x < at)).sum(axis=1) % 2 == 1)


def clear(builder: WorldBuilder, outline: Polygon) -> None:
    """Remove what stands in an outline: buildings, courts, trees, vehicles, and the parts of lines and streets."""
    low, high = outline.min(axis=0), outline.max(axis=0)

    def near(box: Box) -> bool:
        reach = (box.length + box.width) / 2
        return not ((box.centre - reach > high).any() or (box.centre + reach < low).any())

    def hit(points: NDArray[np.float64]) -> bool:
        if (points.min(axis=0) > high).any() or (points.max(axis=0) < low).any():
            return False
        return bool(within(outline, points).any() or within(points, outline).any())

    gone = {b.id for b in builder.buildings if any(near(r.box) and hit(densify(r.box.corners(), 3.0)) for r in b.roofs)}
    # A long thing on the ground, such as a river or railway, outlives what is set upon a part of it.
    gone |= {
        key
        for key, item in builder.objects.items()
        if item.height == 0 and item.cls not in ("river", "railway", "bridge") and hit(item.corners[:, :2])
    }
    builder.buildings = [b for b in builder.buildings if b.id not in gone]
    builder.patches = [replace(p, id=0) if p.id in gone else p for p in builder.patches]
    for key in gone:
        builder.objects.pop(key, None)
    places = np.array([[t.x, t.y] for t in builder.trees]).reshape(-1, 2)
    builder.trees = [t for t, inside in zip(builder.trees, within(outline, places), strict=True) if not inside]
    builder.spots = [v for v in builder.spots if not (near(v.box) and hit(v.box.corners(0.5)))]
    builder.lines = [
        replace(line, points=part) for line in builder.lines for part in _outside(line.points, outline, low, high)
    ]
    builder.streets = [
        Street(part, street.width)
        for street in builder.streets
        for part in _outside(street.points, outline, low - 3, high + 3)
    ]


def _outside(
    points: NDArray[np.float64], outline: Polygon, low: NDArray[np.float64], high: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return the parts of a line that lie outside."""
    if (points.min(axis=0) > high).any() or (points.max(axis=0) < low).any():
        return [points]
    inside = within(outline, points)
    if not inside.any():
        return [points]
    parts = np.split(points, np.flatnonzero(np.diff(inside)) + 1)
    return [part for part in parts if len(part) > 1 and not within(outline, part).any()]


def railway(builder: WorldBuilder, extent: float, rng: np.random.Generator) -> None:
    """Lay a railway of one to three tracks across the town."""
    town = builder.rng
    builder.rng = rng
    along, across = axes(float(rng.uniform(0, np.pi)))
    s = np.linspace(-0.75, 0.75, 80) * extent
    t = rng.uniform(-0.32, 0.32) * extent + rng.uniform(10, 40) * np.sin(s * 2 * np.pi / rng.uniform(700, 1400))
    tracks = int(rng.integers(1, 4))
    half = 2.4 * tracks + 1.2
    middle = s[:, None] * along + t[:, None] * across

    def band(reach: float) -> Polygon:
        return np.concatenate([middle - across * reach, (middle + across * reach)[::-1]])

    clear(builder, band(half + 2))
    builder.patch(band(half + 2.5), "scrub", 0.08, bent=True)
    builder.patch(band(half), "ballast", 0.06, "railway", bent=True)
    for track in range(tracks):
        offset = (track - (tracks - 1) / 2) * 4.6
        builder.lines.append(Line(middle + across * offset, 2.5, (104, 94, 86)))
        for rail in (-0.72, 0.72):
            builder.lines.append(Line(middle + across * (offset + rail), 0.3, (176, 172, 168)))
    builder.rng = town


def name_river(builder: WorldBuilder, shore: Polygon, decks: list[tuple[NDArray[np.float64], float]]) -> None:
    """Make objects of a river, already painted as the last patch of water, and of its bridges."""
    for index in reversed(range(len(builder.patches))):
        if builder.patches[index].material == "water":
            builder.patches[index] = replace(builder.patches[index], id=builder.register("river", shore))
            break
    for deck, width in decks:
        step = deck[-1] - deck[0]
        side = np.array([-step[1], step[0]]) / np.hypot(*step) * width / 2
        builder.patch(np.concatenate([deck - side, (deck + side)[::-1]]), "concrete", 0.03, "bridge", bent=True)
