"""How far figures would vary with other frames of the same kind: percentile bootstrap over frames.

Frames are drawn, not objects: the objects of one frame are right or wrong together (Efron & Tibshirani 1993, An
Introduction to the Bootstrap, chapters 8 and 13).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .metrics import Located, by_frame, iou

RESAMPLES = 2000
_CELLS = 1 << 22
"""Resamples times objects held at once for the medians."""

Interval = tuple[float, float]


def intervals(located: Sequence[Located], resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of the main figures.

    Args:
        located: at least one object.
        resamples: draws of as many frames as there are, with replacement.
        seed: of the draws.

    Returns:
        Lower and upper bound by the name of the field of `Figures`; figures that are unknown are left out.
    """
    views = by_frame(located)
    frames = len(views)
    frame_of = np.empty(len(located), np.int64)
    for frame, indices in enumerate(views):
        frame_of[indices] = frame
    drawn = np.random.default_rng(seed).multinomial(frames, np.full(frames, 1 / frames), size=resamples)

    overlap = iou([item.bbox for item in located], [item.truth for item in located])
    error = np.array([item.error for item in located])
    worst = np.array([overlap[indices].min() for indices in views])
    known = ~np.isnan(error)

    def mean(values: NDArray, used: NDArray[np.bool_]) -> NDArray[np.float64]:
        sums = drawn @ np.bincount(frame_of[used], values[used].astype(np.float64), frames)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / (drawn @ np.bincount(frame_of[used], minlength=frames)))

    everything = np.ones(len(located), bool)
    draws = {
        "acc_25": mean(overlap > 0.25, everything),
        "acc_50": mean(overlap > 0.5, everything),
        "miou": mean(overlap, everything),
        "error_median": _medians(error[known], frame_of[known], drawn),
        "within_5m": mean(error <= 5, known),
        "within_10m": mean(error <= 10, known),
        "acci_25": drawn @ (worst > 0.25) / frames,
        "acci_50": drawn @ (worst > 0.5) / frames,
    }
    bounds = {name: _bounds(values[~np.isnan(values)]) for name, values in draws.items()}
    return {name: bound for name, bound in bounds.items() if not math.isnan(bound[0])}


def _bounds(values: NDArray[np.float64]) -> Interval:
    if not len(values):
        return math.nan, math.nan
    # Without interpolation, which infinite errors would not stand.
    low, high = np.quantile(values, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _medians(values: NDArray, frame_of: NDArray, drawn: NDArray) -> NDArray[np.float64]:
    """Lower median of the values in each resample (rows of `drawn`: how often each frame was drawn)."""
    if not len(values):
        return np.full(len(drawn), math.nan)
    order = np.argsort(values)
    values, frame_of = values[order], frame_of[order]
    medians = np.full(len(drawn), math.nan)
    step = max(_CELLS // len(values), 1)
    for start in range(0, len(drawn), step):
        reached = np.cumsum(drawn[start : start + step][:, frame_of], axis=1)
        total = reached[:, -1:]
        found = (2 * reached >= total).argmax(axis=1)
        medians[start : start + step] = np.where(total[:, 0] > 0, values[found], math.nan)
    return medians
