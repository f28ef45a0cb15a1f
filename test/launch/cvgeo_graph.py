"""The launch test proper, run by test_cvgeo_launch.py: a scene goes in, the localizer answers a click."""

import os
import time
import unittest
from typing import Any

import launch_testing.actions
import launch_testing.asserts
import rclpy
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from sensor_msgs.msg import Image

from cvgeo_ros.msg import GeoTargetArray, TargetClickArray, TileInfo
from cvgeo_ros.nodes.conversions import to_click_array
from cvgeo_ros.nodes.publishers import LATCHED
from launch import LaunchDescription


def generate_test_description() -> LaunchDescription:
    """Start the launch file with the arguments that the environment names."""
    arguments = {
        "map": os.environ["CVGEO_TEST_MAP"],
        "camera": os.environ["CVGEO_TEST_CAMERA"],
        "telemetry": os.environ["CVGEO_TEST_TELEMETRY"],
        "model": os.environ["CVGEO_TEST_MODEL"],
        "device": "cpu",
        "loop": "true",
    }
    source = PythonLaunchDescriptionSource(os.environ["CVGEO_TEST_LAUNCH_FILE"])
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    return LaunchDescription([include, launch_testing.actions.ReadyToTest()])


class GraphTest(unittest.TestCase):
    """While the nodes run."""

    def test_a_click_is_answered(self) -> None:
        rclpy.init()
        self.addCleanup(rclpy.try_shutdown)
        node = rclpy.create_node("operator", namespace="cvgeo")
        seen: dict[str, Any] = {}

        def keep(topic: str) -> Any:
            return lambda message: seen.update({topic: message})

        def ask(image: Image) -> None:
            # The first images may have passed before the localizer was there.
            clicks.publish(to_click_array([(60.0, 50.0)], ["roof"], image.header.stamp))

        clicks = node.create_publisher(TargetClickArray, "clicks", 10)
        node.create_subscription(Image, "image", ask, 1)
        node.create_subscription(TileInfo, "tile_info", keep("tile"), LATCHED)
        node.create_subscription(GeoTargetArray, "targets", keep("targets"), 10)
        deadline = time.monotonic() + 60.0
        while not {"targets", "tile"} <= seen.keys():
            assert time.monotonic() < deadline, f"no answer; received {sorted(seen)}"
            rclpy.spin_once(node, timeout_sec=0.1)
        assert [target.id for target in seen["targets"].targets] == ["roof"]
        assert seen["targets"].tile_id == seen["tile"].tile_id
        names = {f"{namespace}/{name}" for name, namespace in node.get_node_names_and_namespaces()}
        assert {"/cvgeo/camera", "/cvgeo/localizer", "/cvgeo/visualizer"} <= names


@launch_testing.post_shutdown_test()
class ShutdownTest(unittest.TestCase):
    """After they were interrupted."""

    def test_every_node_ends_in_order(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
