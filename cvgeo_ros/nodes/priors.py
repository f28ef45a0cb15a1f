"""What the vehicle tells of itself, kept for a short while so that each frame finds the values of its own moment."""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, NavSatFix
from std_msgs.msg import Float64

from cvgeo_ros.geo.angles import compass_to_yaw
from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.localizer import Prior
from cvgeo_ros.nodes.conversions import (
    camera_from_info,
    pose_from_geopose,
    position_from_fix,
    to_nanoseconds,
)
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.parameters import Parameters, Spec

T = TypeVar("T")

SPECS = (
    Spec("prior_radius", 75.0, "Radius around the vehicle's position in which the camera is assumed, m", 1.0, 1e6),
    Spec("prior_max_age", 1.0, "Priors further than this from the frame in time are not used, s", 0.0, 3600.0),
    Spec("use_position", True, "Search only near fix or vehicle_prior; false searches the whole tile"),
    Spec(
        "camera_yaw", 0.0, "Yaw of the camera against the vehicle's nose, deg clockwise seen from above", -360.0, 360.0
    ),
    Spec(
        "camera_pitch", math.nan, "Pitch of the optical axis where no topic tells it, deg; -90 = nadir", -180.0, 180.0
    ),
)
"""Parameters of the node that owns a :class:`Priors`."""


class Samples(Generic[T]):
    """The last values of a topic with their times; safe to share by threads."""

    def __init__(self, size: int = 512) -> None:
        self._items: deque[tuple[int, T]] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, time: int, value: T) -> None:
        """Put a value in; time in ns."""
        with self._lock:
            self._items.append((time, value))

    def nearest(self, time: int, max_age: int | None) -> T | None:
        """Return the value nearest to a time (ns), None where none is within max_age (ns; None = any age)."""
        with self._lock:
            best = min(reversed(self._items), key=lambda item: abs(item[0] - time), default=None)
        if best is None or (max_age is not None and abs(best[0] - time) > max_age):
            return None
        return best[1]


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
        self._fix: Samples[_Position] = Samples()
        self._pose: Samples[_Position] = Samples()
        self._pose_yaw: Samples[float] = Samples()
        self._heading: Samples[float] = Samples()
        self._height: Samples[float] = Samples()
        self._pitch: Samples[float] = Samples()
        self._camera: Samples[CameraInfo] = Samples()

    def subscribe(self, node: Node, group: CallbackGroup) -> list[Any]:
        """Subscribe to the topics of the priors and return the subscriptions."""

        def listen(kind: type, topic: str, handle: Callable[[Any, int], None]) -> Any:
            def receive(message: Any) -> None:
                handle(message, node.get_clock().now().nanoseconds)

            return node.create_subscription(kind, topic, receive, qos_profile_sensor_data, callback_group=group)

        return [
            listen(NavSatFix, "fix", self.on_fix),
            listen(Float64, "compass_hdg", self.on_heading),
            listen(Float64, "rel_alt", self.on_height),
            listen(Float64, "camera_pitch", self.on_pitch),
            listen(GeoPoseWithCovarianceStamped, "vehicle_prior", self.on_pose),
            listen(CameraInfo, "camera_info", self.on_camera_info),
        ]

    def on_fix(self, message: NavSatFix, now: int) -> None:
        """Take the vehicle's position; messages without a fix are ignored."""
        position = position_from_fix(message)
        if position is not None:
            self._fix.add(to_nanoseconds(message.header.stamp) or now, _Position(*position))

    def on_pose(self, message: GeoPoseWithCovarianceStamped, now: int) -> None:
        """Take the vehicle's estimated position and heading, each where its covariance says it is known."""
        time = to_nanoseconds(message.header.stamp) or now
        position, yaw = pose_from_geopose(message)
        if position is not None:
            self._pose.add(time, _Position(*position))
        if yaw is not None:
            self._pose_yaw.add(time, yaw)

    def on_heading(self, message: Float64, now: int) -> None:
        """Take a compass heading, deg clockwise from north."""
        _add_finite(self._heading, message, now)

    def on_height(self, message: Float64, now: int) -> None:
        """Take the height above ground, m."""
        _add_finite(self._height, message, now)

    def on_pitch(self, message: Float64, now: int) -> None:
        """Take the pitch of the optical axis, deg above the horizon."""
        _add_finite(self._pitch, message, now)

    def on_camera_info(self, message: CameraInfo, now: int) -> None:
        """Take the camera's intrinsics; they hold until others come."""
        self._camera.add(to_nanoseconds(message.header.stamp) or now, message)

    def camera(self, frame: Frame, width: int, height: int) -> PinholeCamera | None:
        """Return the camera of a frame with this size, None where unknown. Raises CalibrationError."""
        info = self._camera.nearest(frame.stamp, None)
        return None if info is None else camera_from_info(info, width, height)

    def at(self, frame: Frame, parameters: Parameters) -> Prior:
        """Return what is known of the vehicle at the moment of a frame; vehicle_prior goes before fix and compass."""
        max_age = parameters.nanoseconds("prior_max_age")
        position = self._pose.nearest(frame.stamp, max_age) or self._fix.nearest(frame.stamp, max_age)
        if not parameters.flag("use_position"):
            position = None
        radius = parameters.number("prior_radius")
        if position is not None and position.std > 0.0:
            radius = max(radius, 3.0 * position.std)
        pitch = self._pitch.nearest(frame.received, max_age)
        pitch = parameters.known("camera_pitch") if pitch is None else pitch
        return Prior(
            latitude=None if position is None else position.latitude,
            longitude=None if position is None else position.longitude,
            position_radius=radius,
            yaw=self._yaw(frame, max_age, math.radians(parameters.number("camera_yaw"))),
            pitch=None if pitch is None else math.radians(pitch),
            height=self._height.nearest(frame.received, max_age),
        )

    def _yaw(self, frame: Frame, max_age: int, mounting: float) -> float | None:
        yaw = self._pose_yaw.nearest(frame.stamp, max_age)
        if yaw is None:
            heading = self._heading.nearest(frame.received, max_age)
            yaw = None if heading is None else compass_to_yaw(heading)
        return None if yaw is None else yaw - mounting


def _add_finite(samples: Samples[float], message: Float64, now: int) -> None:
    if math.isfinite(message.data):
        samples.add(now, float(message.data))
