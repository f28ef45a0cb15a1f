import json
from pathlib import Path

from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.scene import Scene

FIGURES = {"acc_25", "acc_50", "miou", "error_median", "within_5m", "within_10m", "acci_25", "acci_50"}


def test_figures_and_predictions(runner: CliRunner, small_scene: Scene) -> None:
    options = ["--protocol", "prior", "--seed", "3", "--json", "--predictions", "out/answers.json"]
    result = runner.invoke(app, ["evaluate", str(small_scene.root), *options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["protocol"], told["seed"]) == ("prior", 3)
    assert told["all"].keys() >= FIGURES and told["A"].keys() >= FIGURES
    assert told["all"]["objects"] == len(small_scene.objects)
    assert all(0.0 <= told["all"][key] <= 1.0 for key in FIGURES - {"error_median"})
    records = json.loads(Path("out/answers.json").read_text())
    assert [(record["frame"], record["id"]) for record in records] == [
        (item.frame, item.id) for item in small_scene.objects
    ]
    for record in records:
        assert list(record) == ["frame", "id", "bbox", "score", "latitude", "longitude", "position_std"]
        assert len(record["bbox"]) == 4


def test_a_folder_that_is_no_scene(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "scene.json: no such file" in result.stderr.replace("\n", "")
