"""The Kalman filter's model: constant velocity, and fixes whose errors last.

State: east, north (m), yaw (rad), their rates, and the error that fixes have in common (east, north, m). A frame's
error comes from how the ground in view differs from a level plane, and the next frame views most of the same ground:
were the errors taken as independent, the filter would soon believe itself to be far better than it is.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LASTING = 0.7
"""Share of a fix's variance that the next fix shares."""
MEMORY = 12.0
"""Seconds after which two fixes have 1 / e of that in common: about as long as a place stays in view."""
TURN_RATE = 0.5
"""1 sigma of the rate of turn at the start, radians per second."""


@dataclass(frozen=True)
class Belief:
    """Gaussian over the state at some moment.

    Attributes:
        mean: (8,).
        covariance: (8, 8).
        noise: (3, 3) covariance of the newest fix.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise: NDArray[np.float64]


class Motion:
    """Prediction and correction by OpenCV's Kalman filter."""

    def __init__(self, acceleration: float, turn_acceleration: float, speed: float) -> None:
        """1 sigma of: acceleration (m/s^2) and turn acceleration (rad/s^2) within a second, speed at the start."""
        self._density = np.diag([acceleration**2, acceleration**2, turn_acceleration**2])
        self._speed = speed
        self._kalman = cv2.KalmanFilter(8, 3, 0, cv2.CV_64F)
        self._seen = np.zeros((3, 8))
        self._seen[:, :3] = np.eye(3)
        self._seen[:2, 6:] = np.eye(2)
        self._kalman.measurementMatrix = self._seen

    def start(self, measured: NDArray[np.float64], noise: NDArray[np.float64]) -> Belief:
        """What a first fix (east, north, yaw) with its covariance (3, 3) tells."""
        covariance = np.zeros((8, 8))
        covariance[:3, :3] = noise
        covariance[3:6, 3:6] = np.diag([self._speed**2, self._speed**2, TURN_RATE**2])
        shared = LASTING * noise[:2, :2]
        covariance[6:, 6:] = shared
        covariance[:2, 6:] = covariance[6:, :2] = -shared
        mean = np.zeros(8)
        mean[:3] = measured
        return Belief(mean, covariance, noise)

    def predict(self, belief: Belief, seconds: float) -> Belief:
        """The belief some time later: white acceleration (Bar-Shalom et al. 2001, 6.2.2), fading common error."""
        transition = np.eye(8)
        transition[:3, 3:6] = seconds * np.eye(3)
        fading = math.exp(-seconds / MEMORY)
        transition[6:, 6:] *= fading
        noise = np.zeros((8, 8))
        noise[:3, :3] = seconds**3 / 3 * self._density
        noise[:3, 3:6] = noise[3:6, :3] = seconds**2 / 2 * self._density
        noise[3:6, 3:6] = seconds * self._density
        noise[6:, 6:] = (1.0 - fading**2) * LASTING * belief.noise[:2, :2]
        self._kalman.transitionMatrix, self._kalman.processNoiseCov = transition, noise
        # Copies: OpenCV predicts and corrects in place.
        self._kalman.statePost, self._kalman.errorCovPost = belief.mean[:, None].copy(), belief.covariance.copy()
        mean = np.array(self._kalman.predict(), np.float64).ravel()
        return Belief(mean, np.array(self._kalman.errorCovPre, np.float64), belief.noise)

    def surprise(self, belief: Belief, measured: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
        """Squared Mahalanobis distance of a fix from what is believed of its moment."""
        innovation = measured - self._seen @ belief.mean
        total = self._seen @ belief.covariance @ self._seen.T + self._own(noise)
        return float(innovation @ np.linalg.solve(total, innovation))

    def correct(self, belief: Belief, measured: NDArray[np.float64], noise: NDArray[np.float64]) -> Belief:
        """The belief after a fix of its moment."""
        self._kalman.statePre, self._kalman.errorCovPre = belief.mean[:, None].copy(), belief.covariance.copy()
        self._kalman.measurementNoiseCov = self._own(noise)
        self._kalman.correct(measured[:, None])
        covariance = np.array(self._kalman.errorCovPost, np.float64)
        return Belief(np.array(self._kalman.statePost, np.float64).ravel(), (covariance + covariance.T) / 2, noise)

    @staticmethod
    def _own(noise: NDArray[np.float64]) -> NDArray[np.float64]:
        """The part of a fix's covariance that is its own."""
        own = np.array(noise, np.float64)
        own[:2, :2] *= 1.0 - LASTING
        own[:2, 2:] *= math.sqrt(1.0 - LASTING)
        own[2:, :2] *= math.sqrt(1.0 - LASTING)
        return own
