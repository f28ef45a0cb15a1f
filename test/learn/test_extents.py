"""The box head taught alone: on what the frozen network computed once, by the size of objects."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn import extents
from cvgeo_ros.learn.extents import BoxObjective, encode_pairs, read_pairs, train_boxes
from cvgeo_ros.learn.loop import Stage
from cvgeo_ros.learn.pairs import PairConfig, Pairs
from cvgeo_ros.learn.sources import real_sources
from cvgeo_ros.net import CrossViewLocator, NetConfig
from cvgeo_ros.net.weights import load_weights, save_weights


@pytest.fixture
def photographs(write_yards: Callable[..., Path]) -> Path:
    """Three photographs of bright yards, many small and a few large, with their outlines."""
    sizes = lambda rng, row, column: 200 if (row, column) == (2, 2) else int(rng.integers(90, 130))  # noqa: E731
    return write_yards(3, 1400, (40, 90), 60, 5, sizes)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extents, "SHARD", 3)
    monkeypatch.setattr(extents, "PAIRS", PairConfig(query_size=128, tile_size=256, clicks=6, extents=40))


@pytest.fixture
def model(small_config: NetConfig) -> CrossViewLocator:
    torch.manual_seed(0)
    return CrossViewLocator(small_config).eval()


def encoded(model: CrossViewLocator, photographs: Path, out: Path, count: int) -> list[int]:
    sources = real_sources(photographs)
    return list(encode_pairs(model, lambda number: Pairs(sources, [], 0.0, extents.PAIRS, number), count, out))


def test_boxes_are_learnt_and_nothing_else(
    few: None, model: CrossViewLocator, photographs: Path, tmp_path: Path
) -> None:
    assert encoded(model, photographs, tmp_path / "pairs", 12) == [3, 6, 9, 12]
    pairs = read_pairs([tmp_path / "pairs"])
    assert len(pairs) == 12 and sum(len(pair["boxes"]) for pair in pairs) > 6

    def iou() -> float:
        objective = BoxObjective(model, pairs)
        with torch.inference_mode():
            return float(objective(*objective.draw(np.random.default_rng(5), 8))["iou"])

    before, weights = iou(), {name: value.clone() for name, value in model.state_dict().items()}
    train_boxes(model, pairs, Stage(60, 4e-3, warmup=5), 4, 0, tmp_path / "run", Console(quiet=True))
    assert iou() > before + 0.15
    changed = {
        name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, weights[name])
    }
    assert changed == {"box_head"}


def test_a_draw_shows_what_was_encoded(few: None, model: CrossViewLocator, photographs: Path, tmp_path: Path) -> None:
    """Places lie on their objects; a frame's clicks keep the frame's own descriptors."""
    encoded(model, photographs, tmp_path / "pairs", 3)
    pairs = read_pairs([tmp_path / "pairs"])
    objective = BoxObjective(model, pairs, objects=8, clicked=4)
    _, _, prompts, places, boxes = objective.draw(np.random.default_rng(1), 6)
    shown = boxes.isfinite().all(-1)
    assert shown[:, :8].all()
    off = (places - (boxes[..., :2] + boxes[..., 2:]) / 2)[shown].abs()
    assert off.median() < 2.0, "cells"
    told = torch.cat([pair["prompts"] for pair in pairs]).float()
    clicked = prompts[:, 8:][shown[:, 8:]]
    assert len(clicked) and (torch.cdist(clicked, told).amin(1) < 1e-3).all()


def test_rare_sizes_are_drawn_more_often(model: CrossViewLocator) -> None:
    """Nineteen houses and a hall in each of some pairs."""
    house, hall = [10.0, 10.0, 15.0, 15.0], [2.0, 2.0, 22.0, 12.0]  # at 0.3 m a pixel 12 m and 48 m
    width = model.config.context_dim
    pair = {
        "context": torch.zeros(width, 32, 32).half(),
        "match": torch.zeros(model.config.match_dim, 32, 32).half(),
        "around": torch.zeros(width, 16, 16).half(),
        "gsd": torch.tensor(0.3),
        "prompts": torch.zeros(0, model.config.match_dim).half(),
        "places": torch.zeros(0, 2),
        "boxes": torch.zeros(0, 4),
        "extents": torch.tensor([house] * 19 + [hall]),
    }
    objective = BoxObjective(model, [pair] * 20, objects=40, clicked=2)
    *_, boxes = objective.draw(np.random.default_rng(0), 20)
    halls = float((boxes[:, :40, 2] == 22.0).float().mean())
    assert 0.08 < halls < 0.25, "one in twenty as they are"


def test_encoding_goes_on_where_it_was(few: None, model: CrossViewLocator, photographs: Path, tmp_path: Path) -> None:
    encoded(model, photographs, tmp_path / "whole", 6)
    encoded(model, photographs, tmp_path / "parts", 3)
    first = (tmp_path / "parts" / "0000.pt").stat().st_mtime_ns
    encoded(model, photographs, tmp_path / "parts", 6)
    assert (tmp_path / "parts" / "0000.pt").stat().st_mtime_ns == first
    whole, parts = read_pairs([tmp_path / "whole"]), read_pairs([tmp_path / "parts"])
    assert all(torch.equal(a[name], b[name]) for a, b in zip(whole, parts, strict=True) for name in a)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no encoded pairs"):
        read_pairs([tmp_path])
    (tmp_path / "0000.pt").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"0000\.pt: damaged"):
        read_pairs([tmp_path])


def test_commands(few: None, model: CrossViewLocator, photographs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "small.safetensors"
    save_weights(model, weights)

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(extents.app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    pairs = tmp_path / "pairs"
    run("encode", "--model", weights, "--real", photographs, "--pairs", 3, "--out", pairs, "--threads", 1)
    told = run("train", "--model", weights, "--pairs", pairs, "--steps", 2, "--out", tmp_path / "run", "--threads", 1)
    assert f"weights  {tmp_path / 'run' / 'small.safetensors'}" in told
    taught, before = load_weights(tmp_path / "run" / "small.safetensors"), load_weights(weights)
    assert not torch.equal(taught.box_head.place.weight, before.box_head.place.weight)
    with pytest.raises(DatasetError, match="nothing to encode"):
        run("encode", "--model", weights, "--out", pairs)
