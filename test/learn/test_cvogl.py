"""CVOGL's own files: what DetGeo's loader would make of them, and how they go wrong."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.cvogl import read_cvogl, split_file, write_cvogl
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.net import View
from cvgeo_ros.scene import read_image


def as_detgeo_reads(root: Path, name: str, split: str) -> list[dict[str, Any]]:
    """The fields DetGeo's loader takes, in its order and with its casts."""
    folder = root / name
    read = []
    for entry in torch.load(folder / f"{name}_{split}.pth", weights_only=True):
        assert type(entry) is tuple
        _, query, satellite, _, click, box, _, cls = entry
        read.append(
            {
                "query": read_image(folder / "query" / query),
                "satellite": read_image(folder / "satellite" / satellite),
                "click": (int(click[0]), int(click[1])),
                "box": np.array(box, dtype=int).tolist(),
                "class": cls,
            }
        )
    return read


def test_rendered_pairs_as_cvogl(tmp_path: Path, rendered_pairs: list[PairSample]) -> None:
    write_cvogl(tmp_path, "drone", "test", rendered_pairs)
    objects = [(sample, item) for sample in rendered_pairs for item in sample.objects]
    known = as_detgeo_reads(tmp_path, "CVOGL_DroneAerial", "test")
    read = read_cvogl(tmp_path, "drone", "test")
    assert len(known) == len(read) == len(objects) > 8
    assert len(list((tmp_path / "CVOGL_DroneAerial" / "satellite").iterdir())) == 1, "samples share a tile"
    scale = 1024 / read_image(rendered_pairs[0].tile).shape[1]
    for entry, one, (sample, item) in zip(known, read, objects, strict=True):
        assert entry["query"].shape == (256, 256, 3) and entry["satellite"].shape == (1024, 1024, 3)
        assert np.abs(np.array(entry["click"]) + 0.5 - np.array(item.click) / 2).max() <= 0.5
        assert np.abs(np.array(entry["box"]) - np.array(item.bbox) * scale).max() <= 0.5
        (only,) = one.objects
        assert only.click == (entry["click"][0] + 0.5, entry["click"][1] + 0.5)
        assert list(only.bbox) == entry["box"] and only.cls == entry["class"] == item.cls
        assert only.id == f"{sample.name}/{item.id}"
        assert (one.view, one.gsd, one.height, one.yaw) == (View.DRONE, None, None, None)
    assert len({one.name for one in read}) == len(read)


def test_images_of_the_right_size_are_copied_unchanged(tmp_path: Path, street: PairSample) -> None:
    write_cvogl(tmp_path, "ground", "val", [street])
    (known,) = as_detgeo_reads(tmp_path, "CVOGL_SVI", "val")
    assert known["query"].shape == (256, 512, 3)
    (one,) = read_cvogl(tmp_path, "ground", "val")
    assert one.query.read_bytes() == street.query.read_bytes() and one.tile.read_bytes() == street.tile.read_bytes()
    assert one.view is View.GROUND
    assert one.objects == (PairObject("17", (300.5, 120.5), (100.0, 200.0, 180.0, 290.0), "house"),)


@pytest.fixture
def street(tmp_path: Path) -> PairSample:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "street.jpg"), rng.integers(0, 255, (256, 512, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "in" / "sat.png"), np.full((1024, 1024, 3), 80, np.uint8))
    item = PairObject("17", (300.9, 120.2), (100.0, 200.0, 180.0, 290.0), "house")
    return PairSample("s", tmp_path / "in" / "street.jpg", tmp_path / "in" / "sat.png", View.GROUND, (item,))


def published(root: Path, *entries: Any) -> Path:
    """A split as a list of tuples, written without the writer."""
    folder = root / "CVOGL_DroneAerial"
    for kind, size in (("query", 256), ("satellite", 1024)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / kind / "a.jpg"), np.zeros((size, size, 3), np.uint8))
    torch.save(list(entries), folder / "CVOGL_DroneAerial_val.pth")
    return root


ENTRY = (4711, "a.jpg", "a.jpg", (12.0, 34.0), (100, 50), [10, 20.9, 30, 40], [10, 20, 30, 20, 30, 40, 10, 40], "house")


def entry(**fields: Any) -> tuple[Any, ...]:
    changed = {int(key[1:]): value for key, value in fields.items()}
    return tuple(changed.get(index, value) for index, value in enumerate(ENTRY))


def test_click_and_box_are_fields_4_and_5(tmp_path: Path) -> None:
    published(tmp_path, ENTRY, entry(f0="b", f4=torch.tensor([7.9, 8.0]), f5=(-3, 0, 2000, 9)))
    first, second = read_cvogl(tmp_path, "drone", "val")
    assert first.objects == (PairObject("4711", (100.5, 50.5), (10.0, 20.0, 30.0, 40.0), "house"),)
    assert second.objects == (PairObject("b", (7.5, 8.5), (-3.0, 0.0, 2000.0, 9.0), "house"),)
    assert (first.name, second.name) == ("val-00000", "val-00001")


@pytest.mark.parametrize(
    "wrong, words",
    [
        (ENTRY[:7], r"entry 1: expected a tuple of 8 fields, got \(4711, 'a.jpg'"),
        (entry(f1="b.jpg"), r"entry 1: field 1 \(query image\): no image .*query/b\.jpg"),
        (entry(f2="b.jpg"), r"entry 1: field 2 \(satellite image\): no image .*satellite/b\.jpg"),
        (entry(f4=(100, 50, 3)), r"entry 1: field 4 \(click\): expected 2 numbers, got \(100, 50, 3\)"),
        (entry(f4=(100, float("nan"))), r"field 4 \(click\): expected 2 numbers, got \(100, nan\)"),
        (entry(f5=1024), r"field 5 \(box\): expected 4 numbers, got 1024"),
        (entry(f5=[30, 20, 10, 40]), r"field 5 \(box\): \[30, 20, 10, 40\] is no \[x1, y1, x2, y2\]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: tuple[Any, ...], words: str) -> None:
    published(tmp_path, ENTRY, wrong)
    with pytest.raises(DatasetError, match=r"CVOGL_DroneAerial_val\.pth: .*" + words):
        read_cvogl(tmp_path, "drone", "val")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_but_plain_data_is_unpickled(tmp_path: Path) -> None:
    published(tmp_path, entry(f3=Trap(tmp_path / "sprung")))
    with pytest.raises(DatasetError, match="of plain data alone"):
        read_cvogl(tmp_path, "drone", "val")
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file; give the folder that holds CVOGL_DroneAerial and CVOGL_SVI"):
        read_cvogl(tmp_path, "drone", "val")
    published(tmp_path)
    with pytest.raises(DatasetError, match=r"expected a list of tuples, got \[\]"):
        read_cvogl(tmp_path, "drone", "val")
    path = split_file(tmp_path, "drone", "val")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match="not a list pickled by torch"):
        read_cvogl(tmp_path, "drone", "val")


def test_the_writer_distorts_nothing(tmp_path: Path, street: PairSample) -> None:
    with pytest.raises(DatasetError, match="s: a ground view is none of CVOGL_DroneAerial"):
        write_cvogl(tmp_path, "drone", "val", [street])
    with pytest.raises(DatasetError, match=r"street\.jpg: 512 x 256 px; crop it to the shape of 256 x 256"):
        write_cvogl(tmp_path, "drone", "val", [replace(street, view=View.DRONE)])
