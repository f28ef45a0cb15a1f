"""What the benchmarks are tested on."""

from small_scene import scene

__all__ = ["scene"]
