"""Ground matches of real placements: where they are, how they are trusted, and what a pose makes of them."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvgeo_ros.geo import distance, geodetic_to_enu, open_store, project
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.vehicle import Known, estimate_pose

from .conftest import Flight, texture, write_map


@pytest.mark.parametrize("compass, pitch", [(20.0, -90.0), (200.0, -80.0)])
def test_matches_lie_where_the_frame_shows_them(
    flight: Flight, localizer: Localizer, compass: float, pitch: float
) -> None:
    frame, prior, to_frame = flight.shoot((500, 480), compass, pitch)
    ground = localizer.locate(frame, [], flight.camera, replace(prior, pitch=None), ground=True).ground
    assert ground is not None and len(ground) > 100
    assert (ground.pixels > -8).all() and (ground.pixels < [968, 548]).all()
    places = flight.store.transform.pixel_to_geodetic(project(np.linalg.inv(to_frame), ground.pixels))
    misses = np.hypot(*(ground.ground - geodetic_to_enu(places, ground.origin)).T)
    assert np.median(misses) < 2.0
    assert (misses * ground.weights).sum() / ground.weights.sum() < 1.5
    assert 0.0 < ground.std < 3.0 and ((ground.weights >= 0) & (ground.weights <= 1)).all()


def test_clicks_do_not_change_them(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 20.0)
    without = localizer.locate(frame, [], flight.camera, prior, ground=True)
    with_one = localizer.locate(frame, [[480.0, 270.0]], flight.camera, prior, ground=True)
    assert without.targets == () and len(with_one.targets) == 1
    assert without.ground is not None and with_one.ground is not None
    assert with_one.ground.score == pytest.approx(without.ground.score, abs=1e-3)


def test_the_camera_is_found_though_nobody_tells_its_tilt(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 60.0, -84.0)
    ground = localizer.locate(frame, [], flight.camera, replace(prior, pitch=None), ground=True).ground
    assert ground is not None
    known = Known(yaw=prior.yaw, height=prior.height, height_std=5.0)
    fix = estimate_pose(0, ground, flight.camera, known)
    assert fix is not None
    assert distance([fix.latitude, fix.longitude], [prior.latitude, prior.longitude]) < 3.0
    assert fix.tilt[0] == pytest.approx(math.radians(6.0), abs=math.radians(1.5))


def test_frames_of_another_place_score_low(flight: Flight, localizer: Localizer, tmp_path: Path) -> None:
    elsewhere = Localizer(localizer.model)
    elsewhere.set_tile(open_store(write_map(tmp_path / "elsewhere.tif", texture(1024, seed=9))))
    for compass in (20.0, 140.0, 260.0):
        frame, prior, _ = flight.shoot((500, 480), compass)
        here = localizer.locate(frame, [], flight.camera, prior, ground=True).ground
        there = elsewhere.locate(frame, [], flight.camera, prior, ground=True).ground
        assert here is not None and here.score > 0.5
        assert there is None or there.score < 0.5 * here.score


def test_frames_that_show_nothing_are_not_placed(flight: Flight, localizer: Localizer) -> None:
    _, prior, _ = flight.shoot((500, 480))
    ground = localizer.locate(np.full((540, 960, 3), 5, np.uint8), [], flight.camera, prior, ground=True).ground
    assert ground is None or ground.score < 0.5
