"""The localizer on frames cut from its own map: places, headings, tilts, priors, many clicks, bad input."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine

from cvgeo_ros.errors import ClickError, ImageError, MapError, WeightsError
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.localizer import Localizer, Prior, Target
from cvgeo_ros.localizer.placement import Placer
from cvgeo_ros.net.prompt import sample

from .conftest import EAST, GSD, NORTH, SIZE, Flight, texture, write_map

CLICKS = [[300.0, 200.0], [480.0, 270.0], [700.0, 400.0]]


def errors(flight: Flight, targets: tuple[Target, ...], to_frame: np.ndarray) -> list[float]:
    """Metres between the clicked ground points and the centres of the boxes."""
    found = []
    for target in targets:
        place = np.linalg.inv(to_frame) @ [*target.click, 1.0]
        truth = flight.store.transform.pixel_to_geodetic(place[:2] / place[2])
        found.append(float(distance([target.latitude, target.longitude], truth)))
    return found


@pytest.mark.parametrize("compass, pitch", [(0.0, -90.0), (137.0, -90.0), (250.0, -70.0)])
def test_clicks_are_found_at_any_heading_and_tilt(
    flight: Flight, localizer: Localizer, compass: float, pitch: float
) -> None:
    frame, prior, to_frame = flight.shoot((500, 480), compass, pitch)
    answer = localizer.locate(frame, CLICKS, flight.camera, prior)
    assert np.median(errors(flight, answer.targets, to_frame)) < 6.0
    assert [t.click for t in answer.targets] == [tuple(c) for c in CLICKS]
    assert answer.tile_id == flight.store.tile_id


def test_wrong_heading_and_height_are_mended_by_the_alignment(flight: Flight, localizer: Localizer) -> None:
    frame, prior, to_frame = flight.shoot((500, 480), 60.0)
    assert prior.yaw is not None and prior.height is not None
    wrong = replace(prior, yaw=prior.yaw + np.radians(8), height=prior.height * 1.07, pitch=None)
    answer = localizer.locate(frame, [[60.0, 60.0], [900.0, 480.0], [480.0, 270.0]], flight.camera, wrong)
    assert np.median(errors(flight, answer.targets, to_frame)) < 6.0


def test_surroundings_lie_where_the_window_does(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((690, 300), 60.0)
    placer = localizer._placer
    assert placer is not None
    with torch.inference_mode():
        placed = placer.place(frame, np.zeros((0, 2)), flight.camera, prior, {})
        grid = placer.grid(2.0)
        whole = placer.cache.window(grid, 0, 0, *grid.cells).features.context
        assert placed.surroundings is not None
        cells = np.array([[3.0, 4.0], [21.5, 17.5]])
        seen = placed.surroundings.read(torch.tensor(cells[None], dtype=torch.float32))
        pixels = placed.grid.to_tile(cells + placed.window.origin)
        truth = sample(whole, torch.tensor(grid.from_tile(pixels)[None], dtype=torch.float32))
    assert max(placed.window.origin) > 0
    torch.testing.assert_close(seen, truth, rtol=0, atol=1e-4)


def test_without_a_position_the_whole_tile_is_searched(flight: Flight, localizer: Localizer) -> None:
    frame, prior, to_frame = flight.shoot((300, 700), 20.0)
    answer = localizer.locate(frame, CLICKS, flight.camera, replace(prior, latitude=None, longitude=None))
    assert answer.window == (0.0, 0.0, 1024.0, 1024.0)
    assert np.median(errors(flight, answer.targets, to_frame)) < 6.0


@pytest.mark.parametrize("flip", [(-1, 1), (1, -1), (-1, -1)])
def test_headings_are_searched_on_mirrored_maps(
    flight: Flight, localizer: Localizer, tmp_path: Path, flip: tuple[int, int]
) -> None:
    """Rows from the south, columns from the east: a turn on such a map is the other way round on the ground."""
    v, u = flip
    step = {1: (EAST, NORTH), -1: (EAST + SIZE * GSD, NORTH - SIZE * GSD)}
    transform = Affine(u * GSD, 0, step[u][0], 0, -v * GSD, step[v][1])
    store = open_store(write_map(tmp_path / "mirrored.tif", flight.image[::v, ::u], transform))
    mirrored = Localizer(localizer.model)
    mirrored.set_tile(store)
    frame, prior, to_frame = flight.shoot((500, 480), 38.0)  # 8 degrees off the nearest heading that is tried
    assert mirrored._placer is not None and prior.yaw is not None
    with torch.inference_mode():
        best = mirrored._placer._search(frame, flight.camera, replace(prior, yaw=None), {})[0]
    assert best.yaw is not None
    assert math.degrees(math.remainder(best.yaw - prior.yaw, 2 * math.pi)) == pytest.approx(0, abs=2.5)
    answer = mirrored.locate(frame, CLICKS, flight.camera, replace(prior, yaw=None))
    assert np.median(errors(flight, answer.targets, to_frame)) < 6.0


def test_a_guess_off_the_map_leaves_the_others_standing(
    flight: Flight, localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, prior, to_frame = flight.shoot((500, 480), 60.0)
    lost = replace(prior, latitude=46.5)
    monkeypatch.setattr(Placer, "_search", lambda *_: [lost, prior])
    answer = localizer.locate(frame, CLICKS, flight.camera, replace(prior, yaw=None))
    assert np.median(errors(flight, answer.targets, to_frame)) < 6.0
    monkeypatch.setattr(Placer, "_search", lambda *_: [lost])
    with pytest.raises(MapError, match=r"outside|far from"):
        localizer.locate(frame, CLICKS, flight.camera, replace(prior, yaw=None))


def test_what_lies_beyond_the_map_is_not_trusted(flight: Flight, localizer: Localizer, tmp_path: Path) -> None:
    path = write_map(tmp_path / "small.tif", flight.image[:560, :580])
    small = Localizer(localizer.model)
    small.set_tile(open_store(path))
    frame, prior, to_frame = flight.shoot((500, 480))
    inside, beyond = small.locate(frame, [[480.0, 270.0], [900.0, 500.0]], flight.camera, prior).targets
    assert inside.score > 0.5 and errors(flight, (inside,), to_frame)[0] < 6.0
    assert beyond.score < 0.05 and beyond.position_std > 15.0


def test_a_map_that_shows_nothing_there_is_an_error(flight: Flight, localizer: Localizer, tmp_path: Path) -> None:
    path = write_map(tmp_path / "void.tif", np.zeros_like(flight.image), nodata=0)
    void = Localizer(localizer.model)
    void.set_tile(open_store(path))
    frame, prior, _ = flight.shoot((500, 480))
    for asked in (prior, replace(prior, latitude=None)):
        with pytest.raises(MapError, match="shows nothing"):
            void.locate(frame, CLICKS, flight.camera, asked)


def test_a_frame_that_shows_nothing_scores_low(flight: Flight, localizer: Localizer) -> None:
    _, prior, _ = flight.shoot((500, 480))
    for target in localizer.locate(np.full((540, 960, 3), 90, np.uint8), CLICKS, flight.camera, prior).targets:
        assert np.isfinite([*target.bbox, target.position_std]).all() and target.score < 0.5


@pytest.mark.parametrize("radius", [np.nan, np.inf, -1.0])
def test_a_radius_that_is_none_is_refused(flight: Flight, localizer: Localizer, radius: float) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    with pytest.raises(MapError, match="radius"):
        localizer.locate(frame, CLICKS, flight.camera, replace(prior, position_radius=radius))


@pytest.mark.slow
def test_without_any_prior_heading_and_height_are_searched(flight: Flight, localizer: Localizer) -> None:
    frame, _, to_frame = flight.shoot((500, 480), 200.0, height=110.0)
    answer = localizer.locate(frame, CLICKS, flight.camera)
    assert np.median(errors(flight, answer.targets, to_frame)) < 8.0


def test_a_prior_elsewhere_on_the_map_is_obeyed(flight: Flight, localizer: Localizer) -> None:
    """A hard limit: what the prior excludes is never answered, however well it looks."""
    frame, prior, _ = flight.shoot((250, 250))
    latitude, longitude = flight.store.transform.pixel_to_geodetic([800, 800]).tolist()
    narrow = replace(prior, latitude=latitude, longitude=longitude, position_radius=20.0)
    for target in localizer.locate(frame, CLICKS, flight.camera, narrow).targets:
        assert distance([target.latitude, target.longitude], [latitude, longitude]) < 130.0


def test_box_position_and_bounds_belong_together(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 30.0)
    for target in localizer.locate(frame, CLICKS, flight.camera, prior).targets:
        u0, v0, u1, v1 = target.bbox
        assert 0 <= u0 < u1 <= 1024 and 0 <= v0 < v1 <= 1024
        centre = flight.store.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
        assert [target.latitude, target.longitude] == pytest.approx(centre.tolist(), abs=1e-9)
        south, west, north, east = target.bounds
        assert south < target.latitude < north and west < target.longitude < east
        assert 0 < target.score < 1 and 0.2 < target.position_std < 200


def test_many_clicks_equal_single_ones(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 75.0)
    together = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    for click, target in zip(CLICKS, together, strict=True):
        (single,) = localizer.locate(frame, [click], flight.camera, prior).targets
        assert single.bbox == pytest.approx(target.bbox, abs=0.05)
        assert single.score == pytest.approx(target.score, abs=1e-3)


def test_clicks_that_do_not_fit_into_memory_are_answered_in_turn(
    flight: Flight, localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, prior, _ = flight.shoot((500, 480), 75.0)
    together = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    monkeypatch.setattr("cvgeo_ros.localizer.localizer.HEAT_BYTES", 1)
    for one, other in zip(localizer.locate(frame, CLICKS, flight.camera, prior).targets, together, strict=True):
        assert one.click == other.click and one.bbox == pytest.approx(other.bbox, abs=0.05)


def test_no_clicks_give_no_targets(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    assert localizer.locate(frame, np.zeros((0, 2)), flight.camera, prior).targets == ()


def test_another_place_scores_lower(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 30.0)
    strange = Flight(texture(1024, seed=2), flight.store).shoot((500, 480), 30.0)[0]
    here = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    there = localizer.locate(strange, CLICKS, flight.camera, prior).targets
    assert min(t.score for t in here) > max(t.score for t in there)


def test_tile_features_are_computed_once(flight: Flight, localizer: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    localizer.locate(frame, CLICKS, flight.camera, prior)
    monkeypatch.setattr(localizer.model, "encode_tile", lambda *_: pytest.fail("encoded again"))
    localizer.locate(frame, CLICKS, flight.camera, prior)
    moved, prior, _ = flight.shoot((520, 470), 10.0)
    localizer.locate(moved, CLICKS, flight.camera, prior)


@pytest.mark.parametrize("click, match", [([np.nan, 5], "click 1 .*not a number"), ([961, 5], "click 1 .*outside")])
def test_bad_clicks_are_named(flight: Flight, localizer: Localizer, click: list[float], match: str) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    with pytest.raises(ClickError, match=match):
        localizer.locate(frame, [CLICKS[0], click], flight.camera, prior)


@pytest.mark.parametrize("clicks", [[1.0, 2.0, 3.0], [[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0], [3.0]], [["a", "b"]]])
def test_clicks_that_are_no_pairs_are_refused(flight: Flight, localizer: Localizer, clicks: list) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    with pytest.raises(ClickError, match="clicks"):
        localizer.locate(frame, clicks, flight.camera, prior)


def test_a_click_on_the_border_counts_as_inside(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    assert len(localizer.locate(frame, [[960.0, 540.0]], flight.camera, prior).targets) == 1


def test_clicks_on_the_sky_are_refused(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), pitch=-20.0)
    with pytest.raises(ClickError, match="horizon"):
        localizer.locate(frame, [[480.0, 2.0]], flight.camera, replace(prior, pitch=np.radians(-5.0)))


def test_frames_that_are_no_rgb_images_are_refused(flight: Flight, localizer: Localizer) -> None:
    for shape, kind in (((540, 960), np.uint8), ((540, 960, 4), np.uint8), ((540, 960, 3), np.float32)):
        with pytest.raises(ImageError, match=r"expected .*uint8"):
            localizer.locate(np.zeros(shape, kind), CLICKS, None, Prior())  # type: ignore[arg-type]


def test_a_position_outside_the_map_is_an_error(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480))
    for latitude in (46.5, -30.0):
        with pytest.raises(MapError, match=r"outside|far from"):
            localizer.locate(frame, CLICKS, flight.camera, replace(prior, latitude=latitude))


def test_without_a_tile_the_error_says_what_to_do(flight: Flight, localizer: Localizer) -> None:
    fresh = Localizer(localizer.model)
    for tile in (None, flight.store, None):  # as made, and once a tile was taken away again
        fresh.set_tile(tile)
        assert fresh.tile is tile
    with pytest.raises(MapError, match="no map is loaded"):
        fresh.locate(np.zeros((90, 160, 3), np.uint8), [[5, 5]])


def test_memory_is_bounded(flight: Flight, localizer: Localizer) -> None:
    small = Localizer(localizer.model, cache_bytes=2 << 20)
    small.set_tile(flight.store)
    frame, prior, _ = flight.shoot((300, 300), height=40.0)
    small.locate(frame, [[480.0, 270.0]], flight.camera, replace(prior, position_radius=10.0))
    small.prepare()
    assert small._placer is not None and small._placer.cache.bytes <= 2 << 20
    with pytest.raises(MapError, match="larger cache"):
        small.locate(frame, [[480.0, 270.0]], flight.camera, replace(prior, latitude=None, longitude=None))


def test_a_new_tile_replaces_the_old_one(flight: Flight, localizer: Localizer, tmp_path: Path) -> None:
    image = texture(1024, seed=8)
    other = open_store(write_map(tmp_path / "other.tif", image))
    swapped = Localizer(localizer.model)
    swapped.set_tile(flight.store)
    frame, prior, to_frame = Flight(image, other).shoot((500, 480))
    before = swapped.locate(frame, CLICKS, flight.camera, prior)
    swapped.set_tile(other)
    after = swapped.locate(frame, CLICKS, flight.camera, prior)
    assert after.tile_id != before.tile_id
    assert np.median(errors(flight, after.targets, to_frame)) < 6.0


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(WeightsError, match="device 'abacus'"):
        Localizer.load("nano", device="abacus")
