"""Time that is set back, as simulators and bags in a loop do."""

from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node


def on_time_jump(node: Node, handle: Callable[[], None]) -> Any:
    """Have `handle` called whenever the node's clock goes backwards; returns what must be kept, and unregistered.

    Only simulated time (use_sim_time) tells of jumps.
    """
    threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
    return node.get_clock().create_jump_callback(threshold, post_callback=lambda _: handle())
