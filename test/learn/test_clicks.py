"""Noise on clicks: its size, its seed, and that it stays inside the frame."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.learn.clicks import disturb, disturb_pairs, disturb_scene
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.net import View
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject


def test_noise_is_gaussian_in_u_and_in_v() -> None:
    clicks = np.array(disturb([(500.0, 400.0)] * 4000, 1000, 800, 10.0, np.random.default_rng(0)))
    assert clicks.mean(axis=0) == pytest.approx([500, 400], abs=0.6)
    assert clicks.std(axis=0) == pytest.approx([10, 10], rel=0.04)
    assert np.corrcoef(clicks.T)[0, 1] == pytest.approx(0, abs=0.05)


def test_clicks_stay_inside_and_hands_are_the_same_for_every_sigma() -> None:
    corner = np.array(disturb([(1.0, 99.0)] * 200, 200, 100, 20.0, np.random.default_rng(0)))
    assert corner.min() == 0 and corner[:, 1].max() == 100
    five, ten = (np.array(disturb([(500.0, 400.0)] * 3, 999, 999, s, np.random.default_rng(7))) for s in (5.0, 10.0))
    assert (ten - [500, 400]).tolist() == pytest.approx(2 * (five - [500, 400]))


def test_of_scenes_and_pairs_clicks_alone_move(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    box = (1.0, 2.0, 3.0, 4.0)
    objects = [SceneObject(frame="a.png", id=name, click=(40, 30), bbox=box) for name in ("x", "y")]
    scene = Scene(tmp_path, "s", tmp_path / "map.tif", tmp_path, [FrameRecord(file="a.png")], objects)
    moved = disturb_scene(scene, 5.0, seed=3)
    assert moved.objects[0].click != moved.objects[1].click != (40, 30)
    assert [item.model_copy(update={"click": (40, 30)}) for item in moved.objects] == scene.objects
    assert disturb_scene(scene, 5.0, seed=3) == moved != disturb_scene(scene, 5.0, seed=4)

    pair = PairSample("p", tmp_path / "a.png", tmp_path / "t.png", View.DRONE, (PairObject("x", (40, 30), box),))
    (disturbed,) = disturb_pairs([pair], 5.0, seed=3)
    assert disturbed.objects[0].click == moved.objects[0].click
    assert replace(disturbed, objects=pair.objects) == pair and disturbed.objects[0].bbox == box
