"""A rendered benchmark of many targets a frame, after CMLocation of MOGeo and its two conditions.

Each pair is a drone's frame and a satellite tile of another day over a world that no training draws.

- ``v1``: the tile is centred on the ground at the frame's centre and the frame looks north, so that the frame's "up" is
  the tile's; height, pitch and yaw (0) are told.
- ``v2``: the same frames and targets; the tile is cut at random about the targets, at a random scale and rotation, and
  half of the pairs are mirrored, both images alike. Only hfov and ground sampling distance are told.

Convention:
    Pixels (u, v), centres at .5. A target's box is the hull of the object's own corners in the tile as written.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cvgeo_ros.geo.camera import Attitude, PinholeCamera
from cvgeo_ros.learn.pairsets import PairObject, PairSample, write_folder
from cvgeo_ros.learn.scenes.dataset import describe, write_jpeg
from cvgeo_ros.learn.scenes.light import Daylight, LitSurface, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, project, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.town import SEASONS, build_world
from cvgeo_ros.learn.scenes.truth import Sighting, box_of, boxes, sightings
from cvgeo_ros.learn.scenes.world import World
from cvgeo_ros.memory import reuse_large_blocks
from cvgeo_ros.net.config import View as Platform

FIRST_SEED = 500_000  # far from the seeds of training worlds and of the demo
COUNTS = ((1, 3), (4, 6), (7, 12))
FRAME_SIZE = (960, 720)
TILE = 1024
EXTENT = 760.0  # m: every tile of either version is wholly drawn
RESOLUTION = 0.16
SMALLEST = 5.0  # m, of a target's box
RIM = 40.0  # px between a click and the frame's rim
REACH = 150.0  # m between a target and the ground at the frame's centre: some tile holds it at any rotation
FRAMES_A_WORLD = 2
_POSES = 8


class Version(StrEnum):
    """Condition of the benchmark."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True)
class _Place:
    """A world on the satellite's day and on the drone's."""

    seed: int
    then: World
    now: World
    lit_then: LitSurface
    lit_now: LitSurface


@dataclass(frozen=True)
class _Shot:
    """A frame of a place, the tile centred on it, and the targets in both."""

    place: _Place
    number: int
    drone: Drone
    satellite: Satellite
    frame: NDArray[np.uint8]
    tile: NDArray[np.uint8]
    targets: tuple[Sighting, ...]

    def rng(self, stream: int) -> np.random.Generator:
        """Return a source of chance of this shot alone."""
        return np.random.default_rng([self.place.seed, self.number, stream])


def write_benchmark(
    out: Path,
    version: Version,
    frames: int = 48,
    first_seed: int = FIRST_SEED,
    resolution: float = RESOLUTION,
) -> list[PairSample]:
    """Render a benchmark into a folder in the format of ``pairsets``; one seed always gives the same pairs.

    Args:
        out: The folder; its former pairs are replaced.
        version: Condition; both have the same frames and targets.
        frames: How many pairs; their counts of targets fall into ``COUNTS`` in turn.
        first_seed: Seed of the first world; the others follow it.
        resolution: Side of the cells that worlds are drawn on, m.
    """
    for folder in ("queries", "tiles"):
        shutil.rmtree(out / folder, ignore_errors=True)
        (out / folder).mkdir(parents=True)
    samples = []
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("frames", total=frames)
        for shot in _shots(frames, first_seed, resolution):
            samples.append(_write_pair(out, shot if version is Version.V1 else _cut_anew(shot), version))
            progress.advance(task)
    write_folder(out, f"rendered-{version}", samples)
    return samples


