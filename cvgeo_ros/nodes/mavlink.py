"""The mavlink node: the vehicle's own position to an autopilot, its attitude, height and heading as priors.

Opt-in: nothing starts it by itself. It subscribes to vehicle_geopose_cov and to nothing of the targets.
"""

import math
import sys
from typing import Any

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64

from cvgeo_ros.autopilot.altitude import Altimeter, Source
from cvgeo_ros.mavlink.autopilot import News
from cvgeo_ros.mavlink.bridge import Bridge, BridgeConfig, Output
from cvgeo_ros.mavlink.messages import GpsConfig
from cvgeo_ros.mavlink.transport import open_transport, parse
from cvgeo_ros.mavlink.units import camera_elevation
from cvgeo_ros.nodes import estimates
from cvgeo_ros.nodes.health import Diagnostics, Report
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.nodes.run import run

SPECS = (
    Spec(
        "connection",
        "udpin:0.0.0.0:14550",
        "udpin:HOST:PORT to listen, udpout:HOST:PORT to call, or a device such as /dev/ttyACM0",
        held=True,
    ),
    Spec("baud", 921_600, "Speed of a serial device, bits a second", 1200, 12_000_000, held=True),
    Spec("system_id", 1, "MAVLink system of this node, as a rule the vehicle's own", 1, 255, held=True),
    Spec("component_id", 191, "MAVLink component of this node; 191 = onboard computer", 1, 255, held=True),
    Spec("target_system", 0, "MAVLink system of the autopilot; 0 = the first that is heard", 0, 255, held=True),
    Spec(
        "output",
        "gps_input",
        "What is sent: ArduPilot's GPS, its external navigation, or nothing",
        choices=("gps_input", "odometry", "none"),
        held=True,
    ),
    *estimates.SPECS,
    Spec(
        "altitude",
        "autopilot",
        "Where the altitude above mean sea level comes from",
        choices=("autopilot", "home", "geoid"),
        held=True,
    ),
    Spec(
        "without_altitude",
        "hold",
        "GPS_INPUT while no altitude is known: hold it back, or send it flagged",
        choices=("hold", "flag"),
        held=True,
    ),
    Spec("set_origin", False, "Give an autopilot that has no origin one, at the first estimate (odometry)", held=True),
    Spec("gps_id", 0, "Which of the autopilot's GPS receivers this is, from 0", 0, 127, held=True),
    Spec("hdop", 1.0, "HDOP that GPS_INPUT names; ArduPilot's arming checks ask for one", 0.1, 100.0, held=True),
    Spec("satellites", 10, "Satellites that GPS_INPUT names, likewise", 0, 255, held=True),
    Spec("send_yaw", False, "Send the heading in GPS_INPUT", held=True),
    Spec("max_yaw_std", 10.0, "Less certain headings (1 sigma) are not sent, deg", 0.1, 180.0, held=True),
    Spec("leap_seconds", 18, "GPS time ahead of UTC, s", 0, 100, held=True),
    Spec("request_rate", 10.0, "Rate at which missing messages are asked for, Hz; 0 = never", 0.0, 100.0, held=True),
    Spec("publish_priors", True, "Publish compass_hdg, rel_alt and camera_pitch", held=True),
    Spec("camera_yaw", 0.0, "Yaw of the camera against the nose, deg clockwise seen from above", -360.0, 360.0),
    Spec(
        "camera_mount_pitch",
        math.nan,
        "Pitch of a camera fixed to the airframe, in level flight, deg; -90 = down; NaN: no camera_pitch",
        -180.0,
        180.0,
    ),
)


class MavlinkNode(Node):
    """See the module.

    Args:
        options: Of rclpy's node.

    Raises:
        AutopilotError: The connection or the altitude's source cannot be used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("mavlink", **options)
        self._settings = get = Parameters(self, SPECS, lambda: "is read when the node starts")
        connection, baud = get.text("connection"), get.count("baud")
        parse(connection)
        altimeter = Altimeter(
            Source(get.text("altitude")), get.known("home_altitude"), get.known("home_height"), get.text("geoid")
        )
        priors = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._publishes = get.flag("publish_priors")
        if self._publishes:
            self._heading = self.create_publisher(Float64, "compass_hdg", priors)
            self._height = self.create_publisher(Float64, "rel_alt", priors)
            self._pitch = self.create_publisher(Float64, "camera_pitch", priors)
        self._bridge = Bridge(
            self._config(), altimeter, lambda: open_transport(connection, baud), self._now, self._on_news
        )
        self.create_subscription(GeoPoseWithCovarianceStamped, estimates.TOPIC, self._on_estimate, 10)
        self._diagnostics = Diagnostics(self, self._report)
        self._bridge.start()

    def destroy_node(self) -> None:
        """Close the connection."""
        self._bridge.close()
        super().destroy_node()

    def _config(self) -> BridgeConfig:
        get = self._settings
        return BridgeConfig(
            output=Output(get.text("output")),
            gate=estimates.gate_config(get),
            gps=GpsConfig(
                gps_id=get.count("gps_id"),
                hdop=get.number("hdop"),
                satellites=get.count("satellites"),
                vertical_std=get.number("vertical_std"),
                send_yaw=get.flag("send_yaw"),
                max_yaw_std=math.radians(get.number("max_yaw_std")),
                leap_seconds=get.count("leap_seconds"),
            ),
            flag_altitude=get.text("without_altitude") == "flag",
            set_origin=get.flag("set_origin"),
            max_speed=get.number("max_speed"),
            request_rate=get.number("request_rate"),
            system=get.count("system_id"),
            component=get.count("component_id"),
            target_system=get.count("target_system"),
        )

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_estimate(self, message: GeoPoseWithCovarianceStamped) -> None:
        refusal = self._bridge.offer(estimates.estimate_from(message))
        if refusal is not None:
            self.get_logger().warning(f"not sent: {refusal.reason}", throttle_duration_sec=5.0)

    def _on_news(self, news: News) -> None:
        if not self._publishes or not self.context.ok():
            return
        if news.heading is not None:
            self._heading.publish(Float64(data=news.heading))
        if news.relative_altitude is not None:
            self._height.publish(Float64(data=news.relative_altitude))
        mounting = self._settings.known("camera_mount_pitch")
        if news.attitude is not None and mounting is not None:
            yaw = math.radians(self._settings.number("camera_yaw"))
            pitch = camera_elevation(news.attitude.roll, news.attitude.pitch, yaw, math.radians(mounting))
            self._pitch.publish(Float64(data=math.degrees(pitch)))

    def _report(self) -> Report:
        health = self._bridge.health()
        return estimates.level(health.good), health.message, health.values


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    return run(MavlinkNode, args)


if __name__ == "__main__":
    sys.exit(main())
