"""A rendered flight: a smooth track over a town on another day than its map, as a scene and as a bag with truth.

The camera is fixed to the aircraft and looks down. What the aircraft does, the camera does: it banks into turns,
pitches a little, and is mounted a little askew. None of this tilt is told to anybody; the truth in the bag holds it.

Convention:
    World (x, y) in metres from the map's centre. The body is forward, left, up (REP-103): yaw counter-clockwise from
    east, pitch positive nose down, roll positive right side down.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy.spatial.transform import Rotation

from cvgeo_ros.bags import messages
from cvgeo_ros.geo import Attitude, PinholeCamera, enu_to_geodetic, frame_to_ground, yaw_to_compass
from cvgeo_ros.learn.scenes.bagging import START, Moment, write_bag
from cvgeo_ros.learn.scenes.demo import CENTRE, EPSG, GSD, choose, write_map
from cvgeo_ros.learn.scenes.light import Daylight, LitSurface, illuminate
from cvgeo_ros.learn.scenes.raster import rasterise
from cvgeo_ros.learn.scenes.render import Drone, Satellite, render
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.town import SEASONS, build_world
from cvgeo_ros.learn.scenes.truth import boxes, sightings
from cvgeo_ros.learn.scenes.world import World
from cvgeo_ros.localizer import Prior
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject

SEED = 700_000  # far from the seeds of training worlds, of the demo and of the benchmark
SIDE = 2560  # px of the map
RESOLUTION = 0.2  # m, of the cells that the world is drawn on
SPEED = 8.0  # m/s
RING = 165.0  # m, mean radius of the track about the map's centre
HFOV = 66.0
CLICKED_EVERY = 5  # frames
GRAVITY = 9.81
BAG = "flight.mcap"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Options:
    """What a flight is like.

    Attributes:
        seconds: Length.
        rate: Frames a second.
        blank: (from, to) in seconds, during which the camera sees nothing; None: never.
        fix_until: Seconds from the start during which there is a position.
        position_error: Radius of the disc that the position's error is drawn from, m.
        heading_error: Standard deviation of the compass, deg.
        height_error: Standard deviation of the height above ground, m.
        width: Of the frames, px; their height is 9/16 of it.
        quality: Of their JPEG.
        landmarks: Whether the town has what a person would name from the air; it is another town then.
    """

    seconds: float = 60.0
    rate: float = 2.0
    blank: tuple[float, float] | None = None
    fix_until: float = 5.0
    position_error: float = 75.0
    heading_error: float = 5.0
    height_error: float = 0.5
    width: int = 960
    quality: int = 80
    landmarks: bool = False


@dataclass(frozen=True)
class Pose:
    """Where the aircraft is: x, y and height above ground in m, and its rotation from the body to ENU."""

    x: float
    y: float
    height: float
    rotation: Rotation

    @property
    def yaw(self) -> float:
        """Direction of the nose over ground, rad ENU."""
        nose = self.rotation.as_matrix()[:, 0]
        return float(np.arctan2(nose[1], nose[0]))

    def drone(self, camera: PinholeCamera) -> Drone:
        """Return the camera that looks down from it, the image's top to the nose."""
        _, left, up = self.rotation.as_matrix().T
        return Drone(camera, _attitude(-left, -up), self.x, self.y, self.height)


