"""The ablation of PE-MoE (arXiv 2510.20291), its rows trained alike.

As in the paper the first row has no preparation of the data: whole captions as they were written, with images as they
are. That begins with the tower, which in the paper comes from elsewhere and here is trained on this very data: the
first row has one of its own, the others share one. Or all rows begin with one and the same tower that is there already.

Each row sees the same number of pairs: one unified model trains three times the steps of an expert, and has a last
stage as the experts have theirs together.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ...place.config import PLATFORMS
from ...place.experts import PlaceModel, save_place_model
from ...place.heads import Head
from .batches import Preparation
from .corpus import Corpus
from .embedding import embed_images, embed_texts
from .evaluation import Embedded, judge
from .tower import train_tower
from .training import ExpertTrainer, PlaceTraining, fresh_model, train_experts, train_fused

ROWS = {
    "unified": "one unified model, data as it was",
    "aligned": "+ text alignment",
    "ensemble": "+ three experts, their mean",
    "full": "+ gate",
}
"""The rows in the paper's order, each with what it adds."""


@dataclass(frozen=True)
class Sets:
    """What an ablation is run on: corpora of one model, their features in the banks."""

    train: Corpus
    test: Corpus


def evaluate_heads(
    text: Sequence[Head], image: Sequence[Head], test: Corpus, model: PlaceModel | None
) -> dict[str, Any]:
    """Retrieval on a data set by heads whose scores are averaged, or weighed by the gate of a model."""
    every = range(len(test.images))
    captions = [(caption, index) for index in every for caption in test.captions(index)]
    rows, pooled = embed_texts(text, test, [caption for caption, _ in captions])
    if model is None:
        gate = np.full((len(rows), len(text)), 1 / len(text), np.float32)
    else:
        with torch.inference_mode():
            gate = model.gate(torch.from_numpy(pooled).to(model.device)).cpu().numpy()
    queries = (gate[:, :, None] * rows).reshape(len(rows), -1)
    gallery = embed_images(image, test, every).reshape(len(test.images), -1)
    owner = np.array([index for _, index in captions], np.int64)
    return judge(Embedded(queries, gallery, owner, gate), test.platforms).to_dict()


def run_row(
    row: str, sets: Sets, tower: str | Path | None, settings: PlaceTraining, out: Path, console: Console
) -> dict[str, Any]:
    """Train and judge one row; what was done before is read from `out`. The last two rows share their experts."""
    result = out / f"{row}-{settings.seed}.json"
    if result.is_file():
        return dict(json.loads(result.read_text()))
    console.print(f"[bold]{row}[/], seed {settings.seed}")
    plain = row == "unified"
    mixed, full = (Preparation.NONE, Preparation.NONE) if plain else (Preparation.MIXED, Preparation.FULL)
    tower = tower or _own_tower(sets.train, mixed, settings, out / f"tower-{mixed}-{settings.seed}", console)
    model = fresh_model(sets.train.model.config, settings.seed, tower, sets.train.model)
    for corpus in (sets.train, sets.test):
        corpus.take(model)
        corpus.freeze()
    if row in ("unified", "aligned"):
        expert, folder = model.own_experts()[0], out / f"{row}-{settings.seed}"
        everything = np.arange(len(sets.train.images))
        ExpertTrainer(expert, sets.train, everything, full, settings, folder).run(console, steps=len(PLATFORMS))
        train_fused([expert], None, sets.train, settings, folder / "fused", console, mixed)
        figures = evaluate_heads([expert.text], [expert.image], sets.test, None)
    else:
        train_experts(model, sets.train, settings, out / f"experts-{settings.seed}", console)
        gate = model.gate if row == "full" else None
        train_fused(model.own_experts(), gate, sets.train, settings, out / f"fused-{row}-{settings.seed}", console)
        if row == "full":
            save_place_model(model, out / f"full-{settings.seed}.safetensors", seed=str(settings.seed))
        figures = evaluate_heads(model.text_heads(), model.image_heads(), sets.test, model if row == "full" else None)
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(figures, indent=1))
    partial.rename(result)
    return figures


def _own_tower(corpus: Corpus, preparation: Preparation, settings: PlaceTraining, out: Path, console: Console) -> Path:
    """Weights of a model whose tower and heads have been trained on this data, if not already, from random ones on."""
    path = out / "tower.safetensors"
    if not path.is_file():
        model = fresh_model(corpus.model.config, settings.seed, like=corpus.model)
        corpus.take(model)
        train_tower(model, corpus, settings.tower, settings.batch, settings.seed, out, console, preparation)
        save_place_model(model, path, seed=str(settings.seed))
    return path


def run_all(
    sets: Sets,
    tower: str | Path | None,
    settings: Callable[[int], PlaceTraining],
    seeds: Sequence[int],
    out: Path,
    console: Console,
    rows: Sequence[str] = tuple(ROWS),
) -> dict[str, list[dict[str, Any]]]:
    """Figures of all rows, one record a seed; a run that was stopped goes on where it was.

    Args:
        sets: corpora of one model, filled; they end with another.
        tower: name or file of a place model whose tower and heads all rows begin with; None: they train their own.
        settings: by seed.
        seeds: of data and weights.
        out: folder of weights, checkpoints and figures.
        console: for people.
        rows: keys of `ROWS`.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for seed in seeds:
        for row in rows:
            found[row].append(run_row(row, sets, tower, settings(seed), out, console))
    return found
