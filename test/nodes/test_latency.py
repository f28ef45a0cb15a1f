"""The latency benchmark: the real localizer in a process of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

import torch

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.geo.store import open_store
from cvgeo_ros.net.config import NANO
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.nodes.latency import measure
from cvgeo_ros.scene import FrameRecord, Scene

pytestmark = [pytest.mark.ros, pytest.mark.slow]


@pytest.fixture
def scene(tmp_path: Path, make_map: Any) -> Scene:
    store = open_store(make_map(tmp_path / "map.tif"))
    pixels, _ = store.read(140.0, 105.0, 260.0, 195.0, (180, 240))
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "a.png"), pixels)
    latitude, longitude = store.transform.pixel_to_geodetic([200.0, 150.0]).tolist()
    frame = FrameRecord(file="a.png", lat=latitude, lon=longitude, rel_alt=50.0, yaw=0.0, pitch=-90.0, hfov=62.0)
    return Scene(tmp_path, "one", tmp_path / "map.tif", tmp_path / "frames", [frame], [])


def test_the_parts_add_up(ros_domain: int, scene: Scene) -> None:
    torch.manual_seed(0)
    weights = scene.root / "fresh.safetensors"
    save_weights(CrossViewLocator(replace(NANO, query_size=128)), weights)
    parts = measure(scene, str(weights), "cpu", width=640, requests=2).parts
    whole = {"total", "ROS share"}
    np.testing.assert_allclose(sum(parts[name] for name in parts.keys() - whole), parts["total"])
    assert all((values > 0).all() for values in parts.values())
    assert (parts["ROS share"] < parts["total"]).all()


def test_a_localizer_that_cannot_start_says_why(ros_domain: int, scene: Scene) -> None:
    with pytest.raises(CvgeoError, match="no such weights file"):
        measure(scene, "/nowhere.safetensors", "cpu", requests=1)
