"""The benchmark of `locate` on an image and a network small enough for seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cvgeo_ros.bench import locate as bench
from cvgeo_ros.bench.locate import Latency, Plan, measure, open_localizer
from cvgeo_ros.bench.roofline import Peaks
from cvgeo_ros.cli import app
from cvgeo_ros.errors import WeightsError
from cvgeo_ros.net import CONFIGS, CrossViewLocator, NetConfig
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.scene import Scene


@pytest.fixture
def size(small_config: NetConfig, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(bench, "peaks", lambda *_, clock: Peaks(1e10, 1e10))
    monkeypatch.setitem(CONFIGS, "small", small_config)
    return "small"


def test_every_figure_is_there(scene: Scene, size: str) -> None:
    said: list[str] = []
    report = measure(scene, size, "cpu", Plan((1, 3), rounds=4, width=240), said.append)
    told = json.loads(json.dumps(report.to_dict()))
    assert (told["model"], told["weights"], told["dtype"], told["compile"]) == ("small", "random", "float32", "no")
    one, three = told["latencies"]
    assert (one["clicks"], three["clicks"]) == (1, 3)
    for latency, figures in zip(report.latencies, (one, three), strict=True):
        assert 0 < figures["p50_ms"] <= figures["p99_ms"] == pytest.approx(1e3 * latency.seconds.max(), rel=0.5)
        assert set(figures["stages_ms"]) >= {"rectify", "frame", "consensus", "head"}
    encoded, located = told["rooflines"]
    assert encoded["name"] == "frame of 64 x 64 px encoded" and located["name"] == "frame located, 3 clicks"
    assert 0 < encoded["gflop"] < located["gflop"] and encoded["mbytes"] < located["mbytes"]
    assert "locating" in said


def test_rates_are_of_frames_in_a_row() -> None:
    told = Latency(8, np.array([0.1, 0.1, 0.4])).to_dict()
    assert told["p50_ms"] == 100.0 and told["frames_s"] == 5.0 and told["clicks_s"] == 40.0


def test_shipped_weights_go_before_random_ones(size: str, small_config: NetConfig, tmp_path: Path) -> None:
    assert open_localizer("nano", "cpu")[1] == "nano"
    save_weights(CrossViewLocator(small_config), tmp_path / "own.safetensors")
    assert open_localizer(tmp_path / "own.safetensors", "cpu")[1].endswith("own.safetensors")
    a, b = (open_localizer(size, "cpu")[0].model.state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a), "the same ones each time"
    with pytest.raises(WeightsError, match="not shipped"):
        open_localizer("huge", "cpu")


def test_half_precision_and_the_compiler_are_used(scene: Scene, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a compiler that only traces: what it makes of a graph is not ours."""
    modes: list[str] = []
    compile_module = torch.nn.Module.compile

    def compiled(self: torch.nn.Module, mode: str) -> None:
        modes.append(mode)
        compile_module(self, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    scene.write()
    options = ["--model", size, "--device", "cpu", "--clicks", "2", "--rounds", "2", "--width", "240"]
    options += ["--dtype", "bfloat16", "--compile", "reduce-overhead", "--threads", str(torch.get_num_threads())]
    result = CliRunner().invoke(app, ["bench", "locate", str(scene.root), *options])
    assert result.exit_code == 0, result.output
    assert modes == ["reduce-overhead"]
    assert "small (random weights), bfloat16, compiled: reduce-overhead" in " ".join(result.stdout.split())
    assert "frame located, 2 clicks: " in result.stdout


@pytest.mark.parametrize("clicks", ["one", "1,0", "1;8"])
def test_numbers_of_clicks_that_are_none(clicks: str) -> None:
    assert CliRunner().invoke(app, ["bench", "locate", "--clicks", clicks]).exit_code == 2
