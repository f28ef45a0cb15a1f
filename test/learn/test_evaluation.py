"""Protocols: what the localizer is told, and that the scorer alone sees the truth."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from cvgeo_ros.errors import ClickError, SceneError
from cvgeo_ros.geo import compass_to_yaw, distance
from cvgeo_ros.learn.evaluation import Protocol, evaluate_scene, find_scenes, make_prior
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject

RECORD = FrameRecord(file="a.jpg", lat=48.0, lon=11.0, rel_alt=100.0, yaw=90.0, pitch=-80.0, hfov=70.0)


def draw(protocol: Protocol, record: FrameRecord = RECORD, count: int = 2000) -> list:
    rng = np.random.default_rng(0)
    return [make_prior(record, protocol, rng) for _ in range(count)]


def test_prior_errs_uniformly_in_a_disc_of_75_m_and_by_5_degrees() -> None:
    priors = draw(Protocol.PRIOR)
    off = np.array([float(distance([p.latitude, p.longitude], [48.0, 11.0])) for p in priors])
    assert off.max() <= 75.01
    assert (off < 75 / math.sqrt(2)).mean() == pytest.approx(0.5, abs=0.04), "uniform over the area"
    heading = np.degrees([p.yaw - compass_to_yaw(90.0) for p in priors])
    assert heading.std() == pytest.approx(5.0, abs=0.3) and abs(heading.mean()) < 0.4
    assert {(p.height, p.pitch) for p in priors} == {(100.0, math.radians(-80.0))}


def test_wide_has_no_position_and_blind_nothing() -> None:
    wide = draw(Protocol.WIDE, count=5)
    assert {(p.latitude, p.longitude, p.height) for p in wide} == {(None, None, 100.0)}
    assert [p.yaw for p in wide] == [p.yaw for p in draw(Protocol.PRIOR, count=5)], "one seed, one heading error"
    for prior in draw(Protocol.BLIND, count=5):
        assert (prior.latitude, prior.longitude, prior.yaw, prior.pitch, prior.height) == (None,) * 5


def test_what_a_frame_does_not_record_stays_unknown() -> None:
    bare = FrameRecord(file="a.jpg", lat=48.0, lon=11.0)
    (prior,) = draw(Protocol.PRIOR, bare, 1)
    assert (prior.yaw, prior.pitch, prior.height) == (None, None, None)
    with pytest.raises(SceneError, match=r"a\.jpg: protocol 'prior' needs lat and lon"):
        draw(Protocol.PRIOR, FrameRecord(file="a.jpg"), 1)


def oblique_scene(root: Path, clicks: list[tuple[float, float]]) -> Scene:
    """A frame that shows the horizon above the middle, over a map of noise."""
    rng = np.random.default_rng(0)
    (root / "frames").mkdir()
    cv2.imwrite(str(root / "frames" / "a.jpg"), rng.integers(0, 255, (90, 160, 3), np.uint8))
    with rasterio.open(
        root / "map.tif", "w", driver="GTiff", width=400, height=400, count=3, dtype="uint8",
        crs="EPSG:32633", transform=from_origin(500_000, 5_000_000, 0.4, 0.4),
    ) as file:  # fmt: skip
        file.write(rng.integers(0, 255, (3, 400, 400), np.uint8))
    record = FrameRecord(file="a.jpg", rel_alt=20.0, yaw=0.0, pitch=-15.0, hfov=66.0)
    objects = [
        SceneObject(frame="a.jpg", id=str(k), click=click, bbox=(10, 10, 30, 30)) for k, click in enumerate(clicks)
    ]
    return Scene(root, "oblique", root / "map.tif", root / "frames", [record], objects)


def test_a_click_that_is_refused_is_a_miss_and_spoils_no_other(tmp_path: Path) -> None:
    localizer = Localizer.load("nano", "cpu")
    scene = oblique_scene(tmp_path, [(80.0, 80.0), (80.0, 5.0)])
    ground, sky = evaluate_scene(localizer, scene, Protocol.WIDE)
    assert (ground.id, sky.id) == ("0", "1")
    assert ground.score > 0 and sky.score == 0
    assert sky.bbox == (200, 200, 200, 200) and sky.position_std == pytest.approx(113, abs=2)


def test_a_scene_of_which_every_click_is_refused_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClickError, match="horizon"):
        evaluate_scene(Localizer.load("nano", "cpu"), oblique_scene(tmp_path, [(80.0, 5.0)]), Protocol.WIDE)


def test_on_the_map_of_another_place_no_answer_is_right(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir(), (tmp_path / "there").mkdir()
    scene = oblique_scene(tmp_path / "here", [(80.0, 80.0)])
    other = oblique_scene(tmp_path / "there", [])
    localizer = Localizer.load("nano", "cpu")
    (item,) = evaluate_scene(localizer, scene, Protocol.WIDE, elsewhere=other.map)
    assert item.error == math.inf and all(math.isnan(edge) for edge in item.truth)
    assert 0 < item.score < 0.5
    with pytest.raises(SceneError, match="map of the scene itself"):
        evaluate_scene(localizer, scene, Protocol.WIDE, elsewhere=scene.map)


def test_a_folder_of_scenes_is_read_by_its_folders_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / "set" / name).mkdir(parents=True)
        oblique_scene(tmp_path / "set" / name, [(80.0, 80.0)]).write()
    assert [scene.name for scene in find_scenes(tmp_path / "set")] == ["a", "b"]
    assert [scene.name for scene in find_scenes(tmp_path / "set" / "b")] == ["oblique"]
    with pytest.raises(SceneError, match=r"scene\.json: no such file"):
        find_scenes(tmp_path)