class Track:
    """A closed, smooth curve about the map's centre, flown at constant speed."""

    def __init__(self, rng: np.random.Generator) -> None:
        angle = np.linspace(0.0, 2.0 * np.pi, 7201)
        radius = np.full_like(angle, RING)
        for wave, share in ((2, 0.16), (3, 0.07)):
            radius += RING * share * np.cos(wave * angle + rng.uniform(0.0, 2.0 * np.pi))
        turn = rng.choice([-1.0, 1.0])
        path = np.stack([radius * np.cos(turn * angle), radius * np.sin(turn * angle)], axis=1)
        self._path = path @ _turned(rng.uniform(0.0, 2.0 * np.pi)).T
        steps = np.linalg.norm(np.diff(self._path, axis=0), axis=1)
        self._length = np.concatenate([[0.0], np.cumsum(steps)])
        self._phases = rng.uniform(0.0, 2.0 * np.pi, 4)
        # How the camera sits in the frame: a constant that nobody calibrated.
        self._mounted = np.radians(rng.uniform(-2.5, 2.5, 2))

    def at(self, seconds: float) -> Pose:
        """Return the pose at a time from the start, s."""
        (x, y), yaw, turning = self._motion(seconds)
        a, b, c, d = self._phases
        pitch = np.radians(1.2 * np.sin(0.45 * seconds + a) + 0.5 * np.sin(1.7 * seconds + b)) + self._mounted[0]
        # A coordinated turn: the lift's horizontal part bends the path.
        roll = -np.arctan(SPEED * turning / GRAVITY) + np.radians(0.6 * np.sin(1.3 * seconds + c)) + self._mounted[1]
        height = 110.0 + 8.0 * np.sin(0.11 * seconds + d)
        return Pose(x, y, float(height), Rotation.from_euler("ZYX", [yaw, float(pitch), float(roll)]))

    def _motion(self, seconds: float) -> tuple[tuple[float, float], float, float]:
        """Place, heading (rad) and rate of turn (rad/s)."""
        step = 0.5
        before, here, after = (self._place(seconds + shift) for shift in (-step, 0.0, step))
        headings = [np.arctan2(*(b - a)[::-1]) for a, b in ((before, here), (here, after))]
        turned = float((headings[1] - headings[0] + np.pi) % (2.0 * np.pi) - np.pi)
        return (float(here[0]), float(here[1])), float(headings[0] + turned / 2.0), turned / step

    def _place(self, seconds: float) -> NDArray[np.float64]:
        along = (SPEED * seconds) % self._length[-1]
        return np.array([np.interp(along, self._length, self._path[:, axis]) for axis in (0, 1)])


def write_flight(out: Path, seed: int = SEED, options: Options = Options()) -> Scene:
    """Render a flight into a folder: a scene (map.tif, frames, frames.csv, objects.json) and ``flight.mcap``.

    One seed always gives the same flight; its town and track do not depend on the options, landmarks apart. The scene's
    frames.csv tells the exact position and heading, the bag's telemetry the rough ones of the options.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, 5])
    world = build_world(seed, SIDE * GSD + 90.0, "mixed", options.landmarks)
    seasons = rng.choice(SEASONS, 2, replace=False)
    then, now = (world.aged(rng, 0.03, str(season)) for season in seasons)
    track = Track(rng)
    shutil.rmtree(out / "frames", ignore_errors=True)
    (out / "frames").mkdir(parents=True)
    found = _draw_map(out / "map.tif", then, rng)
    camera = PinholeCamera.from_hfov(options.width, round(options.width * 9 / 16), float(np.radians(HFOV)))
    shooting = _Shooting(
        out / "frames",
        now,
        illuminate(rasterise(now, RESOLUTION), Daylight.draw(rng)),
        replace(Sensor.drone(rng), jpeg=None),
        {key: box for key, box in found.items() if key in now.objects},
        camera,
        options,
    )
    records: list[FrameRecord] = []
    objects: list[SceneObject] = []
    # Noise of its own, so that the flight stays the same where only its telemetry differs.
    errors, grain = (np.random.default_rng([seed, stream]) for stream in (6, 7))
    write_bag(out / BAG, _moments(shooting, track, records, objects, errors, grain))
    scene = Scene(out, out.name, out / "map.tif", out / "frames", records, objects)
    scene.write()
    return scene


@dataclass(frozen=True)
class _Shooting:
    """All that frames are made of."""

    folder: Path
    world: World
    lit: LitSurface
    sensor: Sensor
    found: dict[int, Box]
    camera: PinholeCamera
    options: Options


def _draw_map(path: Path, world: World, rng: np.random.Generator) -> dict[int, Box]:
    """Draw the map and return the boxes of the world's objects, map px."""
    lean = rng.uniform(0.0, 0.12) * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
    satellite = Satellite(SIDE, SIDE, GSD, (float(lean[0]), float(lean[1])))
    overhead = render(satellite, illuminate(rasterise(world, RESOLUTION), Daylight.draw(rng)), world, 1.25)
    write_map(path, replace(Sensor.satellite(rng), jpeg=None).expose(overhead.image, rng))
    return boxes(world, satellite)


