import math
from types import SimpleNamespace

import numpy as np
import pytest

from cvgeo_ros.autopilot.estimate import VehicleEstimate
from cvgeo_ros.autopilot.px4 import Generation, fields, topic

STAMP = 1_790_000_000_123_456_789
ESTIMATE = VehicleEstimate(STAMP, 24.1, 120.6, np.diag([4.0, 9.0]))
NOW = STAMP + 150_000_000


def test_aux_global_position() -> None:
    told = fields(Generation.AUX, ESTIMATE, NOW, 70.5, 5.0, 3, 7)
    assert told == {
        "timestamp": 1_790_000_000_273_456,
        "timestamp_sample": 1_790_000_000_123_456,
        "id": 7,
        "source": 2,
        "lat": 24.1,
        "lon": 120.6,
        "alt": 70.5,
        "eph": pytest.approx(3.0),
        "epv": 5.0,
        "lat_lon_reset_counter": 3,
    }


def test_vehicle_global_position() -> None:
    told = fields(Generation.VEHICLE, ESTIMATE, NOW, 70.5, 5.0, 3, 7)
    assert told["lat_lon_valid"] is True and told["alt_valid"] is True and told["dead_reckoning"] is False
    assert told["terrain_alt_valid"] is False and math.isnan(told["alt_ellipsoid"])
    assert (told["lat"], told["lon"], told["alt"], told["eph"], told["epv"]) == (24.1, 120.6, 70.5, 3.0, 5.0)
    assert told["timestamp_sample"] == 1_790_000_000_123_456 and told["lat_lon_reset_counter"] == 3
    assert "id" not in told and "source" not in told


@pytest.mark.parametrize("generation", Generation)
def test_an_unknown_altitude_is_not_zero(generation: Generation) -> None:
    told = fields(generation, ESTIMATE, NOW, None, 5.0, 0, 1)
    assert math.isnan(told["alt"]) and math.isnan(told["epv"])
    assert not told.get("alt_valid", False)


@pytest.mark.parametrize(
    "kind, name",
    [
        (SimpleNamespace(MESSAGE_VERSION=1), "/fmu/in/aux_global_position_v1"),
        (SimpleNamespace(MESSAGE_VERSION=0), "/fmu/in/aux_global_position"),
        (SimpleNamespace(), "/fmu/in/aux_global_position"),
    ],
)
def test_topics_carry_the_version(kind: object, name: str) -> None:
    assert topic(kind) == name
