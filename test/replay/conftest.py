"""What the tests of replays stand on."""

import importlib.util

from bag_flight import map_path

__all__ = ["map_path"]

if importlib.util.find_spec("rclpy"):
    from ros_graph import graph

    __all__ += ["graph"]
