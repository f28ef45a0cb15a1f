"""What a replay found, frame by frame, in the numbers that its JSON tells.

Convention:
    Stamps are nanoseconds, times seconds from the first frame, positions WGS-84 degrees, headings degrees clockwise
    from north, lengths metres. None is unknown. Headings are the vehicle's: the camera's, turned by camera_yaw.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvgeo_ros.geo import distance, geodetic_to_enu, yaw_to_compass
from cvgeo_ros.replay.player import Answered, Followed
from cvgeo_ros.replay.truth import Place
from cvgeo_ros.vehicle import Estimate, VehicleFix


@dataclass(frozen=True)
class Pose:
    """A place and heading with their standard deviations: the longer axis of the position's, and the heading's."""

    latitude: float
    longitude: float
    heading: float
    position_std: float
    heading_std: float


@dataclass(frozen=True)
class Track:
    """One frame of the vehicle's track.

    Attributes:
        stamp, time: Of the frame.
        state, reset_counter: Of the filter.
        score: Probability that the frame is placed right, None where nothing was fitted.
        accepted: Whether the filter believed it.
        fix: The frame's own measurement.
        height, tilt: Of the measurement: m above ground; degrees forward and right that nobody told of.
        estimate: The filter's.
        truth: (latitude, longitude, heading or None).
        fix_error, error: Distance of measurement and estimate from the truth.
        fix_heading_error, heading_error: Of their headings, -180 to 180.
        fix_nees, nees: Squared error of the position in their own sigmas; 5.99 is exceeded in 5 % of honest cases.
        error_text: Why the frame was refused.
        latency: Seconds by part.
    """

    stamp: int
    time: float
    state: str
    reset_counter: int
    score: float | None
    accepted: bool
    fix: Pose | None
    height: float | None
    tilt: tuple[float, float] | None
    estimate: Pose | None
    truth: tuple[float, float, float | None] | None
    fix_error: float | None
    error: float | None
    fix_heading_error: float | None
    heading_error: float | None
    fix_nees: float | None
    nees: float | None
    error_text: str
    latency: dict[str, float]


def track_of(item: Followed, estimate: Estimate, first: int, truth: Place | None, mounting: float) -> Track:
    """Return the record of a frame.

    Args:
        item: The frame.
        estimate: The filter's at its stamp.
        first: Stamp of the first frame.
        truth: Where the vehicle was, None: unknown.
        mounting: Yaw of the camera against the nose, rad clockwise seen from above.
    """
    fix = item.step.fix if item.step is not None else None
    measured, believed = _pose(fix, mounting), _pose(estimate, mounting)
    place = None if truth is None else (truth.latitude, truth.longitude)
    heading = None if truth is None or truth.yaw is None else yaw_to_compass(truth.yaw)
    return Track(
        stamp=item.stamp,
        time=round((item.stamp - first) * 1e-9, 6),
        state=str(estimate.state),
        reset_counter=estimate.reset_counter,
        score=None if fix is None else round(fix.score, 4),
        accepted=item.step is not None and item.step.accepted,
        fix=measured,
        height=None if fix is None or fix.height is None else round(fix.height, 2),
        tilt=None if fix is None else (round(math.degrees(fix.tilt[0]), 2), round(math.degrees(fix.tilt[1]), 2)),
        estimate=believed,
        truth=None if truth is None else (round(truth.latitude, 9), round(truth.longitude, 9), _rounded(heading)),
        fix_error=_error(measured, place),
        error=_error(believed, place),
        fix_heading_error=_turn(measured, heading),
        heading_error=_turn(believed, heading),
        fix_nees=_nees(fix, place),
        nees=_nees(estimate, place),
        error_text=item.error,
        latency={part: round(value, 6) for part, value in item.seconds.items()},
    )


def answer_of(item: Answered, first: int) -> dict[str, Any]:
    """Return the record of clicks."""
    found = item.localization
    names = item.clicks.ids if item.clicks is not None else ()
    targets = [] if found is None else list(zip(names, found.targets, strict=True))
    return {
        "stamp": item.stamp,
        "time": round((item.stamp - first) * 1e-9, 6) if item.stamp else None,
        "targets": [
            {
                "id": name,
                "score": round(target.score, 4),
                "latitude": round(target.latitude, 9),
                "longitude": round(target.longitude, 9),
                "position_std": round(target.position_std, 3),
                "bbox": [round(edge, 2) for edge in target.bbox],
            }
            for name, target in targets
        ],
        "error_text": item.error,
        "latency": round(item.seconds, 6),
    }


def _pose(source: VehicleFix | Estimate | None, mounting: float) -> Pose | None:
    if source is None or source.latitude is None or source.longitude is None or source.yaw is None:
        return None
    axis = math.sqrt(max(float(np.linalg.eigvalsh(source.covariance[:2, :2])[-1]), 0.0))
    return Pose(
        round(source.latitude, 9),
        round(source.longitude, 9),
        # yaw = vehicle's - mounting, and compass headings turn the other way.
        round(yaw_to_compass(source.yaw + mounting), 3),
        round(axis, 3),
        round(math.degrees(math.sqrt(max(float(source.covariance[2, 2]), 0.0))), 3),
    )


def _error(pose: Pose | None, truth: tuple[float, float] | None) -> float | None:
    if pose is None or truth is None:
        return None
    return round(float(distance((pose.latitude, pose.longitude), truth)), 3)


def _turn(pose: Pose | None, heading: float | None) -> float | None:
    return None if pose is None or heading is None else round(math.remainder(pose.heading - heading, 360.0), 3)


def _nees(source: VehicleFix | Estimate | None, truth: tuple[float, float] | None) -> float | None:
    if source is None or truth is None or source.latitude is None or source.longitude is None:
        return None
    off = geodetic_to_enu((source.latitude, source.longitude), truth)
    return round(float(off @ np.linalg.solve(source.covariance[:2, :2], off)), 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
