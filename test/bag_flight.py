"""A short flight as a bag, and a localizer that knows by a frame's grey where it was taken."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from cvgeo_ros.bags import messages
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.errors import MapError
from cvgeo_ros.geo import Attitude, GroundMatches, PinholeCamera, enu_to_geodetic, frame_to_ground
from cvgeo_ros.localizer import Localization, Prior, Target

SECOND = messages.NANOSECONDS
START = 1_750_000_000 * SECOND
ORIGIN = (24.2600, 120.7200)
SPEED = 8.0
HEIGHT = 100.0
SIZE = (160, 120)
CAMERA = PinholeCamera.from_hfov(*SIZE, math.radians(66.0))
BLANK = 255


@dataclass
class Flight:
    """Eastwards from ORIGIN, a frame every half second, the nose to the north-east.

    Attributes:
        frames: How many.
        blank: Numbers of frames that show nothing.
        clicked: Numbers of frames with a click at (30, 40).
        namespace: Of the topics.
        left_out: Topics that are not recorded.
    """

    frames: int = 20
    blank: range = field(default_factory=lambda: range(0))
    clicked: tuple[int, ...] = (2, 9)
    namespace: str = "/cvgeo"
    left_out: tuple[str, ...] = ()
    yaw: float = math.radians(45.0)

    def place(self, index: int) -> tuple[float, float]:
        latitude, longitude = enu_to_geodetic([SPEED * 0.5 * index, 0.0], ORIGIN).tolist()
        return latitude, longitude

    def write(self, path: Path) -> Path:
        with BagWriter(path) as bag:

            def send(topic: str, message: Any, time: int) -> None:
                if topic not in self.left_out:
                    bag.write(f"{self.namespace}/{topic}", message, time)

            for index in range(self.frames):
                stamp = START + index * SECOND // 2
                place = self.place(index)
                pose = messages.geo_pose(*place, messages.yaw_quaternion(self.yaw))
                send("truth/geopose", messages.geo_pose_stamped(stamp, "earth", pose), stamp)
                send("fix", messages.fix(stamp, "camera", *place), stamp)
                send("compass_hdg", messages.number(90.0 - math.degrees(self.yaw)), stamp)
                send("rel_alt", messages.number(HEIGHT), stamp)
                send("camera_info", messages.camera_info(stamp, "camera", CAMERA), stamp)
                grey = BLANK if index in self.blank else index
                png = cv2.imencode(".png", np.full((SIZE[1], SIZE[0], 3), grey, np.uint8))[1].tobytes()
                image = messages.compressed_image(stamp, "camera", png, "png")
                send("image/compressed", image, stamp + SECOND // 50)
                if index in self.clicked:
                    click = messages.clicks(stamp, "camera", [(f"roof-{index}", (30.0, 40.0))])
                    send("clicks", click, stamp + SECOND // 10)
        return path


class Oracle:
    """A localizer that reads from a frame's grey where it was taken, and errs by a little."""

    def __init__(self, flight: Flight, noise: float = 0.3) -> None:
        self.flight, self.noise = flight, noise
        self.priors: list[Prior] = []
        self.notice = ""
        self.tile: Any = None

    def tune(self, half: bool, compiled: str | None) -> None:
        assert not half and compiled is None, "nobody asked for it"

    def set_tile(self, tile: Any) -> None:
        self.tile = tile

    def locate(
        self,
        frame: NDArray[np.uint8],
        clicks: Any,
        camera: PinholeCamera | None = None,
        prior: Prior | None = None,
        ground: bool = False,
    ) -> Localization:
        self.priors.append(prior or Prior())
        index = int(frame[0, 0, 0])
        if index == 254:
            raise MapError("the view lies outside the map")
        matches = None if index == BLANK or not ground else self._ground(index)
        targets = []
        for u, v in np.asarray(clicks).reshape(-1, 2).tolist():
            latitude, longitude = self.flight.place(index)
            targets.append(Target((u, v), 0.9, (u - 10, v - 5, u + 10, v + 5), latitude, longitude, 1.5, (0, 0, 1, 1)))
        return Localization(tuple(targets), "oracle", (0, 0, 100, 100), {"frame": 0.001}, matches)

    def _ground(self, index: int) -> GroundMatches:
        u, v = np.meshgrid(np.linspace(5.0, SIZE[0] - 5.0, 12), np.linspace(5.0, SIZE[1] - 5.0, 9))
        pixels = np.column_stack([u.ravel(), v.ravel()])
        ground = frame_to_ground(CAMERA, Attitude(self.flight.yaw, -math.pi / 2), HEIGHT, pixels)
        ground = ground + np.random.default_rng(index).normal(0.0, self.noise, ground.shape)
        return GroundMatches(pixels, ground, self.flight.place(index), np.ones(len(pixels)), 1.0, 0.9)


@pytest.fixture(scope="session")
def map_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of 800 m about ORIGIN."""
    path = tmp_path_factory.mktemp("map") / "map.tif"
    pixels = np.random.default_rng(7).integers(60, 200, (3, 400, 400), np.uint8)
    metres = 111_000.0
    affine = Affine(2.0 / metres, 0.0, ORIGIN[1] - 400 / metres, 0.0, -2.0 / metres, ORIGIN[0] + 400 / metres)
    profile = {"driver": "GTiff", "width": 400, "height": 400, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=affine, **profile) as file:
        file.write(pixels)
    return path
