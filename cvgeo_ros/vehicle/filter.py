"""A small Kalman filter over fixes: constant velocity, gated innovations, re-acquisition, late fixes at their stamp."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo import enu_to_geodetic, geodetic_to_enu
from cvgeo_ros.vehicle.types import Estimate, State, VehicleFix

SECOND = 1_000_000_000


@dataclass(frozen=True)
class FilterConfig:
    """How the vehicle moves, and what is believed.

    Attributes:
        min_score: fixes below it are misses.
        gate: Mahalanobis distance in sigma, beyond which a fix contradicts the prediction.
        acceleration: metres per second squared, 1 sigma within a second.
        turn_acceleration: radians per second squared, likewise.
        max_speed: metres per second; 1 sigma of the velocity at the start is half of it.
        confirm: fixes that must agree with each other before an unknown position is believed.
        reacquire: contradicting fixes, agreeing with each other, after which the filter moves to them.
        coast_after: seconds without a fix after which it coasts; a frame that is not placed does so at once.
        lost_after: seconds without a fix after which it is lost.
        lost_std: metres of 1 sigma of the position beyond which it is lost.
        history: seconds for which late fixes are taken.
    """

    min_score: float = 0.5
    gate: float = 4.0
    acceleration: float = 2.0
    turn_acceleration: float = 0.5
    max_speed: float = 30.0
    confirm: int = 2
    reacquire: int = 3
    coast_after: float = 1.5
    lost_after: float = 20.0
    lost_std: float = 100.0
    history: float = 20.0


@dataclass(frozen=True)
class _Snapshot:
    """The filter after an event, and the event: a fix, or None for a frame that was not placed."""

    stamp: int
    fix: VehicleFix | None
    origin: tuple[float, float] | None
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    accepted: int | None
    missed: bool
    pending: tuple[VehicleFix, ...]
    taken: bool = False


class VehicleFilter:
    """Position, yaw and their rates; east, north, yaw about the place of the first fix."""

    def __init__(self, config: FilterConfig = FilterConfig()) -> None:
        self.config = config
        self._kalman = cv2.KalmanFilter(6, 3, 0, cv2.CV_64F)
        self._kalman.measurementMatrix = np.eye(3, 6)
        self._resets = 0
        self._past: list[_Snapshot] = []

    def reset(self) -> None:
        """Forget everything and search; counts as a reset where something was known."""
        if self._past and self._past[-1].origin is not None:
            self._resets += 1
        self._past = []

    def update(self, fix: VehicleFix) -> bool:
        """Take a fix at its stamp, even if later ones were taken before; whether it was believed."""
        return self._insert(fix.stamp, fix)

    def miss(self, stamp: int) -> None:
        """A frame that could not be placed."""
        self._insert(stamp, None)

    def at(self, stamp: int) -> Estimate:
        """The estimate at a moment, predicted from what is known before it."""
        index = bisect_right(self._past, stamp, key=lambda item: item.stamp)
        if not index:
            return self._nothing(stamp, State.SEARCHING)
        last = self._past[index - 1]
        if last.origin is None or last.accepted is None:
            return self._nothing(stamp, State.SEARCHING)
        mean, covariance = self._predict(last, stamp)
        age = (stamp - last.accepted) / SECOND
        if age > self.config.lost_after or math.sqrt(max(covariance[0, 0], covariance[1, 1])) > self.config.lost_std:
            return self._nothing(stamp, State.LOST)
        state = State.COASTING if last.missed or age > self.config.coast_after else State.TRACKING
        latitude, longitude = enu_to_geodetic(mean[:2], last.origin).tolist()
        yaw = math.remainder(mean[2], 2 * math.pi)
        velocity = (float(mean[3]), float(mean[4]))
        return Estimate(stamp, state, latitude, longitude, yaw, covariance[:3, :3].copy(), velocity, self._resets)

    def _nothing(self, stamp: int, state: State) -> Estimate:
        return Estimate(stamp, state, None, None, None, np.full((3, 3), np.nan), (0.0, 0.0), self._resets)

    def _insert(self, stamp: int, fix: VehicleFix | None) -> bool:
        if self._past and stamp < self._past[-1].stamp - self.config.history * SECOND:
            return False
        index = bisect_right(self._past, stamp, key=lambda item: item.stamp)
        if index and self._past[index - 1].stamp == stamp:  # the same frame once more tells nothing new
            return self._past[index - 1].taken
        later = self._past[index:]
        before = self.at(later[-1].stamp) if later else None
        del self._past[index:]
        resets = self._resets
        taken = self._step(stamp, fix)
        for event in later:
            self._step(event.stamp, event.fix)
        if before is not None:
            self._resets = resets + self._jumped(before, self.at(before.stamp))
        oldest = self._past[-1].stamp - self.config.history * SECOND
        while len(self._past) > 1 and self._past[1].stamp < oldest:
            del self._past[0]
        return taken

    def _jumped(self, before: Estimate, after: Estimate) -> bool:
        if before.latitude is None or after.latitude is None:
            return False
        assert before.longitude is not None and after.longitude is not None
        step = geodetic_to_enu([after.latitude, after.longitude], (before.latitude, before.longitude))
        distance = float(step @ np.linalg.solve(before.covariance[:2, :2], step))
        return distance > self.config.gate**2

    def _step(self, stamp: int, fix: VehicleFix | None) -> bool:
        """Append the snapshot after an event at `stamp`, not before the last one; whether the fix was believed."""
        empty = _Snapshot(stamp, None, None, np.zeros(6), np.zeros((6, 6)), None, False, ())
        last = self._past[-1] if self._past else empty
        if fix is not None and fix.score < self.config.min_score:
            taken = False
            after = replace(last, stamp=stamp, fix=fix, missed=True, pending=(), taken=False)
            after = self._moved(last, after, stamp)
        elif fix is None:
            taken = False
            after = self._moved(last, replace(last, stamp=stamp, fix=None, missed=True, taken=False), stamp)
        else:
            after = self._take(last, fix)
            taken = after.taken
        self._past.append(after)
        return taken

    def _moved(self, last: _Snapshot, after: _Snapshot, stamp: int) -> _Snapshot:
        if last.origin is None:
            return after
        mean, covariance = self._predict(last, stamp)
        return replace(after, mean=mean, covariance=covariance)

    def _take(self, last: _Snapshot, fix: VehicleFix) -> _Snapshot:
        known = self.at(fix.stamp).latitude is not None
        if known and last.origin is not None:
            mean, covariance = self._predict(last, fix.stamp)
            measured = self._measured(fix, last.origin, float(mean[2]))
            innovation = measured - mean[:3]
            total = covariance[:3, :3] + fix.covariance
            if innovation @ np.linalg.solve(total, innovation) <= self.config.gate**2:
                self._kalman.statePre, self._kalman.errorCovPre = mean[:, None], covariance
                self._kalman.measurementNoiseCov = np.asarray(fix.covariance, np.float64)
                self._kalman.correct(measured[:, None])
                return _Snapshot(
                    fix.stamp,
                    fix,
                    last.origin,
                    np.array(self._kalman.statePost, np.float64).ravel(),
                    np.array(self._kalman.errorCovPost, np.float64),
                    fix.stamp,
                    False,
                    (),
                    True,
                )
        pending = (*(p for p in last.pending if self._agree(p, fix)), fix)
        if len(pending) >= (self.config.reacquire if known else self.config.confirm):
            if last.accepted is not None:
                self._resets += 1
            return self._begin(pending)
        after = replace(last, stamp=fix.stamp, fix=fix, missed=True, pending=pending, taken=False)
        return self._moved(last, after, fix.stamp)

    def _begin(self, fixes: tuple[VehicleFix, ...]) -> _Snapshot:
        """Start over at the newest of fixes that agree."""
        fix = fixes[-1]
        covariance = np.zeros((6, 6))
        covariance[:3, :3] = fix.covariance
        covariance[3:, 3:] = np.diag([(self.config.max_speed / 2) ** 2] * 2 + [0.5**2])
        mean = np.array([0.0, 0.0, fix.yaw, 0.0, 0.0, 0.0])
        origin = (fix.latitude, fix.longitude)
        return _Snapshot(fix.stamp, fix, origin, mean, covariance, fix.stamp, False, (), True)

    def _agree(self, a: VehicleFix, b: VehicleFix) -> bool:
        """Whether a vehicle can have been at both."""
        step = geodetic_to_enu([b.latitude, b.longitude], (a.latitude, a.longitude))
        doubt = 3.0 * math.sqrt(max(np.trace(a.covariance[:2, :2]), np.trace(b.covariance[:2, :2])))
        age = abs(b.stamp - a.stamp) / SECOND
        return age <= self.config.lost_after and float(np.hypot(*step)) <= self.config.max_speed * age + doubt

    def _measured(self, fix: VehicleFix, origin: tuple[float, float], yaw: float) -> NDArray[np.float64]:
        east, north = geodetic_to_enu([fix.latitude, fix.longitude], origin).tolist()
        return np.array([east, north, yaw + math.remainder(fix.yaw - yaw, 2 * math.pi)])

    def _predict(self, last: _Snapshot, stamp: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and covariance at `stamp`: white acceleration (Bar-Shalom 2001, 6.2.2)."""
        dt = (stamp - last.stamp) / SECOND
        transition = np.eye(6)
        transition[:3, 3:] = dt * np.eye(3)
        density = np.diag([self.config.acceleration**2] * 2 + [self.config.turn_acceleration**2])
        noise = np.block([[dt**3 / 3 * density, dt**2 / 2 * density], [dt**2 / 2 * density, dt * density]])
        self._kalman.transitionMatrix = transition
        self._kalman.processNoiseCov = noise
        self._kalman.statePost, self._kalman.errorCovPost = last.mean[:, None], last.covariance
        mean = np.array(self._kalman.predict(), np.float64).ravel()
        return mean, np.array(self._kalman.errorCovPre, np.float64)
