"""The ablation of PE-MoE (arXiv 2510.20291), its rows trained alike, from the heads of stage 0, on its frozen tower.

Each row sees the same number of pairs: one unified model trains three times the steps of an expert, and has a last
stage as the experts have theirs together. Text alignment is the preparation of captions; without it they are left as
they were, also for turned and mirrored images.
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
from .corpus import Corpus
from .embedding import embed_images, embed_texts
from .evaluation import Embedded, judge
from .training import ExpertTrainer, PlaceTraining, fresh_model, train_experts, train_fused

ROWS = {
    "unified": "one unified model, captions as they were",
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


def run_row(row: str, sets: Sets, tower: Path, settings: PlaceTraining, out: Path, console: Console) -> dict[str, Any]:
    """Train and judge one row; what was done before is read from `out`. The last two rows share their experts."""
    result = out / f"{row}-{settings.seed}.json"
    if result.is_file():
        return dict(json.loads(result.read_text()))
    console.print(f"[bold]{row}[/], seed {settings.seed}")
    model = fresh_model(sets.train.model.config, settings.seed, tower, sets.train.model)
    if row in ("unified", "aligned"):
        expert = model.own_experts()[0]
        everything = np.arange(len(sets.train.images))
        trainer = ExpertTrainer(
            expert, sets.train, everything, row == "aligned", settings, out / f"{row}-{settings.seed}"
        )
        trainer.run(console, steps=len(PLATFORMS))
        share = 0.5 if row == "aligned" else 0.0
        train_fused([expert], None, sets.train, settings, out / f"{row}-{settings.seed}" / "fused", console, share)
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


def run_all(
    sets: Sets,
    tower: Path,
    settings: Callable[[int], PlaceTraining],
    seeds: Sequence[int],
    out: Path,
    console: Console,
    rows: Sequence[str] = tuple(ROWS),
) -> dict[str, list[dict[str, Any]]]:
    """Figures of all rows, one record a seed; a run that was stopped goes on where it was.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for seed in seeds:
        for row in rows:
            found[row].append(run_row(row, sets, tower, settings(seed), out, console))
    return found
