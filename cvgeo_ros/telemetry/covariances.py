"""Covariances as geographic messages carry them, and the frame that these are in.

Convention:
    ENU, m^2 and rad^2. GeoPoseWithCovariance: latitude, longitude, altitude, rotations about east, north and up.
    NavSatFix: east, north, up. What nobody measured has UNKNOWN_VARIANCE.
"""

import numpy as np
from numpy.typing import NDArray

EARTH = "earth"
"""Frame (REP-105) of geographic positions."""
UNKNOWN_VARIANCE = 1e6
"""What a covariance says of a quantity nobody measured: 1 km, or any rotation at all (m^2, rad^2)."""


def vehicle_pose_covariance(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return GeoPoseWithCovariance's (36,) of the covariance (3, 3) of east, north (m) and yaw (rad)."""
    result = np.diag([UNKNOWN_VARIANCE] * 6)
    order = [1, 0, 5]  # of east, north and yaw in the message
    result[np.ix_(order, order)] = (covariance + covariance.T) / 2.0
    return result.ravel()


def vehicle_fix_covariance(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return NavSatFix's (9,) of the covariance (3, 3) of east, north (m) and yaw (rad)."""
    result = np.diag([UNKNOWN_VARIANCE] * 3)
    result[:2, :2] = (covariance[:2, :2] + covariance[:2, :2].T) / 2.0
    return result.ravel()


def target_pose_covariance(std: float) -> NDArray[np.float64]:
    """Return GeoPoseWithCovariance's (36,) of a target's 1-sigma radius, m: altitude and rotation are not known."""
    return np.diag([std**2] * 2 + [UNKNOWN_VARIANCE] * 4).ravel()


def target_fix_covariance(std: float) -> NDArray[np.float64]:
    """Return NavSatFix's (9,) of a target's 1-sigma radius, m."""
    return np.diag([std**2, std**2, UNKNOWN_VARIANCE]).ravel()
