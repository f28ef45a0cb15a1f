"""An estimate of the vehicle's position on its way to an autopilot, and the gate that lets it pass or not."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo.geodesy import distance

NANOSECONDS = 1_000_000_000
LARGEST = 1e18
"""m^2: more than the Earth is wide is no variance."""


@dataclass(frozen=True)
class VehicleEstimate:
    """Where the vehicle was at some moment.

    Attributes:
        stamp: Of the image it was seen in, ns.
        latitude, longitude: WGS-84, degrees; NaN = unknown.
        covariance: (2, 2) of east and north, m^2.
        height: Above the WGS-84 ellipsoid, m; None = unknown.
        height_std: 1 sigma of it, m; None = unknown.
        yaw: Of the vehicle's nose, radians ENU; None = unknown.
        yaw_std: 1 sigma of it, radians; None = unknown.
    """

    stamp: int
    latitude: float
    longitude: float
    covariance: NDArray[np.float64]
    height: float | None = None
    height_std: float | None = None
    yaw: float | None = None
    yaw_std: float | None = None

    @property
    def std(self) -> float:
        """1 sigma along the worst horizontal direction, m; NaN where the covariance is none."""
        matrix = np.asarray(self.covariance, np.float64)
        if matrix.shape != (2, 2) or not np.isfinite(matrix).all():
            return math.nan
        if np.abs(matrix).max() > LARGEST:
            return math.nan
        least, most = np.linalg.eigvalsh((matrix + matrix.T) / 2.0)
        return math.sqrt(most) if least > 0.0 else math.nan


class Refusal(NamedTuple):
    """Why an estimate is not sent: a word to count it under, and a sentence."""

    kind: str
    reason: str


@dataclass(frozen=True)
class GateConfig:
    """What may be sent.

    Attributes:
        max_age: Older estimates are refused, s.
        max_std: Less certain ones (1 sigma, worst direction) are refused, m.
        rate: Most messages a second; estimates in between are left out.
    """

    max_age: float = 0.5
    max_std: float = 25.0
    rate: float = 10.0


class Gate:
    """Lets through what is fresh, certain enough and in order. Not for several threads at a time."""

    TOLERANCE = 50_000_000
    """ns by which a stamp may lie ahead of the clock: cameras on other machines."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self._last: int | None = None

    def check(self, estimate: VehicleEstimate, now: int) -> Refusal | None:
        """Return why an estimate must not be sent at a time (ns), None where it may."""
        last = self._last
        if last is not None and last > now + self.TOLERANCE:  # the clock was set back, or a bag began again
            last = self._last = None
        if not (abs(estimate.latitude) <= 90.0 and abs(estimate.longitude) <= 180.0):
            return Refusal("position", f"position {estimate.latitude}, {estimate.longitude} is none")
        if estimate.stamp <= 0:
            return Refusal("stamp", "the estimate has no stamp")
        age = (now - estimate.stamp) / NANOSECONDS
        if age > self.config.max_age:
            return Refusal("stale", f"{age:.2f} s old, max_age is {self.config.max_age:g} s")
        if estimate.stamp > now + self.TOLERANCE:
            return Refusal("future", f"stamped {-age:.2f} s ahead of the clock: synchronise the clocks")
        if last is not None and estimate.stamp <= last:
            return Refusal("order", "not newer than what was sent before")
        std = estimate.std
        if math.isnan(std):
            return Refusal("covariance", "the estimate has no covariance")
        if std > self.config.max_std:
            return Refusal("unsure", f"1 sigma is {std:.1f} m, max_std is {self.config.max_std:g} m")
        return None

    def due(self, estimate: VehicleEstimate) -> bool:
        """Tell whether, by the rate, it is time for another message; stamps that jitter by a tenth are on time."""
        return self._last is None or estimate.stamp - self._last >= 0.9 * NANOSECONDS / self.config.rate

    def passed(self, estimate: VehicleEstimate) -> None:
        """Note that an estimate was sent."""
        self._last = estimate.stamp


class Jumps:
    """Counts, modulo 256, jumps between estimates in a row that neither motion nor their uncertainty explains.

    Args:
        max_speed: The vehicle's, m/s.
    """

    def __init__(self, max_speed: float) -> None:
        self.max_speed = max_speed
        self.count = 0
        self._last: VehicleEstimate | None = None

    def take(self, estimate: VehicleEstimate) -> int:
        """Return the counter to send with an estimate that has passed the gate."""
        last, self._last = self._last, estimate
        if last is not None:
            step = float(distance([last.latitude, last.longitude], [estimate.latitude, estimate.longitude]))
            motion = self.max_speed * abs(estimate.stamp - last.stamp) / NANOSECONDS
            if step > motion + 3.0 * math.hypot(last.std, estimate.std):
                self.count = (self.count + 1) % 256
        return self.count
