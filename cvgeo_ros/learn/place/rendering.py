"""The rendered set: places of towns with landmarks, each seen by satellite, by drone and from the street, with facts.

A folder holds ``worlds/<seed>.json`` with the facts of that world's pictures, ``images/`` and ``places.json``, which
gives each picture its captions::

    [{"image": "images/900000-3-drone.jpg", "platform": "drone", "world": 900000, "place": "900000-3",
      "gsd": metres per pixel (null from the street; of a drone in the middle of its frame), "captions": [three]}]

The satellite pictures are of another day than the others. Captions follow from facts and words alone: they are written
anew by ``write_captions`` without rendering.

Convention:
    Pictures are 256 x 256 px; satellite pictures have north up.
"""

import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import SceneError
from cvgeo_ros.geo.camera import Attitude, PinholeCamera
from cvgeo_ros.learn.place.captions import WORDINGS, captions_of
from cvgeo_ros.learn.place.facts import WEIGHTS, Facts
from cvgeo_ros.learn.place.looking import read_facts
from cvgeo_ros.learn.place.phrases import Wording
from cvgeo_ros.learn.place.surroundings import Scenery
from cvgeo_ros.learn.scenes.dataset import write_jpeg
from cvgeo_ros.learn.scenes.ground import Walker, draw_walker, photograph, render_ground
from cvgeo_ros.learn.scenes.light import Daylight, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, project, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.street import Stage
from cvgeo_ros.learn.scenes.town import SEASONS, build_world
from cvgeo_ros.learn.scenes.world import World

SIZE = 256  # px
TRAINING_CAPTIONS = 9
"""Of a picture; held-out ones have three."""
FIRST_SEEDS = {"train": 800_000, "val": 880_000, "test": 900_000}

_EXTENT = 700.0
_RESOLUTION = 0.3
_PLACES = 12
_APART = 115.0
_MIDDLE = 245.0  # places lie within this of the world's middle, m
_SIGHT = 210.0  # what is farther than this from a walker is left out, m; high things are seen twice as far
_HIGH = 16.0
_QUALITY = 90

Item = dict[str, Any]


