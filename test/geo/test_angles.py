"""Compass headings and ENU yaw."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvgeo_ros.geo.angles import compass_to_yaw, yaw_to_compass


@pytest.mark.parametrize(
    ("heading", "yaw"), [(0, math.pi / 2), (90, 0), (180, -math.pi / 2), (270, math.pi), (450, 0), (-90, math.pi)]
)
def test_cardinal_points(heading: float, yaw: float) -> None:
    assert compass_to_yaw(heading) == pytest.approx(yaw, abs=1e-12)
    assert yaw_to_compass(yaw) == pytest.approx(heading % 360, abs=1e-9)


@given(st.floats(-1e4, 1e4))
def test_ranges_and_round_trip(degrees: float) -> None:
    yaw = compass_to_yaw(degrees)
    assert -math.pi < yaw <= math.pi
    back = yaw_to_compass(yaw)
    assert 0.0 <= back < 360.0
    assert math.cos(math.radians(back - degrees)) == pytest.approx(1.0, abs=1e-9)


def test_unknown_stays_unknown() -> None:
    assert math.isnan(compass_to_yaw(math.nan))
    assert math.isnan(yaw_to_compass(math.nan))
