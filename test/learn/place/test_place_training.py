"""A place model trained end to end on a small set, and what happens when it is stopped."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from place_set import write_set
from rich.console import Console

from cvgeo_ros.errors import TrainingError
from cvgeo_ros.learn.loop import Stage
from cvgeo_ros.learn.place.ablation import Sets, run_all
from cvgeo_ros.learn.place.batches import Preparation, draw_batch
from cvgeo_ros.learn.place.corpus import Corpus
from cvgeo_ros.learn.place.data import read_places
from cvgeo_ros.learn.place.evaluation import embed, judge, platforms_of
from cvgeo_ros.learn.place.training import (
    ExpertTrainer,
    FusedObjective,
    PlaceTraining,
    fresh_model,
    train_fused,
    train_place,
)
from cvgeo_ros.place.config import PlaceConfig
from cvgeo_ros.place.experts import load_place_model
from cvgeo_ros.place.heads import Expert, every_token

SIZE = PlaceConfig(image_size=64, image_width=32, width=32, dim=32, gate_hidden=32, dropout=0.0)
QUICK = PlaceTraining(
    batch=12,
    threads=1,
    tower=Stage(60, 4e-3, warmup=5),
    first=Stage(60, 4e-3, warmup=5),
    second=Stage(30, 2e-3, warmup=5),
    gate=Stage(60, 1e-2, warmup=5),
    fused=Stage(30, 2e-3, warmup=5),
)
QUIET = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "places")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def corpus(data: Path, cache: Path) -> Corpus:
    corpus = Corpus(read_places(data), cache, fresh_model(SIZE, 0))
    corpus.fill()
    return corpus


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_place(corpus.model, corpus, QUICK, tmp_path_factory.mktemp("run"), QUIET)


@pytest.mark.slow
def test_trained_model_finds_pictures_and_platforms(trained: Path, data: Path) -> None:
    images = read_places(data)
    model = load_place_model(trained)
    result = judge(embed(model, images), platforms_of(images))
    assert result.text_to_image.candidates == 36
    assert result.text_to_image.r5 > 0.6, "chance is 0.14"
    assert result.image_to_text.r10 > 0.6
    for number, platform in enumerate(("satellite", "drone", "ground")):
        assert np.argmax(result.gate[platform]) == number, result.gate

    torch.manual_seed(3)
    untrained = judge(embed(fresh_model(SIZE, 1), images), platforms_of(images))
    assert untrained.text_to_image.r5 < 0.4


@pytest.mark.slow
def test_experts_begin_with_the_heads_of_the_tower(trained: Path, data: Path) -> None:
    tower = trained.parent / "tower.safetensors"
    begun = fresh_model(SIZE, 7, tower)
    first, *others = (expert.state_dict() for expert in begun.experts)
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
    images = read_places(data)
    assert judge(embed(begun, images), platforms_of(images)).text_to_image.r5 > 0.5, "chance is 0.14"
    ended = load_place_model(trained).experts[1].state_dict()
    assert not all(torch.equal(first[name], ended[name]) for name in first)


@pytest.mark.slow
def test_experts_and_gate_learn_together_the_score_that_queries_get(
    trained: Path, corpus: Corpus, data: Path, tmp_path: Path
) -> None:
    model = fresh_model(SIZE, 5)
    model.load_state_dict(load_place_model(trained).state_dict())
    images = read_places(data)
    embedded = embed(model, images)
    states, mask = corpus.text_rows([corpus.captions(index)[0] for index in range(6)])
    tokens = corpus.token_rows([(index, 0) for index in range(6)])
    with torch.inference_mode():
        query, image = FusedObjective(model.own_experts(), model.gate).eval()(states, mask, tokens, every_token(tokens))
    captions = [int(np.flatnonzero(embedded.owner == index)[0]) for index in range(6)]
    fused = embedded.texts[captions] @ embedded.images[:6].T
    assert query @ image.T == pytest.approx(fused, abs=0.03), "heads in bfloat16 while training"

    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_fused(model.own_experts(), model.gate, corpus, QUICK, tmp_path, QUIET)
    for part in ("experts.0.text", "experts.2.image", "gate"):
        changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
        assert any(name.startswith(part) for name in changed), part
    assert not any(name.startswith("image.") for name in changed), "the tower is frozen"


def test_features_are_computed_once(corpus: Corpus, data: Path, cache: Path) -> None:
    again = Corpus(read_places(data), cache, corpus.model)
    told: list[str] = []
    again.fill(lambda name, done, total: told.append(name))
    assert told == []
    assert np.array_equal(again.map_rows([(0, 1)]), corpus.map_rows([(0, 1)]))
    assert not np.array_equal(again.map_rows([(0, 1)]), corpus.map_rows([(0, 0)]))


def test_tokens_of_moved_maps_are_made_by_the_frozen_tower(corpus: Corpus, trained: Path) -> None:
    pairs = [(3, 0), (4, 0)]
    still, moved = corpus.token_rows(pairs), corpus.token_rows(pairs, np.random.default_rng(1))
    assert moved.shape == still.shape
    assert not torch.equal(moved, still)
    assert torch.equal(moved, corpus.token_rows(pairs, np.random.default_rng(1)))
    like = torch.cosine_similarity(moved.mean(1), still.mean(1))
    assert float(like.min()) > 0.8, "they still show the same"


def test_stopped_training_goes_on_as_if_it_had_not(corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    """Batches and mined negatives are those of an unbroken run."""

    def expert_after(out: Path, stops: list[int]) -> dict[str, torch.Tensor]:
        for steps in stops:
            torch.manual_seed(0)
            settings = replace(QUICK, first=Stage(8, 1e-3), second=Stage(8, 1e-3))
            trainer = ExpertTrainer(Expert(SIZE), corpus, np.arange(12), Preparation.FULL, settings, out)
            done = 0
            loss = trainer.loss

            def counted(stage: int, step: int, steps: int = steps, loss=loss) -> dict[str, torch.Tensor]:
                nonlocal done
                if done == steps:
                    raise KeyboardInterrupt
                done += 1
                return loss(stage, step)

            trainer.loss = counted  # type: ignore[method-assign]
            try:
                trainer.run(QUIET, save_every=1)
            except KeyboardInterrupt:
                continue
        return trainer.objective.expert.state_dict()

    whole = expert_after(tmp_path / "whole", [99])
    parts = expert_after(tmp_path / "parts", [5, 6, 99])
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)


def test_damaged_checkpoint_is_named(corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "checkpoint.pt").write_bytes(b"nothing")
    trainer = ExpertTrainer(Expert(SIZE), corpus, np.arange(12), Preparation.FULL, QUICK, tmp_path)
    with pytest.raises(TrainingError, match=r"first/checkpoint\.pt: damaged"):
        trainer.run(QUIET)


def test_mined_negatives_are_of_other_pictures_and_of_any_platform(
    corpus: Corpus, trained: Path, tmp_path: Path
) -> None:
    own = np.flatnonzero(corpus.platforms == 1)
    torch.manual_seed(0)
    mined = ExpertTrainer(Expert(SIZE), corpus, own, Preparation.FULL, QUICK, tmp_path).mine(0)
    assert not (corpus.groups[mined] == corpus.groups[own][:, None]).any()
    assert set(np.unique(corpus.platforms[mined])) == {0, 1, 2}


def test_ablation_rows(corpus: Corpus, trained: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    test = Corpus(read_places(data), cache, corpus.model, copies=False)
    test.fill()
    test.freeze()
    budget = replace(QUICK, first=Stage(20, 4e-3, warmup=5), second=Stage(6, 2e-3, warmup=5))
    tower = trained.parent / "tower.safetensors"
    run = lambda: run_all(Sets(corpus, test), tower, lambda seed: replace(budget, seed=seed), [0], tmp_path, QUIET)  # noqa: E731
    figures = run()
    assert list(figures) == ["unified", "aligned", "ensemble", "full"]
    gates = figures["ensemble"][0]["gate"], figures["full"][0]["gate"]
    assert gates[0]["drone"] == pytest.approx([1 / 3] * 3)
    assert gates[1]["drone"][1] > 0.4
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")}
    assert run() == figures
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoint.pt")} == before
    saved = judge(embed(load_place_model(tmp_path / "full-0.safetensors"), read_places(data)), corpus.platforms)
    assert saved.text_to_image.r10 == pytest.approx(figures["full"][0]["text_to_image"]["r10"], abs=0.06)


def test_rows_of_an_ablation_have_towers_of_their_own(corpus: Corpus, data: Path, cache: Path, tmp_path: Path) -> None:
    """The first row's learnt from data as it was, the others' from what was prepared."""
    test = Corpus(read_places(data), cache, corpus.model, copies=False)
    test.fill()
    stage = Stage(4, 4e-3, warmup=1)
    budget = PlaceTraining(batch=12, threads=1, tower=stage, first=stage, second=stage, gate=stage, fused=stage)
    former = corpus.model
    run_all(Sets(corpus, test), None, lambda seed: replace(budget, seed=seed), [3], tmp_path, QUIET)
    corpus.take(former)
    corpus.freeze()
    towers = {path.parent.name: load_place_model(path) for path in tmp_path.glob("tower-*/tower.safetensors")}
    assert sorted(towers) == ["tower-mixed-3", "tower-none-3"]
    plain, mixed = (towers[f"tower-{name}-3"].image.state_dict() for name in ("none", "mixed"))
    assert not all(torch.equal(plain[name], mixed[name]) for name in plain)
    full = load_place_model(tmp_path / "full-3.safetensors").image.state_dict()
    assert all(torch.equal(full[name], mixed[name]) for name in full)


def test_batches_are_prepared_as_told(corpus: Corpus) -> None:
    everything = np.arange(len(corpus.images))
    for preparation in Preparation:
        batch = draw_batch(corpus, everything, 30, preparation, (0, 1, 2))
        again = draw_batch(corpus, everything, 30, preparation, (0, 1, 2))
        assert batch.draws == again.draws
        assert len(set(batch.indices)) == 30
        assert (batch.moving is None) == (preparation is Preparation.NONE)
        raw = [draw.text in corpus.captions(draw.image) for draw in batch.draws]
        turned = [draw.copy > 0 for draw in batch.draws]
        if preparation is Preparation.NONE:
            assert all(raw)
            assert not any(turned)
        else:
            assert any(turned)
            assert not all(raw)
        for draw in batch.draws:
            if preparation is Preparation.FULL and draw.copy:
                assert not {"left", "right", "north"} & set(" ".join(draw.text).lower().split()), draw
    assert len(draw_batch(corpus, everything[:5], 30, Preparation.FULL, (0, 1, 2)).draws) == 5
