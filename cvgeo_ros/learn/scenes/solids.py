"""Convex solids, and where the rays of a fan meet them: buildings and vehicles as a camera in the street sees them.

Convention:
    World (x, y, z) in metres. A fan has a ray for each of its columns (azimuth, rad counter-clockwise from east,
    falling to the right) and rows (tangent of the elevation, falling downwards); ``t`` is the horizontal distance, m.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.layout import Box, axes
from cvgeo_ros.learn.scenes.world import Roof


@dataclass(frozen=True)
class Solid:
    """A convex solid over an oriented rectangle.

    Attributes:
        box: Footprint.
        planes: (K, 4) of a, b, c, d: it fills a x + b y + c z <= d for all of them; (a, b, c) is a unit normal.
        low, high: Range of z, m.
    """

    box: Box
    planes: NDArray[np.float64]
    low: float
    high: float

    @classmethod
    def of_roof(cls, roof: Roof) -> "Solid":
        """Return a roof with its walls down to the ground; a parapet counts as wall."""
        a, b = roof.box.length / 2, roof.box.width / 2
        slope = roof.rise / b
        # Slopes as (along, across, constant) of z <= constant + along s + across t.
        if roof.kind == "gable":
            slopes = [(0.0, slope, roof.eave + roof.rise), (0.0, -slope, roof.eave + roof.rise)]
        elif roof.kind == "hip":
            ends = roof.eave + slope * a
            slopes = [(0.0, slope, roof.eave + roof.rise), (0.0, -slope, roof.eave + roof.rise)]
            slopes += [(slope, 0.0, ends), (-slope, 0.0, ends)]
        elif roof.kind == "shed":
            slopes = [(0.0, slope / 2, roof.eave + roof.rise / 2)]
        else:
            slopes = [(0.0, 0.0, roof.eave + roof.parapet)]
        return cls.over(roof.box, 0.0, roof.eave + roof.rise + roof.parapet, slopes)

    @classmethod
    def over(cls, box: Box, low: float, high: float, slopes: list[tuple[float, float, float]] | None = None) -> "Solid":
        """Return what stands over a rectangle between two heights, cut by z <= constant + along s + across t."""
        along, across = axes(box.angle)
        planes = [
            (*(sign * axis), 0.0, sign * float(box.centre @ axis) + half)
            for axis, half in ((along, box.length / 2), (across, box.width / 2))
            for sign in (1.0, -1.0)
        ]
        for s, t, constant in [(0.0, 0.0, high)] if slopes is None else slopes:
            normal = np.array([*(-s * along - t * across), 1.0])
            offset = constant - s * float(box.centre @ along) - t * float(box.centre @ across)
            size = float(np.linalg.norm(normal))
            planes.append((*(normal / size), offset / size))
        planes.append((0.0, 0.0, -1.0, -low))
        return cls(box, np.array(planes), low, high)

    def distance(self, x: float, y: float) -> float:
        """Return the horizontal distance of a point from the footprint, m; 0 inside."""
        along, across = axes(self.box.angle)
        offset = np.array([x, y]) - self.box.centre
        s = max(0.0, abs(float(offset @ along)) - self.box.length / 2)
        t = max(0.0, abs(float(offset @ across)) - self.box.width / 2)
        return float(np.hypot(s, t))

    def meet(
        self,
        eye: NDArray[np.float64],
        cos: NDArray[np.float32],
        sin: NDArray[np.float32],
        tangent: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return where rays enter.

        Args:
            eye: (3,) where they start, outside.
            cos, sin: (W,) of their azimuths.
            tangent: (H,) of their elevations.

        Returns:
            t (H, W), inf where a ray misses; and the index (H, W) of the plane it enters through.
        """
        shape = (len(tangent), len(cos))
        enter, leave = np.full(shape, 1e-3, np.float32), np.full(shape, np.inf, np.float32)
        face = np.zeros(shape, np.intp)
        with np.errstate(divide="ignore", invalid="ignore"):
            for index, (a, b, c, d) in enumerate(self.planes):
                along = (np.float32(a) * cos + np.float32(b) * sin)[None, :] + (np.float32(c) * tangent)[:, None]
                room = np.float32(d - np.dot((a, b, c), eye))
                t = np.broadcast_to(room / along, shape)
                inward = along < 0
                later = inward & (t > enter)
                enter = np.where(later, t, enter)
                face[later] = index
                leave = np.minimum(leave, np.where(along > 0, t, np.inf if room >= 0 else np.where(inward, np.inf, 0)))
        return np.where(enter < leave, enter, np.float32(np.inf)).astype(np.float32), face
