"""A frame from straight above a map of its own."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine

from cvgeo_ros.geo import open_store
from cvgeo_ros.scene import FrameRecord, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    pixels = np.random.default_rng(7).integers(0, 255, (3, 300, 400), np.uint8)
    profile = {"driver": "GTiff", "width": 400, "height": 300, "count": 3, "dtype": "uint8", "crs": "EPSG:32651"}
    transform = Affine(0.5, 0.0, 270_000.0, 0.0, -0.5, 2_685_000.0)
    with rasterio.open(tmp_path / "map.tif", "w", transform=transform, **profile) as file:
        file.write(pixels)
    store = open_store(tmp_path / "map.tif")
    frame, _ = store.read(140.0, 105.0, 260.0, 195.0, (180, 240))
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "a.png"), frame)
    latitude, longitude = store.transform.pixel_to_geodetic([200.0, 150.0]).tolist()
    record = FrameRecord(file="a.png", lat=latitude, lon=longitude, rel_alt=50.0, yaw=0.0, pitch=-90.0, hfov=62.0)
    return Scene(tmp_path, "one", tmp_path / "map.tif", tmp_path / "frames", [record], [])
