"""Timing ways of doing something side by side, so that other load on the machine cancels out of their ratios."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]


def interleave(
    cases: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Seconds]:
    """Run all cases in turn, round after round.

    Each case runs once before, unmeasured. Every second round goes backwards, so that a load that rises or falls
    favours no case.

    Args:
        cases: what to time, by name; returns when its work is done.
        rounds: how often.
        clock: seconds.

    Returns:
        (rounds,) seconds of each case.
    """
    for run in cases.values():
        run()
    seconds = {name: np.zeros(rounds) for name in cases}
    for turn in range(rounds):
        for name in list(cases)[:: 1 if turn % 2 == 0 else -1]:
            started = clock()
            cases[name]()
            seconds[name][turn] = clock() - started
    return seconds


@dataclass(frozen=True)
class Ratio:
    """What one way costs of another.

    Attributes:
        name: of the way in question.
        against: of the way it is compared with.
        seconds, base: (rounds,) of both, in the same rounds.
        asked: the ratio should be at most this; None: for information.
    """

    name: str
    against: str
    seconds: Seconds
    base: Seconds
    asked: float | None = None

    @property
    def value(self) -> float:
        """Median of the rounds' ratios."""
        return float(np.median(self.seconds / self.base))

    @property
    def quartiles(self) -> tuple[float, float]:
        """25th and 75th percentile of the rounds' ratios."""
        low, high = np.percentile(self.seconds / self.base, [25, 75])
        return float(low), float(high)

    @property
    def met(self) -> bool | None:
        return None if self.asked is None else self.value <= self.asked

    def to_dict(self) -> dict[str, object]:
        """Figures for JSON; times are medians in milliseconds."""
        return {
            "name": self.name,
            "against": self.against,
            "ms": round(1e3 * float(np.median(self.seconds)), 3),
            "against_ms": round(1e3 * float(np.median(self.base)), 3),
            "ratio": round(self.value, 5),
            "quartiles": [round(edge, 5) for edge in self.quartiles],
            "asked": self.asked,
            "met": self.met,
        }


@dataclass(frozen=True)
class Rate:
    """How often a second something can be done.

    Attributes:
        name: of it.
        seconds: (rounds,) that it took.
        asked: the rate should be at least this, Hz.
    """

    name: str
    seconds: Seconds
    asked: float

    @property
    def value(self) -> float:
        """Hz, by the median time."""
        return 1.0 / float(np.median(self.seconds))

    @property
    def met(self) -> bool:
        return self.value >= self.asked

    def to_dict(self) -> dict[str, object]:
        """Figures for JSON; the time is the median in milliseconds."""
        milliseconds = round(1e3 * float(np.median(self.seconds)), 3)
        return {"name": self.name, "ms": milliseconds, "hz": round(self.value, 3), "asked": self.asked, "met": self.met}
