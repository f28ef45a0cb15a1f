from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.cli.train import read_config, write_config
from cvgeo_ros.errors import TrainingError


def test_options_go_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("steps: 100\nseed: 4\nreal: photographs\n")
    config = read_config(file, {"steps": 7})
    assert (config.steps, config.seed, config.real) == (7, 4, Path("photographs"))


def test_a_run_can_be_repeated_from_the_configuration_it_leaves(tmp_path: Path) -> None:
    options = {"steps": 7, "rendered": "worlds", "start": "nano", "minutes": 0.5}
    options |= {"pairs": {"gsd": [0.2, 0.4]}, "weights": {"heat": 0.1}}
    config = read_config(None, options)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml", {}) == config
    assert config.pairs.gsd == (0.2, 0.4) and config.weights.heat == 0.1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz: 3", "field 'stepz' does not exist"),
        ("pairs: {sise: 3}", "field 'pairs.sise' does not exist"),
        ("steps: many", "field 'steps'"),
        ("accumulate: 0", "accumulate 0: at least 1 is needed"),
        ("model: giant", "'giant' is none of nano, tiny"),
        ("- 3", "must hold fields"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=r"train\.yaml") as error:
        read_config(file, {})
    assert words in str(error.value)


def test_nothing_to_train_on(runner: CliRunner) -> None:
    result = runner.invoke(app, ["train", "--out", "run"])
    assert result.exit_code == 1
    assert "give --real, --rendered or both, or --samples" in result.stderr


def test_a_device_that_is_not_there(runner: CliRunner) -> None:
    result = runner.invoke(app, ["train", "--out", "run", "--real", "photographs", "--device", "gpu"])
    assert result.exit_code == 1
    assert "device 'gpu' is none of auto, cpu, cuda, cuda:N" in result.stderr
