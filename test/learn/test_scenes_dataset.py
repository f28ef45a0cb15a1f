"""Rendered training material and the demo scene: complete folders whose truth belongs to their images."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import ImageError
from cvgeo_ros.geo.camera import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.geo.store import open_store
from cvgeo_ros.learn.scenes import pack, sheet
from cvgeo_ros.learn.scenes.dataset import Options, draw_drone, write_world
from cvgeo_ros.learn.scenes.demo import write_demo
from cvgeo_ros.scene import Scene

DEMO = Path(__file__).parents[2] / "scenes" / "demo"
SMALL = Options(views=1, frame_size=(320, 184), resolution=0.4)


def test_a_world_folder_is_complete_and_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_world(tmp_path / name, 7, SMALL)
    folder = tmp_path / "a" / "7"
    truth = json.loads((folder / "world.json").read_text())
    satellite = cv2.imread(str(folder / "sat.jpg"))
    assert satellite.shape[0] == satellite.shape[1] == round(300 / truth["gsd"])
    view = truth["views"][0]
    assert cv2.imread(str(folder / view["file"])).shape == (184, 320, 3)
    assert np.load(folder / view["matches"]).shape == (23, 40, 2)
    assert np.array(view["ground_to_sat"]).shape == (3, 3)
    known = {item["id"] for item in truth["objects"]}
    assert known and {item["id"] for item in view["objects"]} <= known
    for item in truth["objects"]:
        u0, v0, u1, v1 = item["bbox"]
        assert 0 <= u0 < u1 <= satellite.shape[1] and 0 <= v0 < v1 <= satellite.shape[0]
    for file in folder.iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "7" / file.name).read_bytes()


def test_street_views_of_a_world_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    write_world(tmp_path / "plain", 7, SMALL)
    write_world(tmp_path / "street", 7, replace(SMALL, ground=2))
    plain, street = (json.loads((tmp_path / name / "7" / "world.json").read_text()) for name in ("plain", "street"))
    assert {key for key in plain if plain[key] != street[key]} == {"ground"}
    known = {item["id"] for item in street["objects"]}
    assert [view["projection"] for view in street["ground"]] == ["perspective", "panorama"]
    assert any(view["objects"] for view in street["ground"])
    for view, shape in zip(street["ground"], [(480, 640, 3), (256, 512, 3)], strict=True):
        assert cv2.imread(str(tmp_path / "street" / "7" / view["file"])).shape == shape
        assert all(0 < edge < 300 / street["gsd"] for edge in view["camera"])
        for item in view["objects"]:
            assert item["id"] in known and item["visible"] >= 0.3
            assert 0 < item["click"][0] < shape[1] and 0 < item["click"][1] < shape[0]


def test_drones_look_from_straight_down_to_50_degrees_ahead() -> None:
    rng = np.random.default_rng(0)
    tilts = [90 + np.degrees(draw_drone(rng, (960, 540)).attitude.pitch) for _ in range(400)]
    assert 0 <= min(tilts) < 1 and 48 < max(tilts) <= 50
    assert 0.4 < np.mean(np.array(tilts) < 10) < 0.75


def test_processes_write_the_same_worlds(tmp_path: Path) -> None:
    for folder, workers in (("one", 1), ("two", 2)):
        write = partial(write_world, tmp_path / folder, options=SMALL)
        assert len(list(pack.written(write, [8, 9], workers))) == 2
    for seed in ("8", "9"):
        files = sorted((tmp_path / "one" / seed).iterdir())
        assert len(files) == 4
        for file in files:
            assert file.read_bytes() == (tmp_path / "two" / seed / file.name).read_bytes()


def test_a_sheet_has_a_row_a_world_and_a_name_that_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="name one"):
        sheet.main(tmp_path / "sheet.gif", 3, 1)
    sheet.main(tmp_path / "sheet.png", 3, 1)
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture.shape[0] < 400 and picture.shape[1] > 2000
    for part in np.array_split(picture, 5, axis=1):
        assert part.std() > 20


def test_pack_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def fake(folder: Path, seed: int, options: Options) -> None:
        written.append(seed)
        (folder / str(seed)).mkdir(parents=True)
        (folder / str(seed) / "world.json").write_text("{}")

    monkeypatch.setattr(pack, "write_world", fake)
    monkeypatch.setattr(pack.cv2, "setNumThreads", lambda threads: None)
    pack.main(tmp_path, worlds=2, first_seed=5, views=2)
    pack.main(tmp_path, worlds=4, first_seed=4, views=2)
    assert written == [5, 6, 4, 7]


def test_the_demo_scene_ships_small_and_loads() -> None:
    scene = Scene.load(DEMO)
    assert len(scene.frames) >= 5
    assert len(scene.objects) >= 4 * len(scene.frames)
    assert sum(file.stat().st_size for file in DEMO.rglob("*") if file.is_file()) < 1_500_000


def test_the_demo_truth_is_consistent() -> None:
    """Click, telemetry and box agree: the ground under a click lies at its box, up to the height of the roof."""
    scene = Scene.load(DEMO)
    store = open_store(scene.map)
    for record in scene.frames:
        assert record.lat is not None and record.lon is not None and record.centre_lat is not None
        assert (
            record.yaw is not None
            and record.pitch is not None
            and record.rel_alt is not None
            and record.hfov is not None
        )
        camera = PinholeCamera.from_hfov(1280, 720, np.radians(record.hfov))
        attitude = Attitude(np.radians(90 - record.yaw), np.radians(record.pitch))
        objects = scene.objects_of(record.file)
        clicks = np.array([item.click for item in objects] + [(640.0, 360.0)])
        ground = frame_to_ground(camera, attitude, record.rel_alt, clicks)
        north = np.radians(1) * 6_367_500
        lat = record.lat + ground[:, 1] / north
        lon = record.lon + ground[:, 0] / (north * np.cos(np.radians(record.lat)))
        pixels = store.transform.geodetic_to_pixel(np.stack([lat, lon], 1))
        centre = store.transform.geodetic_to_pixel(np.array([record.centre_lat, record.centre_lon]))
        assert np.abs(pixels[-1] - centre).max() < 3
        for item, (u, v) in zip(objects, pixels[:-1], strict=True):
            u0, v0, u1, v1 = item.bbox
            assert u0 >= 0 and u1 <= store.width and v0 >= 0 and v1 <= store.height
            assert u0 - 60 < u < u1 + 60 and v0 - 60 < v < v1 + 60


def test_the_demo_command_makes_the_shipped_kind_of_scene(tmp_path: Path) -> None:
    scene = write_demo(tmp_path / "demo", resolution=0.5)
    assert Scene.load(tmp_path / "demo") == scene
