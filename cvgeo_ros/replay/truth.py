"""Where the vehicle really was, as a bag tells it."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from cvgeo_ros.telemetry.messages import NANOSECONDS, position_from_fix, to_nanoseconds, yaw_of

LONGEST_GAP = 1.0
"""Seconds between two truths, between which a place is interpolated."""


@dataclass(frozen=True)
class Place:
    """Latitude and longitude in degrees, and yaw (rad ENU) or None."""

    latitude: float
    longitude: float
    yaw: float | None


class Truth:
    """Places by time, interpolated between messages."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, message: Any, received: int) -> None:
        """Take a GeoPoseStamped, GeoPoseWithCovarianceStamped or NavSatFix; those without a place are ignored."""
        place = _place(message)
        stamp = to_nanoseconds(message.header.stamp) or received
        if place is None:
            return
        at = bisect_left(self._stamps, stamp)
        if at < len(self._stamps) and self._stamps[at] == stamp:
            return
        self._stamps.insert(at, stamp)
        self._places.insert(at, place)

    def at(self, stamp: int) -> Place | None:
        """Return the place at a time (ns), None where no two truths lie close enough around it."""
        at = bisect_left(self._stamps, stamp)
        if at < len(self._stamps) and self._stamps[at] == stamp:
            return self._places[at]
        if not 0 < at < len(self._stamps):
            return None
        start, end = self._stamps[at - 1], self._stamps[at]
        if end - start > LONGEST_GAP * NANOSECONDS:
            return None
        share = (stamp - start) / (end - start)
        a, b = self._places[at - 1], self._places[at]
        yaw = None
        if a.yaw is not None and b.yaw is not None:
            yaw = math.remainder(a.yaw + share * math.remainder(b.yaw - a.yaw, 2.0 * math.pi), 2.0 * math.pi)
        return Place(
            a.latitude + share * (b.latitude - a.latitude), a.longitude + share * (b.longitude - a.longitude), yaw
        )


def _place(message: Any) -> Place | None:
    if hasattr(message, "latitude"):
        fix = position_from_fix(message)
        return None if fix is None else Place(fix[0], fix[1], None)
    pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
    if not (math.isfinite(pose.position.latitude) and math.isfinite(pose.position.longitude)):
        return None
    return Place(pose.position.latitude, pose.position.longitude, yaw_of(pose.orientation))