def render_set(
    folder: Path, split: str, places: int, workers: int = 1, progress: Callable[[int], None] | None = None
) -> list[Item]:
    """Render at least ``places`` places; worlds that are there already are kept, so a stopped run goes on.

    Args:
        folder: Where the set is written.
        split: Key of FIRST_SEEDS: gives the seeds of the worlds and the wording of the captions.
        places: How many at least.
        workers: Processes; each keeps one core busy.
        progress: Called with the number of places that are there.

    Returns:
        The entries of ``places.json``, which is written anew, as a whole, whenever a world is finished.

    Raises:
        SceneError: ``split`` is unknown.
    """
    if split not in FIRST_SEEDS:
        raise SceneError(f"{split!r} is no split; it is one of {', '.join(FIRST_SEEDS)}")
    for name in ("images", "worlds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    known: dict[str, list[Item]] = {}
    items = write_captions(folder, split, known)
    seed = FIRST_SEEDS[split]
    if len(items) // 3 >= places:
        return items
    with multiprocessing.get_context("spawn").Pool(workers, partial(cv2.setNumThreads, 1)) as pool:
        while len(items) // 3 < places:
            lacking = -(-(places - len(items) // 3) // _PLACES)
            fresh: list[int] = []
            while len(fresh) < lacking:
                if not _record(folder, seed).exists():
                    fresh.append(seed)
                seed += 1
            for _ in pool.imap_unordered(partial(write_world, folder), fresh):
                items = write_captions(folder, split, known)
                if progress is not None:
                    progress(len(items) // 3)
    return items


def write_captions(folder: Path, split: str, known: dict[str, list[Item]] | None = None) -> list[Item]:
    """Write ``places.json`` of all worlds that are there, and return its entries.

    Args:
        folder: The set.
        split: Gives the wording.
        known: Entries by world that need not be written anew; new ones are added.
    """
    wording, count = (WORDINGS["held-out"], 3) if split == "test" else (WORDINGS["training"], TRAINING_CAPTIONS)
    known = {} if known is None else known
    for record in sorted((folder / "worlds").glob("*.json")):
        if record.stem not in known:
            known[record.stem] = [_captioned(entry, wording, count) for entry in json.loads(record.read_text())]
    items = [item for name in sorted(known) for item in known[name]]
    _write_whole(folder / "places.json", json.dumps(items, indent=0))
    return items


def _captioned(entry: Item, wording: Wording, count: int) -> Item:
    facts = Facts.model_validate(entry["facts"])
    rng = np.random.default_rng([entry["world"], *entry["image"].encode()])
    told = {key: value for key, value in entry.items() if key != "facts"}
    return {**told, "captions": captions_of(facts, wording, rng, count)}


def write_world(folder: Path, seed: int) -> None:
    """Render the places of one world; its record appears once all its pictures are there."""
    rng = np.random.default_rng([seed, 31])
    world = build_world(seed, _EXTENT, landmarks=True)
    amount = float(rng.uniform(0, 0.05))
    then = world.aged(rng, amount, world.season if rng.random() < 0.3 else str(rng.choice(SEASONS)))
    now = world.aged(rng, amount, world.season)
    centres = draw_places(world, rng)
    entries: list[Item] = []

    def keep(index: int, platform: str, image: NDArray[np.uint8], gsd: float | None, facts: Facts) -> None:
        name = f"images/{seed}-{index}-{platform}.jpg"
        write_jpeg(folder / name, image, _QUALITY)
        entry = {"image": name, "platform": platform, "world": seed, "place": f"{seed}-{index}"}
        entries.append({**entry, "gsd": gsd, "facts": facts.model_dump()})

    lit = illuminate(rasterise(then, _RESOLUTION), Daylight.draw(rng))
    scenery = Scenery(then)
    lean = rng.uniform(0, 0.2) * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
    for index, centre in enumerate(centres):
        gsd = float(np.exp(rng.uniform(np.log(100), np.log(240)))) / SIZE
        x, y = centre + rng.normal(0, 0.06, 2) * gsd * SIZE
        satellite = Satellite(SIZE, SIZE, gsd, (float(lean[0]), float(lean[1])), (float(x), float(y)))
        view = render(satellite, lit, then, 1.5)
        picture = Sensor.satellite(rng).expose(view.image, rng)
        facts = read_facts(view, picture, partial(project, satellite), scenery, "satellite")
        keep(index, "satellite", picture, gsd, facts)

    lit, scenery = illuminate(rasterise(now, _RESOLUTION), Daylight.draw(rng)), Scenery(now)
    for index, centre in enumerate(centres):
        drone = draw_drone(rng, centre)
        view = render(drone, lit, now, 1.5)
        steep = drone.attitude.pitch < np.radians(-72)
        picture = Sensor.drone(rng).expose(view.image, rng)
        facts = read_facts(view, picture, partial(project, drone), scenery, "drone", steep)
        keep(index, "drone", picture, _middle_gsd(drone), facts)

    stage = Stage.of(now, lit)
    for index, centre in enumerate(centres):
        walker = _draw_walker(rng, stage, centre)
        near = replace(stage, world=_around(now, walker.x, walker.y))
        view, _ = render_ground(walker, near)
        picture = photograph(view.image, rng)
        keep(index, "ground", picture, None, read_facts(view, picture, walker.project, scenery, "ground"))
    _write_whole(_record(folder, seed), json.dumps(entries))


def draw_places(world: World, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Draw places (x, y) at least 115 m apart, each with a street near by, half of them at something unusual."""
    unusual = [
        item.corners[:, :2].mean(axis=0)
        for item in world.objects.values()
        if item.cls not in ("house", "building", "shed", "barn", "pool", "river", "railway", "apartments")
    ]
    streets = np.concatenate([street.points for street in world.streets])
    found: list[NDArray[np.float64]] = []
    for _ in range(600):
        if unusual and rng.random() < 0.5:
            place = unusual[int(rng.integers(len(unusual)))] + rng.normal(0, 18, 2)
        else:
            place = rng.uniform(-_MIDDLE, _MIDDLE, 2)
        if (
            np.abs(place).max() < _MIDDLE
            and all(np.hypot(*(place - other)) > _APART for other in found)
            and np.hypot(*(streets - place).T).min() < 70
        ):
            found.append(place)
        if len(found) == _PLACES:
            break
    return found


def draw_drone(rng: np.random.Generator, target: NDArray[np.float64]) -> Drone:
    """Draw a drone 50 to 130 m high that looks at a place, 35 to 90 degrees down, and little beyond the world's rim."""
    fallback = None
    for _ in range(60):
        altitude = float(rng.uniform(50, 130))
        fov = float(np.radians(rng.uniform(50, 74)))
        pitch = -np.pi / 2 if rng.random() < 0.2 else float(np.radians(rng.uniform(-82, -35)))
        camera = PinholeCamera.from_hfov(SIZE, SIZE, fov)
        attitude = Attitude(float(rng.uniform(-np.pi, np.pi)), pitch, float(np.radians(rng.normal(0, 1.0))))
        ahead = np.array([np.cos(attitude.yaw), np.sin(attitude.yaw)])
        x, y = target + rng.normal(0, 8, 2) - ahead * altitude / np.tan(-pitch)
        drone = Drone(camera, attitude, float(x), float(y), altitude)
        top = -pitch - fov / 2
        far = target + ahead * (altitude / np.tan(top) - altitude / np.tan(-pitch)) if top > 0.15 else None
        if far is None or altitude / np.tan(top) > 330:
            continue
        if np.abs(far).max() < _EXTENT / 2:
            return drone
        fallback = drone
    if fallback is None:
        camera = PinholeCamera.from_hfov(SIZE, SIZE, np.radians(60))
        fallback = Drone(camera, Attitude(0.0, -np.pi / 2), float(target[0]), float(target[1]), 90.0)
    return fallback


def _middle_gsd(drone: Drone) -> float:
    """Metres a pixel across the view, in the frame's middle."""
    return float(drone.altitude / np.sin(-drone.attitude.pitch) / drone.camera.fx)


def _draw_walker(rng: np.random.Generator, stage: Stage, centre: NDArray[np.float64]) -> Walker:
    """Draw a walker near a place: of several that are drawn, the one before whom most is to be seen."""
    camera = PinholeCamera.from_hfov(SIZE, SIZE, float(np.radians(rng.uniform(62, 84))))
    about = (float(centre[0]), float(centre[1]))
    local = replace(stage, world=_around(stage.world, *about))
    found: list[Walker] = []
    for reach in (45.0, 70.0, 110.0, 200.0):
        drawn = (draw_walker(rng, local, camera, reach, about) for _ in range(14))
        found = [walker for walker in drawn if walker is not None]
        if found:
            break
    if not found:  # every spot of every street is taken
        return Walker(*about, 1.8, float(rng.uniform(-np.pi, np.pi)), 0.0, camera)
    surface = stage.full.surface
    objects = [item for item in local.world.objects.values() if WEIGHTS.get(item.cls, 0) > 1]
    middles = np.array([item.corners[:, :2].mean(axis=0) for item in objects])
    weights = np.array([max(0.3, WEIGHTS[item.cls] - 2) for item in objects])
    tall = np.array([item.height > _HIGH for item in objects])

    def height(walker: Walker, targets: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height of what stands in the way from a walker to targets (N, 2), at shares of the way."""
        here = np.array([walker.x, walker.y])
        way = here + (targets - here)[:, None] * shares[None, :, None]
        return surface.height[surface.cell(way[:, :, 0], way[:, :, 1])].max(axis=1)

    def interest(walker: Walker) -> float:
        offset = middles - (walker.x, walker.y)
        far = np.hypot(*offset.T)
        turn = (np.arctan2(offset[:, 1], offset[:, 0]) - walker.yaw + np.pi) % (2 * np.pi) - np.pi
        ahead = np.flatnonzero((np.abs(turn) < 0.42 * camera.hfov) & (far > 9) & (far < 100))
        open_way = (height(walker, middles[ahead], np.linspace(0.1, 0.6, 8)) < 2.5) | tall[ahead]
        before = np.array([[walker.x + 15 * np.cos(walker.yaw), walker.y + 15 * np.sin(walker.yaw)]])
        blocked = 0.3 if height(walker, before, np.linspace(0.3, 1, 6))[0] > 2.2 else 1.0
        seen = weights[ahead] * open_way / np.maximum(far[ahead], 25)
        return float((0.01 + seen.sum()) * rng.uniform(0.7, 1.3) * blocked)

    return max(found, key=interest)


def _around(world: World, x: float, y: float) -> World:
    """Return what a walker at (x, y) can see of a world."""
    here = np.array([x, y])

    def near(place: NDArray[np.float64], height: float = 0.0) -> bool:
        return bool(np.hypot(*(place - here)) < (2 * _SIGHT if height > _HIGH else _SIGHT))

    return replace(
        world,
        buildings=tuple(b for b in world.buildings if near(b.roofs[0].box.centre, b.height)),
        trees=tuple(t for t in world.trees if near(np.array([t.x, t.y]))),
        vehicles=tuple(v for v in world.vehicles if near(v.box.centre)),
    )


def _record(folder: Path, seed: int) -> Path:
    return folder / "worlds" / f"{seed}.json"


def _write_whole(path: Path, text: str) -> None:
    partial_path = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial_path.write_text(text)
    partial_path.replace(path)
