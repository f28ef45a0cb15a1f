"""A map with a known georeference and frames cut from it, so that the answers are known exactly."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.transform import from_origin

from cvgeo_ros.geo import Attitude, PinholeCamera, TileStore, compass_to_yaw, ground_to_frame, open_store
from cvgeo_ros.localizer import Localizer, Prior

EAST, NORTH, GSD, SIZE = 500_000.0, 5_000_000.0, 0.32, 1024
HFOV = math.radians(66.0)


def texture(size: int, seed: int) -> NDArray[np.uint8]:
    """A picture with structure at many scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3))
    for cell in (6, 14, 30, 70):
        noise = rng.random((size // cell + 1, size // cell + 1, 3))
        total += cv2.resize(noise, (size, size), interpolation=cv2.INTER_NEAREST)
    return (total / 4 * 255).astype(np.uint8)


def write_map(
    path: Path,
    image: NDArray[np.uint8],
    transform: Affine = from_origin(EAST, NORTH, GSD, GSD),  # noqa: B008  frozen
    nodata: int | None = None,
) -> Path:
    """UTM 33N; north up and with its top-left corner at (EAST, NORTH) where no transform says otherwise."""
    profile = {"driver": "GTiff", "width": image.shape[1], "height": image.shape[0], "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=transform, nodata=nodata, **profile) as file:
        file.write(image.transpose(2, 0, 1))
    return path


class Flight:
    """Photographs of the map by a pinhole camera, with the truth."""

    def __init__(self, image: NDArray[np.uint8], store: TileStore) -> None:
        self.image, self.store = image, store
        self.camera = PinholeCamera.from_hfov(960, 540, HFOV)

    def shoot(
        self, pixel: tuple[float, float], compass: float = 0.0, pitch: float = -90.0, height: float = 100.0
    ) -> tuple[NDArray[np.uint8], Prior, NDArray[np.float64]]:
        """A frame taken above a map pixel, the true prior, and the homography map px -> frame px."""
        attitude = Attitude(compass_to_yaw(compass), math.radians(pitch))
        axes = np.eye(3)
        axes[:2, :2] = self.store.transform.jacobian(pixel)
        axes[:2, 2] = -axes[:2, :2] @ np.asarray(pixel)
        to_frame = ground_to_frame(self.camera, attitude, height) @ axes
        half = np.array([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1.0]])
        matrix = np.linalg.inv(half) @ to_frame @ half
        frame = cv2.warpPerspective(self.image, matrix, (960, 540), flags=cv2.INTER_LINEAR)
        latitude, longitude = self.store.transform.pixel_to_geodetic(pixel).tolist()
        prior = Prior(latitude, longitude, 40.0, attitude.yaw, attitude.pitch, 0.0, height)
        return np.asarray(frame, np.uint8), prior, to_frame


@pytest.fixture(scope="session")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    image = texture(SIZE, seed=1)
    return Flight(image, open_store(write_map(tmp_path_factory.mktemp("map") / "town.tif", image)))


@pytest.fixture(scope="session")
def localizer(flight: Flight) -> Localizer:
    torch.manual_seed(0)
    localizer = Localizer.load("nano", device="cpu")
    localizer.set_tile(flight.store)
    return localizer
