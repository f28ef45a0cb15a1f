import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from cvgeo_ros.autopilot.altitude import Altimeter, Source
from cvgeo_ros.autopilot.estimate import VehicleEstimate
from cvgeo_ros.errors import AutopilotError

ESTIMATE = VehicleEstimate(1, 24.0, 121.0, np.eye(2))


@pytest.fixture
def geoid(tmp_path: Path) -> str:
    """20 m at 120 degrees east, 22 m at 122 degrees."""
    values = np.tile(np.array([[20.0, 22.0]], np.float32), (2, 1))
    path = tmp_path / "geoid.tif"
    options = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=from_origin(119.0, 26.0, 2.0, 2.0), **options) as file:
        file.write(values, 1)
    return str(path)


def test_the_autopilots_own_and_nothing_else_in_its_place() -> None:
    meter = Altimeter(Source.AUTOPILOT, home_altitude=10.0)
    assert meter.find(ESTIMATE, 84.2, 60.0).amsl == 84.2
    found = meter.find(VehicleEstimate(1, 24.0, 121.0, np.eye(2), height=100.0), None, 60.0)
    assert found.amsl is None and "no altitude" in found.reason


def test_above_home() -> None:
    meter = Altimeter(Source.HOME, home_altitude=10.5)
    assert meter.find(ESTIMATE, 999.0, 60.0).amsl == 70.5
    assert meter.find(ESTIMATE, 999.0, None).amsl is None


def test_the_geoid_comes_off_the_ellipsoid(geoid: str) -> None:
    meter = Altimeter(Source.GEOID, home_height=31.0, geoid=geoid)
    with_height = VehicleEstimate(1, 24.0, 121.0, np.eye(2), height=100.0)
    assert meter.find(with_height, 999.0, None).amsl == pytest.approx(79.0)
    assert meter.find(ESTIMATE, 999.0, 60.0).amsl == pytest.approx(70.0)
    assert meter.find(ESTIMATE, 999.0, None).amsl is None
    unknown = VehicleEstimate(1, 24.0, 121.0, np.eye(2), height=math.nan)
    assert Altimeter(Source.GEOID, geoid=geoid).find(unknown, 999.0, 60.0).amsl is None


def test_outside_the_geoid_there_is_no_altitude(geoid: str) -> None:
    found = Altimeter(Source.GEOID, geoid=geoid).find(
        VehicleEstimate(1, 50.0, 8.0, np.eye(2), height=100.0), None, None
    )
    assert found.amsl is None and "does not cover" in found.reason


@pytest.mark.parametrize("own", [-600.0, 20_000.0, math.nan])
def test_altitudes_that_cannot_be_right(own: float) -> None:
    found = Altimeter(Source.AUTOPILOT).find(ESTIMATE, own, None)
    assert found.amsl is None and "cannot be right" in found.reason


def test_none_is_none() -> None:
    assert Altimeter(Source.NONE).find(ESTIMATE, 84.2, 60.0).amsl is None


@pytest.mark.parametrize("source, words", [(Source.HOME, "home_altitude"), (Source.GEOID, "path of an EGM96")])
def test_what_a_source_needs_is_asked_for(source: Source, words: str) -> None:
    with pytest.raises(AutopilotError, match=words):
        Altimeter(source)
