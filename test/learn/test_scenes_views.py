"""Rendered views: deterministic, and their truth agrees with what the pixels show."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.learn.scenes.light import Daylight, LitSurface, illuminate
from cvgeo_ros.learn.scenes.raster import BUILDING, TREE, rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, View, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.town import THEMES, build_world
from cvgeo_ros.learn.scenes.truth import boxes, correspondences, ground_to_satellite, sightings
from cvgeo_ros.learn.scenes.world import World

LIGHT = Daylight(-1.2, 0.9, 0.5, 0.3, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
SATELLITE = Satellite(360, 360, 0.4, (0.15, -0.1))
CAMERA = PinholeCamera.from_hfov(320, 192, 1.15)
NADIR = Drone(CAMERA, Attitude(0.7), 10.0, -5.0, 90.0)
OBLIQUE = Drone(CAMERA, Attitude(-2.0, np.radians(-55.0), 0.03), 20.0, 40.0, 80.0)


@cache
def town(seed: int = 3) -> tuple[World, LitSurface]:
    world = build_world(seed, 200.0, "european_town")
    return world, illuminate(rasterise(world, 0.2), LIGHT)


@cache
def overhead() -> View:
    world, lit = town()
    return render(SATELLITE, lit, world, 2.0)


@cache
def frame(drone: Drone) -> View:
    world, lit = town()
    return render(drone, lit, world, 2.0)


def test_one_seed_gives_one_world_and_view() -> None:
    world = build_world(3, 200.0, "european_town")
    again = render(NADIR, illuminate(rasterise(world, 0.2), LIGHT), world, 2.0)
    assert np.array_equal(again.image, frame(NADIR).image)
    assert np.array_equal(again.ids, frame(NADIR).ids)


def test_seeds_differ() -> None:
    first, second = (rasterise(build_world(seed, 200.0), 0.8).albedo.astype(int) for seed in (1, 2))
    assert np.abs(first - second).mean() > 10


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_has_objects(theme: str) -> None:
    world = build_world(5, 300.0, theme)
    assert len(world.buildings) > 10
    assert all(building.id in world.objects for building in world.buildings)
    assert len({item.cls for item in world.objects.values()}) > 1


@pytest.mark.parametrize("drone", [NADIR, OBLIQUE], ids=["nadir", "oblique"])
def test_ground_homography_is_that_of_the_camera(drone: Drone) -> None:
    uv = np.array([[20.0, 100.0], [160.0, 96.0], [300.0, 180.0]])
    ground = frame_to_ground(drone.camera, drone.attitude, drone.altitude, uv) + np.array([drone.x, drone.y])
    wanted = np.stack([180 + ground[:, 0] / 0.4, 180 - ground[:, 1] / 0.4], 1)
    mapped = _apply(ground_to_satellite(drone, SATELLITE), uv)
    assert np.abs(mapped - wanted).max() < 1e-6


@pytest.mark.parametrize("drone", [NADIR, OBLIQUE], ids=["nadir", "oblique"])
def test_ground_pixels_lie_where_the_homography_says(drone: Drone) -> None:
    view = frame(drone)
    rows, columns = np.nonzero((view.points[:, :, 2] == 0) & ~view.wall)
    uv = np.stack([(columns + 0.5) / view.scale, (rows + 0.5) / view.scale], 1)
    target = _apply(ground_to_satellite(drone, SATELLITE), uv)
    x, y = view.points[rows, columns, :2].T
    inside = np.maximum(np.abs(x), np.abs(y)) < 100
    assert inside.sum() > 1000
    assert np.abs(target[inside] - np.stack([180 + x / 0.4, 180 - y / 0.4], 1)[inside]).max() < 0.1


def test_frame_shows_the_ground_that_the_satellite_shows() -> None:
    view, satellite_view = frame(NADIR), overhead()
    rows, columns = np.nonzero((view.points[:, :, 2] == 0) & ~view.wall)
    uv = np.stack([(columns + 0.5) / view.scale, (rows + 0.5) / view.scale], 1)
    there = _apply(ground_to_satellite(NADIR, SATELLITE), uv)
    inside = ((there > 2) & (there < 358)).all(1)
    r, c = satellite_view.sample(there[inside])
    ground = satellite_view.points[r, c, 2] == 0
    same = view.ids[rows, columns][inside][ground] == satellite_view.ids[r, c][ground]
    assert same.mean() > 0.98
    v, u = rows[inside][ground] // 2, columns[inside][ground] // 2
    target = np.clip(there[inside][ground].astype(int), 0, 359)
    seen = view.image[v, u].astype(float).mean(1)
    wanted = satellite_view.image[target[:, 1], target[:, 0]].astype(float).mean(1)
    assert np.corrcoef(seen, wanted)[0, 1] > 0.8


def test_boxes_hold_their_buildings_tightly() -> None:
    world, _ = town()
    view = overhead()
    checked = 0
    for key, (u0, v0, u1, v1) in boxes(world, SATELLITE).items():
        # What stands on a roof may lean out of its box.
        low = view.points[:, :, 2] < world.objects[key].height + 0.5
        rows, columns = np.nonzero((view.ids == key) & (view.kind == BUILDING) & low)
        if len(rows) < 150:
            continue
        u, v = (columns + 0.5) / view.scale, (rows + 0.5) / view.scale
        assert u.min() > u0 - 1 and u.max() < u1 + 1 and v.min() > v0 - 1 and v.max() < v1 + 1
        if checked < 30 and not (view.kind[rows.min() : rows.max(), columns.min() : columns.max()] == TREE).any():
            overlap = np.ptp(u) * np.ptp(v) / ((u1 - u0) * (v1 - v0))
            assert overlap > 0.5
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("drone", [NADIR, OBLIQUE], ids=["nadir", "oblique"])
def test_clicks_hit_their_objects(drone: Drone) -> None:
    world, lit = town()
    view = frame(drone)
    seen = sightings(view, drone, world, lit.surface)
    assert len(seen) > 5
    assert any(item.visible > 0.9 for item in seen)
    for item in seen:
        row, column = view.sample(np.array([item.click]))
        assert view.ids[row, column] == item.id
        assert not view.wall[row, column]
        assert 0 <= item.visible <= 1


def test_a_building_cut_by_the_rim_is_partly_visible() -> None:
    world, lit = town()
    view = frame(NADIR)
    rim = np.unique(np.concatenate([view.ids[0], view.ids[-1], view.ids[:, 0], view.ids[:, -1]]))
    inner = {item.id: item.visible for item in sightings(view, NADIR, world, lit.surface)}
    cut = [inner[key] for key in rim if key in inner]
    whole = [visible for key, visible in inner.items() if key not in rim]
    assert np.mean(cut) < 0.8 < np.mean(whole)


def test_correspondences_show_the_same_object() -> None:
    view, satellite_view = frame(OBLIQUE), overhead()
    matches = correspondences(view, satellite_view, SATELLITE)
    assert matches.shape == (24, 40, 2)
    v, u = np.nonzero(np.isfinite(matches[:, :, 0]))
    assert len(v) > 200
    here = view.sample(np.stack([u * 8 + 4.0, v * 8 + 4.0], 1))
    there = satellite_view.sample(matches[v, u].astype(float))
    assert np.array_equal(view.ids[here], satellite_view.ids[there])
    assert np.linalg.norm(view.points[here] - satellite_view.points[there], axis=1).max() < 1.5


def test_a_roof_moves_against_the_ground_by_lean_and_by_height() -> None:
    world, _ = town()
    tall = max(world.buildings, key=lambda b: b.height)
    item = world.objects[tall.id]
    straight = Satellite(360, 360, 0.4)
    u0, v0, u1, v1 = boxes(world, straight, 0.0).get(tall.id) or _box(item.corners, straight)
    leaning = _box(item.corners, SATELLITE)
    assert leaning[2] - u1 == pytest.approx(0.15 * tall.height / 0.4, abs=3)
    assert v1 - v0 > 0 and u1 - u0 > 0


def test_ageing_keeps_ids_and_drops_the_demolished() -> None:
    world, _ = town()
    later = world.aged(np.random.default_rng(0), 0.3, "winter")
    assert 0 < len(later.buildings) < len(world.buildings)
    assert {b.id for b in later.buildings} == {b.id for b in world.buildings} & set(later.objects)
    for building in later.buildings:
        assert later.objects[building.id] is world.objects[building.id]
    assert [vehicle.colour for vehicle in later.vehicles] != [vehicle.colour for vehicle in world.vehicles]


def test_shadows_fall_away_from_the_sun() -> None:
    world, _ = town()
    surface = rasterise(world, 0.4)
    lit = illuminate(surface, Daylight(0.0, 0.6, 0.6, 0.2, (1, 1, 1), (1, 1, 1)))
    shaded = lit.shade > surface.height + 1.0
    rows, columns = np.nonzero(shaded[:, : shaded.shape[1] - 90])
    towards_sun = np.stack([surface.height[rows, columns + step] for step in range(1, 90)])
    rise = np.arange(1, 90)[:, None] * 0.4 * np.tan(0.6)
    assert ((towards_sun - rise).max(0) > surface.height[rows, columns]).mean() > 0.99


def test_sensors_keep_the_scene_recognisable() -> None:
    image = overhead().image
    rng = np.random.default_rng(1)
    for draw in (Sensor.satellite, Sensor.drone):
        seen = draw(rng).expose(image, rng)
        assert seen.shape == image.shape and seen.dtype == np.uint8
        assert np.corrcoef(seen.mean(2).ravel(), image.mean(2).ravel())[0, 1] > 0.7


def _apply(homography: NDArray[np.float64], uv: NDArray[np.float64]) -> NDArray[np.float64]:
    mapped = np.column_stack([uv, np.ones(len(uv))]) @ homography.T
    return mapped[:, :2] / mapped[:, 2:]


def _box(corners: NDArray[np.float64], satellite: Satellite) -> tuple[float, float, float, float]:
    u = satellite.width / 2 + (corners[:, 0] + satellite.lean[0] * corners[:, 2]) / satellite.gsd
    v = satellite.height_px / 2 - (corners[:, 1] + satellite.lean[1] * corners[:, 2]) / satellite.gsd
    return float(u.min()), float(v.min()), float(u.max()), float(v.max())
