import json

import pytest
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.scene import Scene


def test_figures_of_a_scene(runner: CliRunner, small_scene: Scene) -> None:
    result = runner.invoke(app, ["vehicle", str(small_scene.root), "--seed", "0", "--seed", "1", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    name = small_scene.root.name
    assert list(figures) == [f"{name}, seed 0", f"{name}, seed 1", "all"]
    assert figures["all"]["fixes"]["count"] == 2
    assert figures["all"]["track"]["median"] < 8.0
    assert figures[f"{name}, seed 0"]["recovery"] is None


def test_a_scene_that_is_never_seen_has_no_figures(runner: CliRunner, small_scene: Scene) -> None:
    result = runner.invoke(app, ["vehicle", str(small_scene.root), "--blank", "0:1", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)[f"{small_scene.root.name}, seed 0"]
    assert figures["fixes"] is None and figures["track"] is None


@pytest.mark.parametrize("blank", ["20", "20:x", "1:2:3"])
def test_a_blank_that_is_none_is_refused(runner: CliRunner, small_scene: Scene, blank: str) -> None:
    result = runner.invoke(app, ["vehicle", str(small_scene.root), "--blank", blank])
    assert result.exit_code == 2 and "20:50" in result.output
