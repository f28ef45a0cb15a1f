"""What a frame tells of the vehicle, and what the filter makes of all frames.

Convention:
    stamps are nanoseconds, latitudes and longitudes degrees WGS-84, lengths metres. yaw is that of `geo.Attitude`, of a
    nadir image's top: radians in ENU (0 = east, counter-clockwise). Covariances are of (east m, north m, yaw rad).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class VehicleFix:
    """The camera's pose by one frame alone.

    Attributes:
        stamp: of the frame, ns.
        latitude, longitude: of the camera, degrees.
        height: metres above the ground in view.
        yaw: radians.
        covariance: (3, 3) of east, north (metres) and yaw (radians).
        score: 0..1, probability that the frame is placed right.
        tilt: (forward, right) radians by which the camera looks away from where pitch and roll were taken to be.
        tilt_covariance: (2, 2) of tilt.
    """

    stamp: int
    latitude: float
    longitude: float
    height: float | None
    yaw: float
    covariance: NDArray[np.float64]
    score: float
    tilt: tuple[float, float] = (0.0, 0.0)
    tilt_covariance: NDArray[np.float64] | None = None


class State(StrEnum):
    """How much the filter knows."""

    SEARCHING = "searching"
    """No frame has been placed yet, or since the reset."""
    TRACKING = "tracking"
    """The newest frames are placed."""
    COASTING = "coasting"
    """Predicted from earlier frames; the newest are not placed."""
    LOST = "lost"
    """Too long without a frame that is placed: the prediction says too little."""


@dataclass(frozen=True)
class Estimate:
    """What is known of the vehicle at some moment.

    Attributes:
        stamp: ns.
        state: position and yaw are NaN-free in tracking and coasting, None in searching and lost.
        latitude, longitude: of the camera, degrees.
        yaw: radians.
        covariance: (3, 3) of east, north (metres) and yaw (radians); NaN where nothing is known.
        velocity: (east, north) metres per second.
        reset_counter: grows with each jump of the estimate that no motion explains.
    """

    stamp: int
    state: State
    latitude: float | None
    longitude: float | None
    yaw: float | None
    covariance: NDArray[np.float64]
    velocity: tuple[float, float]
    reset_counter: int
