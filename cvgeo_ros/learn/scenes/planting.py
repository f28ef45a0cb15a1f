"""Trees and hedges over a piece of land."""

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.layout import Polygon, area


def scatter_trees(
    builder: WorldBuilder,
    polygon: Polygon,
    spacing: float,
    radius: tuple[float, float],
    kind: str = "broad",
    share: float = 1.0,
) -> None:
    """Plant trees about ``spacing`` metres apart in a convex polygon (already bent)."""
    rng = builder.rng
    if len(polygon) < 3 or area(polygon) < 4:
        return
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    grid = np.stack(np.meshgrid(np.arange(low[0], high[0], spacing), np.arange(low[1], high[1], spacing)), -1)
    points = grid.reshape(-1, 2)
    points = points + rng.uniform(-0.45, 0.45, points.shape) * spacing
    points = points[inside(polygon, points) & (rng.random(len(points)) < share)]
    for x, y in points:
        builder.tree(float(x), float(y), float(rng.uniform(*radius)), kind, 2.4 if kind == "conifer" else 1.7)


def inside(polygon: Polygon, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (N, 2) lie in a convex counter-clockwise polygon."""
    result = np.ones(len(points), bool)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        edge = end - start
        result &= (points - start) @ np.array([-edge[1], edge[0]]) >= 0
    return result


def hedge(builder: WorldBuilder, polygon: Polygon) -> None:
    """Plant a clipped hedge along one side of a polygon (already bent)."""
    rng = builder.rng
    start = int(rng.integers(len(polygon)))
    a, b = polygon[start], polygon[(start + 1) % len(polygon)]
    count = int(np.hypot(*(b - a)) / 1.1)
    for share in np.linspace(0, 1, max(count, 2)):
        x, y = a + (b - a) * share
        builder.tree(float(x), float(y), float(rng.uniform(0.7, 1.0)), "bush", 1.8)


def avenue(builder: WorldBuilder, polygon: Polygon, spacing: float) -> None:
    """Plant a row of trees along the rim of a polygon (bent here), ``spacing`` metres apart."""
    rng = builder.rng
    bent = builder.bend(polygon)
    for a, b in zip(bent, np.roll(bent, -1, axis=0), strict=True):
        for share in np.arange(0.5, max(1.0, np.hypot(*(b - a)) / spacing)) / max(1.0, np.hypot(*(b - a)) / spacing):
            if rng.random() < 0.8:
                x, y = a + (b - a) * share
                builder.tree(float(x), float(y), float(rng.uniform(1.6, 3.2)))
