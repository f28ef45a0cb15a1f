"""A small filter over fixes: gated innovations, states, re-acquisition, late fixes taken at their stamp."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo import enu_to_geodetic, geodetic_to_enu
from cvgeo_ros.vehicle.motion import Belief, Motion
from cvgeo_ros.vehicle.types import Estimate, State, VehicleFix

SECOND = 1_000_000_000
REACH = 5_000.0
"""Metres from the origin of the filter's plane at which the plane is laid anew."""


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
        lost_std: metres of 1 sigma of the position beyond which it is lost once it coasts for lack of fixes.
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
    """What is believed after an event at `stamp`, and the event: a fix, or None for a frame that was not placed.

    Attributes:
        trusted: the fix is believed where nothing is known, without others that agree.
        origin: place that the belief counts metres from; None while nothing was ever believed.
        accepted: stamp of the newest fix that was believed.
        missed: frames since that fix were not placed.
        pending: fixes that were not believed, newest last; they agree with each other.
    """

    stamp: int
    fix: VehicleFix | None = None
    trusted: bool = False
    origin: tuple[float, float] | None = None
    belief: Belief | None = None
    accepted: int = 0
    missed: bool = False
    pending: tuple[VehicleFix, ...] = ()


class VehicleFilter:
    """Position, heading and velocity over time. Not thread-safe."""

    def __init__(self, config: FilterConfig = FilterConfig()) -> None:
        self.config = config
        self._motion = Motion(config.acceleration, config.turn_acceleration, config.max_speed / 2)
        self._resets = 0
        self._past: list[_Snapshot] = []

    def reset(self) -> None:
        """Forget everything and search; counts as a reset where something was known."""
        if self._past and self._past[-1].belief is not None:
            self._resets += 1
        self._past = []

    def update(self, fix: VehicleFix, trusted: bool = False) -> bool:
        """Take a fix at its stamp, even if later ones were taken before.

        Args:
            fix: of one frame.
            trusted: something else, such as a position prior, speaks for the fix: where nothing is known, or the
                prediction lies elsewhere, it is believed at once.

        Returns:
            Whether it was believed.
        """
        return self._insert(fix.stamp, fix, trusted)

    def miss(self, stamp: int) -> None:
        """A frame that could not be placed."""
        self._insert(stamp, None, False)

    def at(self, stamp: int) -> Estimate:
        """The estimate at a moment, predicted from what is known before it."""
        last = self._before(stamp)
        if last is None or last.belief is None or last.origin is None:
            return self._nothing(stamp, State.SEARCHING)
        belief = self._motion.predict(last.belief, (stamp - last.stamp) / SECOND)
        age = (stamp - last.accepted) / SECOND
        coasts = age > self.config.coast_after
        if age > self.config.lost_after or (coasts and _deviation(belief) > self.config.lost_std):
            return self._nothing(stamp, State.LOST)
        state = State.COASTING if last.missed or coasts else State.TRACKING
        latitude, longitude = enu_to_geodetic(belief.mean[:2], last.origin).tolist()
        yaw = math.remainder(belief.mean[2], 2 * math.pi)
        velocity = (float(belief.mean[3]), float(belief.mean[4]))
        covariance = belief.covariance[:3, :3].copy()
        return Estimate(stamp, state, latitude, longitude, yaw, covariance, velocity, self._resets)

    def around(self, stamp: int, sigmas: float) -> tuple[float, float, float] | None:
        """Where to look at a moment: latitude, longitude and a radius in metres; None where nothing was ever known.

        While tracking and coasting that is the prediction with its sigmas, once lost all that could be reached since.
        """
        last = self._before(stamp)
        if last is None or last.belief is None or last.origin is None:
            return None
        estimate = self.at(stamp)
        if estimate.latitude is not None and estimate.longitude is not None:
            spread = float(np.linalg.eigvalsh(estimate.covariance[:2, :2])[-1])
            return estimate.latitude, estimate.longitude, sigmas * math.sqrt(spread)
        index = bisect_right(self._past, last.accepted, key=lambda item: item.stamp)
        good = self._past[index - 1] if index else self._past[0]
        assert good.belief is not None and good.origin is not None
        latitude, longitude = enu_to_geodetic(good.belief.mean[:2], good.origin).tolist()
        age = (stamp - good.stamp) / SECOND
        return latitude, longitude, sigmas * _deviation(good.belief) + self.config.max_speed * age

    def _before(self, stamp: int) -> _Snapshot | None:
        index = bisect_right(self._past, stamp, key=lambda item: item.stamp)
        return self._past[index - 1] if index else None

    def _nothing(self, stamp: int, state: State) -> Estimate:
        return Estimate(stamp, state, None, None, None, np.full((3, 3), np.nan), (0.0, 0.0), self._resets)

    def _insert(self, stamp: int, fix: VehicleFix | None, trusted: bool) -> bool:
        """Put an event where its stamp belongs and take those after it anew."""
        if self._past and stamp < self._past[-1].stamp - self.config.history * SECOND:
            return False
        index = bisect_right(self._past, stamp, key=lambda item: item.stamp)
        later = self._past[index:]
        before = self.at(later[-1].stamp) if later else None
        del self._past[index:]
        resets = self._resets
        believed = self._take(stamp, fix, trusted)
        for event in later:
            self._take(event.stamp, event.fix, event.trusted)
        if before is not None:
            self._resets = resets + self._jumped(before, self.at(before.stamp))
        # The newest snapshot before the history is what a fix at its beginning starts from.
        oldest = self._past[-1].stamp - self.config.history * SECOND
        keep = bisect_right(self._past, oldest, key=lambda item: item.stamp) - 1
        good = bisect_right(self._past, self._past[-1].accepted, key=lambda item: item.stamp) - 1
        del self._past[: max(min(keep, good), 0)]
        return believed

    def _jumped(self, before: Estimate, after: Estimate) -> bool:
        """Whether two estimates of one moment contradict each other."""
        if before.latitude is None or before.longitude is None or after.latitude is None or after.longitude is None:
            return False
        step = geodetic_to_enu([after.latitude, after.longitude], (before.latitude, before.longitude))
        return float(step @ np.linalg.solve(before.covariance[:2, :2], step)) > self.config.gate**2

    def _take(self, stamp: int, fix: VehicleFix | None, trusted: bool) -> bool:
        """Append the snapshot after an event, which is not before the last one; whether its fix was believed."""
        last = self._past[-1] if self._past else _Snapshot(stamp)
        belief = None if last.belief is None else self._motion.predict(last.belief, (stamp - last.stamp) / SECOND)
        event = replace(last, stamp=stamp, fix=fix, trusted=trusted, belief=belief)
        if fix is None or fix.score < self.config.min_score:
            self._past.append(replace(event, missed=True))
            return False
        known = self.at(stamp).latitude is not None
        if known and belief is not None and last.origin is not None:
            measured = _measured(fix, last.origin, float(belief.mean[2]))
            if self._motion.surprise(belief, measured, fix.covariance) <= self.config.gate**2:
                belief = self._motion.correct(belief, measured, fix.covariance)
                self._past.append(_anchored(replace(event, belief=belief, accepted=stamp, missed=False, pending=())))
                return True
        pending = (*(item for item in last.pending if self._agree(item, fix)), fix)
        if trusted or len(pending) >= (self.config.reacquire if known else self.config.confirm):
            self._resets += last.belief is not None
            origin, belief = self._begin((fix,) if trusted else pending)
            self._past.append(_Snapshot(stamp, fix, trusted, origin, belief, stamp))
            return True
        self._past.append(replace(event, missed=True, pending=pending))
        return False

    def _begin(self, fixes: tuple[VehicleFix, ...]) -> tuple[tuple[float, float], Belief]:
        """The plane's origin and the belief after fixes that agree, of which the first is all that is known before."""
        first = fixes[0]
        origin, stamp = (first.latitude, first.longitude), first.stamp
        belief = self._motion.start(np.array([0.0, 0.0, first.yaw]), first.covariance)
        for fix in fixes[1:]:
            belief = self._motion.predict(belief, (fix.stamp - stamp) / SECOND)
            measured = _measured(fix, origin, float(belief.mean[2]))
            belief, stamp = self._motion.correct(belief, measured, fix.covariance), fix.stamp
        return origin, belief

    def _agree(self, a: VehicleFix, b: VehicleFix) -> bool:
        """Whether one vehicle can have been at both."""
        step = geodetic_to_enu([b.latitude, b.longitude], (a.latitude, a.longitude))
        doubt = 3.0 * math.sqrt(float(np.trace(a.covariance[:2, :2]) + np.trace(b.covariance[:2, :2])))
        age = abs(b.stamp - a.stamp) / SECOND
        return age <= self.config.lost_after and float(np.hypot(*step)) <= self.config.max_speed * age + doubt


def _deviation(belief: Belief) -> float:
    """1 sigma of the position along the axis where it is largest, metres."""
    return math.sqrt(float(np.linalg.eigvalsh(belief.covariance[:2, :2])[-1]))


def _measured(fix: VehicleFix, origin: tuple[float, float], yaw: float) -> NDArray[np.float64]:
    """East, north about the origin, and the yaw that is nearest to a given one."""
    east, north = geodetic_to_enu([fix.latitude, fix.longitude], origin).tolist()
    return np.array([east, north, yaw + math.remainder(fix.yaw - yaw, 2 * math.pi)])


def _anchored(snapshot: _Snapshot) -> _Snapshot:
    """The same, with its plane laid anew where it has been left behind."""
    assert snapshot.belief is not None and snapshot.origin is not None
    mean = snapshot.belief.mean
    if np.hypot(*mean[:2]) < REACH:
        return snapshot
    latitude, longitude = enu_to_geodetic(mean[:2], snapshot.origin).tolist()
    moved = np.concatenate([[0.0, 0.0], mean[2:]])
    return replace(snapshot, origin=(latitude, longitude), belief=replace(snapshot.belief, mean=moved))
