"""Figures over a whole replay."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from cvgeo_ros.replay.record import Track
from cvgeo_ros.vehicle import State

HONEST = 5.991
"""95 % of the squared normalised errors of two dimensions lie below (chi-squared)."""


def summarize(tracks: Sequence[Track], answers: Sequence[dict[str, Any]], min_score: float) -> dict[str, Any]:
    """Return the figures of a replay; errors are None where the bag has no truth.

    A frame is ``placed`` where its own measurement has at least this score, and ``accepted`` where the filter believed
    it as well, which it cannot of photographs that are no flight. ``fix_...`` is of placed frames by themselves.
    ``outages`` are the times between a frame after which the track was no longer followed and the next one from which
    it was. Latencies, which differ from run to run, are under the key ``latency``.
    """
    states = Counter(track.state for track in tracks)
    placed = [track for track in tracks if track.score is not None and track.score >= min_score]
    return {
        "frames": len(tracks),
        "placed": len(placed),
        "accepted": sum(track.accepted for track in tracks),
        "refused": sum(bool(track.error_text) for track in tracks),
        "states": {str(state): states[str(state)] for state in State},
        "resets": tracks[-1].reset_counter if tracks else 0,
        "first_fix": next((track.time for track in tracks if track.state == State.TRACKING), None),
        "outages": _outages(tracks),
        "position_error": _spread([track.error for track in tracks]),
        "tracking_error": _spread([track.error for track in tracks if track.state == State.TRACKING]),
        "fix_error": _spread([track.fix_error for track in placed]),
        "fix_heading_error": _spread(
            [None if t.fix_heading_error is None else abs(t.fix_heading_error) for t in placed]
        ),
        "heading_error": _spread([None if t.heading_error is None else abs(t.heading_error) for t in tracks]),
        "within_2_sigma": _share([track.nees for track in tracks]),
        "fix_within_2_sigma": _share([track.fix_nees for track in placed]),
        "clicks": sum(len(answer["targets"]) for answer in answers),
        "clicks_refused": sum(bool(answer["error_text"]) for answer in answers),
        "latency": _spread([track.latency["total"] for track in tracks]),
    }


def _outages(tracks: Sequence[Track]) -> list[dict[str, float | None]]:
    """Begin, end and worst error of each stretch without tracking after the first fix."""
    found: list[dict[str, float | None]] = []
    begin: float | None = None
    errors: list[float] = []
    followed = False
    for track in tracks:
        if track.state == State.TRACKING:
            if begin is not None:
                found.append({"from": begin, "to": track.time, "worst_error": max(errors, default=None)})
            followed, begin, errors = True, None, []
        elif followed:
            begin = track.time if begin is None else begin
            errors += [] if track.error is None else [track.error]
    if begin is not None:
        found.append({"from": begin, "to": None, "worst_error": max(errors, default=None)})
    return found


def _spread(values: Sequence[float | None]) -> dict[str, float | int] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {
        "count": len(known),
        "median": round(float(np.median(known)), 3),
        "p95": round(float(np.percentile(known, 95)), 3),
        "max": round(float(np.max(known)), 3),
    }


def _share(squares: Sequence[float | None]) -> float | None:
    known = [value for value in squares if value is not None]
    return round(float(np.mean([value <= HONEST for value in known])), 4) if known else None
