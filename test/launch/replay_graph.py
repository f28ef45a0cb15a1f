"""The launch test proper, run by test_replay_launch.py: a bag is played, the graph answers as its replay did."""

import json
import math
import os
import threading
import time
import unittest
from pathlib import Path
from typing import Any

import launch_testing.actions
import launch_testing.asserts
import rclpy
from bag_playing import Playing
from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from cvgeo_ros.geo import distance
from cvgeo_ros.msg import GeoTargetArray
from cvgeo_ros.nodes.conversions import to_nanoseconds
from launch import LaunchDescription

INPUTS = ("image/compressed", "clicks", "camera_info", "fix", "compass_hdg", "rel_alt")


def generate_test_description() -> LaunchDescription:
    """Start the launch file on the bag's clock."""
    arguments = {
        "map": os.environ["CVGEO_TEST_MAP"],
        "params": os.environ["CVGEO_TEST_PARAMS"],
        "device": "cpu",
        "visualizer": "false",
        "image_transport": "compressed",
        "use_sim_time": "true",
    }
    source = PythonLaunchDescriptionSource(os.environ["CVGEO_TEST_LAUNCH_FILE"])
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    return LaunchDescription([include, launch_testing.actions.ReadyToTest()])


class GraphTest(unittest.TestCase):
    """While the nodes run."""

    def test_live_and_offline_agree(self) -> None:
        rclpy.init()
        self.addCleanup(rclpy.try_shutdown)
        node = rclpy.create_node("recording", namespace="cvgeo")
        poses: list[Any] = []
        targets: list[Any] = []
        node.create_subscription(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov", poses.append, 10)
        node.create_subscription(GeoTargetArray, "targets", targets.append, 10)
        playing = Playing(node, Path(os.environ["CVGEO_TEST_BAG"]), left_out=("/cvgeo/truth",))
        deadline = time.monotonic() + 60.0
        while not playing.connected(*(f"/cvgeo/{name}" for name in INPUTS)):
            assert time.monotonic() < deadline, "the localizer does not listen"
            rclpy.spin_once(node, timeout_sec=0.1)
        player = threading.Thread(target=playing.play, kwargs={"tail": 5.0})
        player.start()
        while player.is_alive():
            rclpy.spin_once(node, timeout_sec=0.05)

        offline = json.loads(Path(os.environ["CVGEO_TEST_OFFLINE"]).read_text())
        known = {frame["stamp"]: frame["estimate"] for frame in offline["frames"] if frame["estimate"]}
        live = {to_nanoseconds(message.header.stamp): message.pose.pose for message in poses}
        assert len(live) >= 3 and live.keys() <= known.keys()
        for stamp, pose in live.items():
            expected = known[stamp]
            here = (pose.position.latitude, pose.position.longitude)
            assert distance(here, (expected["latitude"], expected["longitude"])) < 1.0
            heading = 90.0 - math.degrees(2.0 * math.atan2(pose.orientation.z, pose.orientation.w))
            assert abs(math.remainder(heading - expected["heading"], 360.0)) < 1.0
        told = {target["id"]: target for answer in offline["answers"] for target in answer["targets"]}
        answered = {target.id: target for message in targets for target in message.targets}
        assert answered.keys() == told.keys()
        for name, target in answered.items():
            here = (target.position.latitude, target.position.longitude)
            assert distance(here, (told[name]["latitude"], told[name]["longitude"])) < 1.0


@launch_testing.post_shutdown_test()
class ShutdownTest(unittest.TestCase):
    """After they were interrupted."""

    def test_every_node_ends_in_order(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
