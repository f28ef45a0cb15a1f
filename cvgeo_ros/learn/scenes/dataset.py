"""Training material: a rendered world as a satellite image, drone frames and their truth, in one folder.

``world.json`` in the folder of a seed::

    {"seed", "gsd", "sat": "sat.jpg",
     "views": [{"file", "ground_to_sat": 3x3, "matches", "yaw", "pitch", "roll", "height", "hfov",
                "objects": [{"id", "click": [u, v], "visible": 0..1}]}],
     "ground": [{"file", "projection": "perspective" or "panorama", "camera": [u, v], "yaw", "pitch", "height", "hfov",
                 "objects": as above}],
     "objects": [{"id", "class", "bbox": [u0, v0, u1, v1], "height"}]}

Convention:
    Pixels (u, v), centres at .5. ``ground_to_sat`` maps frame px to satellite px for points on the ground. Angles in
    degrees: yaw clockwise from north, pitch above the horizon, hfov; heights in metres. ``matches`` is a float32 .npy
    (h // 8, w // 8, 2): the satellite px of what the frame shows at the centre of each cell of 8 px, NaN where the
    satellite image does not show it. ``ground`` holds the views from streets; ``camera`` is where they were taken,
    satellite px, and their yaw is clockwise from north.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import Attitude, PinholeCamera
from cvgeo_ros.learn.scenes.ground import draw_walker, ground_sightings, photograph, render_ground
from cvgeo_ros.learn.scenes.light import Daylight, LitSurface, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, project, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.street import Stage
from cvgeo_ros.learn.scenes.town import SEASONS, build_world
from cvgeo_ros.learn.scenes.truth import boxes, correspondences, ground_to_satellite, sightings
from cvgeo_ros.learn.scenes.world import World

COVERED = 300.0
WALKER_SIZE = (640, 480)
WORLD_FILE = "world.json"


@dataclass(frozen=True)
class Options:
    """What to render of each world.

    Attributes:
        views: Drone frames a world.
        ground: Views from the street a world, every other one a panorama.
        frame_size: (width, height) of a frame, px.
        resolution: Side of the cells a world is drawn on, m.
        extent: Side of a world, m; what lies beyond the satellite image appears in oblique frames alone.
    """

    views: int = 2
    ground: int = 0
    frame_size: tuple[int, int] = (960, 540)
    resolution: float = 0.2
    extent: float = 360.0


def write_world(folder: Path, seed: int, options: Options = Options()) -> None:
    """Render one world into ``folder / str(seed)``; the folder appears only once it is complete."""
    rng = np.random.default_rng([seed, 1])
    world = build_world(seed, options.extent)
    amount = float(rng.uniform(0, 0.10))
    then = world.aged(rng, amount, world.season if rng.random() < 0.3 else str(rng.choice(SEASONS)))
    now = world.aged(rng, amount, world.season)

    partial = folder / f".{seed}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)

    surface = rasterise(then, options.resolution)
    gsd = float(rng.uniform(0.25, 0.4))
    side = round(COVERED / gsd)
    lean = rng.uniform(0, 0.22) * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
    satellite = Satellite(side, side, gsd, (float(lean[0]), float(lean[1])))
    overhead = render(
        satellite, illuminate(surface, Daylight.draw(rng)), then, max(1.0, gsd / options.resolution * 0.85)
    )
    write_jpeg(partial / "sat.jpg", Sensor.satellite(rng).expose(overhead.image, rng), 90)
    found = {key: box for key, box in boxes(then, satellite).items() if key in now.objects}

    surface = rasterise(now, options.resolution)
    lit = illuminate(surface, Daylight.draw(rng))
    style = Sensor.drone(rng)
    views: list[dict[str, Any]] = []
    for index in range(options.views):
        drone = draw_drone(rng, options.frame_size)
        view = render(drone, lit, now)
        name = f"view{index}"
        sensor = style if rng.random() < 0.5 else Sensor.drone(rng)
        write_jpeg(partial / f"{name}.jpg", sensor.expose(view.image, rng), 90)
        np.save(partial / f"{name}_matches.npy", correspondences(view, overhead, satellite))
        views.append(
            {
                "file": f"{name}.jpg",
                "matches": f"{name}_matches.npy",
                "ground_to_sat": ground_to_satellite(drone, satellite).tolist(),
                **describe(drone),
                "objects": [
                    {"id": s.id, "click": [round(c, 2) for c in s.click], "visible": round(s.visible, 3)}
                    for s in sightings(view, drone, now, surface)
                    if s.id in found
                ],
            }
        )
    truth = {
        "seed": seed,
        "gsd": gsd,
        "sat": "sat.jpg",
        "views": views,
        "ground": _ground_views(partial, seed, options.ground, now, lit, satellite, set(found)),
        "objects": [
            {
                "id": key,
                "class": now.objects[key].cls,
                "bbox": [round(c, 2) for c in box],
                "height": round(now.objects[key].height, 2),
            }
            for key, box in found.items()
        ],
    }
    (partial / WORLD_FILE).write_text(json.dumps(truth))
    partial.rename(folder / str(seed))


def _ground_views(
    folder: Path, seed: int, count: int, now: World, lit: LitSurface, satellite: Satellite, known: set[int]
) -> list[dict[str, Any]]:
    if count == 0:
        return []
    rng = np.random.default_rng([seed, 7])
    stage = Stage.of(now, lit)
    views: list[dict[str, Any]] = []
    for index in range(count):
        hfov = float(np.radians(rng.uniform(60, 90)))
        camera = PinholeCamera.from_hfov(*WALKER_SIZE, hfov) if index % 2 == 0 else None
        walker = draw_walker(rng, stage, camera)
        if walker is None:
            break
        view, shares = render_ground(walker, stage)
        name = f"ground{index}.jpg"
        write_jpeg(folder / name, photograph(view.image, rng), 90)
        place = project(satellite, np.array([[walker.x, walker.y, 0.0]]))[0]
        views.append(
            {
                "file": name,
                "projection": "panorama" if camera is None else "perspective",
                "camera": [round(float(c), 2) for c in place],
                "yaw": round(float((90 - np.degrees(walker.yaw)) % 360), 3),
                "pitch": round(float(np.degrees(walker.pitch)), 3),
                "height": round(walker.eye, 3),
                "hfov": 360.0 if camera is None else round(float(np.degrees(hfov)), 3),
                "objects": [
                    {"id": s.id, "click": [round(c, 2) for c in s.click], "visible": round(s.visible, 3)}
                    for s in ground_sightings(view, shares)
                    if s.id in known and s.visible >= 0.3
                ],
            }
        )
    return views


def draw_drone(rng: np.random.Generator, frame_size: tuple[int, int]) -> Drone:
    """Draw a drone over the middle of a world: half of them look straight down, the others up to 50 degrees ahead."""
    altitude = float(np.exp(rng.uniform(np.log(55), np.log(150))))
    camera = PinholeCamera.from_hfov(*frame_size, float(np.radians(rng.uniform(52, 82))))
    steep = rng.random() < 0.55
    pitch = np.radians(max(-90.0, rng.normal(-88.5, 2.5)) if steep else rng.uniform(-84, -40))
    attitude = Attitude(float(rng.uniform(-np.pi, np.pi)), float(pitch), float(np.radians(rng.normal(0, 1.5))))
    ahead = altitude / np.tan(-attitude.pitch)
    target = rng.uniform(-85, 85, 2)
    x, y = target - ahead * np.array([np.cos(attitude.yaw), np.sin(attitude.yaw)])
    return Drone(camera, attitude, float(x), float(y), altitude)


def describe(drone: Drone) -> dict[str, float]:
    """Return yaw (deg clockwise from north), pitch, roll, hfov (deg) and height (m) of a drone."""
    return {
        "yaw": round(float((90 - np.degrees(drone.attitude.yaw)) % 360), 3),
        "pitch": round(float(np.degrees(drone.attitude.pitch)), 3),
        "roll": round(float(np.degrees(drone.attitude.roll)), 3),
        "height": round(drone.altitude, 3),
        "hfov": round(float(np.degrees(drone.camera.hfov)), 3),
    }


def write_jpeg(path: Path, image: NDArray[np.uint8], quality: int) -> None:
    """Write an RGB image (h, w, 3) as JPEG."""
    cv2.imwrite(str(path), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