def _shots(frames: int, first_seed: int, resolution: float) -> Iterator[_Shot]:
    """Draw shots world by world; a world that cannot show as many targets as are wanted is left for the next."""
    index = 0
    for seed in count(first_seed):
        place = _visit(seed, resolution)
        for number in range(FRAMES_A_WORLD):
            fewest, most = COUNTS[index % len(COUNTS)]
            # Each count is seen from above and aslant equally often.
            shot = _shoot(place, number, fewest, most, steep=(index // len(COUNTS)) % 2 == 0)
            if shot is None:
                break
            yield shot
            index += 1
            if index == frames:
                return


def _visit(seed: int, resolution: float) -> _Place:
    rng = np.random.default_rng([seed, 3])
    world = build_world(seed, EXTENT)
    amount = float(rng.uniform(0, 0.10))
    then = world.aged(rng, amount, world.season if rng.random() < 0.3 else str(rng.choice(SEASONS)))
    now = world.aged(rng, amount, world.season)
    lit = [illuminate(rasterise(moment, resolution), Daylight.draw(rng)) for moment in (then, now)]
    return _Place(seed, then, now, lit[0], lit[1])


def _shoot(place: _Place, number: int, fewest: int, most: int, steep: bool) -> _Shot | None:
    rng = np.random.default_rng([place.seed, number, 0])
    wanted = int(rng.integers(fewest, most + 1))
    for _ in range(_POSES):
        centre = rng.uniform(-80, 80, 2)
        altitude, hfov = float(rng.uniform(90, 150)), float(np.radians(rng.uniform(66, 75)))
        pitch = float(np.radians(rng.uniform(-90, -86) if steep else rng.uniform(-86, -60)))
        camera = PinholeCamera.from_hfov(*FRAME_SIZE, hfov)
        north = float(centre[1] - altitude / np.tan(-pitch))
        drone = Drone(camera, Attitude(np.pi / 2, pitch), float(centre[0]), north, altitude)
        lean = rng.uniform(0, 0.22) * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
        satellite = Satellite(
            TILE,
            TILE,
            float(rng.uniform(0.25, 0.35)),
            (float(lean[0]), float(lean[1])),
            (float(centre[0]), float(centre[1])),
        )
        view = render(drone, place.lit_now, place.now)
        seen = sightings(view, drone, place.now, place.lit_now.surface)
        overhead = render(satellite, place.lit_then, place.then)
        above = {s.id: s.visible for s in sightings(overhead, satellite, place.then, place.lit_then.surface)}
        found = boxes(place.then, satellite, SMALLEST)
        candidates = [
            s
            for s in seen
            if s.visible >= 0.85 and s.id in found and above.get(s.id, 0.0) >= 0.5 and _well_inside(s, place, centre)
        ]
        if len(candidates) >= wanted:
            chosen = tuple(candidates[i] for i in rng.permutation(len(candidates))[:wanted])
            return _Shot(place, number, drone, satellite, view.image, overhead.image, chosen)
    return None


def _well_inside(item: Sighting, place: _Place, centre: NDArray[np.float64]) -> bool:
    width, height = FRAME_SIZE
    u, v = item.click
    away = np.linalg.norm(place.then.objects[item.id].corners[:, :2] - centre, axis=1).max()
    return min(u, v, width - u, height - v) >= RIM and float(away) <= REACH


def _cut_anew(shot: _Shot) -> _Shot:
    """Replace the tile by one of random place, scale and rotation that holds the targets and is wholly drawn."""
    rng = shot.rng(1)
    half = EXTENT / 2
    square = np.array([(0, 0), (TILE, 0), (TILE, TILE), (0, TILE)], float)
    while True:
        gsd = shot.satellite.gsd * float(np.exp(rng.uniform(-np.log(1.25), np.log(1.25))))
        x, y = np.array(shot.satellite.centre) + rng.uniform(-0.5, 0.5, 2) * TILE * gsd
        heading = float(rng.uniform(-np.pi, np.pi))
        satellite = replace(shot.satellite, gsd=gsd, centre=(float(x), float(y)), heading=heading)
        inverse = np.linalg.inv(satellite.plane_to_view(0.0))
        rim = square @ inverse[:2, :2].T + inverse[:2, 2]
        corners = np.concatenate([shot.place.then.objects[s.id].corners for s in shot.targets])
        inside = project(satellite, corners)
        if np.abs(rim).max() <= half and inside.min() >= 0 and inside.max() <= TILE:
            tile = render(satellite, shot.place.lit_then, shot.place.then).image
            return replace(shot, satellite=satellite, tile=tile)


def _write_pair(out: Path, shot: _Shot, version: Version) -> PairSample:
    # The looks are drawn before the noise, from streams of their own, so that both versions share them.
    frame = Sensor.drone(shot.rng(2)).expose(shot.frame, shot.rng(3))
    tile = Sensor.satellite(shot.rng(4)).expose(shot.tile, shot.rng(5))
    blind = version is Version.V2
    mirrored = blind and shot.rng(6).random() < 0.5
    if mirrored:
        frame, tile = frame[:, ::-1], tile[:, ::-1]
    objects = []
    for target in shot.targets:
        item = shot.place.then.objects[target.id]
        (u, v), (u0, v0, u1, v1) = target.click, box_of(item, shot.satellite)
        if mirrored:
            u, u0, u1 = FRAME_SIZE[0] - u, TILE - u1, TILE - u0
        click, bbox = (round(u, 2), round(v, 2)), (round(u0, 2), round(v0, 2), round(u1, 2), round(v1, 2))
        objects.append(PairObject(str(target.id), click, bbox, item.cls))
    name = f"{shot.place.seed}-{shot.number}"
    query, reference = out / "queries" / f"{name}.jpg", out / "tiles" / f"{name}.jpg"
    write_jpeg(query, np.ascontiguousarray(frame), 92)
    write_jpeg(reference, np.ascontiguousarray(tile), 92)
    pose = describe(shot.drone)
    return PairSample(
        name,
        query,
        reference,
        Platform.DRONE,
        tuple(objects),
        gsd=round(shot.satellite.gsd, 4),
        hfov=pose["hfov"],
        height=None if blind else pose["height"],
        yaw=None if blind else 0.0,
        pitch=None if blind else pose["pitch"],
    )


def main(out: Path, version: Version, frames: int, first_seed: int) -> None:
    """Render a benchmark on one core and tell what is in it."""
    reuse_large_blocks(1 << 30)  # worlds are drawn on arrays of hundreds of MB
    cv2.setNumThreads(1)
    samples = write_benchmark(out, version, frames, first_seed)
    counts = [len(sample.objects) for sample in samples]
    shares = ", ".join(f"{sum(low <= n <= high for n in counts)} with {low} to {high} targets" for low, high in COUNTS)
    typer.echo(f"{out}: {len(samples)} frames, {shares}")
