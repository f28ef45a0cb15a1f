"""What diagnostics tell of the vehicle."""

import math

import numpy as np
import pytest

from cvgeo_ros.vehicle import Estimate, State, VehicleFix
from cvgeo_ros.vehicle.values import fix_values, track_values


@pytest.mark.parametrize(
    ("covariance", "std"),
    [(np.diag([4.0, 9.0, 100.0]), "3.00"), (np.diag([16.0, 9.0, 0.1]), "4.00"), (np.full((3, 3), math.nan), "")],
)
def test_a_track_is_told_with_its_larger_deviation(covariance: np.ndarray, std: str) -> None:
    estimate = Estimate(1, State.COASTING, None, None, None, covariance, (0.0, 0.0), 7)
    told = {"vehicle_state": "coasting", "vehicle_reset_counter": "7", "vehicle_std_m": std}
    assert track_values(estimate) == told


def test_a_fix_is_told_with_its_score() -> None:
    fix = VehicleFix(1, 45.6, 9.0, None, 0.0, np.eye(3), 0.98765)
    assert fix_values(fix, True) == {"vehicle_score": "0.988", "vehicle_accepted": "true"}
    assert fix_values(None, False) == {"vehicle_score": "", "vehicle_accepted": "false"}
