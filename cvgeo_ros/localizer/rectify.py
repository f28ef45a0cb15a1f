"""Frames laid on the ground: from camera, attitude and height to a raster in the tile's axes and scale."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError, ClickError
from ..geo import (
    Attitude,
    PinholeCamera,
    footprint,
    frame_to_ground,
    ground_to_frame,
    project,
    raster_to_ground,
    rectify,
)
from ..net import STRIDE

REACHES = (3.0, 2.4, 1.9, 1.5)
"""How far from the point below the camera a frame is looked at, heights: as far as the raster allows."""


@dataclass(frozen=True)
class Rectified:
    """A frame resampled to the tile's axes and ground sampling distance.

    Attributes:
        image: (h, w, 3) RGB uint8, h and w multiples of the stride.
        valid: (h, w) bool, where the frame is seen.
        gsd: metres per pixel.
        zoom: raster pixels of the tile along one of this raster, a power of two.
        to_frame: (3, 3) raster pixels to frame pixels.
        nadir: (2,) raster pixel of the point below the camera; may lie outside.
        height: of the camera, metres.
    """

    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    gsd: float
    zoom: int
    to_frame: NDArray[np.float64]
    nadir: NDArray[np.float64]
    height: float

    def mask(self) -> NDArray[np.float32]:
        """(h / 8, w / 8) 1 where a cell shows nothing but the frame."""
        h, w = self.valid.shape
        shown = self.valid.reshape(h // STRIDE, STRIDE, w // STRIDE, STRIDE).mean((1, 3))
        return (shown > 0.9).astype(np.float32)

    def cells(self, clicks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Frame pixels (N, 2) to raster cells (N, 2)."""
        return project(np.linalg.inv(self.to_frame), clicks) / STRIDE

    def lean(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a metre of height puts what is seen at raster cells (N, 2): (N, 2) cells, see net.consensus."""
        return (self.nadir / STRIDE - cells) / self.height


def lay_down(
    frame: NDArray[np.uint8],
    clicks: NDArray[np.float64],
    camera: PinholeCamera,
    attitude: Attitude,
    height: float,
    axes: NDArray[np.float64],
    size: int,
) -> Rectified:
    """Resample a frame to the ground in the axes of a tile.

    The raster covers the clicks, and what the frame shows within as many heights of the camera (`REACHES`) as fit into
    `size` pixels; its sampling distance is that of `axes`, doubled where not even the fewest do.

    Args:
        frame: (H, W, 3) RGB uint8.
        clicks: (N, 2) frame pixels.
        camera: matching the frame's size.
        attitude: of the camera.
        height: metres above ground.
        axes: (2, 2) d(east, north) / d(u, v) of the tile at the place, metres per raster pixel, square pixels.
        size: largest side, pixels.

    Raises:
        ClickError: a click at or above the horizon.
        CalibrationError: no ground in view.
    """
    to_frame = ground_to_frame(camera, attitude, height)
    ground = np.zeros((0, 2))
    if len(clicks):
        ground = frame_to_ground(camera, attitude, height, clicks)
        for index in np.flatnonzero(np.isnan(ground).any(axis=1)):
            raise ClickError(f"click {index} at {tuple(clicks[index])} px is above the horizon; click on the ground")
        ground = _within(ground, 6.0 * height, clicks)
    for reach in REACHES:  # what lies far off is given up before resolution is
        polygon = np.vstack([footprint(camera, attitude, height, max_range=reach * height), ground])
        in_axes = polygon @ np.linalg.inv(axes).T  # tile raster pixels from the point below the camera
        low, high = in_axes.min(0), in_axes.max(0)
        if (high - low).max() <= size:
            break
    zoom = 1
    while ((high - low) / zoom).max() > size:
        zoom *= 2
    # Sides in steps of 32 pixels: few distinct sizes keep the caches of the backends warm.
    width, height_px = (math.ceil(s / zoom / 32) * 32 for s in high - low)
    east, north = axes @ (low + high) / 2
    to_ground = raster_to_ground((height_px, width), axes * zoom, (float(east), float(north)))
    image, valid = rectify(frame, to_frame, to_ground, (height_px, width))
    if not valid.any():
        raise CalibrationError("the frame shows no ground at this attitude and height; check pitch and rel_alt")
    gsd = float(np.sqrt(abs(np.linalg.det(axes)))) * zoom
    nadir = np.asarray(np.linalg.inv(to_ground)[:2, 2], np.float64)
    return Rectified(image, valid, gsd, zoom, to_frame @ to_ground, nadir, height)


def _within(ground: NDArray[np.float64], reach: float, clicks: NDArray[np.float64]) -> NDArray[np.float64]:
    for index in np.flatnonzero(np.linalg.norm(ground, axis=1) > reach):
        raise ClickError(
            f"click {index} at {tuple(clicks[index])} px looks {np.linalg.norm(ground[index]):.0f} m away, "
            f"beyond {reach:.0f} m (six times the height); click nearer to the camera"
        )
    return ground
