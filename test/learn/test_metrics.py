"""Figures of merit against cases worked out by hand."""

import math
from dataclasses import replace

import pytest

from cvgeo_ros.learn.metrics import Located, by_count, iou, right, summarize

BASE = Located("f1", "a", (0, 0, 10, 10), (0, 0, 10, 10), 0.0, 0.9, 2.0, 50.0, 8.0, "A", 0.2)


def test_iou_by_hand() -> None:
    boxes = [(0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10)]
    truths = [(0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30), (2, 2, 4, 4)]
    assert iou(boxes, truths).tolist() == pytest.approx([1.0, 1 / 3, 0.0, 0.04])


def test_a_box_of_the_right_size_at_the_wrong_place_is_wrong() -> None:
    """The location-blind overlap of a published evaluation would call this 1."""
    assert iou([(0, 0, 10, 10)], [(500, 500, 510, 510)])[0] == 0.0


def test_thresholds_are_strict() -> None:
    half = replace(BASE, bbox=(0.0, 0.0, 10.0, 5.0))
    quarter = replace(BASE, bbox=(0.0, 0.0, 5.0, 5.0))
    assert summarize([half]).acc_50 == 0.0 and summarize([half]).acc_25 == 1.0
    assert summarize([quarter]).acc_25 == 0.0


def test_acci_counts_frames_whose_objects_are_all_right() -> None:
    wrong = replace(BASE, bbox=(100.0, 100.0, 110.0, 110.0), error=60.0)
    located = [BASE, replace(BASE, id="b"), replace(BASE, frame="f2"), replace(wrong, frame="f2", id="d")]
    figures = summarize(located)
    assert (figures.acc_50, figures.acci_50, figures.frames, figures.objects) == (0.75, 0.5, 2, 4)
    assert figures.within_10m == 0.75 and figures.error_median == 0.0


def test_sigma_shares_and_latency() -> None:
    located = [replace(BASE, error=1.0), replace(BASE, error=3.0, latency=0.2), replace(BASE, frame="f2", error=9.0)]
    figures = summarize(located)
    assert figures.within_1_sigma == pytest.approx(1 / 3)
    assert figures.within_2_sigma == pytest.approx(2 / 3)
    assert figures.latency_median == pytest.approx(0.2)


def test_frames_of_two_scenes_may_share_a_name() -> None:
    wrong = replace(BASE, scene="b", bbox=(100.0, 100.0, 110.0, 110.0), latency=0.4)
    figures = summarize([replace(BASE, scene="a"), wrong])
    assert (figures.frames, figures.acci_25) == (2, 0.5)
    assert figures.latency_median == pytest.approx(0.3)


def test_groups_by_the_number_of_targets() -> None:
    located = [
        replace(BASE, frame=f"f{count}", id=str(k), scene=scene)
        for scene in ("a", "b")
        for count in (1, 3, 4, 6, 7, 12)
        for k in range(count)
    ]
    groups = by_count(located)
    assert {name: len(members) for name, members in groups.items()} == {"N <= 3": 8, "4 to 6": 20, "> 6": 38}
    assert summarize(groups["> 6"]).frames == 4
    assert list(by_count([BASE])) == ["N <= 3"]


def test_what_is_unknown_in_metres_stays_out_and_a_missing_answer_counts() -> None:
    located = [BASE, replace(BASE, id="b", error=math.nan), replace(BASE, id="c", error=math.inf, score=0.0)]
    figures = summarize(located)
    assert (figures.within_5m, figures.within_1_sigma, figures.acc_25) == (0.5, 0.5, 1.0)
    assert figures.error_median == math.inf
    assert figures.to_dict()["error_median"] is None
    assert math.isnan(summarize(located[1:2]).within_5m)
    assert right([BASE, replace(BASE, error=5.0), replace(BASE, error=5.1), *located[1:]]).tolist() == [
        True, True, False, False, False,
    ]  # fmt: skip
