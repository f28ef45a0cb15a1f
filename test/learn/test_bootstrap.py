"""Intervals against what is known of the binomial distribution, and their unit: the frame."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cvgeo_ros.learn.bootstrap import intervals
from cvgeo_ros.learn.metrics import Located, summarize

HIT = Located("f", "a", (0, 0, 10, 10), (0, 0, 10, 10), 1.0, 0.9, 2.0, 50.0, 8.0, "A", 0.2)
MISS = replace(HIT, bbox=(50.0, 50.0, 60.0, 60.0), error=80.0)


def frames(hits: int, misses: int, each: int = 1) -> list[Located]:
    return [
        replace(HIT if index < hits else MISS, frame=f"f{index}", id=str(k))
        for index in range(hits + misses)
        for k in range(each)
    ]


def test_share_of_frames_follows_the_binomial_distribution() -> None:
    low, high = intervals(frames(80, 20))["acc_25"]
    spread = 1.96 * math.sqrt(0.8 * 0.2 / 100)
    assert low == pytest.approx(0.8 - spread, abs=0.015)
    assert high == pytest.approx(0.8 + spread, abs=0.015)


def test_objects_of_one_frame_are_no_independent_witnesses() -> None:
    assert intervals(frames(80, 20, each=5))["acc_25"] == intervals(frames(80, 20))["acc_25"]
    one = intervals(frames(1, 0, each=50))
    assert one["acc_25"] == (1.0, 1.0) and one["error_median"] == (1.0, 1.0)


def test_figures_lie_within_their_intervals_and_the_seed_decides() -> None:
    rng = np.random.default_rng(0)
    located = [
        replace(item, id=str(k), frame=f"f{rng.integers(20)}", error=float(rng.rayleigh(4.0)))
        for k, item in enumerate(frames(60, 30))
    ]
    figures, bounds = summarize(located), intervals(located, seed=1)
    assert len(bounds) == 8
    for name, (low, high) in bounds.items():
        assert low < getattr(figures, name) < high
    assert bounds == intervals(located, seed=1) != intervals(located, seed=2)


def test_what_is_unknown_has_no_interval_and_missing_answers_may_bound_one() -> None:
    unknown = [replace(item, error=math.nan) for item in frames(5, 5)]
    assert intervals(unknown).keys() == {"acc_25", "acc_50", "miou", "acci_25", "acci_50"}
    missing = [replace(item, error=math.inf) if item.error > 5 else item for item in frames(5, 5)]
    assert intervals(missing)["error_median"] == (1.0, math.inf)
