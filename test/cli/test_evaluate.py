import json
import shutil
from pathlib import Path

import pytest
import rasterio
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.scene import Scene

FIGURES = {"acc_25", "acc_50", "miou", "error_median", "within_5m", "within_10m", "acci_25", "acci_50"}


@pytest.fixture
def other_map(small_scene: Scene, tmp_path: Path) -> Path:
    """A town that is nowhere: a part of the scene's map, mirrored."""
    with rasterio.open(small_scene.map) as file:
        profile, pixels = file.profile, file.read()[:, 300:900, 300:900]
    with rasterio.open(tmp_path / "other.tif", "w", **profile | {"width": 600, "height": 600}) as file:
        file.write(pixels[:, :, ::-1])
    return tmp_path / "other.tif"


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


def test_scenes_of_a_folder_are_evaluated_together_and_reported(
    runner: CliRunner, small_scene: Scene, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(small_scene.root, tmp_path / "both" / name)
    options = ["--click-noise", "2", "--json", "--predictions", "answers.json", "--report", "report"]
    result = runner.invoke(app, ["evaluate", "both", *options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["scene"], told["click_noise"], told["all"]["frames"]) == ("both", 2.0, 2)
    assert told["scenes"].keys() == {"a", "b"}
    assert told["counts"]["4 to 6"]["objects"] == 2 * len(small_scene.objects)
    records = json.loads(Path("answers.json").read_text())
    assert [record["scene"] for record in records] == ["a"] * len(small_scene.objects) + ["b"] * len(
        small_scene.objects
    )
    report = json.loads(Path("report/report.json").read_text())
    assert report["all"] == told["all"]
    assert {record["scene"] for record in report["records"]} == {"a", "b"}
    assert {path.name for path in Path("report/cases").iterdir()} == {"best_1.jpg", "worst_1.jpg"}


def test_frames_on_the_map_of_another_place(runner: CliRunner, small_scene: Scene, other_map: Path) -> None:
    options = ["--elsewhere", str(other_map), "--report", "report"]
    result = runner.invoke(app, ["evaluate", str(small_scene.root), *options, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["protocol"], told["threshold"]) == ("wide", 0.5)
    assert (told["answers"], told["above"]) == (len(small_scene.objects), 0.0)
    assert 0.0 <= told["score_max"] <= 0.5
    assert "highest 1" in Path("report/index.html").read_text()
    result = runner.invoke(app, ["evaluate", str(small_scene.root), *options, "--threshold", "0"])
    assert "score above 0 " in result.stdout and "100.0 %" in result.stdout


@pytest.mark.parametrize(
    "options, told",
    [
        (["--dataset", "cvogl", "--protocol", "wide"], "goes with scenes"),
        (["--dataset", "folder", "--elsewhere", "map.tif"], "goes with scenes"),
        (["--elsewhere", "map.tif", "--protocol", "prior"], "wide or blind"),
    ],
)
def test_options_that_say_nothing_together(runner: CliRunner, options: list[str], told: str) -> None:
    result = runner.invoke(app, ["evaluate", "nowhere", *options])
    assert result.exit_code == 2 and told in result.stderr


def test_a_data_set_that_is_not_there(runner: CliRunner) -> None:
    result = runner.invoke(app, ["evaluate", "nowhere", "--dataset", "cvogl", "--subset", "ground", "--split", "val"])
    assert result.exit_code == 1 and "CVOGL_SVI_val.pth: no such file" in result.stderr.replace("\n", "")
