"""The simple folder format: what is written is read, and what is wrong is named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.pairsets import PAIRS_FILE, PairObject, PairSample, read_folder, write_folder
from cvgeo_ros.net import View


@pytest.fixture
def samples(tmp_path: Path) -> list[PairSample]:
    (tmp_path / "images").mkdir()
    for name in ("q0.jpg", "q1.png", "sat.jpg"):
        cv2.imwrite(str(tmp_path / "images" / name), np.full((16, 24, 3), 90, np.uint8))
    roof = PairObject("7", (3.5, 4.25), (1.0, 2.0, 9.5, 8.0), "Dächer")
    images = tmp_path / "images"
    return [
        PairSample("a", images / "q0.jpg", images / "sat.jpg", View.DRONE, (roof,), 0.3, 66.0, 80.0, 12.5, -90.0),
        PairSample("b", images / "q1.png", images / "sat.jpg", View.GROUND, (roof, replace(roof, id="8", cls=""))),
    ]


def test_samples_survive_the_trip_through_the_folder(tmp_path: Path, samples: list[PairSample]) -> None:
    write_folder(tmp_path, "towns", samples)
    assert read_folder(tmp_path) == read_folder(tmp_path / PAIRS_FILE) == samples
    head = json.loads((tmp_path / PAIRS_FILE).read_text())
    assert head["name"] == "towns"
    assert head["pairs"][1] == {
        "name": "b", "query": "images/q1.png", "tile": "images/sat.jpg", "view": "ground",
        "objects": [
            {"id": "7", "click": [3.5, 4.25], "bbox": [1.0, 2.0, 9.5, 8.0], "class": "Dächer"},
            {"id": "8", "click": [3.5, 4.25], "bbox": [1.0, 2.0, 9.5, 8.0], "class": ""},
        ],
    }  # fmt: skip


def test_the_documented_example_is_one(tmp_path: Path, samples: list[PairSample]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / PAIRS_FILE).write_text(example)
    for folder, image in (("queries", samples[0].query), ("tiles", samples[0].tile)):
        (tmp_path / folder).mkdir()
        image.rename(tmp_path / folder / "0001.jpg")
    (sample,) = read_folder(tmp_path)
    assert (sample.gsd, sample.hfov, sample.height, sample.yaw, sample.pitch) == (0.3, 70.0, 110.0, 15.0, -90.0)
    assert sample.objects[1] == PairObject("b", (90.0, 611.5), (220.0, 640.0, 268.0, 660.0), "court")


def test_null_is_unknown(tmp_path: Path, samples: list[PairSample]) -> None:
    write_folder(tmp_path, "towns", samples)
    content = json.loads((tmp_path / PAIRS_FILE).read_text())
    content["pairs"][0] |= {"gsd": None, "yaw": None}
    (tmp_path / PAIRS_FILE).write_text(json.dumps(content))
    assert read_folder(tmp_path)[0] == replace(samples[0], gsd=None, yaw=None)


def set_in(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        if value is None:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (set_in("pairs", 1, "view", value="satellite"), r"pair 1 \(b\): field 'view': Input should be 'drone'"),
        (set_in("pairs", 0, "gsd", value=0), r"pair 0 \(a\): field 'gsd': Input should be greater than 0"),
        (set_in("pairs", 0, "hieght", value=9), r"pair 0 \(a\): field 'hieght': Extra inputs are not permitted"),
        (set_in("pairs", 0, "name", value=None), r"pair 0: field 'name': Field required"),
        (set_in("pairs", 1, "name", value="a"), r"pairs\.json: pair name 'a' occurs twice"),
        (set_in("pairs", 0, "query", value="images/none.jpg"), r"pair 0 \(a\): field 'query': no image .*none\.jpg"),
        (set_in("pairs", 0, "objects", value=[]), r"pair 0 \(a\): field 'objects': List should have at least 1 item"),
        (set_in("pairs", 1, "objects", 1, "id", value="7"), r"pair 1 \(b\): object id '7' occurs twice"),
        (set_in("pairs", 1, "objects", 1, "click", value=[1]), r"pair 1 \(b\), object 1: field 'click.1': Field requ"),
        (set_in("pairs", 1, "objects", 1, "click", value=[1, float("nan")]), r"object 1: field 'click.1': .*finite"),
        (set_in("pairs", 1, "objects", 0, "bbox", value=[9, 2, 1, 8]), r"object 0: bbox \[9.0, 2.*\] is empty"),
        (set_in("pairs", value=None), r"pairs\.json: field 'pairs': Field required"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, samples: list[PairSample], change: Callable[[Any], None], words: str
) -> None:
    write_folder(tmp_path, "towns", samples)
    content = json.loads((tmp_path / PAIRS_FILE).read_text())
    change(content)
    (tmp_path / PAIRS_FILE).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=words):
        read_folder(tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"pairs\.json: no such file"):
        read_folder(tmp_path)
    (tmp_path / PAIRS_FILE).write_text('{"name": "x",\n "pairs": [}')
    with pytest.raises(DatasetError, match="line 2, column 12: not JSON"):
        read_folder(tmp_path)
    (tmp_path / PAIRS_FILE).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DatasetError, match="cannot be read as text"):
        read_folder(tmp_path)
    (tmp_path / PAIRS_FILE).write_text("[]")
    with pytest.raises(DatasetError, match=r"pairs\.json: Input should be a valid dictionary"):
        read_folder(tmp_path)


def test_writing_refuses_what_reading_would(tmp_path: Path, samples: list[PairSample]) -> None:
    with pytest.raises(DatasetError, match=r"pair 0 \(a\): field 'height': Input should be a finite number"):
        write_folder(tmp_path, "towns", [replace(samples[0], height=float("nan"))])
    with pytest.raises(DatasetError, match=r"a: query .*q0\.jpg is not below .*; copy it there first"):
        write_folder(tmp_path / "elsewhere", "towns", samples)
    assert not (tmp_path / PAIRS_FILE).exists()
