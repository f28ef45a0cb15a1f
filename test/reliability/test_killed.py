"""Each node of the real graph, killed as the kernel kills when memory is short, and started again."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import torch

from cvgeo_ros.bench import clicker
from cvgeo_ros.bench.clicker import Clicker
from cvgeo_ros.demo.operator import Operator, spinning_node
from cvgeo_ros.demo.processes import Processes
from cvgeo_ros.net.config import NANO
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.scene import Scene, SceneObject

pytestmark = [pytest.mark.ros, pytest.mark.slow]

OUTPUTS = {"camera": "frames", "localizer": "answered", "visualizer": "pictures"}
NEEDS = {
    "camera": {"camera"},
    "localizer": {"camera", "localizer"},
    "visualizer": {"camera", "localizer", "visualizer"},
}
"""The nodes that an output depends on."""


def grows(counts: Callable[[], dict[str, int]], names: set[str], processes: Processes, by: int = 5) -> None:
    """Wait until each of these nodes has put out some more."""
    before, deadline = counts(), time.monotonic() + 60.0
    while silent := {name for name in names if counts()[OUTPUTS[name]] < before[OUTPUTS[name]] + by}:
        processes.check()
        if time.monotonic() > deadline:
            logs = {name: processes.log(name).read_text()[-2000:] for name in silent}
            pytest.fail(f"no more of {silent}: {before}, then {counts()}; they say {logs}")
        time.sleep(0.05)


@pytest.mark.usefixtures("ros_domain")
def test_each_node_killed_in_turn_and_back(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Clicks that nobody hears are given up after half of it.
    monkeypatch.setattr(clicker, "PATIENCE", 4.0)
    # The nodes are under test: over shared memory, Fast DDS 2.14 itself may leave a process that follows a killed one
    # without data (eProsima/Fast-DDS issues 5053, 5469).
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    torch.manual_seed(0)
    weights = tmp_path / "fresh.safetensors"
    save_weights(CrossViewLocator(replace(NANO, query_size=128)), weights)
    record = {"frame": "a.png", "id": "1", "click": (100.0, 80.0), "bbox": (190.0, 140.0, 210.0, 160.0)}
    clicked = replace(scene, objects=[SceneObject.model_validate({**record, "class": "house", "quality": "A"})])
    clicked.write()
    tile = str(scene.map)
    parameters: dict[str, dict[str, Any]] = {
        "localizer": {"map": tile, "model": str(weights), "device": "cpu", "vehicle_rate": 5.0},
        "visualizer": {"map": tile},
        "camera": {"source": str(scene.root), "rate": 5.0, "loop": True},
    }
    with Processes(tmp_path / "log") as processes, spinning_node("operator") as node:
        for name, values in parameters.items():
            processes.start(name, values)
        Operator(node, processes.check).wait_for_localizer()
        watch = Clicker(node, clicked)
        grows(watch.counts, set(parameters), processes)
        for victim in parameters:
            others = {name: processes.pid(name) for name in parameters if name != victim}
            processes.kill(victim)
            # What does not depend on the victim goes on meanwhile.
            grows(watch.counts, {name for name in others if victim not in NEEDS[name]}, processes)
            processes.start(victim, parameters[victim])
            grows(watch.counts, set(parameters), processes)
            assert {name: processes.pid(name) for name in others} == others
        assert watch.counts()["unasked"] == 0
        for name in parameters:
            assert "Traceback" not in processes.log(name).read_text()
