"""The training of tiny: its file, a narrower one in half precision, and the losses on a GPU, pretended."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pretend_gpu import pretended_gpu, put
from rich.console import Console

from cvgeo_ros.cli.train import read_config
from cvgeo_ros.learn.training import TrainConfig, Trainer
from cvgeo_ros.net import CONFIGS, TINY
from cvgeo_ros.net.weights import load_weights

CONFIG = Path(__file__).parents[2] / "config" / "train_tiny.yaml"


def test_the_file_is_of_tiny_on_a_gpu() -> None:
    config = read_config(CONFIG, {})
    assert (config.model, config.device, config.half) == ("tiny", "cuda", True)
    assert config.pairs.query_size == TINY.query_size and config.pairs.tile_size % 64 == 0


def test_a_narrow_tiny_trains_in_half_precision_and_goes_on(
    train_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIGS, "narrow", replace(TINY, name="narrow", embed_dim=24, match_dim=16, context_dim=16))
    config = replace(train_config, model="narrow", half=True, device="cpu", steps=1)
    Trainer(config, tmp_path / "run").run(Console(quiet=True))
    again = Trainer(replace(config, steps=2), tmp_path / "run")
    assert again.resume() and again.step == 1
    path = again.run(Console(quiet=True))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["skipped"] for line in lines] == [0, 0]
    model = load_weights(path)
    assert len(model.config.depths) == 4
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_the_losses_are_computed_where_the_batch_lies(train_config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(replace(train_config, half=False), tmp_path / "run")
    batch = next(trainer.batches(Console(quiet=True)))
    objective = trainer.objective.eval()  # no noise on the gates
    torch.manual_seed(0)
    expected, _ = objective(batch)
    with pretended_gpu():
        torch.manual_seed(0)
        found, watch = put(objective)({name: put(value) for name, value in batch.items()})
        assert found.device.type == "cuda"
        assert all(value.device.type == "cuda" for value in watch.values())
        found = found.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
