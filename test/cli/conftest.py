"""One frame of the scene that ships with the project, for what needs no more."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvgeo_ros.cli.demo import shipped_scene
from cvgeo_ros.scene import Scene


@pytest.fixture(scope="session")
def shipped() -> Scene:
    return Scene.load(shipped_scene())


@pytest.fixture(scope="session")
def small_scene(shipped: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    root = tmp_path_factory.mktemp("scene")
    record = shipped.frames[0]
    (root / "frames").mkdir()
    shutil.copy(shipped.map, root / "map.tif")
    shutil.copy(shipped.frames_dir / record.file, root / "frames")
    scene = replace(
        shipped,
        root=root,
        map=root / "map.tif",
        frames_dir=root / "frames",
        frames=[record],
        objects=shipped.objects_of(record.file),
    )
    scene.write()
    return scene


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs commands in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return CliRunner()
