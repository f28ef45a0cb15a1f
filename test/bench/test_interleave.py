"""Rounds, their order, and the arithmetic of ratios."""

from itertools import count

import numpy as np
import pytest

from cvgeo_ros.bench.interleave import Rate, Ratio, interleave


def test_cases_take_turns_and_every_second_round_goes_backwards() -> None:
    calls: list[str] = []
    interleave({name: (lambda name=name: calls.append(name)) for name in "abc"}, 3)
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"


def test_seconds_are_those_of_the_case_alone() -> None:
    now = [0.0]

    def work(seconds: float) -> None:
        now[0] += seconds

    turns = count()
    seconds = interleave({"steady": lambda: work(2.0), "slower": lambda: work(float(next(turns)))}, 4, lambda: now[0])
    assert seconds["steady"].tolist() == [2.0] * 4
    assert seconds["slower"].tolist() == [1.0, 2.0, 3.0, 4.0], "the first run is not measured"


def test_a_load_on_whole_rounds_cancels() -> None:
    load = np.array([1.0, 9.0, 3.0, 1.5, 5.0])
    ratio = Ratio("half", "whole", 0.1 * load, 0.2 * load, asked=0.5)
    assert ratio.value == pytest.approx(0.5)
    assert ratio.quartiles == pytest.approx((0.5, 0.5))


def test_one_disturbed_round_moves_neither_ratio_nor_verdict() -> None:
    ratio = Ratio("x", "y", np.array([1.0, 1.0, 50.0]), np.array([4.0, 4.0, 4.0]), asked=0.25)
    assert (ratio.value, ratio.met) == (0.25, True)
    told = ratio.to_dict()
    assert (told["ms"], told["against_ms"], told["ratio"]) == (1000.0, 4000.0, 0.25)
    assert told["quartiles"] == [0.25, pytest.approx(6.375)]


def test_verdicts() -> None:
    one = np.ones(3)
    assert Ratio("x", "y", 1.2 * one, one, asked=1.15).met is False
    assert Ratio("x", "y", 1.2 * one, one).met is None
    rate = Rate("x", np.array([0.1, 0.19, 5.0]), asked=5.0)
    assert rate.value == pytest.approx(1 / 0.19)
    assert rate.met and not Rate("x", np.array([0.21]), asked=5.0).met
    assert rate.to_dict() == {"name": "x", "ms": 190.0, "hz": 5.263, "asked": 5.0, "met": True}
