"""The soak: slopes of memory, and the real graph for a few seconds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

import torch

from cvgeo_ros.bench.soak import MIB, Memory, Plan, Soak, soak, trend
from cvgeo_ros.net.config import NANO
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.scene import Scene, SceneObject

TIMES = np.linspace(0.0, 600.0, 300)


def sizes(slope: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 0.5, len(TIMES))
    return (500.0 + slope * TIMES / 3600.0 + noise) * MIB


def test_slopes_are_per_hour_and_not_moved_by_a_peak() -> None:
    leak = sizes(120.0)
    leak[50:53] += 300.0 * MIB
    found = trend(TIMES, leak, leak)
    assert found.low <= found.slope <= found.high < found.low + 20.0
    assert found.slope == pytest.approx(120.0, abs=5.0)
    assert found.peak == pytest.approx(803.4, abs=3.0)


@pytest.mark.parametrize(
    "change, passed",
    [({}, True), ({"lost": 1}, False), ({"unasked": 1}, False), ({"answered": 0}, False), ({"limit": -5.0}, False)],
)
def test_what_passes(change: dict[str, float], passed: bool) -> None:
    flat = trend(TIMES, sizes(0.0), sizes(0.0))
    good = Soak(10.0, 600, 500, 498, 2, 0, 0, 498, 500, (100.0, 200.0), {"localizer": flat}, 30.0)
    assert replace(good, **change).passed is passed
    growing = replace(good, memory={"localizer": Memory(500.0, 600.0, 600.0, 600.0, 590.0, 610.0)})
    assert not growing.passed


@pytest.mark.ros
@pytest.mark.slow
def test_the_real_graph(ros_domain: int, scene: Scene, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "fresh.safetensors"
    save_weights(CrossViewLocator(replace(NANO, query_size=128)), weights)
    record = {"frame": "a.png", "id": "1", "click": (100.0, 80.0), "bbox": (190.0, 140.0, 210.0, 160.0)}
    clicked = replace(scene, objects=[SceneObject.model_validate({**record, "class": "house", "quality": "A"})])
    clicked.write()
    told: list[str] = []
    result = soak(clicked, Plan(0.1, 5.0, 1e6, str(weights), "cpu"), tmp_path / "log", told.append)
    assert result.passed and result.answered == result.sent - result.refused
    assert set(result.memory) == {"camera", "localizer", "visualizer"}
    assert all(10.0 < memory.first <= memory.peak for memory in result.memory.values())
    assert 0.1 < result.minutes < 1.0 and result.frames > 10
    assert result.to_dict()["passed"] is True and "of 0.1 min" in told[-1]
