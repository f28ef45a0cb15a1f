"""The harness judges as DetGeo does, and hides the truth from those it asks."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import ClickError, DatasetError, SceneError
from cvgeo_ros.learn.harness import RGB, Answer, detgeo_figures, evaluate_pairs, location_blind_iou
from cvgeo_ros.learn.metrics import Box, iou, summarize
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.net import View

SIZE = 1024


class Scripted:
    """Answers what is written, by sample and object."""

    name = "scripted"

    def __init__(self, answers: dict[tuple[str, str], Answer | None]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, int]] = []

    def locate(self, sample: PairSample, query: RGB, tile: RGB) -> list[Answer]:
        answers = []
        for item in sample.objects:
            assert all(map(math.isnan, item.bbox)), "the truth is not the locator's to see"
            self.asked.append((sample.name, item.id, int(tile[0, 0, 0])))
            answer = self.answers[sample.name, item.id]
            if answer is None:
                raise ClickError(f"{item.id} is refused")
            answers.append(answer)
        return answers


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., PairSample]:
    cv2.imwrite(str(tmp_path / "query.png"), np.zeros((40, 60, 3), np.uint8))

    def make(name: str, *boxes: Box, tile: int = 0, gsd: float | None = None) -> PairSample:
        path = tmp_path / f"tile{tile}.png"
        cv2.imwrite(str(path), np.full((SIZE, SIZE, 3), tile, np.uint8))
        objects = tuple(PairObject(str(k), (30.0, 20.0), box) for k, box in enumerate(boxes))
        return PairSample(name, tmp_path / "query.png", path, View.DRONE, objects, gsd=gsd)

    return make


def judge(sample: PairSample, *boxes: Box) -> list:
    answers = {(sample.name, str(k)): Answer(box, 0.5, 1.0) for k, box in enumerate(boxes)}
    return evaluate_pairs(Scripted(answers), [sample])


def test_a_hit_is_an_iou_strictly_above_the_threshold(pair: Callable[..., PairSample]) -> None:
    truth = (100.0, 100.0, 200.0, 200.0)
    half, quarter = (100.0, 100.0, 200.0, 150.0), (100.0, 100.0, 150.0, 150.0)
    more = (100.0, 100.0, 200.0, 150.01)
    figures = detgeo_figures(judge(pair("a", truth, truth, truth), half, quarter, more))
    assert figures.acc_50 == pytest.approx(1 / 3) and figures.acc_25 == pytest.approx(2 / 3)
    assert figures.miou == pytest.approx((0.5 + 0.25 + 0.5001) / 3), "failures count with their own IoU"


def test_the_truth_is_clamped_as_detgeo_clamps_it(pair: Callable[..., PairSample]) -> None:
    (item,) = judge(pair("a", (900.0, -30.0, 1100.0, 1024.0)), (900.0, 0.0, 1023.0, 1023.0))
    assert item.truth == (900.0, 0.0, 1023.0, 1023.0)
    assert detgeo_figures([item]).miou == 1.0


def test_the_cell_that_the_centre_falls_in(pair: Callable[..., PairSample]) -> None:
    """Centres 168, 159.9 and 176.1: cells of 16 px from 160 to 176."""
    truth = (148.0, 148.0, 188.0, 188.0)
    located = judge(
        pair("a", truth, truth, truth),
        (100.0, 100.0, 220.0, 220.0),
        (139.9, 148.0, 179.9, 188.0),
        (148.0, 156.1, 188.0, 196.1),
    )
    assert detgeo_figures(located).acc_cell == pytest.approx(1 / 3)
    assert detgeo_figures(located[:1]).acc_25 == 0, "the cell says nothing of the size"


def test_location_blind_iou_is_one_in_the_wrong_corner() -> None:
    """Which is how SMGeo's code judges, and why its published figures do not compare."""
    truth = [(40.0, 40.0, 80.0, 70.0), (40.0, 40.0, 80.0, 70.0)]
    elsewhere = [(40.0 + 25 * 32, 40.0 + 20 * 32, 80.0 + 25 * 32, 70.0 + 20 * 32), (40.0, 40.0, 80.0, 55.0)]
    assert iou(elsewhere, truth).tolist() == [0.0, 0.5]
    assert location_blind_iou(elsewhere, truth)[0] == pytest.approx(1.0)
    # In cells of 32 px the second one's centre (60, 47.5) lies in the truth's own cell (60, 55).
    assert location_blind_iou(elsewhere, truth)[1] == pytest.approx(0.5)