def _moments(
    shooting: _Shooting,
    track: Track,
    records: list[FrameRecord],
    objects: list[SceneObject],
    errors: np.random.Generator,
    grain: np.random.Generator,
) -> Iterator[Moment]:
    """Render frame by frame; what the scene's files will say is appended to records and objects."""
    options = shooting.options
    count = max(round(options.seconds * options.rate), 1)
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        for index in progress.track(range(count)):
            seconds = index / options.rate
            pose = track.at(seconds)
            drone = pose.drone(shooting.camera)
            name = f"frame_{index:04d}.jpg"
            blank = options.blank is not None and options.blank[0] <= seconds < options.blank[1]
            image, clicked = _shoot(shooting, drone, grain, name, not blank and index % CLICKED_EVERY == 0, blank)
            data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, options.quality])[1].tobytes()
            (shooting.folder / name).write_bytes(data)
            record = _record(name, seconds, pose, drone)
            records.append(record)
            objects += clicked
            yield Moment(
                START + round(seconds * messages.NANOSECONDS),
                data,
                "jpeg",
                shooting.camera,
                _prior(record, pose, options, errors),
                tuple((item.id, item.click) for item in clicked),
                (record.lat or 0.0, record.lon or 0.0, tuple(pose.rotation.as_quat().tolist())),
            )


def _shoot(
    shooting: _Shooting, drone: Drone, rng: np.random.Generator, name: str, click: bool, blank: bool
) -> tuple[NDArray[np.uint8], list[SceneObject]]:
    """Return the frame and the objects that are clicked in it."""
    size = (drone.width, drone.height_px)
    if blank:
        return np.clip(rng.normal(5.0, 2.0, (size[1], size[0], 3)), 0, 255).astype(np.uint8), []
    view = render(drone, shooting.lit, shooting.world, 1.25)
    image = shooting.sensor.expose(view.image, rng)
    if not click:
        return image, []
    seen = choose(sightings(view, drone, shooting.world, shooting.lit.surface), shooting.found, shooting.world, size, 3)
    return image, [
        SceneObject(
            frame=name,
            id=f"{Path(name).stem}-{number + 1}",
            click=(round(item.click[0], 1), round(item.click[1], 1)),
            bbox=_rounded(shooting.found[item.id]),
            cls=shooting.world.objects[item.id].cls,
        )
        for number, item in enumerate(seen)
    ]


def _prior(record: FrameRecord, pose: Pose, options: Options, rng: np.random.Generator) -> Prior:
    """What the aircraft knows of itself: roughly where it is as long as it has a fix, its heading and its height."""
    assert record.lat is not None and record.lon is not None and record.stamp is not None
    radius, bearing = options.position_error * np.sqrt(rng.uniform()), rng.uniform(0.0, 2.0 * np.pi)
    heading = pose.yaw + float(np.radians(options.heading_error) * rng.standard_normal())
    height = pose.height + options.height_error * float(rng.standard_normal())
    latitude, longitude = enu_to_geodetic(
        [radius * np.cos(bearing), radius * np.sin(bearing)], (record.lat, record.lon)
    ).tolist()
    known = record.stamp < options.fix_until
    return Prior(latitude if known else None, longitude if known else None, yaw=heading, height=height)


def _record(file: str, seconds: float, pose: Pose, drone: Drone) -> FrameRecord:
    to_geodetic = Transformer.from_crs(EPSG, 4326, always_xy=True)
    middle = frame_to_ground(
        drone.camera, drone.attitude, drone.altitude, np.array([[drone.camera.cx, drone.camera.cy]])
    )[0]
    lon, lat = to_geodetic.transform(CENTRE[0] + pose.x, CENTRE[1] + pose.y)
    centre_lon, centre_lat = to_geodetic.transform(CENTRE[0] + pose.x + middle[0], CENTRE[1] + pose.y + middle[1])
    return FrameRecord(
        file=file,
        stamp=round(seconds, 6),
        lat=round(lat, 8),
        lon=round(lon, 8),
        rel_alt=round(pose.height, 3),
        yaw=round(yaw_to_compass(pose.yaw), 3),
        # The tilt is what a flight has to cope with: nobody recorded it.
        pitch=None,
        hfov=round(float(np.degrees(drone.camera.hfov)), 3),
        centre_lat=round(centre_lat, 8),
        centre_lon=round(centre_lon, 8),
    )


def _rounded(box: Box) -> Box:
    u0, v0, u1, v1 = (round(edge, 1) for edge in box)
    return u0, v0, u1, v1


def _attitude(right: NDArray[np.float64], forward: NDArray[np.float64]) -> Attitude:
    """Return the attitude of a camera whose right and optical axis have these directions in ENU."""
    yaw = float(np.arctan2(forward[1], forward[0]))
    level = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    roll = float(np.arctan2(right @ np.cross(forward, level), right @ level))
    return Attitude(yaw, float(np.arcsin(np.clip(forward[2], -1.0, 1.0))), roll)


def _turned(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])
