"""Pairs without a dense relation: the piece of the tile holds the object, boxes turn with it, and batches teach."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cvgeo_ros.learn.losses import LossWeights, Objective
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.learn.pairstream import PairStream, StreamConfig
from cvgeo_ros.net import CrossViewLocator, NetConfig, View

BOXES = ((100.0, 60.0, 160.0, 90.0), (300.0, 310.0, 330.0, 390.0))


@pytest.fixture
def sample(tmp_path: Path) -> PairSample:
    """A grey tile with a red and a blue rectangle, and a query that shows them elsewhere."""
    tile, query = np.full((400, 400, 3), 90, np.uint8), np.full((128, 256, 3), 90, np.uint8)
    for (u0, v0, u1, v1), colour in zip(BOXES, ((0, 0, 255), (255, 0, 0)), strict=True):
        tile[int(v0) : int(v1), int(u0) : int(u1)] = colour
    cv2.imwrite(str(tmp_path / "tile.png"), tile)
    cv2.imwrite(str(tmp_path / "query.png"), query)
    objects = (PairObject("red", (64.0, 32.0), BOXES[0]), PairObject("blue", (200.0, 100.0), BOXES[1]))
    return PairSample("pair", tmp_path / "query.png", tmp_path / "tile.png", View.GROUND, objects)


def test_boxes_turn_and_move_with_the_piece(sample: PairSample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvgeo_ros.learn.augment.photometric", lambda image, rng: image)
    stream, rng = PairStream([sample], StreamConfig((64, 128), 200, clicks=2), 0), np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        pair = stream.draw(sample, rng)
        tile = pair["tile"].permute(1, 2, 0).numpy().astype(int)
        for click, box, target in zip(pair["clicks"], pair["boxes"], pair["targets"], strict=True):
            channel = 0 if click[0] < 64 else 2
            assert click.tolist() == ([32.0, 16.0] if channel == 0 else [100.0, 50.0]), "scaled with the query"
            v, u = np.nonzero(tile[..., channel] > 200)
            assert [u.min(), v.min(), u.max() + 1, v.max() + 1] == box.tolist()
            if box.min() > 0 and box.max() < 200:
                assert target.tolist() == [(u.min() + u.max() + 1) / 2, (v.min() + v.max() + 1) / 2]
            seen.add((channel, bool(box[2] - box[0] > box[3] - box[1])))
    assert seen == {(0, True), (0, False), (2, True), (2, False)}


def test_a_small_tile_is_padded(sample: PairSample) -> None:
    pair = PairStream([sample], StreamConfig((64, 128), 512), 0).draw(sample, np.random.default_rng(0))
    assert pair["tile"].shape == (3, 512, 512)


def test_batches_teach_clicks_and_boxes_but_no_relation(sample: PairSample, small_config: NetConfig) -> None:
    torch.manual_seed(0)
    objective = Objective(CrossViewLocator(small_config), LossWeights())
    batch = next(iter(DataLoader(PairStream([sample], StreamConfig((64, 128), 128), 0), 3)))
    total, watch = objective(batch)
    total.backward()
    assert total.isfinite() and all(value.isfinite() for value in watch.values())
    assert watch["dense"] == watch["vote"] == watch["batch"] == 0
    assert watch["heat"] > 0 and watch["box"] > 0
    ground = objective.model.encoder.moe["1_1"].condition_gate.weight.grad
    assert ground is not None and ground[:, int(View.GROUND)].abs().sum() > 0, "the gates are told the platform"
    assert ground[:, int(View.DRONE)].abs().sum() == 0


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        StreamConfig((100, 256))
