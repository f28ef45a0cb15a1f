"""Training: it learns, resumes where it was killed, and writes weights a robot can load."""

import json
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save_file

from cvgeo_ros.errors import TrainingError, WeightsError
from cvgeo_ros.learn.cvogl import write_cvogl
from cvgeo_ros.learn.feeding import read_samples
from cvgeo_ros.learn.loop import rate_at
from cvgeo_ros.learn.losses import LossWeights
from cvgeo_ros.learn.pairsets import PairObject, PairSample, read_folder, write_folder
from cvgeo_ros.learn.pairstream import StreamConfig
from cvgeo_ros.learn.training import TrainConfig, Trainer
from cvgeo_ros.net import View
from cvgeo_ros.net.weights import load_weights


def test_a_run_learns_and_its_weights_load(train_config: TrainConfig, tmp_path: Path) -> None:
    path = Trainer(replace(train_config, steps=40), tmp_path / "run").run(Console(quiet=True))
    assert load_weights(path).config.name == "small"
    losses = [json.loads(line)["dense"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < np.log(16 * 16), "better than chance over the tile's cells"


def test_a_killed_run_resumes_with_weights_optimiser_and_step(train_config: TrainConfig, tmp_path: Path) -> None:
    killed = Trainer(replace(train_config, steps=4), tmp_path / "run")
    killed.run(Console(quiet=True))
    again = Trainer(train_config, tmp_path / "run")
    assert again.resume()
    assert again.step == 4 and again.elapsed > 0
    for a, b in zip(killed.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert again.optimizer.state_dict()["state"][0]["step"] == 4
    again.run(Console(quiet=True))
    assert again.step == 8


def test_a_finished_run_that_is_started_again_only_writes_its_weights(
    train_config: TrainConfig, tmp_path: Path
) -> None:
    first = Trainer(replace(train_config, steps=4), tmp_path / "run")
    path = first.run(Console(quiet=True))
    before = load_weights(path)
    path.unlink()
    again = Trainer(replace(train_config, steps=4), tmp_path / "run")
    again.resume()
    after = load_weights(again.run(Console(quiet=True)))
    assert again.step == 4
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_network_is_named(train_config: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Trainer(train_config, run).save()
    with pytest.raises(TrainingError, match=r"checkpoint\.pt.*of another network"):
        Trainer(replace(train_config, model="nano"), run).resume()
    (run / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt.*damaged"):
        Trainer(train_config, run).resume()


def test_accumulated_batches_have_the_gradient_of_one(train_config: TrainConfig, tmp_path: Path) -> None:
    """Of a loss that is a mean over the pairs: those across a batch see fewer others in a smaller one."""
    only_vote = LossWeights(**{field.name: float(field.name == "vote") for field in fields(LossWeights)})
    config = replace(train_config, weights=only_vote, half=False, batch=4)
    whole = Trainer(config, tmp_path / "whole")
    batch = next(whole.batches(Console(quiet=True)))
    whole.gradient(whole.objective.eval(), iter([batch]))
    parts = Trainer(replace(config, batch=2, accumulate=2), tmp_path / "parts")
    halves = [{name: value[at : at + 2] for name, value in batch.items()} for at in (0, 2)]
    parts.gradient(parts.objective.eval(), iter(halves))
    first = Trainer(replace(config, batch=2), tmp_path / "first")
    first.gradient(first.objective.eval(), iter(halves))
    torch.testing.assert_close(gradient(parts), gradient(whole), rtol=1e-3, atol=1e-6)
    assert (gradient(first) - gradient(whole)).norm() > 0.1 * gradient(whole).norm(), "one batch is not two"


def gradient(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


def test_a_run_starts_from_weights_and_names_what_is_new(train_config: TrainConfig, tmp_path: Path) -> None:
    path = Trainer(replace(train_config, steps=1), tmp_path / "first").run(Console(quiet=True))
    with safe_open(path, "pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["old.weight"] = tensors.pop("prompt.impulse")
    tensors["fusion.gate.bias"] = torch.zeros(3)
    save_file(tensors, tmp_path / "other.safetensors", metadata=header)

    told = Console(record=True, quiet=True, width=200)
    config = replace(train_config, start=tmp_path / "other.safetensors", steps=1, rate=0.0, ema=0.0, seed=1)
    tuned = load_weights(Trainer(config, tmp_path / "run").run(told)).state_dict()
    torch.testing.assert_close(tuned["encoder.match.weight"], tensors["encoder.match.weight"].float())
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert line["missing"] == ["prompt.impulse"]
    assert line["reshaped"] == ["fusion.gate.bias"]
    assert line["unexpected"] == ["old.weight"]

    again = Trainer(replace(config, steps=2), tmp_path / "run")
    assert again.resume()
    again.run(Console(quiet=True))
    assert "start" not in (tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1]


def test_weights_of_which_nothing_fits_are_refused(train_config: TrainConfig, tmp_path: Path) -> None:
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"config": "{}"})
    config = replace(train_config, start=tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other\.safetensors: no parameter fits"):
        Trainer(config, tmp_path / "run").run(Console(quiet=True))


def test_a_kill_while_writing_leaves_the_last_checkpoint(
    train_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(train_config, tmp_path / "run")
    trainer.step = 7
    trainer.save()

    def die(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", die)
        with pytest.raises(KeyboardInterrupt):
            trainer.save()
    again = Trainer(train_config, tmp_path / "run")
    assert again.resume() and again.step == 7


def test_the_rate_follows_steps_or_minutes_whichever_is_further(train_config: TrainConfig) -> None:
    long = replace(train_config, steps=1000, warmup=10, minutes=10.0)
    assert rate_at(long, 0, 0) == pytest.approx(long.rate / 10)
    assert rate_at(long, 500, 0) == pytest.approx(long.rate / 2)
    assert rate_at(long, 100, 540) == pytest.approx(long.rate * 0.5 * (1 + np.cos(0.9 * np.pi)))
    assert rate_at(long, 1000, 0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "field, value", [("batch", 1), ("accumulate", 0), ("steps", 0), ("minutes", 0.0), ("seed", -1)]
)
def test_numbers_that_make_no_sense_are_refused(train_config: TrainConfig, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} {value}: "):
        replace(train_config, **{field: value})


def test_a_folder_without_images_is_an_error(train_config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no training images under .*nothing"):
        Trainer(replace(train_config, real=tmp_path / "nothing"), tmp_path / "run").run(Console(quiet=True))


def pairs_folder(root: Path, views: tuple[View, ...]) -> Path:
    """Image pairs of noise, one of each view."""
    samples = []
    for view in views:
        name = view.name.lower()
        (root / name).mkdir(parents=True)
        for file, shape in (("query.png", (32, 64, 3)), ("tile.png", (160, 160, 3))):
            cv2.imwrite(str(root / name / file), np.random.default_rng(0).integers(0, 255, shape, np.uint8))
        box = PairObject("0", (20.0, 30.0), (40.0, 50.0, 80.0, 90.0))
        samples.append(PairSample(name, root / name / "query.png", root / name / "tile.png", view, (box,)))
    write_folder(root, "noise", samples)
    return root


def test_it_trains_on_pairs_of_images_with_boxes(train_config: TrainConfig, tmp_path: Path) -> None:
    samples = pairs_folder(tmp_path / "own", (View.GROUND,))
    config = replace(train_config, real=None, samples=samples, stream=StreamConfig((64, 64), 128), steps=2)
    Trainer(config, tmp_path / "run").run(Console(quiet=True))
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["box"] > 0 and json.loads(line)["skipped"] == 0


def test_cvogl_is_trained_on_by_its_training_split(tmp_path: Path) -> None:
    samples = read_folder(pairs_folder(tmp_path / "own", (View.GROUND,)))
    write_cvogl(tmp_path, "ground", "train", samples)
    (sample,) = read_samples(tmp_path / "CVOGL_SVI")
    assert sample.view == View.GROUND and sample.name.startswith("train-")


def test_pairs_that_cannot_be_trained_on_together(train_config: TrainConfig, tmp_path: Path) -> None:
    both = pairs_folder(tmp_path / "own", (View.GROUND, View.DRONE))
    with pytest.raises(TrainingError, match=r"own: pairs of drone and ground views"):
        Trainer(replace(train_config, real=None, samples=both), tmp_path / "run").run(Console(quiet=True))
    with pytest.raises(TrainingError, match=r"own cannot be mixed with .*real"):
        Trainer(replace(train_config, samples=both), tmp_path / "run").run(Console(quiet=True))
