"""The mavlink node between DDS and a peer on a real UDP socket."""

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geographic_msgs.msg import GeoPoint, GeoPose, GeoPoseWithCovariance, GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Quaternion
from mavlink_peer import Peer, free_port
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Float64, Header

from cvgeo_ros.errors import AutopilotError
from cvgeo_ros.nodes.conversions import to_time
from cvgeo_ros.nodes.estimates import estimate_from
from cvgeo_ros.nodes.mavlink import MavlinkNode

pytestmark = pytest.mark.ros


def pose(stamp: int, yaw: float = 0.5, altitude: float = math.nan) -> GeoPoseWithCovarianceStamped:
    covariance = np.diag([9.0, 4.0, 1e6, 1e6, 1e6, 0.01])
    covariance[0, 1] = covariance[1, 0] = 1.0
    orientation = Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))
    where = GeoPose(position=GeoPoint(latitude=24.1, longitude=120.6, altitude=altitude), orientation=orientation)
    with_covariance = GeoPoseWithCovariance(pose=where, covariance=covariance.ravel())
    return GeoPoseWithCovarianceStamped(header=Header(stamp=to_time(stamp)), pose=with_covariance)


def test_estimate_from_the_localizers_message() -> None:
    found = estimate_from(pose(1_500_000_000))
    assert (found.stamp, found.latitude, found.longitude, found.height) == (1_500_000_000, 24.1, 120.6, None)
    # The message counts latitude first, the estimate east.
    np.testing.assert_allclose(found.covariance, [[4.0, 1.0], [1.0, 9.0]])
    assert (found.yaw, found.yaw_std) == (pytest.approx(0.5), pytest.approx(0.1))
    assert estimate_from(pose(1, altitude=90.0)).height == 90.0


def test_estimate_of_an_empty_message_is_refused_by_its_covariance() -> None:
    found = estimate_from(GeoPoseWithCovarianceStamped())
    assert found.yaw is None and math.isnan(found.std)


def test_from_topic_to_wire_and_back(graph: Any) -> None:
    port = free_port()
    node = graph.start(
        MavlinkNode, connection=f"udpin:127.0.0.1:{port}", send_yaw=True, camera_mount_pitch=-90.0, rate=50.0
    )
    health = graph.listen(DiagnosticArray, "/diagnostics")
    headings, heights = graph.listen(Float64, "compass_hdg"), graph.listen(Float64, "rel_alt")
    pitches = graph.listen(Float64, "camera_pitch")
    estimates = graph.publisher(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    with Peer(port) as peer:
        graph.wait_until(lambda: node._bridge._link.open)
        peer.flight(alt=84.2, relative=62.5, heading=350.25, roll=0.0, pitch=0.1)
        assert headings.get(lambda m: m.data < 350.3).data == pytest.approx(350.25)
        assert heights.get().data == 62.5
        assert pitches.get().data == pytest.approx(-90.0 + math.degrees(0.1), abs=1e-4)
        stamp = int(node.get_clock().now().nanoseconds) - 50_000_000
        estimates.publish(pose(stamp))
        told = peer.get("GPS_INPUT")
        assert (told.lat, told.lon, told.alt) == (241_000_000, 1_206_000_000, pytest.approx(84.2, abs=1e-3))
        assert told.time_usec == stamp // 1000
        assert told.yaw == round((90.0 - math.degrees(0.5)) * 100)
        working = health.get(lambda array: array.status[0].message == "sending GPS_INPUT").status[0]
        assert working.level == DiagnosticStatus.OK and working.name == "cvgeo/mavlink"
        estimates.publish(pose(stamp - 5_000_000_000))
        refused = health.get(lambda array: "max_age" in array.status[0].message).status[0]
        assert refused.level == DiagnosticStatus.WARN
        assert len(peer.all("GPS_INPUT")) == 1


def test_it_hears_of_the_vehicle_and_of_no_target(graph: Any) -> None:
    node = graph.start(MavlinkNode, connection=f"udpin:127.0.0.1:{free_port()}")
    heard = {topic for topic, _ in node.get_subscriber_names_and_types_by_node("mavlink", "/cvgeo")}
    assert heard - {"/parameter_events", "/clock"} == {"/cvgeo/vehicle_geopose_cov"}


def test_priors_may_be_left_to_others(graph: Any) -> None:
    node: Node = graph.start(MavlinkNode, connection=f"udpin:127.0.0.1:{free_port()}", publish_priors=False)
    told = {topic for topic, _ in node.get_publisher_names_and_types_by_node("mavlink", "/cvgeo")}
    assert not told & {"/cvgeo/compass_hdg", "/cvgeo/rel_alt", "/cvgeo/camera_pitch"}


@pytest.mark.parametrize(
    "parameters, error, words",
    [
        ({"connection": "tcp:somewhere"}, AutopilotError, "udpin:HOST:PORT"),
        ({"altitude": "home"}, AutopilotError, "home_altitude"),
        ({"altitude": "geoid", "geoid": "/nowhere.gtx"}, AutopilotError, "cannot be read"),
        ({"output": "setpoint"}, InvalidParameterValueException, "must be one of"),
        ({"altitude": "none"}, InvalidParameterValueException, "must be one of"),
    ],
)
def test_what_cannot_be_used_is_said_at_start(graph: Any, parameters: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        graph.start(MavlinkNode, **parameters)


def test_parameters_of_the_link_hold_while_it_runs(graph: Any) -> None:
    node = graph.start(MavlinkNode, connection=f"udpin:127.0.0.1:{free_port()}")
    (result,) = node.set_parameters([Parameter("altitude", value="home")])
    assert not result.successful and "when the node starts" in result.reason
    (result,) = node.set_parameters([Parameter("camera_mount_pitch", value=-45.0)])
    assert result.successful
