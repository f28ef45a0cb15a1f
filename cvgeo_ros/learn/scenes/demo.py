"""The scene that ships with the project: ``python -m cvgeo_ros.learn.scenes.demo --out scenes/demo``.

A rendered town, its map as a GeoTIFF in UTM, and a short flight over it on a later day, in the format of
``cvgeo_ros.scene``. Camera positions in frames.csv are exact.
"""

import shutil
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import rasterio
import typer
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import from_origin

from cvgeo_ros.geo.camera import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.learn.scenes.dataset import describe, write_jpeg
from cvgeo_ros.learn.scenes.light import Daylight, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.town import build_world
from cvgeo_ros.learn.scenes.truth import Sighting, boxes, sightings
from cvgeo_ros.learn.scenes.world import World
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject

EPSG = 32632
# On the zone's central meridian, where grid north is true north.
CENTRE = (500_000.0, 5_049_800.0)
SEED = 100_003  # far from the seeds that training worlds are drawn from
GSD = 0.25
SIDE = 1400
FRAME_SIZE = (1280, 720)
HFOV = 66.0

# Ground point at the frame's centre (x, y), heading from north deg, pitch deg, height m.
FLIGHT: tuple[tuple[float, float, float, float, float], ...] = (
    (-105.0, 85.0, 118.0, -90.0, 98.0),
    (-70.0, 55.0, 127.0, -88.0, 100.0),
    (-35.0, 20.0, 131.0, -78.0, 101.0),
    (-20.0, 75.0, 42.0, -70.0, 103.0),
    (112.0, -22.0, 160.0, -84.0, 100.0),
    (95.0, 0.0, 205.0, -62.0, 97.0),
)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the scene.")],
    seed: Annotated[int, typer.Option(help="Seed of the town.")] = SEED,
) -> None:
    """Render the demo scene."""
    cv2.setNumThreads(1)
    scene = write_demo(out, seed)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"{out}: {len(scene.frames)} frames, {len(scene.objects)} objects, {size / 1e6:.2f} MB")


def write_demo(out: Path, seed: int = SEED, resolution: float = 0.125) -> Scene:
    """Render the scene of a seed into a folder; the world is drawn on cells of ``resolution`` metres."""
    rng = np.random.default_rng([seed, 2])
    world = build_world(seed, SIDE * GSD + 90.0, "mixed")
    then, now = (world.aged(rng, 0.03, season) for season in ("spring", "summer"))
    frames_dir = out / "frames"
    shutil.rmtree(frames_dir, ignore_errors=True)
    frames_dir.mkdir(parents=True)

    satellite = Satellite(SIDE, SIDE, GSD, (0.07, -0.05))
    noon = Daylight(np.radians(-75.0), np.radians(58.0), 0.5, 0.4, (1.03, 1.0, 0.97), (0.95, 1.0, 1.06))
    overhead = render(satellite, illuminate(rasterise(then, resolution), noon), then, 2.0)
    look = Sensor(1.02, 0.85, 0.2, 0.6, (1.01, 1.0, 0.98), (0.06, (196.0, 206.0, 216.0)), 0.0, 0.5, 0.4, 1.0, None)
    write_map(out / "map.tif", look.expose(overhead.image, rng))
    found = {key: box for key, box in boxes(then, satellite).items() if key in now.objects}

    surface = rasterise(now, resolution)
    afternoon = Daylight(np.radians(-140.0), np.radians(44.0), 0.52, 0.3, (1.06, 1.0, 0.93), (0.92, 1.0, 1.1))
    lit = illuminate(surface, afternoon)
    lens = Sensor(1.06, 0.86, 0.4, 0.72, (1.02, 1.0, 0.97), (0.02, (204.0, 210.0, 216.0)), 0.15, 0.3, 0.5, 1.0, None)
    frames: list[FrameRecord] = []
    objects: list[SceneObject] = []
    for index, (x, y, heading, pitch, height) in enumerate(FLIGHT):
        drone = _drone(x, y, heading, pitch, height)
        view = render(drone, lit, now)
        name = f"frame_{index + 1:02d}"
        write_jpeg(frames_dir / f"{name}.jpg", lens.expose(view.image, rng), 76)
        frames.append(_record(f"{name}.jpg", 2.0 * index, drone))
        for number, seen in enumerate(choose(sightings(view, drone, now, surface), found, now, FRAME_SIZE)):
            u0, v0, u1, v1 = (round(edge, 1) for edge in found[seen.id])
            click = (round(seen.click[0], 1), round(seen.click[1], 1))
            objects.append(
                SceneObject(
                    frame=f"{name}.jpg",
                    id=f"{name}-{number + 1}",
                    click=click,
                    bbox=(u0, v0, u1, v1),
                    cls=now.objects[seen.id].cls,
                )
            )
    scene = Scene(out, "demo", out / "map.tif", frames_dir, frames, objects)
    scene.write()
    return scene


