"""The launch file brings up the real graph, and all of it ends in order.

launch comes with ROS 2 from apt and is in no Python registry: without it these tests are skipped, and say so.
"""

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch" / "cvgeo.launch.py"

needs_launch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("launch", "launch_ros", "launch_testing")),
    reason="launch is not installed: it comes with ROS 2 from apt",
)


def test_parameter_file_knows_the_nodes_parameters_only() -> None:
    pytest.importorskip("rclpy")
    from cvgeo_ros.nodes import camera, localizer, mavlink, px4, visualizer

    sections = yaml.safe_load((ROOT / "config" / "cvgeo.yaml").read_text())
    for module in (camera, localizer, mavlink, px4, visualizer):
        name = module.__name__.rpartition(".")[2]
        given, specs = sections[f"/**/{name}"]["ros__parameters"], {spec.name: spec for spec in module.SPECS}
        assert given.keys() <= specs.keys()
        for key, value in given.items():
            assert type(value) is type(specs[key].default) and specs[key].refusal(value) is None
            np.testing.assert_equal(value, specs[key].default)


def test_launch_file_is_python() -> None:
    ast.parse(LAUNCH_FILE.read_text())


@needs_launch
def test_arguments_are_described() -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    wanted = {"map", "camera", "bag", "model", "device", "namespace", "use_sim_time", "visualizer", "params"}
    wanted |= {"autopilot", "connection", "mavros", "vehicle_rate", "place_index", "place_window"}
    assert wanted <= arguments.keys()
    assert all(argument.description for argument in arguments.values())


@needs_launch
@pytest.mark.ros
@pytest.mark.slow
def test_graph(ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from launch_testing.loader import LoadTestsFromPythonModule
    from launch_testing.test_runner import LaunchTestRunner

    from cvgeo_ros.geo.transform import GeoTransform
    from cvgeo_ros.net.config import NANO
    from cvgeo_ros.net.model import CrossViewLocator
    from cvgeo_ros.net.weights import save_weights
    from cvgeo_ros.scene import FrameRecord, write_telemetry

    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 255, (40, 40, 3), np.uint8), (400, 400), interpolation=cv2.INTER_CUBIC)
    affine = Affine(0.3, 0.0, 270_000.0, 0.0, -0.3, 2_685_000.0)
    profile = {"driver": "GTiff", "width": 400, "height": 400, "count": 3, "dtype": "uint8", "crs": "EPSG:32651"}
    with rasterio.open(tmp_path / "map.tif", "w", transform=affine, **profile) as file:
        file.write(np.moveaxis(pixels, -1, 0))
    (tmp_path / "flight").mkdir()
    cv2.imwrite(str(tmp_path / "flight" / "a.png"), pixels[150:250, 140:260, ::-1])
    with rasterio.open(tmp_path / "map.tif") as file:
        latitude, longitude = GeoTransform(file.transform, file.crs).pixel_to_geodetic([200.0, 200.0]).tolist()
    frame = FrameRecord(file="a.png", lat=latitude, lon=longitude, rel_alt=30.0, yaw=0.0, pitch=-90.0, hfov=62.0)
    write_telemetry(tmp_path / "frames.csv", [frame])
    torch.manual_seed(0)
    save_weights(CrossViewLocator(replace(NANO, query_size=128)), tmp_path / "fresh.safetensors")
    monkeypatch.setenv("CVGEO_TEST_LAUNCH_FILE", str(LAUNCH_FILE))
    monkeypatch.setenv("CVGEO_TEST_MAP", str(tmp_path / "map.tif"))
    monkeypatch.setenv("CVGEO_TEST_CAMERA", str(tmp_path / "flight"))
    monkeypatch.setenv("CVGEO_TEST_TELEMETRY", str(tmp_path / "frames.csv"))
    monkeypatch.setenv("CVGEO_TEST_MODEL", str(tmp_path / "fresh.safetensors"))

    spec = importlib.util.spec_from_file_location("cvgeo_graph", Path(__file__).with_name("cvgeo_graph.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    runner = LaunchTestRunner(LoadTestsFromPythonModule(module, name="cvgeo_graph"))
    runner.validate()
    for result in runner.run().values():
        assert result.wasSuccessful(), "\n".join(text for _, text in result.errors + result.failures)
