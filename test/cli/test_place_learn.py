"""The commands that train and judge place models, on a small set."""

import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.cli.place_learn import read_settings
from cvgeo_ros.errors import TrainingError
from cvgeo_ros.place.experts import load_place_model

sys.path.append(str(Path(__file__).parent.parent / "learn" / "place"))
from place_set import write_set

SETTINGS = """
batch: 6
threads: 1
tower: {steps: 2, rate: 0.001, warmup: 1}
first: {steps: 2, rate: 0.001, warmup: 1}
second: {steps: 2, rate: 0.001, warmup: 1}
gate: {steps: 2, rate: 0.001, warmup: 1}
fused: {steps: 2, rate: 0.001, warmup: 1}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "places", places=4)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_train_then_ablate_then_evaluate(data: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    cache, out = tmp_path / "cache", tmp_path / "out"
    common = ("--cache", cache, "--config", settings)
    told = run("place", "train", "--data", data, "--out", out, *common)
    weights = out / "place.safetensors"
    assert f"weights  {weights}" in told
    assert weights.stat().st_size < 25e6

    tower, rows = out / "tower.safetensors", ("--row", "unified", "--row", "full", "--seeds", 1)
    told = run(
        "place", "ablation", "--data", data, "--test", data, "--tower", tower, *rows, "--out", out / "a", *common
    )
    assert "12 candidates, 1 seeds" in told
    assert "one unified model" in told
    assert json.loads((out / "a" / "figures.json").read_text())["full"][0]["text_to_image"]["queries"] == 24

    told = run("place", "evaluate", "--data", data, "--model", weights)
    assert "text to image" in told
    assert "satellite captions" in told
    figures = json.loads(run("place", "evaluate", "--data", data, "--model", weights, "--json"))
    assert figures["text_to_image"]["candidates"] == 12
    assert figures["image_to_text"]["queries"] == 12


def test_a_training_goes_on_from_a_former_model(data: Path, tmp_path: Path) -> None:
    """Stage 0 of no steps leaves the tower and the experts of the model that it starts from."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS.replace("tower: {steps: 2", "tower: {steps: 0"))
    common = ("--data", data, "--cache", tmp_path / "cache", "--config", settings)
    run("place", "train", "--out", tmp_path / "out", "--start", "place", *common)
    begun, former = load_place_model(tmp_path / "out" / "tower.safetensors"), load_place_model("place")
    for now, then in ((begun.image, former.image), (begun.experts[1], former.experts[0])):
        state = then.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in now.state_dict().items())

    both = ["place", "train", "--out", tmp_path / "b", "--start", "place", "--tower", "place", *common]
    result = CliRunner().invoke(app, [str(argument) for argument in both])
    assert result.exit_code == 1
    assert "give one of them" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("batch: 1", "batch must be 2 or more"),
        ("batches: 1", "field 'batches' does not exist"),
        ("tower: {step: 3, rate: 1}", "field 'tower.step' does not exist"),
        ("first: {steps: many, rate: 1}", "field 'first.steps'"),
        ("[1]", "must hold fields"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=told):
        read_settings(path)


@pytest.mark.parametrize("name", ["train_place", "ablate_place"])
def test_shipped_settings_are_read(name: str) -> None:
    settings = read_settings(Path(__file__).parents[2] / "config" / f"{name}.yaml")
    assert settings.tower.steps > settings.first.steps > settings.second.steps > 0


def test_the_slip_is_for_geotext(data: Path) -> None:
    result = CliRunner().invoke(app, ["place", "evaluate", "--data", str(data), "--slip"])
    assert result.exit_code == 1
    assert "GeoText-1652" in result.output
