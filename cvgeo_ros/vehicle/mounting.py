"""What a flight's frames tell of how the camera leans: one frame says little, many say much.

The lean of a camera whose pitch nobody gives is taken as a constant of the rig, which may drift and, seldom, jumps (a
gimbal that is told to), plus what the vehicle's own attitude adds from frame to frame. Each frame's own estimate, made
without this knowledge, either continues what is known or begins anew; both are weighed and merged to one Gaussian
(generalised pseudo-Bayesian filter of first order, Ackerson and Fu 1970).
"""

import math

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.vehicle.types import VehicleFix

DRIFT = math.radians(0.3)
"""1 sigma of the drift within a second, radians."""
JUMPS = 0.02
"""Probability that a frame is the first one after a jump."""
SECOND = 1_000_000_000

Pair = NDArray[np.float64]


class Mounting:
    """Belief about the lean, per axis: (forward, right), radians."""

    def __init__(self, std: float, wander: float) -> None:
        """`std`: 1 sigma before any frame; `wander`: 1 sigma of the vehicle's own attitude; radians."""
        self._fresh = np.full(2, std**2)
        self._wander = wander**2
        self._mean, self._variance = np.zeros(2), self._fresh
        self._stamp: int | None = None

    @property
    def std(self) -> tuple[float, float]:
        """1 sigma of the lean in a frame of which nothing else is known."""
        return _pair(np.sqrt(self._fresh + self._wander))

    def known(self, stamp: int) -> tuple[tuple[float, float], float]:
        """Mean of the lean at a moment, and its 1 sigma along the axis where it is larger."""
        return _pair(self._mean), math.sqrt(float(self._aged(stamp).max()) + self._wander)

    def expected(self, own: VehicleFix) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean and 1 sigma of the lean in a frame, by those before it; `own`: its fix by `std` alone."""
        mean, variance = self._merged(own, 1.0, 0.0)
        return _pair(mean), _pair(np.sqrt(variance + self._wander))

    def learn(self, own: VehicleFix, news: float) -> None:
        """Take a frame in; `news`: the share 0..1 of its ground that has not been in view before."""
        self._mean, self._variance = self._merged(own, news, news)
        self._stamp = own.stamp if self._stamp is None else max(self._stamp, own.stamp)

    def _merged(self, own: VehicleFix, weighed: float, taught: float) -> tuple[Pair, Pair]:
        """Mean and variance with a frame that may be the first after a jump.

        Args:
            own: of the frame.
            weighed: how far it counts, 0..1, in whether there was a jump.
            taught: how far it counts in what the lean is.
        """
        known = self._aged(own.stamp)
        z, noise = self._alone(own)
        means, variances, likelihoods = [], [], []
        jumps = JUMPS * weighed
        for mean, variance, odds in ((self._mean, known, 1.0 - jumps), (np.zeros(2), self._fresh, jumps)):
            total = variance + noise
            unlikely = 0.5 * float(((z - mean) ** 2 / total).sum() + np.log(total).sum())
            likelihoods.append(odds * math.exp(-weighed * unlikely))
            gain = taught * variance / (taught * variance + noise)
            means.append(mean + gain * (z - mean))
            variances.append(variance - gain * variance)
        # Where both are out of the question, it begins anew.
        share = np.array(likelihoods) / sum(likelihoods) if sum(likelihoods) > 0.0 else np.array([0.0, 1.0])
        mean = share @ np.array(means)
        return mean, share @ (np.array(variances) + (np.array(means) - mean) ** 2)

    def _aged(self, stamp: int) -> Pair:
        """Variance at a moment."""
        elapsed = 0.0 if self._stamp is None else max((stamp - self._stamp) / SECOND, 0.0)
        return np.minimum(self._variance + DRIFT**2 * elapsed, self._fresh)

    def _alone(self, own: VehicleFix) -> tuple[Pair, Pair]:
        """What the frame says without its prior: the constant lean and its variance, with what the vehicle adds."""
        assert own.tilt_covariance is not None
        prior = self._fresh + self._wander
        posterior = np.diag(own.tilt_covariance)
        # A frame without any say of its own must not come out as one with all of it.
        variance = 1.0 / np.maximum(1.0 / posterior - 1.0 / prior, 0.05 / prior)
        return np.asarray(own.tilt) / posterior * variance, variance + self._wander


def _pair(values: Pair) -> tuple[float, float]:
    return float(values[0]), float(values[1])
