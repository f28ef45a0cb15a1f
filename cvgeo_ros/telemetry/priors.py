"""What the vehicle tells of itself, kept for a short while so that each frame finds the values of its own moment."""

import math
from dataclasses import dataclass
from typing import Any

from cvgeo_ros.geo.angles import compass_to_yaw
from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.localizer.types import Prior
from cvgeo_ros.telemetry.messages import (
    NANOSECONDS,
    camera_from_info,
    pose_from_geopose,
    position_from_fix,
    to_nanoseconds,
)
from cvgeo_ros.telemetry.samples import Samples


@dataclass(frozen=True)
class PriorConfig:
    """What is believed of priors; names and units are those of the node's parameters.

    Attributes:
        prior_radius: Radius around the vehicle's position in which the camera is assumed, m.
        prior_max_age: Priors further than this from the frame in time are not used, s.
        use_position: Whether a position is used at all.
        camera_yaw: Yaw of the camera against the vehicle's nose, deg clockwise seen from above.
        camera_pitch: Pitch of the optical axis where no topic tells it, deg; NaN = unknown.
    """

    prior_radius: float = 75.0
    prior_max_age: float = 1.0
    use_position: bool = True
    camera_yaw: float = 0.0
    camera_pitch: float = math.nan


@dataclass(frozen=True)
class _Position:
    latitude: float
    longitude: float
    std: float


class Priors:
    """Priors by topic; stamped messages pair with a frame by stamp, others by time of receipt.

    Message times are the frame's own clock, so a replayed bag pairs as the flight did.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget everything, as when time is set back."""
        self._fix: Samples[_Position] = Samples()
        self._pose: Samples[_Position] = Samples()
        self._pose_yaw: Samples[float] = Samples()
        self._heading: Samples[float] = Samples()
        self._height: Samples[float] = Samples()
        self._pitch: Samples[float] = Samples()
        self._camera: Samples[Any] = Samples()

    def on_fix(self, message: Any, now: int) -> None:
        """Take the vehicle's position, a NavSatFix; messages without a fix are ignored."""
        position = position_from_fix(message)
        if position is not None:
            self._fix.add(to_nanoseconds(message.header.stamp) or now, _Position(*position))

    def on_pose(self, message: Any, now: int) -> None:
        """Take the vehicle's estimated pose, a GeoPoseWithCovarianceStamped, where its covariance says it is known."""
        time = to_nanoseconds(message.header.stamp) or now
        position, yaw = pose_from_geopose(message)
        if position is not None:
            self._pose.add(time, _Position(*position))
        if yaw is not None:
            self._pose_yaw.add(time, yaw)

    def on_heading(self, message: Any, now: int) -> None:
        """Take a compass heading, Float64, deg clockwise from north."""
        _add_finite(self._heading, message, now)

    def on_height(self, message: Any, now: int) -> None:
        """Take the height above ground, Float64, m."""
        _add_finite(self._height, message, now)

    def on_pitch(self, message: Any, now: int) -> None:
        """Take the pitch of the optical axis, Float64, deg above the horizon."""
        _add_finite(self._pitch, message, now)

    def on_camera_info(self, message: Any, now: int) -> None:
        """Take the camera's intrinsics, a CameraInfo; they hold until others come."""
        self._camera.add(to_nanoseconds(message.header.stamp) or now, message)

    def camera_of(self, stamp: int, width: int, height: int) -> PinholeCamera | None:
        """Return the camera of a frame with this stamp (ns) and size, None where unknown. Raises CalibrationError."""
        info = self._camera.nearest(stamp, None)
        return None if info is None else camera_from_info(info, width, height)

    def pair(self, stamp: int, received: int, config: PriorConfig) -> Prior:
        """Return what is known of the vehicle at the moment of a frame; vehicle_prior goes before fix and compass.

        Args:
            stamp: Of the frame, ns.
            received: When the frame was received, ns.
            config: What is believed.
        """
        max_age = round(config.prior_max_age * NANOSECONDS)
        position = self._pose.nearest(stamp, max_age) or self._fix.nearest(stamp, max_age)
        if not config.use_position:
            position = None
        radius = config.prior_radius
        if position is not None and position.std > 0.0:
            radius = max(radius, 3.0 * position.std)
        pitch = self._pitch.nearest(received, max_age)
        pitch = config.camera_pitch if pitch is None else pitch
        return Prior(
            latitude=None if position is None else position.latitude,
            longitude=None if position is None else position.longitude,
            position_radius=radius,
            yaw=self._yaw(stamp, received, max_age, math.radians(config.camera_yaw)),
            pitch=None if math.isnan(pitch) else math.radians(pitch),
            height=self._height.nearest(received, max_age),
        )

    def _yaw(self, stamp: int, received: int, max_age: int, mounting: float) -> float | None:
        yaw = self._pose_yaw.nearest(stamp, max_age)
        if yaw is None:
            heading = self._heading.nearest(received, max_age)
            yaw = None if heading is None else compass_to_yaw(heading)
        return None if yaw is None else yaw - mounting


def _add_finite(samples: Samples[float], message: Any, now: int) -> None:
    if math.isfinite(message.data):
        samples.add(now, float(message.data))
