"""Whole evaluations: what is read, who is asked, and what is told of it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.learn.cvogl import write_cvogl
from cvgeo_ros.learn.metrics import summarize
from cvgeo_ros.learn.pairsets import PairObject, PairSample, write_folder
from cvgeo_ros.learn.tasks import PairsTask
from cvgeo_ros.net import View

SIDE = 256


@pytest.fixture
def samples(tmp_path: Path) -> list[PairSample]:
    """A tile of texture and a query cut out of its middle: what is clicked in one lies where it is in the other."""
    rng = np.random.default_rng(0)
    layers = [cv2.resize(rng.normal(size=(n, n, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for n in (8, 32, 96)]
    tile = np.clip(128 + 35 * sum(layers), 0, 255).astype(np.uint8)
    root = tmp_path / "set"
    root.mkdir()
    cv2.imwrite(str(root / "tile.png"), tile)
    cv2.imwrite(str(root / "query.png"), tile[64:192, 64:192])
    objects = tuple(
        PairObject(str(k), (u - 64.0, v - 64.0), (u - 10.0, v - 10.0, u + 10.0, v + 10.0))
        for k, (u, v) in enumerate([(100, 90), (128, 150), (170, 120), (110, 160)])
    )
    return [PairSample("pair", root / "query.png", root / "tile.png", View.DRONE, objects, gsd=0.3)]


def test_sift_on_a_folder_with_and_without_noise(samples: list[PairSample]) -> None:
    root = samples[0].tile.parent
    write_folder(root, "texture", samples)
    done: list[tuple[int, int]] = []
    found = PairsTask(root, "folder", method="sift").run(lambda *step: done.append(step))
    assert done == [(1, 1)]
    assert found.told == {"set": "set", "dataset": "folder", "method": "sift", "seed": 0}
    figures = summarize(found.located)
    assert figures.acci_50 == 1.0 and figures.error_median < 0.3
    assert found.located[0].quality == ""
    shot = found.shots[found.located[0].key]
    assert shot.clicks["0"] == (36.0, 26.0) and not shot.georeferenced

    noisy = PairsTask(root, "folder", method="sift", click_noise=8.0).run(lambda *_: None)
    assert noisy.told["click_noise"] == 8.0
    assert 1.0 < summarize(noisy.located).error_median < 6.0, "8 px of 0.3 m"
    clicks = noisy.shots[noisy.located[0].key].clicks
    assert clicks != shot.clicks and clicks.keys() == shot.clicks.keys()


def test_cvogl_takes_sifts_boxes_from_the_training_split(samples: list[PairSample], tmp_path: Path) -> None:
    square = [replace(sample, query=sample.tile, objects=sample.objects) for sample in samples]
    write_cvogl(tmp_path / "cvogl", "drone", "test", square)
    task = PairsTask(tmp_path / "cvogl", "cvogl", method="sift")
    with pytest.raises(CvgeoError, match=r"CVOGL_DroneAerial_train\.pth: no such file"):
        task.run(lambda *_: None)
    larger = replace(samples[0].objects[0], bbox=(50.0, 50.0, 90.0, 90.0))
    write_cvogl(tmp_path / "cvogl", "drone", "train", [replace(square[0], objects=(larger,))])
    found = task.run(lambda *_: None)
    assert found.told == {
        "set": "cvogl", "dataset": "cvogl", "method": "sift", "subset": "drone", "split": "test", "seed": 0,
    }  # fmt: skip
    assert len(found.located) == len(found.shots) == 4
    u0, v0, u1, v1 = found.located[0].bbox
    assert (u1 - u0, v1 - v0) == pytest.approx((160, 160)), "40 px of a tile of 256 px, in one of 1024 px"


@pytest.mark.parametrize("method", ["ours", "direct"])
def test_the_network_answers_on_pairs(samples: list[PairSample], method: str) -> None:
    root = samples[0].tile.parent
    write_folder(root, "texture", [replace(samples[0], hfov=60.0, height=33.3, yaw=0.0, pitch=-90.0)])
    found = PairsTask(root, "folder", method=method, consensus=True, device="cpu").run(lambda *_: None)  # type: ignore[arg-type]
    assert json.dumps(found.told)
    assert found.told["model"] == "nano"
    assert summarize(found.located).within_5m == 1.0
