import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.scene import Scene


def arguments(scene: Scene) -> list[str]:
    record = scene.frames[0]
    known = {"lat": record.lat, "lon": record.lon, "heading": record.yaw, "pitch": record.pitch, "hfov": record.hfov}
    known |= {"altitude": record.rel_alt, "radius": 10.0}
    hints = [f"--{name}={value}" for name, value in known.items()]
    return ["locate", "--map", str(scene.map), "--image", str(scene.frames_dir / record.file), *hints]


def test_locate_prints_places_and_draws_them(runner: CliRunner, small_scene: Scene, tmp_path: Path) -> None:
    objects = small_scene.objects[:2]
    clicks = [f"--click={item.click[0]},{item.click[1]}" for item in objects]
    result = runner.invoke(app, [*arguments(small_scene), *clicks, "--json", "--out", "pictures/answer.png"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    store = open_store(small_scene.map)
    assert len(answer["targets"]) == 2
    for item, target in zip(objects, answer["targets"], strict=True):
        assert target["click"] == list(item.click)
        centre = np.array(item.bbox).reshape(2, 2).mean(axis=0)
        truth = store.transform.pixel_to_geodetic(centre)
        assert distance([target["latitude"], target["longitude"]], truth) < 10.0
        assert 0.0 < target["score"] <= 1.0 and target["position_std"] > 0.0
    picture = cv2.imread(str(tmp_path / "pictures" / "answer.png"))
    assert picture is not None and picture.shape[1] > 1000


def test_locate_prints_a_table(runner: CliRunner, small_scene: Scene) -> None:
    u, v = small_scene.objects[0].click
    result = runner.invoke(app, [*arguments(small_scene), "--click", f"{u},{v}"])
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if f"{u:g}, {v:g}" in line]
    cells = row.split()
    assert math.isclose(float(cells[3]), small_scene.frames[0].lat or 0.0, abs_tol=0.005)
    assert math.isclose(float(cells[4]), small_scene.frames[0].lon or 0.0, abs_tol=0.005)
    assert Path("out/locate.png").is_file()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (["--click", "5000,10"], 1, "click 0 at (5000, 10) px is outside the frame"),
        (["--click", "here"], 2, "'here' is not a click"),
        (["--click", "1,1", "--lat", "45"], 2, "--lat and --lon go together"),
        (["--click", "1,1", "--model", "giant"], 1, "model 'giant' is not shipped; known: "),
        (["--click", "1,1", "--map", "nowhere.tif"], 1, "nowhere.tif: no such file"),
        (["--click", "1,1", "--image", "nowhere.jpg"], 1, "nowhere.jpg: not a readable image"),
        (["--click", "1,1", "--image", "a[/b].jpg"], 1, "a[/b].jpg: not a readable image"),
        (["--click", "1,1", "--out", "answer.nothing"], 1, "answer.nothing: OpenCV writes no such format"),
    ],
)
def test_mistakes_are_named_without_a_traceback(
    runner: CliRunner, small_scene: Scene, change: list[str], code: int, words: str
) -> None:
    image = str(small_scene.frames_dir / small_scene.frames[0].file)
    result = runner.invoke(app, ["locate", "--map", str(small_scene.map), "--image", image, *change])
    assert result.exit_code == code
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
