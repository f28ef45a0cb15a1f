"""A bag played in real time through the localizer node tells what its offline replay does."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from bag_flight import Flight, Oracle
from bag_playing import Playing
from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from ros_graph import Graph

from cvgeo_ros.geo import distance
from cvgeo_ros.msg import GeoTargetArray
from cvgeo_ros.nodes.conversions import to_nanoseconds
from cvgeo_ros.nodes.localizer import LocalizerNode
from cvgeo_ros.replay.run import replay
from cvgeo_ros.replay.settings import settings_from

pytestmark = pytest.mark.ros


def test_live_and_offline_agree(graph: Graph, map_path: Path, tmp_path: Path) -> None:
    flight = Flight(frames=16, blank=range(8, 11), clicked=(3, 12))
    path = flight.write(tmp_path / "flight.mcap")
    core: Any = Oracle(flight)
    offline = replay(path, map_path, lambda: core, settings_from({}), None, {})
    make: Callable[..., Any] = lambda **options: LocalizerNode(lambda *_: core, **options)  # noqa: E731
    graph.start(make, map=str(map_path), image_transport="compressed", use_sim_time=True, vehicle_rate=100.0)
    poses = graph.listen(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    targets = graph.listen(GeoTargetArray, "targets")
    playing = Playing(graph.tester, path, left_out=("/cvgeo/truth",))
    inputs = [f"/cvgeo/{name}" for name in ("image/compressed", "clicks", "fix", "compass_hdg", "rel_alt")]
    graph.wait_until(lambda: playing.connected(*inputs))
    playing.set_clock()
    playing.play()

    known = {item.stamp: item.estimate for item in offline.tracks if item.estimate is not None}
    live = {to_nanoseconds(message.header.stamp): message.pose.pose for message in poses.messages}
    assert len(live) >= 0.8 * len(known) and live.keys() <= known.keys()
    for stamp, pose in live.items():
        expected = known[stamp]
        here = (pose.position.latitude, pose.position.longitude)
        assert distance(here, (expected.latitude, expected.longitude)) < 0.5
        heading = 90.0 - math.degrees(2.0 * math.atan2(pose.orientation.z, pose.orientation.w))
        assert abs(math.remainder(heading - expected.heading, 360.0)) < 0.5

    told = {target["id"]: target for answer in offline.answers for target in answer["targets"]}
    answered = {target.id: (message, target) for message in targets.messages for target in message.targets}
    assert answered.keys() == told.keys() == {"roof-3", "roof-12"}
    for name, (message, target) in answered.items():
        here = (target.position.latitude, target.position.longitude)
        assert distance(here, (told[name]["latitude"], told[name]["longitude"])) < 0.01
        # On the bag's clock, which is years from the wall's.
        assert 0 <= to_nanoseconds(message.latency) < 2_000_000_000
