import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from cvgeo_ros.errors import AutopilotError, MapError
from cvgeo_ros.geo.geoid import Geoid


def smooth(latitude: NDArray, longitude: NDArray) -> NDArray:
    """Stands for the geoid: within its limits, and the same at both ends of a turn."""
    return 30.0 * np.sin(np.radians(longitude)) + 0.4 * latitude


def write_gtx(path: Path, step: float = 1.0, west: float = -180.0) -> Path:
    """A world grid in vdatum's format: big-endian, south-west node, steps, rows, columns, rows from the south."""
    rows, columns = round(180.0 / step) + 1, round(360.0 / step)
    latitude = -90.0 + step * np.arange(rows)[:, None]
    longitude = west + step * np.arange(columns)[None, :]
    head = struct.pack(">4d2i", -90.0, west, step, step, rows, columns)
    path.write_bytes(head + smooth(latitude, longitude).astype(">f4").tobytes())
    return path


def write_tif(path: Path, values: NDArray, west: float, north: float, step: float, **options: object) -> Path:
    height, width = values.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    # Nodes lie at the centres of pixels.
    transform = from_origin(west - step / 2, north + step / 2, step, step)
    with rasterio.open(path, "w", **(profile | {"transform": transform} | options)) as file:
        file.write(values.astype(np.float32), 1)
    return path


PLACES = [
    (24.3, 120.7),
    (-33.9, 18.4),
    (0.0, 0.0),
    (10.2, 179.9),
    (10.2, -179.9),
    (10.2, 180.0),
    (89.9, 5.0),
    (-90.0, 5.0),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_world_grid_as_gtx(tmp_path: Path, place: tuple[float, float], west: float) -> None:
    geoid = Geoid(write_gtx(tmp_path / "world.gtx", west=west))
    wanted = smooth(np.array(place[0]), np.array(place[1]))
    assert geoid.undulation(*place) == pytest.approx(float(wanted), abs=0.01)


def test_grid_of_a_region_as_geotiff(tmp_path: Path) -> None:
    latitude, longitude = 26.0 - 0.5 * np.arange(7)[:, None], 119.0 + 0.5 * np.arange(9)[None, :]
    geoid = Geoid(write_tif(tmp_path / "region.tif", smooth(latitude, longitude), 119.0, 26.0, 0.5))
    assert geoid.undulation(24.5, 121.0) == pytest.approx(float(smooth(np.array(24.5), np.array(121.0))), abs=1e-3)
    halfway = smooth(np.array([24.5, 24.0]), np.array([121.0, 121.0])).mean()
    assert geoid.undulation(24.25, 121.0) == pytest.approx(float(halfway), abs=1e-3)
    assert geoid.undulation(26.0, 123.0) == pytest.approx(float(smooth(np.array(26.0), np.array(123.0))), abs=1e-3)
    for outside in ((27.0, 121.0), (24.5, 118.0), (24.5, 124.0), (24.5, -121.0)):
        with pytest.raises(AutopilotError, match="does not cover"):
            geoid.undulation(*outside)
    with pytest.raises(MapError):
        geoid.undulation(95.0, 121.0)


def test_gaps_are_no_sea_level(tmp_path: Path) -> None:
    values = np.full((4, 4), 20.0)
    values[0, 0], values[2, 2] = 21.0, -9999.0
    geoid = Geoid(write_tif(tmp_path / "gap.tif", values, 120.0, 26.0, 1.0, nodata=-9999.0))
    with pytest.raises(AutopilotError, match="gap"):
        geoid.undulation(24.4, 121.6)
    assert geoid.undulation(25.0, 121.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    "values, options, words",
    [
        (np.full((4, 4), 0.0), {}, "different values"),
        (np.linspace(0.0, 900.0, 16).reshape(4, 4), {}, "terrain model"),
        (np.full((4, 4), np.nan), {}, "different values"),
        (np.linspace(0.0, 9.0, 16).reshape(4, 4), {"crs": "EPSG:32651"}, "degrees"),
        (np.linspace(0.0, 9.0, 16).reshape(4, 4), {"transform": from_origin(0.0, 90.0, 200.0, 20.0)}, "wider than"),
        (np.linspace(0.0, 9.0, 16).reshape(4, 4), {"transform": rasterio.Affine.identity()}, "georeferenced"),
    ],
)
def test_what_is_no_geoid(tmp_path: Path, values: NDArray, options: dict, words: str) -> None:
    with pytest.raises(AutopilotError, match=words):
        Geoid(write_tif(tmp_path / "other.tif", values, 120.0, 26.0, 1.0, **options))


def test_what_is_no_grid(tmp_path: Path) -> None:
    (tmp_path / "text.gtx").write_text("undulation")
    for path in (tmp_path / "text.gtx", tmp_path / "missing.gtx"):
        with pytest.raises(AutopilotError, match="cannot be read"):
            Geoid(path)
