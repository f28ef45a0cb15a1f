"""A fan of rays about the vertical through a camera in the street, and the canvas that holds what they meet.

Convention:
    World (x, y, z) in metres. Columns of a fan turn clockwise from its left edge, rows fall from its top. ``t`` is the
    horizontal distance from the camera, m.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.solids import Solid

SKY = 4
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Fan:
    """Rays about a vertical: ``columns`` of azimuth from ``left`` clockwise, ``rows`` of elevation from ``top`` down.

    Attributes:
        eye: (x, y, z) they start from.
        left: Azimuth of the left edge, rad counter-clockwise from east.
        top: Elevation of the upper edge, rad.
        step: Angle between rays, rad.
        columns, rows: How many.
    """

    eye: tuple[float, float, float]
    left: float
    top: float
    step: float
    columns: int
    rows: int

    @property
    def azimuth(self) -> NDArray[np.float64]:
        """(W,) rad."""
        return np.asarray(self.left - (np.arange(self.columns) + 0.5) * self.step, np.float64)

    @property
    def tangent(self) -> NDArray[np.float64]:
        """(H,) tangents of the elevations; never quite 0."""
        tangent = np.tan(np.clip(self.top - (np.arange(self.rows) + 0.5) * self.step, -1.56, 1.56))
        return np.where(np.abs(tangent) < 1e-6, -1e-6, tangent)


@dataclass(frozen=True)
class FanView:
    """What the rays of a fan meet.

    Attributes:
        fan: The rays.
        image: (H, W, 3) RGB uint8.
        points: (H, W, 3) float32, world x, y, z; NaN in the sky.
        ids: (H, W) uint16, object or 0.
        kind: (H, W) uint8, kinds of raster, or SKY.
        wall: (H, W) bool, where a building's wall is seen.
        whole: (largest id + 1,) rays that each building would fill if nothing stood before it.
    """

    fan: Fan
    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    ids: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    wall: NDArray[np.bool_]
    whole: NDArray[np.int64]


class Canvas:
    """The nearest of what was painted so far, for each ray of a fan.

    Attributes:
        fan: The rays.
        eye: (3,) where they start.
        cos, sin: (W,) float32, of the azimuths.
        tangent: (H,) float32, of the elevations.
        image: (H, W, 3) RGB uint8.
        depth: (H, W) float32, t; inf in the sky.
        ids, kind, wall: As in FanView.
    """

    def __init__(self, fan: Fan) -> None:
        self.fan = fan
        self.eye = np.array(fan.eye)
        azimuth = fan.azimuth
        self.cos, self.sin = np.cos(azimuth).astype(np.float32), np.sin(azimuth).astype(np.float32)
        self.tangent = fan.tangent.astype(np.float32)
        shape = (fan.rows, fan.columns)
        self.image = np.zeros((*shape, 3), np.uint8)
        self.depth = np.full(shape, np.inf, np.float32)
        self.ids = np.zeros(shape, np.uint16)
        self.kind = np.full(shape, SKY, np.uint8)
        self.wall = np.zeros(shape, bool)

    def meet(self, solid: Solid, window: Window) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return t and entry face of a solid in a window."""
        rows, columns = window
        return solid.meet(self.eye, self.cos[columns], self.sin[columns], self.tangent[rows])

    def put(self, window: Window, nearer: NDArray[np.bool_], t: NDArray[np.float32], kind: int, key: int = 0) -> None:
        """Note what is met where ``nearer``; its colour is the caller's to paint."""
        self.depth[window][nearer] = t[nearer]
        self.ids[window][nearer] = key
        self.kind[window][nearer] = kind
        self.wall[window][nearer] = False

    def points(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the world points (N, 3) that rays meet."""
        t = self.depth[rows, columns]
        x, y = self.eye[0] + t * self.cos[columns], self.eye[1] + t * self.sin[columns]
        return np.stack([x, y, self.eye[2] + t * self.tangent[rows]], 1).astype(np.float32)

    def windows(self, solid: Solid) -> Iterator[Window]:
        """Yield the windows of the fan that a solid may fill; two where it crosses the seam of a full circle."""
        near = solid.distance(self.eye[0], self.eye[1])
        if near < 0.05:
            return
        offset = solid.box.corners() - self.eye[:2]
        middle = np.arctan2(*(solid.box.centre - self.eye[:2])[::-1])
        turn = _wrapped(np.arctan2(offset[:, 1], offset[:, 0]) - middle)
        yield from self.span(float(middle), float(turn.min()), float(turn.max()), near, solid.low, solid.high)

    def span(self, middle: float, right: float, left: float, near: float, low: float, high: float) -> Iterator[Window]:
        """Yield the windows from ``right`` < 0 to ``left`` of azimuth ``middle``, for what is ``near`` m away."""
        fan = self.fan
        far = near + 200.0
        rows = []
        for z, nearer in ((high, high > self.eye[2]), (low, low < self.eye[2])):
            elevation = np.arctan2(z - self.eye[2], near if nearer else far)
            rows.append((fan.top - float(elevation)) / fan.step)
        top, bottom = max(0, int(rows[0]) - 1), min(fan.rows, int(rows[1]) + 2)
        if top >= bottom:
            return
        circle = round(2 * np.pi / fan.step)
        centre = float(_wrapped(np.array(fan.left - middle - fan.columns * fan.step / 2))) / fan.step + fan.columns / 2
        first, last = int(np.floor(centre - left / fan.step)) - 1, int(np.ceil(centre - right / fan.step)) + 1
        for shift in (-circle, 0, circle):
            start, stop = max(0, first + shift), min(fan.columns, last + shift)
            if start < stop:
                yield slice(top, bottom), slice(start, stop)


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return (angle + np.pi) % (2 * np.pi) - np.pi
