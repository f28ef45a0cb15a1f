"""A replay held against an earlier one: the regression test of a flight."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cvgeo_ros.errors import BagError
from cvgeo_ros.geo import distance
from cvgeo_ros.replay.record import Pose, Track

FORMAT = 1
SHOWN = 12
"""Differences of one kind that are listed; more are counted."""


@dataclass(frozen=True)
class Tolerances:
    """How far a replay may be off what was expected; written into the file, where they may be changed.

    Attributes:
        position: m, of the track's position.
        heading: deg, of its heading.
        target: m, of targets.
        frames: Share of the frames that may be beyond these, or in another state.
        error: m, by which the median and the 95 % position error may be worse than expected.
    """

    position: float = 1.0
    heading: float = 1.0
    target: float = 2.0
    frames: float = 0.02
    error: float = 0.25


def expectation(
    tracks: Sequence[Track], answers: Sequence[dict[str, Any]], summary: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what later replays of the same bag are held against; `told` names bag, map and model."""
    return {
        "format": FORMAT,
        "told": dict(told),
        "tolerances": asdict(Tolerances()),
        "position_error": summary["position_error"],
        "frames": [
            {
                "stamp": track.stamp,
                "state": track.state,
                "latitude": None if track.estimate is None else track.estimate.latitude,
                "longitude": None if track.estimate is None else track.estimate.longitude,
                "heading": None if track.estimate is None else track.estimate.heading,
            }
            for track in tracks
        ],
        "targets": [
            {"stamp": answer["stamp"], **{key: target[key] for key in ("id", "latitude", "longitude")}}
            for answer in answers
            for target in answer["targets"]
        ],
    }


def read_expectation(path: Path) -> dict[str, Any]:
    """Return what :func:`expectation` wrote. Raises BagError where the file is missing or something else."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}: make it by --write-expected {path}") from error
    except ValueError as error:
        raise BagError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BagError(f"{path}: no expectation of this version: make it anew by --write-expected {path}")
    unknown = set(content.get("tolerances", {})) - {item.name for item in fields(Tolerances)}
    if unknown or not all(isinstance(content.get(key), list) for key in ("frames", "targets")):
        raise BagError(
            f"{path}: " + (f"unknown tolerances {sorted(unknown)}" if unknown else "frames or targets missing")
        )
    return content


def differences(
    expected: Mapping[str, Any],
    tracks: Sequence[Track],
    answers: Sequence[dict[str, Any]],
    summary: Mapping[str, Any],
) -> list[str]:
    """Return what differs beyond the tolerances, a sentence each; empty where nothing does."""
    tolerances = Tolerances(**expected.get("tolerances", {}))
    found: list[str] = []
    frames = expected["frames"]
    if len(frames) != len(tracks):
        found.append(f"frames: {len(tracks)}, expected {len(frames)}")
    by_stamp = {track.stamp: track for track in tracks}
    off = []
    for frame in frames:
        track = by_stamp.get(frame["stamp"])
        reason = "is missing" if track is None else _frame_off(frame, track, tolerances)
        if reason:
            time = (frame["stamp"] - frames[0]["stamp"]) * 1e-9
            off.append(f"frame at {time:.3f} s: {reason}")
    if len(off) > tolerances.frames * len(frames):
        found += _listed(off, f"of {len(frames)} frames differ; {tolerances.frames:.0%} may")
    found += _targets_off(expected["targets"], answers, tolerances)
    return found + _errors_off(expected.get("position_error"), summary["position_error"], tolerances)


def _frame_off(frame: Mapping[str, Any], track: Track, tolerances: Tolerances) -> str:
    parts = []
    if track.state != frame["state"]:
        parts.append(f"{track.state}, expected {frame['state']}")
    elif track.estimate is not None and frame["latitude"] is not None:
        pose: Pose = track.estimate
        metres = float(distance((pose.latitude, pose.longitude), (frame["latitude"], frame["longitude"])))
        turn = abs(math.remainder(pose.heading - frame["heading"], 360.0))
        if metres > tolerances.position:
            parts.append(f"position {metres:.2f} m off (tolerance {tolerances.position:g} m)")
        if turn > tolerances.heading:
            parts.append(f"heading {turn:.2f} deg off (tolerance {tolerances.heading:g} deg)")
    return "; ".join(parts)


def _targets_off(
    expected: Sequence[Mapping[str, Any]], answers: Sequence[dict[str, Any]], tolerances: Tolerances
) -> list[str]:
    have = {(answer["stamp"], target["id"]): target for answer in answers for target in answer["targets"]}
    off = []
    for item in expected:
        target = have.get((item["stamp"], item["id"]))
        if target is None:
            off.append(f"target {item['id']}: is missing")
            continue
        metres = float(distance((target["latitude"], target["longitude"]), (item["latitude"], item["longitude"])))
        if metres > tolerances.target:
            off.append(f"target {item['id']}: {metres:.2f} m off (tolerance {tolerances.target:g} m)")
    # Targets are as many samples as frames are: the same share of them may be beyond.
    return _listed(off, f"of {len(expected)} targets differ") if len(off) > tolerances.frames * len(expected) else []


def _errors_off(expected: Mapping[str, float] | None, have: Mapping[str, float] | None, by: Tolerances) -> list[str]:
    if expected is None:
        return []
    if have is None:
        return ["position error: the bag has no truth any more"]
    return [
        f"position error, {name}: {have[key]:.2f} m, expected {expected[key]:.2f} m (tolerance {by.error:g} m)"
        for key, name in (("median", "median"), ("p95", "95 %"))
        if have[key] > expected[key] + by.error
    ]


def _listed(off: Sequence[str], tail: str) -> list[str]:
    more = [f"... and {len(off) - SHOWN} more"] if len(off) > SHOWN else []
    return [f"{len(off)} {tail}", *(f"  {text}" for text in (*off[:SHOWN], *more))]
