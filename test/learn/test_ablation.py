"""Variants leave out what their names say; the ablation trains, judges, goes on and compares by seed."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cvgeo_ros.learn.ablation import Budget, rows_of, run_all
from cvgeo_ros.learn.losses import LossWeights
from cvgeo_ros.learn.pairs import PairConfig
from cvgeo_ros.learn.pairsets import PairObject, PairSample, write_folder
from cvgeo_ros.learn.scenes.dataset import Options, write_world
from cvgeo_ros.learn.variants import VARIANTS
from cvgeo_ros.net import NetConfig, View, consensus


@pytest.mark.parametrize("name", list(VARIANTS))
def test_each_variant_answers_and_hears_what_it_should(small_config: NetConfig, name: str) -> None:
    torch.manual_seed(0)
    model = VARIANTS[name].build(small_config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    gsd, clicks = torch.tensor([0.3]), torch.tensor([[[2.5, 3.5], [5.5, 1.5]]])
    frame, _ = model.encode_frame(torch.rand(1, 3, 64, 64), gsd)
    tile, _ = model.encode_tile(torch.rand(1, 3, 128, 128), gsd)
    votes = consensus.correlate(frame.match, torch.ones(1, 8, 8), tile.match)
    heat = model.answer(frame, clicks, tile, votes).heat
    assert heat.shape == (1, 2, 16, 16)
    louder = model.answer(frame, clicks, tile, consensus.Votes(votes.z * 3, votes.origin)).heat
    assert torch.allclose(heat, louder) is (name in ("no-consensus", "detgeo", "mogeo"))
    moved = model.answer(frame, clicks + torch.tensor([0.0, 2.0]), tile, votes).heat
    assert not torch.allclose(heat, moved)


def test_dense_layers_have_the_active_size_of_the_experts(small_config: NetConfig) -> None:
    full, dense = (VARIANTS[name].build(small_config) for name in ("full", "dense"))
    pool = full.encoder.pools["1"]
    active = small_config.top_k * sum(p[0].numel() for p in (pool.w1, pool.b1, pool.w2))
    ours = sum(p.numel() for n, p in dense.encoder.moe["1_1"].named_parameters() if not n.endswith("2.bias"))
    assert ours == active


def test_variants_differ_from_the_full_network_in_one_thing() -> None:
    plans = {name: replace(VARIANTS[name], title="", weights=LossWeights()) for name in VARIANTS}
    for name in ("no-impulse", "no-fusion", "dense", "no-consensus"):
        changed = [key for key in vars(plans["full"]) if getattr(plans[name], key) != getattr(plans["full"], key)]
        assert len(changed) == 1, name
    assert VARIANTS["no-apart"].weights == replace(LossWeights(), apart=0.0)


def test_a_run_trains_judges_and_goes_on(tmp_path: Path, small_config: NetConfig) -> None:
    write_world(tmp_path / "worlds", 3, Options(views=1, extent=330.0, resolution=0.4))
    world = tmp_path / "worlds" / "3"
    objects = (PairObject("a", (480.0, 270.0), (400.0, 400.0, 440.0, 440.0)),)
    sample = PairSample("p", world / "view0.jpg", world / "sat.jpg", View.DRONE, objects, 0.4, 66.0, 90.0, 0.0, -90.0)
    write_folder(world, "one", [sample])
    pairs = PairConfig(query_size=64, tile_size=128, clicks=4)
    budget = Budget(tmp_path / "worlds", world, steps=2, batch=2, net=small_config, pairs=pairs)
    out = tmp_path / "out"
    first = run_all(budget, ["full", "detgeo"], [0], out)
    written = (out / "full-0.json").stat().st_mtime_ns
    again = run_all(budget, ["full", "detgeo"], [0], out)
    assert first == again and (out / "full-0.json").stat().st_mtime_ns == written
    assert first["full"][0]["objects"] == 1
    with pytest.raises(FileExistsError, match="another folder"):
        run_all(replace(budget, steps=3), ["full"], [0], out)


def test_rows_compare_by_seed() -> None:
    names = ("acc_25", "within_5m")
    figures = {
        "full": [{"acc_25": 0.8, "within_5m": 0.9}, {"acc_25": 0.6, "within_5m": None}],
        "dense": [{"acc_25": 0.7, "within_5m": 0.8}, {"acc_25": 0.4, "within_5m": 0.5}],
    }
    full, dense = rows_of(figures, names)
    assert full.mean["acc_25"] == pytest.approx(0.7) and full.change["acc_25"] == 0
    assert dense.mean["acc_25"] == pytest.approx(0.55) and dense.change["acc_25"] == pytest.approx(-0.15)
    assert dense.deviation["acc_25"] == pytest.approx(0.3 / math.sqrt(2))
    assert math.isnan(full.mean["within_5m"]) and dense.title == VARIANTS["dense"].title
