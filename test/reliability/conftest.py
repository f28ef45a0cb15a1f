"""What the tests of nodes in trouble stand on."""

from ros_graph import graph, make_map, map_path, operate, operator
from small_scene import scene

__all__ = ["graph", "make_map", "map_path", "operate", "operator", "scene"]