def test_figures_carry_the_blind_ones_beside_their_own(pair: Callable[..., PairSample]) -> None:
    sample = pair("a", (40.0, 40.0, 80.0, 70.0))
    figures = detgeo_figures(judge(sample, (840.0, 680.0, 880.0, 710.0)))
    assert (figures.acc_25, figures.acc_50, figures.miou) == (0, 0, 0)
    assert (figures.blind_acc_25, figures.blind_acc_50, figures.blind_miou) == (1, 1, 1)


def test_metres_are_known_where_the_gsd_is(pair: Callable[..., PairSample]) -> None:
    truth = (100.0, 100.0, 200.0, 200.0)
    off = (130.0, 140.0, 230.0, 240.0)
    (item,) = judge(pair("a", truth, gsd=0.2), off)
    assert item.error == pytest.approx(10.0) and item.position_std == 1.0
    (item,) = judge(pair("a", truth), off)
    assert math.isnan(item.error) and math.isnan(item.position_std) and math.isnan(item.latitude)
    figures = summarize([item])
    assert math.isnan(figures.within_5m) and math.isnan(figures.error_median), "unknown is no failure"
    assert figures.miou == pytest.approx(iou([off], [truth])[0])


def test_a_refused_click_is_no_answer_and_spoils_no_other(pair: Callable[..., PairSample]) -> None:
    """Even where the middle of the tile happens to be right."""
    centred = (462.0, 462.0, 562.0, 562.0)
    good = Answer(centred, 0.9, 2.0)
    sample = pair("a", centred, centred, gsd=0.3)
    right, refused = evaluate_pairs(Scripted({("a", "0"): good, ("a", "1"): None}), [sample])
    assert (right.error, right.score, right.bbox) == (0.0, 0.9, centred)
    assert (refused.error, refused.score) == (math.inf, 0.0)
    assert detgeo_figures([right, refused]).acc_25 == 0.5
    with pytest.raises(ClickError, match="1 is refused"):
        evaluate_pairs(Scripted({("a", "0"): None, ("a", "1"): None}), [sample])


def test_samples_of_a_tile_are_asked_in_a_row_and_answered_in_their_own_order(
    pair: Callable[..., PairSample],
) -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    samples = [pair(name, box, tile=tile) for name, tile in zip("abcd", (3, 1, 3, 1), strict=True)]
    locator = Scripted(
        {(name, "0"): Answer(box, score) for name, score in zip("abcd", (0.1, 0.2, 0.3, 0.4), strict=True)}
    )
    told: list[tuple[int, int]] = []
    located = evaluate_pairs(locator, samples, lambda done, of: told.append((done, of)))
    assert [item.frame for item in located] == ["a", "b", "c", "d"]
    assert [item.score for item in located] == [0.1, 0.2, 0.3, 0.4]
    assert [(name, tile) for name, _, tile in locator.asked] == [("b", 1), ("d", 1), ("a", 3), ("c", 3)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_samples_that_cannot_be(pair: Callable[..., PairSample], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no samples"):
        evaluate_pairs(Scripted({}), [])
    with pytest.raises(DatasetError, match=r"a: object 0: bbox \(1100.0, .* is outside .*tile0.png of 1024 x 1024"):
        judge(pair("a", (1100.0, 0.0, 1200.0, 10.0)), (0, 0, 1, 1))
    cv2.imwrite(str(tmp_path / "query.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"a: object 0: click \(30.0, 20.0\) is outside .*query.png of 10 x 10"):
        judge(pair("a", (0.0, 0.0, 9.0, 9.0)), (0, 0, 1, 1))
    (tmp_path / "query.png").write_bytes(b"no image")
    with pytest.raises(SceneError, match=r"query\.png: not a readable image"):
        judge(pair("a", (0.0, 0.0, 9.0, 9.0)), (0, 0, 1, 1))
