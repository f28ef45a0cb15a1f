"""The priors of :mod:`cvgeo_ros.telemetry.priors` from the topics and parameters of a node."""

from collections.abc import Callable
from typing import Any

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, NavSatFix
from std_msgs.msg import Float64

from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.geo.window import PositionPrior
from cvgeo_ros.localizer.types import Prior
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.telemetry import priors as telemetry
from cvgeo_ros.telemetry.priors import PriorConfig

SPECS = (
    Spec(
        "prior_radius",
        PriorConfig.prior_radius,
        "Radius around the vehicle's position in which the camera is assumed, m",
        1.0,
        1e6,
    ),
    Spec(
        "prior_max_age",
        PriorConfig.prior_max_age,
        "Priors further than this from the frame in time are not used, s",
        0.0,
        3600.0,
    ),
    Spec(
        "use_position", PriorConfig.use_position, "Search only near fix or vehicle_prior; false searches the whole tile"
    ),
    Spec(
        "camera_yaw",
        PriorConfig.camera_yaw,
        "Yaw of the camera against the vehicle's nose, deg clockwise seen from above",
        -360.0,
        360.0,
    ),
    Spec(
        "camera_pitch",
        PriorConfig.camera_pitch,
        "Pitch of the optical axis where no topic tells it, deg; -90 = nadir",
        -180.0,
        180.0,
    ),
)
"""Parameters of the node that subscribes to priors."""


def config_from(parameters: Parameters) -> PriorConfig:
    """Return what the parameters of ``SPECS`` say at this moment."""
    return PriorConfig(
        prior_radius=parameters.number("prior_radius"),
        prior_max_age=parameters.number("prior_max_age"),
        use_position=parameters.flag("use_position"),
        camera_yaw=parameters.number("camera_yaw"),
        camera_pitch=parameters.number("camera_pitch"),
    )


class Priors(telemetry.Priors):
    """Priors that a node subscribes to, and an area that it may assume the camera in where they lack a position."""

    def forget(self) -> None:
        """Forget everything, the assumed area as well."""
        super().forget()
        self.assume(None)

    def assume(self, area: PositionPrior | None, until: int | None = None) -> None:
        """Look for the camera in an area until a time (ns), None: until the next call; None as area: anywhere."""
        self._assumed = None if area is None else (area, until)

    def area(self, now: int) -> PositionPrior | None:
        """Return the area that is assumed at a time, ns."""
        if self._assumed is None:
            return None
        area, until = self._assumed
        return area if until is None or now <= until else None

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

    def camera(self, frame: Frame, width: int, height: int) -> PinholeCamera | None:
        """Return the camera of a frame with this size, None where unknown. Raises CalibrationError."""
        return self.camera_of(frame.stamp, width, height)

    def at(self, frame: Frame, parameters: Parameters) -> Prior:
        """Return what is known of the vehicle at the moment of a frame, and believed by the parameters."""
        return self.pair(frame.stamp, frame.received, config_from(parameters))
