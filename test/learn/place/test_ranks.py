"""Ranks on a map of known windows."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.place.ranks import Told, rank, read_sentences
from cvgeo_ros.place.experts import TextEmbedding

STEP = 0.001
"""Degrees between windows along a meridian, some 111 m."""


class Model:
    """Sentences are numbers: the window they point at."""

    def embed_texts(self, texts: list[str]) -> TextEmbedding:
        experts = np.zeros((len(texts), 3, 8), np.float32)
        for row, text in enumerate(texts):
            experts[row, :, int(text.split()[-1])] = 1.0
        return TextEmbedding(experts, np.full((len(texts), 3), 1 / 3, np.float32))


class Index:
    """Eight windows on a meridian; window k fits sentence k best, and the others the less the farther they are."""

    def __len__(self) -> int:
        return 8

    def search(self, vector: np.ndarray, count: int) -> Any:
        wanted = int(vector.reshape(3, 8).sum(axis=0).argmax())
        order = np.argsort(np.abs(np.arange(8) - wanted), kind="stable")[:count]
        centres = np.stack([45.0 + order * STEP, np.full(len(order), 9.0)], axis=1)
        return SimpleNamespace(centres=centres, scores=-np.abs(order - wanted).astype(np.float32))


def test_the_first_window_near_the_place_counts() -> None:
    told = [Told("window 2", 45.0 + 2 * STEP, 9.0), Told("window 0", 45.0 + 3 * STEP, 9.0), Told("window 1", 50.0, 9.0)]
    first, second, third = rank(Model(), Index(), told, within=60.0)  # type: ignore[arg-type]
    assert (first.rank, first.right, first.score) == (1, pytest.approx(1 / 8), 0.0)
    assert (second.rank, second.score) == (4, -3.0)
    assert third.rank is None and third.right == 0.0 and math.isinf(third.chance)
    # One of eight is right: a draw finds it by the fifth or sixth in half of all cases.
    assert 5.0 < first.chance < 6.0


def test_a_wider_circle_comes_earlier() -> None:
    told = [Told("window 0", 45.0 + 3 * STEP, 9.0)]
    assert rank(Model(), Index(), told, within=250.0)[0].rank == 2  # type: ignore[arg-type]


def test_sentences_are_read(tmp_path: Path) -> None:
    file = tmp_path / "told.csv"
    file.write_text('sentence,latitude,longitude\n"A pond, round",45.5,-9.25\n')
    assert read_sentences(file) == [Told("A pond, round", 45.5, -9.25)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sentence,latitude\nA pond,45\n", "columns sentence, latitude, longitude"),
        ("sentence,latitude,longitude\nA pond,45,9\nA hall,north,9\n", "line 3"),
        ("sentence,latitude,longitude\nA pond,95,9\n", "no place on Earth"),
        ("sentence,latitude,longitude\nA pond,45\n", "line 2"),
        ("sentence,latitude,longitude\n,45,9\n", "empty"),
        ("sentence,latitude,longitude\n", "no sentences"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "told.csv"
    file.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_sentences(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"told\.csv: cannot be read"):
        read_sentences(tmp_path / "told.csv")
