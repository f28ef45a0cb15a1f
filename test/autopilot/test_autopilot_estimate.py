import math
from dataclasses import replace

import numpy as np
import pytest

from cvgeo_ros.autopilot.estimate import Gate, GateConfig, Jumps, VehicleEstimate
from cvgeo_ros.geo.geodesy import enu_to_geodetic

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
GOOD = VehicleEstimate(NOW - SECOND // 10, 24.1, 120.6, np.diag([4.0, 9.0]))


def test_std_is_that_of_the_worst_direction() -> None:
    assert GOOD.std == pytest.approx(3.0)
    # 1 m and 3 m along axes turned by 45 degrees
    assert replace(GOOD, covariance=np.array([[5.0, 4.0], [4.0, 5.0]])).std == pytest.approx(3.0)


def test_what_is_good_passes() -> None:
    gate = Gate(GateConfig())
    assert gate.check(GOOD, NOW) is None
    gate.passed(GOOD)
    assert gate.check(replace(GOOD, stamp=GOOD.stamp + 1), NOW) is None


@pytest.mark.parametrize(
    "change, kind",
    [
        ({"latitude": math.nan}, "position"),
        ({"longitude": math.inf}, "position"),
        ({"latitude": 90.1}, "position"),
        ({"stamp": 0}, "stamp"),
        ({"stamp": NOW - SECOND * 6 // 10}, "stale"),
        ({"stamp": NOW + SECOND}, "future"),
        ({"covariance": np.zeros((2, 2))}, "covariance"),
        ({"covariance": np.diag([4.0, -1.0])}, "covariance"),
        ({"covariance": np.diag([4.0, math.nan])}, "covariance"),
        ({"covariance": np.array([[1.0, 2.0], [2.0, 1.0]])}, "covariance"),
        ({"covariance": np.diag([1.0, 26.0**2])}, "unsure"),
    ],
)
def test_what_is_not_is_refused(change: dict, kind: str) -> None:
    refusal = Gate(GateConfig()).check(replace(GOOD, **change), NOW)
    assert refusal is not None and refusal.kind == kind and refusal.reason


def test_only_what_is_newer_than_the_last() -> None:
    gate = Gate(GateConfig())
    gate.passed(GOOD)
    for stamp in (GOOD.stamp, GOOD.stamp - 1):
        refusal = gate.check(replace(GOOD, stamp=stamp), NOW)
        assert refusal is not None and refusal.kind == "order"


def test_a_clock_that_was_set_back_does_not_stop_it_for_good() -> None:
    gate = Gate(GateConfig())
    gate.passed(GOOD)
    earlier = NOW - 3600 * SECOND
    assert gate.check(replace(GOOD, stamp=earlier - 1), earlier) is None
    assert gate.due(replace(GOOD, stamp=earlier - 1))


def test_rate_leaves_out_by_stamps_and_bears_jitter() -> None:
    gate = Gate(GateConfig(rate=5.0))
    sent = []
    rng = np.random.default_rng(0)
    for index in range(100):  # 10 Hz with 5 ms of jitter
        estimate = replace(GOOD, stamp=NOW + index * SECOND // 10 + int(rng.uniform(-5e6, 5e6)))
        if gate.due(estimate):
            gate.passed(estimate)
            sent.append(index)
    assert sent == list(range(0, 100, 2))


def moved(east: float, seconds: float) -> VehicleEstimate:
    latitude, longitude = enu_to_geodetic([east, 0.0], (24.1, 120.6)).tolist()
    return replace(GOOD, latitude=latitude, longitude=longitude, stamp=GOOD.stamp + round(seconds * SECOND))


def test_jumps_are_what_neither_speed_nor_uncertainty_explains() -> None:
    jumps = Jumps(max_speed=20.0)
    assert jumps.take(moved(0.0, 0.0)) == 0
    assert jumps.take(moved(20.0, 1.0)) == 0  # at full speed
    assert jumps.take(moved(32.0, 1.0)) == 0  # 12 m < 3 sqrt(9 + 9)
    assert jumps.take(moved(46.0, 1.0)) == 1  # 14 m
    assert jumps.take(moved(46.0, 2.0)) == 1
    jumps.count = 255
    assert jumps.take(moved(900.0, 3.0)) == 0
