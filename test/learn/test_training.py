"""Training: it learns, resumes where it was killed, and writes weights a robot can load."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from cvgeo_ros.learn.pairs import PairConfig
from cvgeo_ros.learn.training import TrainConfig, Trainer, rate_at
from cvgeo_ros.net import CONFIGS, NetConfig
from cvgeo_ros.net.weights import load_weights


@pytest.fixture
def config(tmp_path: Path, small_config: NetConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(CONFIGS, "small", small_config)
    folder = tmp_path / "real" / "tartu" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(4):
        coarse = rng.integers(0, 255, (40, 40, 3), np.uint8)
        cv2.imwrite(str(folder / f"{k}.jpg"), cv2.resize(coarse, (500, 500), interpolation=cv2.INTER_CUBIC))
    pairs = PairConfig(query_size=64, tile_size=128, clicks=4)
    return TrainConfig("small", tmp_path / "real", steps=8, batch=2, workers=0, warmup=2, save_every=4, pairs=pairs)


def test_a_run_learns_and_its_weights_load(config: TrainConfig, tmp_path: Path) -> None:
    path = Trainer(replace(config, steps=40), tmp_path / "run").run(Console(quiet=True))
    assert load_weights(path).config.name == "small"
    losses = [json.loads(line)["dense"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < np.log(16 * 16), "better than chance over the tile's cells"


def test_a_killed_run_resumes_with_weights_optimiser_and_step(config: TrainConfig, tmp_path: Path) -> None:
    killed = Trainer(replace(config, steps=4), tmp_path / "run")
    killed.run(Console(quiet=True))
    again = Trainer(config, tmp_path / "run")
    assert again.resume()
    assert again.step == 4 and again.elapsed > 0
    for a, b in zip(killed.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert again.optimizer.state_dict()["state"][0]["step"] == 4
    again.run(Console(quiet=True))
    assert again.step == 8


def test_a_finished_run_that_is_started_again_only_writes_its_weights(config: TrainConfig, tmp_path: Path) -> None:
    first = Trainer(replace(config, steps=4), tmp_path / "run")
    path = first.run(Console(quiet=True))
    before = load_weights(path)
    path.unlink()
    again = Trainer(replace(config, steps=4), tmp_path / "run")
    again.resume()
    after = load_weights(again.run(Console(quiet=True)))
    assert again.step == 4
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_kill_while_writing_leaves_the_last_checkpoint(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, tmp_path / "run")
    trainer.step = 7
    trainer.save()

    def die(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", die)
        with pytest.raises(KeyboardInterrupt):
            trainer.save()
    again = Trainer(config, tmp_path / "run")
    assert again.resume() and again.step == 7


def test_the_rate_follows_steps_or_minutes_whichever_is_further(config: TrainConfig) -> None:
    long = replace(config, steps=1000, warmup=10, minutes=10.0)
    assert rate_at(long, 0, 0) == pytest.approx(long.rate / 10)
    assert rate_at(long, 500, 0) == pytest.approx(long.rate / 2)
    assert rate_at(long, 100, 540) == pytest.approx(long.rate * 0.5 * (1 + np.cos(0.9 * np.pi)))
    assert rate_at(long, 1000, 0) == pytest.approx(0.0)


def test_a_batch_of_one_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="batch 1"):
        replace(config, batch=1)


def test_a_folder_without_images_is_an_error(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no training images"):
        Trainer(replace(config, real=tmp_path / "nothing"), tmp_path / "run").run(Console(quiet=True))
