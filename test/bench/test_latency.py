"""The latency benchmark: the real localizer in a process of its own."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import torch

from cvgeo_ros.bench.latency import measure
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.net.config import NANO
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.scene import Scene

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_the_parts_add_up(ros_domain: int, scene: Scene) -> None:
    torch.manual_seed(0)
    weights = scene.root / "fresh.safetensors"
    save_weights(CrossViewLocator(replace(NANO, query_size=128)), weights)
    parts = measure(scene, str(weights), "cpu", width=640, requests=2, out=scene.root / "log").parts
    whole = {"total", "ROS share"}
    np.testing.assert_allclose(sum(parts[name] for name in parts.keys() - whole), parts["total"])
    assert all((values > 0).all() for values in parts.values())
    assert (parts["ROS share"] < parts["total"]).all()


def test_a_localizer_that_cannot_start_says_why(ros_domain: int, scene: Scene) -> None:
    with pytest.raises(CvgeoError, match="no such weights file"):
        measure(scene, "/nowhere.safetensors", "cpu", requests=1, out=scene.root / "log")
