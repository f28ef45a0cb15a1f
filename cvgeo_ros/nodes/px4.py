"""The px4 node: the vehicle's own position to PX4's EKF2 as auxiliary global position, over uXRCE-DDS.

Opt-in: nothing starts it by itself. It subscribes to vehicle_geopose_cov and to nothing of the targets.
"""

import sys
from collections import Counter
from typing import Any

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from std_msgs.msg import Float64

from cvgeo_ros.autopilot import px4
from cvgeo_ros.autopilot.altitude import Altimeter, Altitude, Source
from cvgeo_ros.autopilot.estimate import NANOSECONDS, Gate, Jumps, Refusal, VehicleEstimate
from cvgeo_ros.errors import AutopilotError
from cvgeo_ros.nodes import estimates
from cvgeo_ros.nodes._optional import px4_messages
from cvgeo_ros.nodes.health import Diagnostics, Report
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.nodes.run import run
from cvgeo_ros.telemetry.samples import Samples

PRIOR_MAX_AGE = NANOSECONDS
QUIET = 2 * NANOSECONDS

SPECS = (
    Spec("topic", "", "Topic of PX4; empty: /fmu/in/aux_global_position with the message's version", held=True),
    Spec(
        "generation",
        "auto",
        "VehicleGlobalPosition for PX4 up to 1.17, AuxGlobalPosition from 1.18; auto: the newest of px4_msgs",
        choices=("auto", "VehicleGlobalPosition", "AuxGlobalPosition"),
        held=True,
    ),
    Spec("source_id", 1, "Number of this source, as in EKF2_AGP0_ID", 1, 255, held=True),
    *estimates.SPECS,
    Spec(
        "altitude",
        "none",
        "Where the altitude above mean sea level comes from",
        choices=("none", "home", "geoid"),
        held=True,
    ),
)


class Px4Node(Node):
    """See the module.

    Args:
        options: Of rclpy's node.

    Raises:
        AutopilotError: px4_msgs or its message is missing, or the altitude's source cannot be used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("px4", **options)
        self._settings = get = Parameters(self, SPECS, lambda: "is read when the node starts")
        self._altimeter = Altimeter(
            Source(get.text("altitude")), get.known("home_altitude"), get.known("home_height"), get.text("geoid")
        )
        self._generation, self._kind = message_class(get.text("generation"))
        self._gate, self._jumps = Gate(estimates.gate_config(get)), Jumps(get.number("max_speed"))
        self._relative: Samples[float] = Samples()
        self._counts: Counter[str] = Counter()
        self._last: tuple[int, Refusal | None, Altitude | None] | None = None
        self._topic = get.text("topic") or px4.topic(self._kind)
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._publisher = self.create_publisher(self._kind, self._topic, qos)
        self.create_subscription(Float64, "rel_alt", self._on_height, qos_profile_sensor_data)
        self.create_subscription(GeoPoseWithCovarianceStamped, estimates.TOPIC, self._on_estimate, 10)
        self._diagnostics = Diagnostics(self, self._report)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_height(self, message: Float64) -> None:
        if abs(message.data) < 1e5:
            self._relative.add(self._now(), message.data)

    def _on_estimate(self, message: GeoPoseWithCovarianceStamped) -> None:
        estimate, now = estimates.estimate_from(message), self._now()
        refusal = self._gate.check(estimate, now)
        if refusal is None and not self._gate.due(estimate):
            self._counts["left_out"] += 1
            return
        altitude = self._send(estimate, now) if refusal is None else None
        self._last = (now, refusal, altitude)
        self._counts["sent" if refusal is None else f"refused_{refusal.kind}"] += 1
        if refusal is not None:
            self.get_logger().warning(f"not sent: {refusal.reason}", throttle_duration_sec=5.0)

    def _send(self, estimate: VehicleEstimate, now: int) -> Altitude:
        relative = self._relative.nearest(estimate.stamp, PRIOR_MAX_AGE)
        altitude = self._altimeter.find(estimate, None, relative)
        std = estimate.height_std or self._settings.number("vertical_std")
        identity, resets = self._settings.count("source_id"), self._jumps.take(estimate)
        values = px4.fields(self._generation, estimate, now, altitude.amsl, std, resets, identity)
        self._publisher.publish(self._kind(**values))
        self._gate.passed(estimate)
        return altitude

    def _report(self) -> Report:
        last = self._last
        values = {
            "topic": self._topic,
            "message": str(self._generation),
            "altitude": str(self._altimeter.source),
            "subscribers": str(self._publisher.get_subscription_count()),
            **{name: str(count) for name, count in sorted(dict(self._counts).items())},
            "last_refusal": "" if last is None or last[1] is None else last[1].reason,
        }
        return *self._verdict(last), values

    def _verdict(self, last: tuple[int, Refusal | None, Altitude | None] | None) -> tuple[bytes, str]:
        if last is None or not 0 <= self._now() - last[0] <= QUIET:
            return estimates.level(False), "no estimate to send: is vehicle_geopose_cov published?"
        _, refusal, altitude = last
        if refusal is not None:
            return estimates.level(False), f"not sent: {refusal.reason}"
        if altitude is not None and altitude.amsl is None and self._altimeter.source is not Source.NONE:
            return estimates.level(False), f"sending without altitude: {altitude.reason}"
        if not self._publisher.get_subscription_count():
            return estimates.level(False), f"nobody takes {self._topic}: is the uXRCE-DDS agent running?"
        flat = altitude is not None and altitude.amsl is None
        return estimates.level(True), "sending without altitude" if flat else "sending"


def message_class(wanted: str) -> tuple[px4.Generation, Any]:
    """Return the generation and the class of the message that px4_msgs has, or that is wanted.

    Raises:
        AutopilotError: It is not there.
    """
    package = px4_messages()
    if package is None:
        raise AutopilotError("px4_msgs is not installed: apt install ros-jazzy-px4-msgs, or build PX4/px4_msgs")
    names = [px4.Generation(wanted)] if wanted != "auto" else [px4.Generation.AUX, px4.Generation.VEHICLE]
    for name in names:
        kind = getattr(package, name, None)
        if kind is not None:
            return name, kind
    raise AutopilotError(f"px4_msgs has no {' or '.join(names)}: build the px4_msgs of your PX4 release")


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    return run(Px4Node, args)


if __name__ == "__main__":
    sys.exit(main())
