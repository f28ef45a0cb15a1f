"""The benchmark of expert dispatch, on layers small enough for seconds."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from cvgeo_ros.bench import gmoe
from cvgeo_ros.bench.roofline import count
from cvgeo_ros.bench.timing import peak_memory, time_cases
from cvgeo_ros.cli import app
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.net import NetConfig
from cvgeo_ros.net.dispatch import loop
from cvgeo_ros.net.gmoe import ExpertPool

CPU = torch.device("cpu")


@pytest.fixture
def plan(small_config: NetConfig) -> gmoe.Plan:
    return gmoe.Plan(rounds=2, config=small_config, sides=(64, 128))


def test_every_layer_form_and_pass_is_there(plan: gmoe.Plan) -> None:
    found = gmoe.measure(CPU, replace(plan, batch=2))
    layers = [(layer.tokens, layer.dim, layer.backward) for layer in found]
    sizes = [(128, 16), (512, 16), (32, 32), (128, 32)]
    assert layers == [(*size, backward) for size in sizes for backward in (False, True)]
    for layer in found:
        assert set(layer.forms) == set(gmoe.FORMS) and layer.runs == "loop"
        assert all((seconds > 0).all() and len(seconds) == 2 for seconds in (layer.floor, *layer.forms.values()))
        assert all(layer.bytes[name] >= layer.tokens * layer.dim * 2 for name in gmoe.FORMS)
    for forward, both in zip(found[::2], found[1::2], strict=True):
        assert both.bytes["all experts"] > forward.bytes["all experts"]
    console = Console(width=200)
    with console.capture() as captured:
        console.print(gmoe.table(found, "here"))
    assert "512 x 16" in captured.get() and "*" in captured.get()


def test_half_precision(plan: gmoe.Plan) -> None:
    config = replace(plan.config, moe_blocks=((), (1,), ()))
    found = gmoe.measure(CPU, replace(plan, config=config, sides=(64,), kind="bfloat16", rounds=1))
    assert [layer.tokens for layer in found] == [64, 64]
    assert found[0].bytes["all experts"] < 64 * 32 * 6 * 4, "of two bytes each"


@pytest.mark.parametrize("backward", [False, True])
def test_the_floor_is_the_products_of_the_sparse_forms(backward: bool) -> None:
    torch.manual_seed(0)
    problem = gmoe._Problem.draw(ExpertPool(16, 32, 6), 200, 2)
    floor = count(gmoe._products(problem.experts, problem.choice, backward)).operations
    assert floor == (12 if backward else 4) * 400 * 16 * 32
    assert count(problem._run(loop, backward)).operations == floor


def test_memory_is_the_most_that_is_held_at_once() -> None:
    def run() -> None:
        for _ in range(3):
            torch.empty(1 << 20, dtype=torch.uint8).fill_(1)
        first = torch.empty(2 << 20, dtype=torch.uint8)
        torch.empty(1 << 20, dtype=torch.uint8)
        del first

    assert 3 << 20 <= peak_memory(CPU, run) < 3.2 * (1 << 20)


def test_the_command_prints_json(plan: gmoe.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gmoe, "Plan", lambda **chosen: replace(plan, **chosen))
    options = ["--device", "cpu", "--rounds", "1", "--threads", str(torch.get_num_threads()), "--clock", "cpu"]
    result = CliRunner().invoke(app, ["bench", "gmoe", *options, "--side", "64", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["machine"]["clock"] == "cpu" and len(told["layers"]) == 4
    assert told["layers"][0]["forms"]["grouped"]["against"] == "bare products"


def test_a_device_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(app, ["bench", "gmoe", "--device", "cuda:77"])
    assert result.exit_code == 1 and "cuda:77" in result.output
    with pytest.raises(CvgeoError, match="measure wall time"):
        time_cases(torch.device("cuda"), 1, {}, "cpu")
