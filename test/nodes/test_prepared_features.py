"""What the localizer node does with prepared features: uses them, warns of others', refuses damaged ones."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

pytest.importorskip("rclpy")

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from cvgeo_ros.geo import open_store
from cvgeo_ros.geo.identity import features_path
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.maps.prepare import prepare
from cvgeo_ros.net import CrossViewLocator, NetConfig
from cvgeo_ros.nodes.localizer import LocalizerNode

pytestmark = pytest.mark.ros


@pytest.fixture
def town(tmp_path: Path) -> Path:
    path = tmp_path / "town.tif"
    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=from_origin(500_000, 5_000_000, 0.32, 0.32), **profile) as file:
        file.write(np.random.default_rng(0).integers(0, 255, (3, 300, 300), np.uint8))
    return path


def test_stale_features_are_warned_of_and_damaged_ones_refused(
    ros_domain: int, town: Path, small_config: NetConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    cores: list[Localizer] = []

    def load(model: str, device: str, cache_bytes: int) -> Localizer:
        torch.manual_seed(int(model))
        cores.append(Localizer(CrossViewLocator(small_config), cache_bytes))
        return cores[-1]

    with open_store(town) as tile:
        prepare(load("1", "cpu", 1 << 20), tile)

    def configure(model: str) -> tuple[bool, str]:
        parameters = [
            Parameter(name, value=value)
            for name, value in {"autostart": False, "map": str(town), "model": model, "cache_bytes": 1 << 20}.items()
        ]
        node = LocalizerNode(load, parameter_overrides=parameters)
        try:
            done = node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        finally:
            node.destroy_node()
        return done, capfd.readouterr().err

    rclpy.init()
    try:
        done, log = configure("1")
        assert done and "prepared features" not in log
        done, log = configure("2")
        assert done and "not used, they were computed with other weights" in log and "cvgeo map prepare" in log
        path = features_path(town, "small")
        path.write_bytes(path.read_bytes()[:5000])
        done, log = configure("1")
        assert not done and "damaged (cut short)" in log and "cvgeo map prepare" in log
    finally:
        rclpy.shutdown()
