"""GeoText-1652's files, made here in its exact format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.place.evaluation import Embedded, judge
from cvgeo_ros.learn.place.geotext import building_labels, read_geotext


def entry(split: str, building: str, name: str, caption: Any) -> dict[str, Any]:
    return {
        "image_id": f"{building}/{name}",
        "image": f"{split}/{building}/{name}",
        "caption": caption,
        "sentences": ["A hall.", None],
        "bboxes": [[0.5, 0.5, 0.25, 0.25], None],
    }


def write(folder: Path, entries: list[dict[str, Any]], name: str = "test_24G_version.json") -> Path:
    for item in entries:
        path = folder / item["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (folder / name).write_text(json.dumps(entries))
    return folder / name


TEST = [
    entry("test/gallery_drone", "0839", "image-01.jpeg", ["A.", "B.", "C."]),
    entry("test/gallery_drone", "0839", "image-02.jpeg", ["D.", "E.", "F."]),
    entry("test/gallery_drone", "0840", "image-01.jpeg", ["G.", "H.", "I."]),
    entry("test/gallery_satellite", "0840", "0840.jpg", ["J.", "K.", "L."]),
    entry("test/gallery_street", "0841", "1.jpg", ["M.", "N.", "O."]),
]


def test_test_file(tmp_path: Path) -> None:
    images = read_geotext(write(tmp_path, TEST))
    assert [image.platform for image in images] == ["drone", "drone", "drone", "satellite", "ground"]
    assert [image.place for image in images] == ["0839", "0839", "0840", "0840", "0841"]
    assert images[1].captions == ("D.", "E.", "F.")
    assert images[1].path == tmp_path / "test/gallery_drone/0839/image-02.jpeg"
    assert images[3].gsd is None


def test_training_file_has_an_entry_for_each_caption(tmp_path: Path) -> None:
    entries = [entry("train/drone", "0001", "image-01.jpeg", text) for text in ("One.", "Two.", "Three.")]
    file = write(tmp_path / "images", entries, "train.json")
    moved = tmp_path / "train.json"
    file.rename(moved)
    (image,) = read_geotext(moved, tmp_path / "images")
    assert image.captions == ("One.", "Two.", "Three.")


def test_buildings_and_the_published_slip(tmp_path: Path) -> None:
    images = read_geotext(write(tmp_path, TEST))
    assert building_labels(images).tolist() == [0, 0, 1, 1, 2]
    assert building_labels(images, slip=True).tolist() == [0, 0, 0, 1, 1]


def test_the_slip_changes_the_figure(tmp_path: Path) -> None:
    """A text of building 0840's first image, taken for one of 0839: wrong, but right to the published code."""
    images = read_geotext(write(tmp_path, TEST))
    rows = np.eye(5, dtype=np.float32)
    embedded = Embedded(rows[[0]], rows, np.array([2]), np.ones((1, 1), np.float32))
    platforms = np.array([1, 1, 1, 0, 2])
    assert judge(embedded, platforms, building_labels(images)).text_to_image.r1 == 0
    assert judge(embedded, platforms, building_labels(images, slip=True)).text_to_image.r1 == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"caption": 3}, "entry 1: 'caption' must be"),
        ({"caption": []}, "entry 1: 'caption' must be"),
        ({"image": "test/gallery_drone/0839/none.jpeg"}, "entry 1: no such image"),
    ],
)
def test_malformed_entries_are_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    file = write(tmp_path, TEST)
    entries = json.loads(file.read_text())
    entries[1] |= change
    file.write_text(json.dumps(entries))
    with pytest.raises(DatasetError, match=told):
        read_geotext(file)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "test.json"
    with pytest.raises(DatasetError, match="cannot be read as JSON"):
        read_geotext(file)
    file.write_text('{"image": 1}')
    with pytest.raises(DatasetError, match="must be a list"):
        read_geotext(file)
    file = write(tmp_path, [entry("somewhere", "0001", "1.jpg", "A.")])
    with pytest.raises(DatasetError, match="tells the platform"):
        read_geotext(file)
