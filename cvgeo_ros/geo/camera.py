"""Pinhole cameras over flat ground.

Convention:
    frame: pixels (u, v), origin at the top-left corner of the top-left pixel, pixel centres at .5.
    camera: x right, y down, z along the optical axis (REP-103, suffix _optical).
    ground: (east, north) in metres from the point below the camera, on a level plane `height` metres below it.
    yaw, pitch, roll: radians, see `Attitude`; a camera looking straight down with yaw 0 has east at the image's top.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvgeo_ros.errors import CalibrationError
from cvgeo_ros.geo.geodesy import as_pairs
from cvgeo_ros.geo.resample import rectify

__all__ = [
    "Attitude",
    "PinholeCamera",
    "footprint",
    "frame_to_ground",
    "ground_to_frame",
    "raster_to_ground",
    "rectify",
]


@dataclass(frozen=True)
class PinholeCamera:
    """A pinhole camera without distortion.

    Attributes:
        width, height: size of the frame in pixels.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in frame pixels, whose centres lie at .5 (half a pixel more than OpenCV's and ROS's).

    Raises:
        CalibrationError: where a number is not finite, or a size or focal length not above 0.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.width, self.height, self.fx, self.fy, self.cx, self.cy)
        if not (all(map(math.isfinite, values)) and min(values[:4]) > 0):
            raise CalibrationError(
                f"camera of {self.width} x {self.height} px, fx {self.fx}, fy {self.fy}, cx {self.cx}, cy {self.cy}: "
                "sizes and focal lengths must be finite and above 0; calibrate the camera or give its field of view"
            )

    @classmethod
    def from_hfov(cls, width: int, height: int, hfov_rad: float) -> "PinholeCamera":
        """A camera with square pixels and a centred principal point from its horizontal field of view in radians.

        Raises:
            CalibrationError: where the field of view is not between 0 and pi, or a size is not above 0.
        """
        if not 0.0 < hfov_rad < math.pi:
            raise CalibrationError(f"horizontal field of view {hfov_rad} rad: give an angle between 0 and pi")
        focal = width / 2.0 / math.tan(hfov_rad / 2.0)
        return cls(width, height, focal, focal, width / 2.0, height / 2.0)

    @classmethod
    def from_matrix(cls, k9: ArrayLike, width: int, height: int) -> "PinholeCamera":
        """A camera from K of sensor_msgs/CameraInfo or cv2.calibrateCamera, 9 numbers row by row or (3, 3).

        K counts pixels from the centre of the first one; the half pixel to this module's convention is added here.

        Raises:
            CalibrationError: where K has not 9 numbers, is skewed or is all zero (an uncalibrated camera).
        """
        k = np.asarray(k9, dtype=np.float64).reshape(-1)
        if k.size != 9:
            raise CalibrationError(f"camera matrix: expected 9 numbers, got {k.size}")
        if k[0] == 0.0:
            raise CalibrationError(
                "camera matrix: K[0] is 0, the mark of an uncalibrated camera; calibrate it or give hfov"
            )
        if not np.allclose(k[[1, 3, 6, 7, 8]], [0, 0, 0, 0, 1], rtol=0.0, atol=1e-6 * abs(float(k[0]))):
            raise CalibrationError(f"camera matrix {k.tolist()} is skewed or not of the form [fx 0 cx 0 fy cy 0 0 1]")
        return cls(width, height, float(k[0]), float(k[4]), float(k[2]) + 0.5, float(k[5]) + 0.5)

    def to_matrix(self) -> list[float]:
        """K as sensor_msgs/CameraInfo has it, 9 numbers row by row; inverse of `from_matrix`."""
        return [self.fx, 0.0, self.cx - 0.5, 0.0, self.fy, self.cy - 0.5, 0.0, 0.0, 1.0]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3), camera x, y, z to frame pixels times depth, centres at .5."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def hfov(self) -> float:
        """Horizontal field of view in radians."""
        return math.atan2(self.cx, self.fx) + math.atan2(self.width - self.cx, self.fx)

    @property
    def vfov(self) -> float:
        """Vertical field of view in radians."""
        return math.atan2(self.cy, self.fy) + math.atan2(self.height - self.cy, self.fy)

    def scaled(self, width: int, height: int) -> "PinholeCamera":
        """The same view at another resolution, as after resizing the frame to `width` x `height` pixels."""
        u, v = width / self.width, height / self.height
        return PinholeCamera(width, height, self.fx * u, self.fy * v, self.cx * u, self.cy * v)


