"""What the tests of replays stand on."""

from bag_flight import map_path

__all__ = ["map_path"]