def write_map(path: Path, image: NDArray[np.uint8]) -> None:
    """Write the north-up map (h, w, 3) as a tiled, JPEG-compressed GeoTIFF centred at CENTRE."""
    height, width = image.shape[:2]
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 3,
        "dtype": "uint8",
        "crs": f"EPSG:{EPSG}",
        "transform": from_origin(CENTRE[0] - width * GSD / 2, CENTRE[1] + height * GSD / 2, GSD, GSD),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "JPEG",
        "jpeg_quality": 78,
        "photometric": "YCBCR",
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.moveaxis(image, 2, 0))


def _drone(x: float, y: float, heading: float, pitch: float, height: float) -> Drone:
    camera = PinholeCamera.from_hfov(*FRAME_SIZE, float(np.radians(HFOV)))
    attitude = Attitude(float(np.radians(90.0 - heading)), float(np.radians(pitch)))
    east, north = frame_to_ground(camera, attitude, height, np.array([[camera.cx, camera.cy]]))[0]
    return Drone(camera, attitude, x - float(east), y - float(north), height)


def _record(file: str, stamp: float, drone: Drone) -> FrameRecord:
    centre = np.array([[drone.camera.cx, drone.camera.cy]])
    east, north = frame_to_ground(drone.camera, drone.attitude, drone.altitude, centre)[0]
    to_geodetic = Transformer.from_crs(EPSG, 4326, always_xy=True)
    lon, lat = to_geodetic.transform(CENTRE[0] + drone.x, CENTRE[1] + drone.y)
    centre_lon, centre_lat = to_geodetic.transform(CENTRE[0] + drone.x + east, CENTRE[1] + drone.y + north)
    pose = describe(drone)
    return FrameRecord(
        file=file,
        stamp=stamp,
        lat=round(lat, 8),
        lon=round(lon, 8),
        rel_alt=pose["height"],
        yaw=pose["yaw"],
        pitch=pose["pitch"],
        hfov=pose["hfov"],
        centre_lat=round(centre_lat, 8),
        centre_lon=round(centre_lon, 8),
    )


def choose(
    seen: list[Sighting],
    found: dict[int, tuple[float, float, float, float]],
    world: World,
    frame_size: tuple[int, int],
    count: int = 5,
) -> list[Sighting]:
    """Choose well visible objects of 7 to 60 m, far from the frame's rim and from one another.

    Args:
        seen: Objects in the frame.
        found: Their boxes on the map of ``GSD``, px, by id.
        world: Of the frame.
        frame_size: Width and height, px.
        count: How many at most.
    """
    width, height = frame_size
    candidates = []
    for item in seen:
        if item.id not in found or item.visible < 0.85:
            continue
        u0, v0, u1, v1 = found[item.id]
        size = max(u1 - u0, v1 - v0) * GSD
        rim = min(item.click[0], item.click[1], width - item.click[0], height - item.click[1])
        if 7.0 <= size <= 60.0 and rim > 70 and world.objects[item.id].cls != "shed":
            candidates.append(item)
    chosen: list[Sighting] = []
    while candidates and len(chosen) < count:
        clicks = np.array([item.click for item in candidates])
        others = np.array([item.click for item in chosen] or [(width / 2, height / 2)])
        apart = np.linalg.norm(clicks[:, None] - others[None], axis=2).min(axis=1)
        best = int(np.argmax(apart) if chosen else np.argmin(apart))
        chosen.append(candidates.pop(best))
    return chosen


if __name__ == "__main__":
    typer.run(main)
