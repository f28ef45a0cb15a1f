import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.place.evaluation import Embedded, Recall, judge, ranks_of


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_ranks_in_blocks_are_those_of_sorting(seed: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = rng.integers(-2, 3, (11, 3)).astype(np.float32)  # small integers: many ties
    queries = rng.integers(-2, 3, (7, 3)).astype(np.float32)
    labels = rng.integers(0, 4, 11)
    wanted = rng.choice(labels, 7)
    expected = []
    for query, own in zip(queries, wanted, strict=True):
        # Stable, the relevant ones last among equals.
        order = np.lexsort((labels == own, -(gallery @ query)))
        expected.append(int(np.flatnonzero(labels[order] == own)[0]))
    assert ranks_of(queries, gallery, wanted, labels, block).tolist() == expected


def test_a_model_that_says_the_same_of_everything_finds_nothing() -> None:
    flat = np.ones((30, 4), np.float32)
    ranks = ranks_of(flat, flat, np.arange(30), np.arange(30))
    assert Recall.of(ranks, 30).r10 == 0


def test_queries_without_answer_are_refused() -> None:
    flat = np.ones((2, 4), np.float32)
    with pytest.raises(DatasetError, match="query 1"):
        ranks_of(flat, flat, np.array([0, 7]), np.array([0, 1]))


def test_recall() -> None:
    recall = Recall.of(np.array([0, 0, 3, 7, 12]), 1000)
    assert (recall.r1, recall.r5, recall.r10) == (0.4, 0.6, 0.8)
    assert recall.score == pytest.approx(0.6)


def test_both_directions_are_named_for_what_they_are() -> None:
    """Text 1 is nearest to the wrong image, whereas each image is nearest to a text of its own."""
    images = np.eye(2, dtype=np.float32)
    texts = np.array([[1, 0], [0.4, 0.3], [0, 1]], np.float32)
    rows = Embedded(texts, images, np.array([0, 1, 1]), np.array([[0.2, 0.8], [1, 0], [1, 0]], np.float32))
    result = judge(rows, np.array([0, 1]))
    assert result.text_to_image.r1 == pytest.approx(2 / 3)
    assert result.image_to_text.r1 == 1
    assert (result.text_to_image.queries, result.text_to_image.candidates) == (3, 2)
    assert (result.image_to_text.queries, result.image_to_text.candidates) == (2, 3)
    assert result.by_platform["satellite"].r1 == 1
    assert result.by_platform["drone"].r1 == 0.5
    assert result.gate["satellite"] == pytest.approx((0.2, 0.8))


def test_images_of_one_label_are_one_answer() -> None:
    images = np.eye(3, dtype=np.float32)
    rows = Embedded(images[[1]], images, np.array([0]), np.ones((1, 1), np.float32))
    assert judge(rows, np.zeros(3, np.int64)).text_to_image.r1 == 0
    assert judge(rows, np.zeros(3, np.int64), np.array([5, 5, 6])).text_to_image.r1 == 1
