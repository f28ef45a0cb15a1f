"""Rendered sets: facts say what the pictures show, sets are complete, repeatable and go on where they stopped."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import SceneError
from cvgeo_ros.geo.camera import Attitude, PinholeCamera
from cvgeo_ros.learn.place import rendering
from cvgeo_ros.learn.place.facts import Facts
from cvgeo_ros.learn.place.looking import read_facts
from cvgeo_ros.learn.place.rendering import draw_drone, draw_places, render_set, write_captions, write_world
from cvgeo_ros.learn.place.sheet import draw_sheet
from cvgeo_ros.learn.place.surroundings import Scenery
from cvgeo_ros.learn.scenes import landmark_buildings, landmark_sites
from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.ground import Walker, render_ground
from cvgeo_ros.learn.scenes.halls import apartment_slab
from cvgeo_ros.learn.scenes.houses import detached_house
from cvgeo_ros.learn.scenes.layout import Bend, Box, densify, ellipse
from cvgeo_ros.learn.scenes.light import Daylight, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, project, render
from cvgeo_ros.learn.scenes.street import Stage
from cvgeo_ros.learn.scenes.town import build_world
from cvgeo_ros.learn.scenes.world import Street, Vehicle, World

LIGHT = Daylight(-1.2, 0.9, 0.5, 0.3, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
SATELLITE = Satellite(256, 256, 200 / 256)


def world(*, tower: bool = True, cars: int = 3) -> World:
    """A meadow of 300 m: a round pond in the north-west, a dome in the south-east, a street and houses between."""
    still = Bend(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)))
    builder = WorldBuilder(np.random.default_rng(4), still, unique=True)
    builder.patch(ellipse(np.zeros(2), 300, 300, 0.0, np.zeros(1)), "meadow", bent=True)
    landmark_sites.round_pond(builder, Box(np.array([-60.0, 60.0]), 0.0, 50.0, 50.0))
    if tower:
        landmark_buildings.domed_hall(builder, Box(np.array([60.0, -60.0]), 0.0, 44.0, 44.0))
    for x in (-60.0, -30.0, 0.0, 30.0, 60.0):
        detached_house(builder, Box(np.array([x, 16.0]), 0.0, 12.0, 9.0))
    apartment_slab(builder, Box(np.array([-50.0, -70.0]), 0.0, 50.0, 12.0), 6)
    street = Street(densify(np.array([[-140.0, 0.0], [140.0, 0.0]]), closed=False), 12.0)
    vehicles = tuple(
        Vehicle(Box(np.array([8.0 * i - 8, 2.0]), 0.0, 4.4, 1.8), 1.6, (150.0, 36.0, 34.0)) for i in range(cars)
    )
    return World(
        300.0,
        "summer",
        4,
        tuple(builder.patches),
        (),
        tuple(builder.buildings),
        (),
        vehicles,
        (),
        builder.objects,
        (street,),
    )


def facts_from_above(scene: World, satellite: Satellite = SATELLITE) -> Facts:
    view = render(satellite, illuminate(rasterise(scene, 0.4), LIGHT), scene, 1.5)
    return read_facts(view, view.image, partial(project, satellite), Scenery(scene), "satellite")


def test_facts_from_above() -> None:
    facts = facts_from_above(world())
    things = {thing.name: thing for thing in facts.things}
    pond, dome = things["round pond"].place, things["domed hall"].place
    assert pond is not None and np.hypot(*np.subtract(pond, (0.2, 0.2))) < 0.03
    assert dome is not None and np.hypot(*np.subtract(dome, (0.8, 0.8))) < 0.06
    assert things["apartments"].count == 1
    assert facts.buildings == 7  # five houses, a slab and the dome
    assert facts.vehicles == 3
    assert facts.road is not None and (facts.road.width, facts.road.run) == ("wide", "across")
    assert "green grass" in facts.cover and "no trees" in facts.cover
    assert sum(share for _, share in facts.roofs) <= 1.0 and facts.roofs
    directions = {(facts.things[r.first].name, facts.things[r.second].name): r.direction for r in facts.relations}
    assert directions["round pond", "domed hall"] == "above left"
    assert directions["domed hall", "round pond"] == "below right"


def test_only_what_shows_is_told() -> None:
    corner = replace(SATELLITE, width=128, height_px=128, centre=(-50.0, 50.0))
    facts = facts_from_above(world(), corner)
    assert {thing.name for thing in facts.things} >= {"round pond"}
    assert "domed hall" not in {thing.name for thing in facts.things}
    assert "domed hall" not in {thing.name for thing in facts_from_above(world(tower=False)).things}
    assert facts_from_above(world(cars=0)).vehicles == 0


def test_a_drone_tells_left_from_right_by_its_own_heading() -> None:
    scene = world()
    lit = illuminate(rasterise(scene, 0.4), LIGHT)
    camera = PinholeCamera.from_hfov(256, 256, np.radians(66))
    places = {}
    for name, yaw in (("north", np.pi / 2), ("south", -np.pi / 2)):
        drone = Drone(camera, Attitude(yaw, -np.pi / 2), 0.0, 0.0, 150.0)
        view = render(drone, lit, scene, 1.5)
        facts = read_facts(view, view.image, partial(project, drone), Scenery(scene), "drone")
        places[name] = next(thing.place for thing in facts.things if thing.name == "round pond")
    assert places["north"][0] < 0.35 and places["north"][1] < 0.35
    assert places["south"][0] > 0.65 and places["south"][1] > 0.65


def test_facts_from_the_street() -> None:
    scene = world()
    stage = Stage.of(scene, illuminate(rasterise(scene, 0.4), LIGHT))
    camera = PinholeCamera.from_hfov(256, 256, np.radians(75))
    walker = Walker(-60.0, -20.0, 1.7, -np.pi / 2 + 0.3, 0.05, camera)
    view, _ = render_ground(walker, stage)
    facts = read_facts(view, view.image, walker.project, Scenery(scene), "ground")
    assert facts.facades[0].name == "apartments" and facts.facades[0].storeys == 6
    assert facts.facades[0].place is not None and facts.facades[0].place[0] > 0.4
    assert facts.roofs == () and facts.road is None


def test_a_car_close_by_is_told_with_its_colour() -> None:
    scene = world()
    stage = Stage.of(scene, illuminate(rasterise(scene, 0.4), LIGHT))
    camera = PinholeCamera.from_hfov(256, 256, np.radians(75))
    for y, colour in ((-8.0, "red"), (-80.0, None)):
        walker = Walker(0.0, y, 1.7, np.pi / 2, 0.0, camera)
        view, _ = render_ground(walker, stage)
        assert read_facts(view, view.image, walker.project, Scenery(scene), "ground").car == colour


def test_places_lie_apart_and_at_streets() -> None:
    town = build_world(800_001, 700.0, "suburb", landmarks=True)
    places = draw_places(town, np.random.default_rng(0))
    streets = np.concatenate([street.points for street in town.streets])
    assert len(places) >= 8
    for index, place in enumerate(places):
        assert all(np.hypot(*(place - other)) > 115 for other in places[:index])
        assert np.hypot(*(streets - place).T).min() < 70


def test_drones_look_at_their_place_and_not_beyond_the_world() -> None:
    rng = np.random.default_rng(1)
    steep = 0
    for _ in range(60):
        target = rng.uniform(-200, 200, 2)
        drone = draw_drone(rng, target)
        u, v = project(drone, np.array([[*target, 0.0]]))[0]
        assert 0 < u < 256 and 0 < v < 256
        assert 50 <= drone.altitude <= 130
        assert -90 <= np.degrees(drone.attitude.pitch) <= -35
        steep += np.degrees(drone.attitude.pitch) < -80
    assert 5 < steep < 45


def small_towns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_EXTENT", 320.0)
    monkeypatch.setattr(rendering, "_MIDDLE", 80.0)
    monkeypatch.setattr(rendering, "_PLACES", 2)
    monkeypatch.setattr(rendering, "_RESOLUTION", 0.5)


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_towns(monkeypatch)
    for name in ("images", "worlds"):
        (tmp_path / name).mkdir()
    write_world(tmp_path, 900_500)
    return tmp_path


def test_a_set_has_three_pictures_a_place_with_three_captions(
    rendered: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert all(
        len({*item["captions"]}) > 5 and len(item["captions"]) == 9 for item in write_captions(rendered, "train")
    )
    items = write_captions(rendered, "test")
    assert items == json.loads((rendered / "places.json").read_text())
    assert [item["platform"] for item in items].count("satellite") == len(items) // 3 >= 1
    for item in items:
        picture = cv2.imread(str(rendered / item["image"]))
        assert picture is not None and picture.shape == (256, 256, 3) and picture.std() > 5
        assert len({*item["captions"]}) == 3
        assert (item["gsd"] is None) == (item["platform"] == "ground")
        assert item["place"].startswith("900500-") and item["world"] == 900_500
    assert all(100 / 256 <= i["gsd"] <= 240 / 256 for i in items if i["platform"] == "satellite")
    assert not list(rendered.rglob("*.partial"))
    again = tmp_path_factory.mktemp("again")
    for name in ("images", "worlds"):
        (again / name).mkdir()
    write_world(again, 900_500)
    assert write_captions(again, "test") == items
    assert write_captions(again, "train") != items
    for item in items:
        assert (again / item["image"]).read_bytes() == (rendered / item["image"]).read_bytes()


def test_a_set_that_is_complete_is_not_rendered_again(rendered: Path) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in rendered.glob("*/*")}
    items = render_set(rendered, "test", 1)
    assert len(items) >= 3
    assert stamps == {path: path.stat().st_mtime_ns for path in rendered.glob("*/*")}


def test_a_sheet_shows_places_with_captions(rendered: Path, tmp_path: Path) -> None:
    write_captions(rendered, "test")
    sheet = draw_sheet(rendered, 1)
    assert sheet.shape[1] > 3 * 256 and (sheet < 60).any() and sheet.std() > 20
    with pytest.raises(SceneError, match="none from 99 on"):
        draw_sheet(rendered, 1, 99)
    with pytest.raises(SceneError, match=r"no places\.json"):
        draw_sheet(tmp_path / "elsewhere")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="train, val, test"):
        render_set(tmp_path, "dev", 1)
