"""Heading conventions: compass (degrees, clockwise from north) and ENU yaw (radians, counter-clockwise from east)."""

import math


def compass_to_yaw(heading: float) -> float:
    """ENU yaw of a compass heading (REP-103).

    Args:
        heading: degrees, 0 = north, clockwise positive; any number of turns. NaN stays NaN.

    Returns:
        radians in (-pi, pi], 0 = east, counter-clockwise positive.
    """
    return math.pi / 2 - math.radians(_wrap(heading - 90.0) + 90.0)


def yaw_to_compass(yaw: float) -> float:
    """Compass heading of an ENU yaw: degrees in [0, 360), 0 = north, clockwise; inverse of `compass_to_yaw`."""
    return (90.0 - math.degrees(yaw)) % 360.0 % 360.0


def _wrap(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180.0) % 360.0 % 360.0 - 180.0