@dataclass(frozen=True)
class Attitude:
    """Where a camera looks, in the local ENU frame (REP-103).

    Attributes:
        yaw: heading of the optical axis over ground, 0 = east, counter-clockwise positive (pi/2 - compass heading).
            Seen straight down it is the direction at the image's top.
        pitch: of the optical axis above the horizon; -pi/2 = straight down.
        roll: about the optical axis, right-handed: positive lowers the camera's right side, so the scene turns
            counter-clockwise in the image and a horizon rises to the right. Straight down, roll adds to the compass
            heading of the image's top (yaw 0, roll pi/2: the top faces south).

    Raises:
        CalibrationError: where an angle is not finite.
    """

    yaw: float
    pitch: float = -math.pi / 2
    roll: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.yaw, self.pitch, self.roll))):
            raise CalibrationError(
                f"attitude yaw {self.yaw}, pitch {self.pitch}, roll {self.roll}: angles must be finite"
            )

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) from ENU to the camera; its rows are the camera's right, down and forward in ENU."""
        sin_yaw, cos_yaw = math.sin(self.yaw), math.cos(self.yaw)
        sin_pitch, cos_pitch = math.sin(self.pitch), math.cos(self.pitch)
        forward = np.array([cos_yaw * cos_pitch, sin_yaw * cos_pitch, sin_pitch])
        level_right = np.array([sin_yaw, -cos_yaw, 0.0])
        level_down = np.cross(forward, level_right)
        right = math.cos(self.roll) * level_right + math.sin(self.roll) * level_down
        return np.stack([right, np.cross(forward, right), forward])


def ground_to_frame(camera: PinholeCamera, attitude: Attitude, height: float) -> NDArray[np.float64]:
    """Homography (3, 3) from ground (east, north, 1) to frame pixels times depth.

    The third coordinate is the depth along the optical axis in metres: ground behind the camera has it below 0.

    Raises:
        CalibrationError: where the height, in metres above ground, is not finite and above 0.
    """
    if not (math.isfinite(height) and height > 0):
        raise CalibrationError(f"height {height} m above ground: must be finite and above 0; check rel_alt")
    plane = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -height]])
    return np.asarray(camera.matrix @ attitude.rotation @ plane)


def frame_to_ground(camera: PinholeCamera, attitude: Attitude, height: float, pixels: ArrayLike) -> NDArray[np.float64]:
    """Ground (..., 2) east, north in metres from the point below the camera, of frame pixels (..., 2).

    NaN where a pixel looks at or above the horizon. Raises CalibrationError as `ground_to_frame`.
    """
    uv = as_pairs(pixels, "pixels")
    inverse = np.linalg.inv(ground_to_frame(camera, attitude, height))
    ray = uv @ inverse[:, :2].T + inverse[:, 2]
    # The third coordinate is the inverse depth; where it sinks below the rounding of its terms the ray is level.
    level = 1e-12 * np.linalg.norm(inverse[2]) * (1.0 + np.abs(uv).max(axis=-1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ray[..., 2:] > level, ray[..., :2] / ray[..., 2:], np.nan)


def footprint(camera: PinholeCamera, attitude: Attitude, height: float, max_range: float) -> NDArray[np.float64]:
    """The ground in view: a convex polygon (M, 2) of east, north in metres, counter-clockwise.

    Args:
        max_range: metres over ground from the point below the camera; clips the view (a circle of 96 corners).

    Raises:
        CalibrationError: where no ground within `max_range` is in view, or as `ground_to_frame`.
    """
    if not (math.isfinite(max_range) and max_range > 0):
        raise CalibrationError(f"range {max_range} m: must be finite and above 0")
    homography = ground_to_frame(camera, attitude, height)
    angle = np.linspace(0.0, 2.0 * math.pi, 96, endpoint=False)
    polygon = max_range * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    u, v, depth = homography
    for side in (u, v, camera.width * depth - u, camera.height * depth - v):
        polygon = _clip(polygon, side)
    if len(polygon) < 3:
        raise CalibrationError(
            f"no ground within {max_range:.0f} m is in view at yaw {attitude.yaw:.3f}, pitch {attitude.pitch:.3f}, "
            f"roll {attitude.roll:.3f} rad; does the camera look at the sky?"
        )
    return polygon


def raster_to_ground(
    shape: tuple[int, int], gsd: float | NDArray[np.float64], centre: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Affine map (3, 3) from pixels of a raster of `shape` (h, w), centres at .5, to ground (east, north) in metres.

    Args:
        gsd: metres per pixel of a north-up raster; or (2, 2), d(east, north) / d(u, v), to align it with a tile
            (`GeoTransform.jacobian`).
        centre: ground (east, north) at the raster's centre.

    Raises:
        CalibrationError: where `gsd` is not above 0 or singular, or a number is not finite.
    """
    slope = np.asarray(gsd, dtype=np.float64)
    if slope.ndim == 0:
        slope = np.maximum(slope, 0.0) * np.diag([1.0, -1.0])
    matrix = np.eye(3)
    matrix[:2, :2] = slope
    matrix[:2, 2] = np.asarray(centre) - slope @ [shape[1] / 2.0, shape[0] / 2.0]
    if not (np.isfinite(matrix).all() and np.linalg.det(slope) != 0.0 and min(shape) > 0):
        raise CalibrationError(
            f"raster of {shape} pixels at {slope.tolist()} m a pixel about {centre}: needs finite sizes above 0"
        )
    return matrix


def _clip(polygon: NDArray[np.float64], side: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a convex polygon (M, 2) where side . (x, y, 1) >= 0 (Sutherland and Hodgman 1974)."""
    if len(polygon) == 0:
        return polygon
    value = polygon @ np.asarray(side[:2]) + side[2]
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if value[i] >= 0:
            kept.append(polygon[i])
        if (value[i] >= 0) != (value[j] >= 0):
            kept.append(polygon[i] + (polygon[j] - polygon[i]) * value[i] / (value[i] - value[j]))
    return np.array(kept).reshape(-1, 2)
