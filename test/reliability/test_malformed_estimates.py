"""A thousand malformed estimates to the node that feeds an autopilot: what is sent has a stamp that an estimate had."""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geographic_msgs.msg import GeoPoint, GeoPose, GeoPoseWithCovariance, GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Quaternion
from malformed import EVERY, EXAMPLES, Receipts, malformed, send_all
from mavlink_peer import Peer, free_port
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from cvgeo_ros.nodes.conversions import to_nanoseconds, to_time
from cvgeo_ros.nodes.mavlink import MavlinkNode

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def good(stamp: int) -> GeoPoseWithCovarianceStamped:
    position = GeoPoint(latitude=24.1, longitude=120.6, altitude=math.nan)
    pose = GeoPose(position=position, orientation=Quaternion(z=math.sin(0.25), w=math.cos(0.25)))
    covariance = np.diag([9.0, 4.0, 1e6, 1e6, 1e6, 0.01]).ravel()
    with_covariance = GeoPoseWithCovariance(pose=pose, covariance=covariance)
    return GeoPoseWithCovarianceStamped(header=Header(stamp=to_time(stamp)), pose=with_covariance)


def test_mavlink(graph: Any) -> None:
    port = free_port()
    node = graph.start(MavlinkNode, connection=f"udpin:127.0.0.1:{port}", rate=50.0)
    receipts = Receipts(node)
    estimates = graph.publisher(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    stamps: set[int] = set()
    sent = 0

    with Peer(port) as peer:
        graph.wait_until(lambda: node._bridge._link.open)

        def proves_alive() -> None:
            peer.flight(alt=84.2, relative=62.5, heading=350.25, roll=0.0, pitch=0.1)
            stamp = 0

            def told() -> bool:
                nonlocal stamp
                stamp = int(node.get_clock().now().nanoseconds)
                stamps.add(stamp // 1000)
                receipts.deliver(estimates, good(stamp))
                return any(message.time_usec == stamp // 1000 for message in peer.all("GPS_INPUT"))

            # One that is sent before its time is up by the rate is left out.
            graph.wait_until(told)

        def send(message: Any) -> None:
            nonlocal sent
            with suppress(Exception):  # bytes that are no message any more; those that still are may pass
                raw = isinstance(message, bytes)
                read = deserialize_message(message, GeoPoseWithCovarianceStamped) if raw else message
                stamps.add(to_nanoseconds(read.header.stamp) // 1000)
            receipts.deliver(estimates, message)
            sent += 1
            if sent % EVERY == 0:
                proves_alive()

        proves_alive()
        example = good(int(node.get_clock().now().nanoseconds))
        assert send_all(malformed(example), send) == EXAMPLES
        for message in peer.all("GPS_INPUT"):
            assert message.time_usec in stamps and message.horiz_accuracy > 0.0
            assert abs(message.lat) <= 90 * 10**7 and abs(message.lon) <= 180 * 10**7
