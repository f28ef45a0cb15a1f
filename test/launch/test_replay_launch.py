"""A bag, played in real time through the graph that the launch file brings up, is answered as its replay answers it.

launch comes with ROS 2 from apt and is in no Python registry: without it this test is skipped, and says so.
"""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

needs_launch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("launch", "launch_ros", "launch_testing")),
    reason="launch is not installed: it comes with ROS 2 from apt",
)


@needs_launch
@pytest.mark.ros
@pytest.mark.slow
def test_live_and_offline_agree(ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from launch_testing.loader import LoadTestsFromPythonModule
    from launch_testing.test_runner import LaunchTestRunner
    from typer.testing import CliRunner

    from cvgeo_ros.cli import app
    from cvgeo_ros.learn.scenes.bagging import scene_moments, write_bag
    from cvgeo_ros.scene import Scene

    scene = Scene.load(ROOT / "scenes" / "demo")
    # A vehicle that hovers: whichever frames a slow machine leaves out, the track is the same.
    first = next(iter(scene_moments(scene, np.random.default_rng(0), pitch=False)))
    hover = [
        replace(first, stamp=first.stamp + k * 3_000_000_000, clicks=first.clicks[: 3 * (k == 3)]) for k in range(6)
    ]
    bag, params = tmp_path / "hover.mcap", tmp_path / "params.yaml"
    write_bag(bag, hover)
    parameters = {"vehicle_rate": 50.0, "prior_max_age": 1.0}
    params.write_text(yaml.safe_dump({"/**/localizer": {"ros__parameters": parameters}}))
    arguments = ["replay", str(bag), "--map", str(scene.map), "--params", str(params), "--device", "cpu"]
    told = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "offline")])
    assert told.exit_code == 0, told.output
    monkeypatch.setenv("CVGEO_TEST_LAUNCH_FILE", str(ROOT / "launch" / "cvgeo.launch.py"))
    monkeypatch.setenv("CVGEO_TEST_MAP", str(scene.map))
    monkeypatch.setenv("CVGEO_TEST_PARAMS", str(params))
    monkeypatch.setenv("CVGEO_TEST_BAG", str(bag))
    monkeypatch.setenv("CVGEO_TEST_OFFLINE", str(tmp_path / "offline" / "replay.json"))

    spec = importlib.util.spec_from_file_location("replay_graph", Path(__file__).with_name("replay_graph.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    runner = LaunchTestRunner(LoadTestsFromPythonModule(module, name="replay_graph"))
    runner.validate()
    for result in runner.run().values():
        assert result.wasSuccessful(), "\n".join(text for _, text in result.errors + result.failures)
