"""Views from the street: every pixel's truth agrees with the world's geometry."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.learn.scenes.fan import SKY
from cvgeo_ros.learn.scenes.ground import Walker, draw_walker, ground_sightings, photograph, render_ground
from cvgeo_ros.learn.scenes.layout import Box
from cvgeo_ros.learn.scenes.light import Daylight, illuminate
from cvgeo_ros.learn.scenes.raster import BUILDING, GROUND, VEHICLE, rasterise
from cvgeo_ros.learn.scenes.render import View
from cvgeo_ros.learn.scenes.solids import Solid
from cvgeo_ros.learn.scenes.street import Stage
from cvgeo_ros.learn.scenes.town import build_world
from cvgeo_ros.learn.scenes.world import Roof

LIGHT = Daylight(-1.2, 0.9, 0.5, 0.3, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
LENS = PinholeCamera.from_hfov(320, 240, 1.3)
EACH = pytest.mark.parametrize("lens", [LENS, None], ids=["perspective", "panorama"])


@cache
def stage() -> Stage:
    world = build_world(3, 200.0, "european_town")
    return Stage.of(world, illuminate(rasterise(world, 0.25), LIGHT))


@cache
def sight(lens: PinholeCamera | None) -> tuple[Walker, View, NDArray[np.float64]]:
    walker = draw_walker(np.random.default_rng(5), stage(), lens, reach=60.0)
    assert walker is not None
    walker = replace(walker, pitch=0.1 if lens else 0.0)
    return walker, *render_ground(walker, stage())


@EACH
def test_points_lie_on_their_pixels_rays(lens: PinholeCamera | None) -> None:
    walker, view, _ = sight(lens)
    rows, columns = np.nonzero(view.kind != SKY)
    assert len(rows) > view.kind.size / 4
    uv = np.stack([columns + 0.5, rows + 0.5], 1)
    points = view.points[rows, columns]
    assert np.isfinite(points).all()
    offset = np.abs(walker.project(points) - uv)
    width = walker.size[0]
    offset[:, 0] = np.minimum(offset[:, 0], width - offset[:, 0]) if lens is None else offset[:, 0]
    # At the nadir of a panorama all columns are one place.
    level = np.ones(len(rows), bool) if lens else np.abs(rows - 128) < 110
    assert offset[level].max() < 0.8
    back = walker.project(np.array([walker.x, walker.y, walker.eye]) + 7 * walker.rays(uv))
    assert np.abs(back - uv).max() < 1e-6


@EACH
def test_nothing_stands_before_what_is_seen(lens: PinholeCamera | None) -> None:
    walker, view, _ = sight(lens)
    rows, columns = (index[::101] for index in np.nonzero(np.ones_like(view.wall)))
    points = view.points[rows, columns].astype(float)
    eye = np.array([walker.x, walker.y, walker.eye])
    sky = view.kind[rows, columns] == SKY
    rays = walker.rays(np.stack([columns + 0.5, rows + 0.5], 1))
    points[sky] = eye + 150 * rays[sky]
    way = np.linspace(0, 1, 40)[:, None, None]
    # A fan's ray and the centre of a pixel differ by half a ray: only what is hit by a good margin counts.
    steps = (eye + way * (points - eye)).reshape(-1, 3)
    steps = steps[np.linalg.norm(steps - np.tile(points, (40, 1)), axis=1) > 0.5]
    for building in stage().world.buildings:
        for roof in building.roofs:
            planes = Solid.of_roof(roof).planes
            assert not (steps @ planes[:, :3].T < planes[:, 3] - 0.3).all(axis=1).any()


@EACH
def test_buildings_are_seen_where_they_stand(lens: PinholeCamera | None) -> None:
    _, view, _ = sight(lens)
    buildings = {building.id: building for building in stage().world.buildings}
    seen = np.unique(view.ids[(view.kind == BUILDING) & view.wall])
    assert len(seen) > 3
    for key in seen:
        points = view.points[(view.ids == key) & view.wall].astype(float)
        inside = np.zeros(len(points), bool)
        for roof in buildings[int(key)].roofs:
            planes = Solid.of_roof(roof).planes
            distance = (points @ planes[:, :3].T - planes[:, 3]).max(axis=1)
            inside |= np.abs(distance) < 0.02
        assert inside.all()


@EACH
def test_ground_is_what_the_map_shows(lens: PinholeCamera | None) -> None:
    _, view, _ = sight(lens)
    surface = stage().bare.surface
    ground = (view.kind == GROUND) & (np.abs(view.points[:, :, :2]) < 99).all(axis=2)
    x, y, z = view.points[ground].T
    assert len(x) > 5000 and np.abs(z).max() < 1e-3
    cell = surface.cell(x, y)
    free = surface.kind[cell] == GROUND
    assert free.mean() > 0.99
    assert np.array_equal(view.ids[ground][free], surface.ids[cell][free])


@EACH
def test_clicks_from_the_street_hit_their_objects(lens: PinholeCamera | None) -> None:
    _, view, shares = sight(lens)
    seen = ground_sightings(view, shares)
    assert len(seen) > 2
    for item in seen:
        assert view.ids[int(item.click[1]), int(item.click[0])] == item.id
        assert 0 < item.visible <= 1
    assert min(item.visible for item in seen) < 0.9 < max(item.visible for item in seen)


def test_hidden_shares_shrink_when_something_stands_before() -> None:
    walker, view, shares = sight(None)
    front = np.bincount(view.ids[view.wall]).argmax()
    world = stage().world
    kept = replace(world, buildings=tuple(b for b in world.buildings if b.id != front))
    free = render_ground(walker, replace(stage(), world=kept))[1]
    others = np.arange(len(shares)) != front
    assert (free[others] >= shares[others]).all()
    assert (free[others] > shares[others] + 0.05).any()


def test_a_panorama_closes_at_its_seam() -> None:
    _, view, _ = sight(None)
    assert (view.kind[:, 0] == view.kind[:, -1]).mean() > 0.95
    assert np.abs(view.image[:, 0].astype(int) - view.image[:, -1]).mean() < 12


def test_a_walker_stands_free_on_a_street() -> None:
    world, surface = stage().world, stage().full.surface
    for seed in range(20):
        walker = draw_walker(np.random.default_rng(seed), stage(), LENS)
        assert walker is not None and 1.6 <= walker.eye <= 2.5
        row, column = surface.cell(walker.x, walker.y)
        assert surface.height[row, column] == 0
        place = np.array([walker.x, walker.y])
        assert any(np.linalg.norm(s.points - place, axis=1).min() < s.width / 2 + 6 for s in world.streets)


def test_one_seed_gives_one_street_view() -> None:
    walker, view, shares = sight(LENS)
    again, same = render_ground(walker, stage())
    assert np.array_equal(again.image, view.image) and np.array_equal(shares, same)
    first, second = (photograph(view.image, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_street_shows_sky_walls_ground_and_vehicles() -> None:
    kinds = set(np.unique(sight(None)[1].kind))
    assert {GROUND, BUILDING, VEHICLE, SKY} <= kinds


@pytest.mark.parametrize("kind", ["flat", "gable", "hip", "shed"])
def test_solids_have_the_heights_that_are_drawn(kind: str) -> None:
    roof = Roof(
        Box(np.array([2.0, -3.0]), 0.4, 16.0, 9.0), kind, 5.0, 0.0 if kind == "flat" else 3.0, (1, 1, 1), "tile"
    )
    world = build_world(3, 60.0, "village")
    building = replace(stage().world.buildings[0], roofs=(roof,), clutter=())
    surface = rasterise(replace(world, buildings=(building,), trees=(), vehicles=(), patches=()), 0.25)
    rows, columns = np.nonzero(surface.kind == BUILDING)
    x, y = (columns + 0.5) * 0.25 - 30, 30 - (rows + 0.5) * 0.25
    planes = Solid.of_roof(roof).planes
    up = planes[:, 2] > 0
    height = ((planes[up, 3] - np.outer(x, planes[up, 0]) - np.outer(y, planes[up, 1])) / planes[up, 2]).min(axis=1)
    assert len(rows) > 2000
    assert np.abs(height - surface.height[rows, columns]).max() < 1e-3
