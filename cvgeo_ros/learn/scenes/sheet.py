"""A contact sheet: one row a world, seen by satellite, by drone straight down and aslant, and from the street."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from cvgeo_ros.errors import ImageError
from cvgeo_ros.geo.camera import Attitude, PinholeCamera
from cvgeo_ros.learn.scenes.ground import PANORAMA_SIZE, draw_walker, photograph, render_ground
from cvgeo_ros.learn.scenes.light import Daylight, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.street import Stage
from cvgeo_ros.learn.scenes.town import SEASONS, THEMES, build_world

_CELL = (448, 336)  # px
_GAP = 8
_EXTENT = 360.0
_RESOLUTION = 0.16


def draw_sheet(seed: int, worlds: int = 4) -> NDArray[np.uint8]:
    """Render a contact sheet (H, W, 3) RGB of the worlds of ``seed`` and those that follow, each of another theme."""
    themes = [*THEMES][seed % len(THEMES) :] + [*THEMES][: seed % len(THEMES)]
    rows = []
    for index in track(range(worlds), "worlds"):
        pictures = _views(seed + index, themes[index % len(themes)])
        rows.append(np.hstack([_framed(picture) for picture in pictures]))
    return np.vstack(rows)


def _views(seed: int, theme: str) -> list[NDArray[np.uint8]]:
    """Return satellite, nadir, oblique, street and panorama views of a world, the first of another day."""
    rng = np.random.default_rng([seed, 9])
    world = build_world(seed, _EXTENT, theme)
    then, now = world.aged(rng, 0.04, str(rng.choice(SEASONS))), world.aged(rng, 0.04, world.season)
    width, height = _CELL
    pictures = []

    lit = illuminate(rasterise(then, _RESOLUTION), Daylight.draw(rng))
    satellite = Satellite(2 * width, 2 * height, 0.3, (0.08, 0.06))
    pictures.append(Sensor.satellite(rng).expose(render(satellite, lit, then).image, rng))

    lit = illuminate(rasterise(now, _RESOLUTION), Daylight.draw(rng))
    camera = PinholeCamera.from_hfov(2 * width, 2 * height, np.radians(70))
    for pitch in np.radians([-90.0, -45.0]):
        yaw, altitude = float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(70, 110))
        x, y = -altitude / np.tan(-pitch) * np.array([np.cos(yaw), np.sin(yaw)])
        drone = Drone(camera, Attitude(yaw, float(pitch)), float(x), float(y), altitude)
        pictures.append(Sensor.drone(rng).expose(render(drone, lit, now).image, rng))

    stage = Stage.of(now, lit)
    for lens in (PinholeCamera.from_hfov(2 * width, 2 * height, np.radians(75)), None):
        walker = draw_walker(rng, stage, lens)
        if walker is None:
            picture = np.zeros((*PANORAMA_SIZE[::-1], 3), np.uint8)
        else:
            picture = photograph(render_ground(walker, stage)[0].image, rng)
        pictures.append(picture)
    return pictures


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a picture to a cell's height and put a white gap around it."""
    height = _CELL[1]
    width = round(picture.shape[1] * height / picture.shape[0])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    white = (255, 255, 255)
    return np.asarray(cv2.copyMakeBorder(small, _GAP, 0, _GAP, 0, cv2.BORDER_CONSTANT, value=white), np.uint8)


def main(out: Path, seed: int, worlds: int) -> None:
    """Write the contact sheet of a seed."""
    if out.suffix not in (".png", ".jpg"):
        raise ImageError(f"{out}: a sheet is written as .png or .jpg; name one")
    cv2.setNumThreads(1)
    sheet = draw_sheet(seed, worlds)
    if not cv2.imwrite(str(out), sheet[:, :, ::-1]):
        raise OSError(f"{out}: cannot be written; does its folder exist?")
