"""How every node's process runs."""

import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.memory import reuse_large_blocks
from cvgeo_ros.nodes.executor import PooledExecutor

THREADS = 5
"""The localizer's three services may all be waiting for answers, and images and clicks still come."""


def run(make: Callable[[], Node], args: list[str] | None) -> int:
    """Make a node and spin it until it is interrupted; returns the exit code.

    What is wrong at start (a parameter, a source) is one sentence on stderr and exit code 2.
    """
    reuse_large_blocks()
    rclpy.init(args=args)
    try:
        node = make()
    except (CvgeoError, InvalidParameterValueException, InvalidParameterTypeException) as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = PooledExecutor(THREADS)
    executor.add_node(node)
    try:
        executor.spin_on(lambda reason: node.get_logger().error(reason, throttle_duration_sec=2.0))
    except KeyboardInterrupt:
        pass
    finally:
        executor.shutdown(timeout_sec=2.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
