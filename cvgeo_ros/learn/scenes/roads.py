"""Streets: the network, markings, traffic, roundabouts."""

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.layout import Cut, Polygon, area, axes, densify, ellipse, subdivide
from cvgeo_ros.learn.scenes.world import Line, Street


def street_network(
    rng: np.random.Generator, extent: float, target: float, rural: bool
) -> tuple[list[Polygon], list[Cut]]:
    """Cut a square larger than the world into blocks; wide streets first, local ones last."""
    along, across = axes(float(rng.uniform(0, np.pi / 2)))
    half = extent * 0.8
    square = np.array([-along - across, along - across, along + across, across - along]) * half
    main = rng.uniform(5.5, 8) if rural else rng.uniform(9, 16)
    local = rng.uniform(3.0, 5.0) if rural else rng.uniform(4.5, 8.5)
    coarse = int(np.log2(max(area(square) / target, 2)))

    def width(depth: int) -> float:
        share = min(1.0, depth / max(coarse - 1, 1))
        return float((main + (local - main) * share) * rng.uniform(0.85, 1.15))

    return subdivide(square, rng, target, width, float(rng.choice([0.02, 0.06, 0.14])))


class _Road:
    """A street of the plan: places along it and beside it, bent."""

    def __init__(self, builder: WorldBuilder, cut: Cut) -> None:
        self._bend = builder.bend
        self._start = cut.start
        direction = cut.end - cut.start
        self.length = float(np.hypot(*direction))
        self._along = direction / max(self.length, 1e-9)
        self._across = np.array([-self._along[1], self._along[0]])

    def place(self, s: float, offset: float) -> NDArray[np.float64]:
        """Return the point ``s`` metres from the start and ``offset`` to the left."""
        return self._bend((self._start + self._along * s + self._across * offset)[None])[0]

    def run(self, offset: float, start: float, end: float) -> NDArray[np.float64]:
        """Return a line (N, 2) along the street."""
        ends = np.array([self._start + self._along * s + self._across * offset for s in (start, end)])
        return self._bend(densify(ends, closed=False))

    def heading(self, s: float) -> float:
        """Return the direction of the street at ``s``, rad."""
        step = self.place(s + 1, 0) - self.place(s, 0)
        return float(np.arctan2(step[1], step[0]))


def furnish(builder: WorldBuilder, cuts: list[Cut], extent: float) -> None:
    """Paint markings and crossings on the streets, and add vehicles and rows of trees."""
    for cut in cuts:
        road = _Road(builder, cut)
        if road.length < 15 or cut.width < 4:
            continue
        builder.streets.append(Street(road.run(0, 0, road.length), cut.width))
        if cut.width > 7:
            _markings(builder, road, cut.width)
        _traffic(builder, road, cut.width, extent / 2 + 5)
        if cut.width > 8 and builder.rng.random() < 0.4:
            for s in np.arange(6, road.length - 6, builder.rng.uniform(7, 14)):
                for side in (-1, 1):
                    if builder.rng.random() < 0.7:
                        x, y = road.place(s, side * (cut.width / 2 + 0.6))
                        builder.tree(float(x), float(y), float(builder.rng.uniform(1.2, 2.8)))


def _markings(builder: WorldBuilder, road: _Road, width: float) -> None:
    end = road.length - 4
    builder.lines.append(Line(road.run(0, 4, end), 0.18, (206, 200, 170), None if width > 12 else (3.0, 5.0)))
    if width > 11:
        for side in (-1, 1):
            builder.lines.append(Line(road.run(side * width / 4, 4, end), 0.15, dash=(3.0, 6.0)))
            builder.lines.append(Line(road.run(side * (width / 2 - 0.6), 4, end), 0.15))
    for s in (5.0, road.length - 5.0):
        if builder.rng.random() < 0.6:
            for offset in np.arange(-width / 2 + 0.8, width / 2 - 0.5, 1.0):
                builder.lines.append(Line(road.run(offset, s - 1.6, s + 1.6), 0.5))


def _traffic(builder: WorldBuilder, road: _Road, width: float, reach: float) -> None:
    rng = builder.rng
    for s in np.arange(8, road.length - 8, 9.0 if width > 7 else 14.0):
        for side in (-1, 1):
            if rng.random() < 0.55:
                place = road.place(s, side * (width / 2 - 1.1 if rng.random() < 0.6 else width / 4))
                lorry = rng.random() < 0.06
                if np.abs(place).max() < reach:
                    builder.spot(place, road.heading(s) + (np.pi if side < 0 else 0.0), lorry)


def roundabout(builder: WorldBuilder, cuts: list[Cut], extent: float) -> None:
    """Put a roundabout where two of the wide streets meet, and clear its place."""
    rng = builder.rng
    near = [p for cut in cuts[1:7] for p in (cut.start, cut.end) if np.abs(p).max() < extent * 0.4]
    if not near:
        return
    centre = builder.bend(near[int(rng.integers(len(near)))][None])[0]
    radius = float(rng.uniform(11, 18))
    island = radius * rng.uniform(0.4, 0.6)
    still = np.zeros(1)

    def away(points: NDArray[np.float64], reach: float) -> bool:
        return bool(np.hypot(*(points - centre).T).min() > reach)

    gone = {b.id for b in builder.buildings if not all(away(densify(r.box.corners(), 2), radius + 2) for r in b.roofs)}
    builder.buildings = [b for b in builder.buildings if b.id not in gone]
    for key in gone:
        del builder.objects[key]
    builder.trees = [t for t in builder.trees if np.hypot(t.x - centre[0], t.y - centre[1]) > radius + t.radius]
    builder.spots = [v for v in builder.spots if away(v.box.centre[None], radius + 2)]
    builder.lines = [line for line in builder.lines if away(line.points, radius)]
    builder.patch(ellipse(centre, radius + 2, radius + 2, 0, still), "pavement", 0.05, bent=True)
    builder.patch(ellipse(centre, radius, radius, 0, still), "asphalt", 0.05, bent=True)
    ring = ellipse(centre, island, island, 0, still)
    builder.patch(ring, "lawn", 0.1, "roundabout", bent=True)
    builder.lines.append(Line(np.vstack([ring, ring[:1]]), 0.5, (196, 192, 184)))
    for _ in range(int(rng.integers(0, 6))):
        place = centre + rng.uniform(-0.5, 0.5, 2) * island
        builder.tree(float(place[0]), float(place[1]), float(rng.uniform(0.8, 2.2)), "bush")
    for angle in rng.uniform(0, 2 * np.pi, 3):
        along, _ = axes(float(angle))
        builder.spot(centre + along * (radius + island) / 2, float(angle + np.pi / 2))
