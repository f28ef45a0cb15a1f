"""Plane geometry of a town: convex polygons cut into blocks and plots, and a smooth bend of the whole plan.

Convention:
    Points are (x, y) in metres, x east and y north. Polygons are (N, 2), convex, counter-clockwise.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """A street left by a cut: its centre line from ``start`` to ``end`` and its width, m."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    width: float


@dataclass(frozen=True)
class Box:
    """An oriented rectangle: centre, direction of the length (rad from east), length >= 0 and width >= 0, m."""

    centre: NDArray[np.float64]
    angle: float
    length: float
    width: float

    def corners(self, grow: float = 0.0) -> Polygon:
        """Return the corners (4, 2), each side moved outwards by ``grow`` metres."""
        along, across = axes(self.angle)
        a, b = along * (self.length / 2 + grow), across * (self.width / 2 + grow)
        return np.array([self.centre + a + b, self.centre - a + b, self.centre - a - b, self.centre + a - b])

    def point(self, s: float, t: float) -> NDArray[np.float64]:
        """Return the point at ``s`` metres along the length and ``t`` across it, from the centre."""
        along, across = axes(self.angle)
        return self.centre + s * along + t * across


def axes(angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit vectors along ``angle`` (rad) and at its left."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c, s]), np.array([-s, c])


def area(polygon: Polygon) -> float:
    """Return the signed area, positive counter-clockwise, square metres."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def clip(polygon: Polygon, point: NDArray[np.float64], normal: NDArray[np.float64]) -> Polygon:
    """Keep the part of a convex polygon where ``(p - point) . normal >= 0``; may be empty (0, 2)."""
    side = (polygon - point) @ normal
    kept: list[NDArray[np.float64]] = []
    for index in range(len(polygon)):
        following = (index + 1) % len(polygon)
        if side[index] >= 0:
            kept.append(polygon[index])
        if (side[index] >= 0) != (side[following] >= 0):
            share = side[index] / (side[index] - side[following])
            kept.append(polygon[index] + share * (polygon[following] - polygon[index]))
    return np.array(kept).reshape(-1, 2)


def inset(polygon: Polygon, distance: float) -> Polygon:
    """Move every side of a convex polygon inwards by ``distance`` metres; may be empty (0, 2)."""
    result = polygon
    for index in range(len(polygon)):
        start, end = polygon[index], polygon[(index + 1) % len(polygon)]
        edge = end - start
        length = float(np.hypot(*edge))
        if length < 1e-9 or len(result) == 0:
            continue
        normal = np.array([-edge[1], edge[0]]) / length
        result = clip(result, start + normal * distance, normal)
    return result


def bounding_box(polygon: Polygon) -> Box:
    """Return the smallest oriented rectangle around a polygon, length >= width."""
    (x, y), (side_a, side_b), degrees = cv2.minAreaRect(polygon.astype(np.float32))
    angle = np.radians(degrees)
    if side_a < side_b:
        side_a, side_b, angle = side_b, side_a, angle + np.pi / 2
    return Box(np.array([x, y]), float(angle), float(side_a), float(side_b))


def inner_box(polygon: Polygon) -> Box:
    """Return a large oriented rectangle inside a convex polygon, along its longest side."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    longest = edges[np.argmax(np.hypot(edges[:, 0], edges[:, 1]))]
    angle = float(np.arctan2(longest[1], longest[0]))
    along, across = axes(angle)
    s, t = polygon @ along, polygon @ across
    centre = polygon.mean(axis=0)
    half = np.array([np.ptp(s), np.ptp(t)]) / 2
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    normals = np.stack([-edges[:, 1], edges[:, 0]], 1)[lengths > 1e-6] / lengths[lengths > 1e-6, None]
    reach = np.einsum("ij,ij->i", centre - polygon[lengths > 1e-6], normals)
    slope_s, slope_t = np.abs(normals @ along), np.abs(normals @ across)
    a = half[0] * np.linspace(0.3, 1.0, 29)
    room = reach - a[:, None] * slope_s
    fits = np.logical_and.accumulate((room > 0).all(axis=1))
    across_room = np.where(slope_t > 1e-3, room / np.maximum(slope_t, 1e-3), np.inf)
    b = np.minimum(half[1], across_room.min(axis=1))
    best = int(np.argmax(np.where(fits, a * b, -1.0)))
    best_half = np.array([a[best], b[best]]) if fits[0] else half
    return Box(centre, angle, float(2 * best_half[0]), float(2 * best_half[1]))


def split(
    polygon: Polygon, rng: np.random.Generator, gap: float, tilt: float = 0.1, balance: float = 0.2
) -> tuple[Polygon, Polygon, Cut]:
    """Cut a convex polygon across its long side and leave a strip ``gap`` metres wide between the parts.

    Args:
        polygon: What to cut.
        rng: Source of chance.
        gap: Width of the strip, m.
        tilt: 1-sigma deviation of the cut from the perpendicular, rad.
        balance: Largest deviation of the cut from the middle as a share of the length.
    """
    box = bounding_box(polygon)
    along, _ = axes(box.angle)
    normal, direction = axes(box.angle + rng.normal(0, tilt))
    point = box.centre + along * box.length * rng.uniform(-balance, balance)
    left = clip(polygon, point - normal * gap / 2, -normal)
    right = clip(polygon, point + normal * gap / 2, normal)
    reach = (polygon - point) @ direction
    return left, right, Cut(point + direction * reach.min(), point + direction * reach.max(), gap)


def subdivide(
    polygon: Polygon,
    rng: np.random.Generator,
    target: float,
    gap: Callable[[int], float],
    tilt: float = 0.1,
    depth: int = 0,
) -> tuple[list[Polygon], list[Cut]]:
    """Cut a convex polygon until the parts are about ``target`` square metres.

    Returns:
        The parts and the cuts, coarse cuts first; ``gap(depth)`` gives the width of a cut's strip.
    """
    if area(polygon) < target * rng.uniform(0.8, 1.9):
        return [polygon], []
    left, right, cut = split(polygon, rng, gap(depth), tilt)
    parts: list[Polygon] = []
    cuts: list[Cut] = [cut]
    for half in (left, right):
        if len(half) >= 3:
            more_parts, more_cuts = subdivide(half, rng, target, gap, tilt, depth + 1)
            parts += more_parts
            cuts += more_cuts
    return parts, cuts


def plots(
    block: Polygon, rng: np.random.Generator, frontage: tuple[float, float], alley: float, depth: float = 1e9
) -> list[Polygon]:
    """Cut a block into rows of plots, back to back, as towns do.

    Args:
        block: The block.
        rng: Source of chance.
        frontage: Range of plot widths along the street, m.
        alley: Gap between two rows, m.
        depth: Wanted depth of a plot, m; a block at least 20 m wide has two rows or more.
    """
    box = bounding_box(block)
    along, across = axes(box.angle)
    count = 1 if box.width < 20 else max(2, round(box.width / depth))
    middle = float(box.centre @ across)
    edges = middle + box.width * (np.arange(count + 1) / count - 0.5)
    edges[1:-1] += rng.uniform(-0.12, 0.12, count - 1) * box.width / count
    edges[[0, -1]] += (-1.0, 1.0)
    result: list[Polygon] = []
    for low, high in itertools.pairwise(edges):
        row = clip(clip(block, across * (low + alley / 2), across), across * (high - alley / 2), -across)
        if len(row) < 3:
            continue
        position, end = (row @ along).min(), (row @ along).max()
        while position < end - frontage[0] / 2:
            width = rng.uniform(*frontage)
            if end - position - width < frontage[0]:
                width = end - position
            origin = along * position
            plot = clip(clip(row, origin, along), origin + along * width, -along)
            if len(plot) >= 3 and area(plot) > 8:
                result.append(plot)
            position += width
    return result


@dataclass(frozen=True)
class Bend:
    """A smooth displacement of the plan that turns straight streets into curved ones.

    Attributes:
        waves: (K, 2) wave vectors, rad/m; phases (K, 2), rad; amplitudes (K, 2), m.
    """

    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> "Bend":
        """Draw a bend whose displacement is about ``strength`` metres and whose shear stays small."""
        direction = rng.uniform(0, 2 * np.pi, 4)
        length = rng.uniform(220, 600, 4)
        waves = (2 * np.pi / length)[:, None] * np.stack([np.cos(direction), np.sin(direction)], 1)
        return cls(waves, rng.uniform(0, 2 * np.pi, (4, 2)), rng.normal(0, strength / 2, (4, 2)))

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displace points (N, 2)."""
        phase = points @ self.waves.T
        shift = np.sin(phase[:, :, None] + self.phases) * self.amplitudes
        return points + shift.sum(axis=1)


def densify(polygon: Polygon, step: float = 6.0, closed: bool = True) -> NDArray[np.float64]:
    """Insert points so that no side is longer than ``step`` metres."""
    following = np.roll(polygon, -1, axis=0) if closed else polygon[1:]
    pieces = []
    for start, end in zip(polygon, following, strict=False):
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / step)))
        pieces.append(start + (end - start) * (np.arange(count) / count)[:, None])
    if not closed:
        pieces.append(polygon[-1:])
    return np.concatenate(pieces)


def ellipse(centre: NDArray[np.float64], a: float, b: float, angle: float, wobble: NDArray[np.float64]) -> Polygon:
    """Return a smooth blob (48, 2): an ellipse with half axes a and b whose radius is modulated by the wobble (K,)."""
    phase = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 1 + sum(w * np.sin((k + 2) * phase + 7 * w) for k, w in enumerate(wobble))
    along, across = axes(angle)
    return centre + (a * radius * np.cos(phase))[:, None] * along + (b * radius * np.sin(phase))[:, None] * across
