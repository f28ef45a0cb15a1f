"""Ablations: every variant of the network trained alike, several seeds each, and judged on one rendered benchmark.

What can be trained in minutes on a CPU core is a small network on small pieces; the differences count, not the levels.
"""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from ..localizer import Localizer
from ..net import CrossViewLocator, NetConfig
from .harness import evaluate_pairs
from .locators import GeoLocator
from .metrics import by_count, summarize
from .pairs import PairConfig
from .pairsets import read_folder
from .training import TrainConfig, Trainer
from .variants import VARIANTS

PICO = NetConfig(
    name="pico",
    embed_dim=16,
    depths=(1, 2, 2),
    num_heads=(1, 2, 4),
    conv_stem=True,
    moe_blocks=((), (1,), (1,)),
    expert_ratio=2.0,
    mlp_ratio=3.0,
    match_dim=64,
    context_dim=64,
)
"""The network of the ablations: 0.5 M parameters."""


@dataclass(frozen=True)
class Budget:
    """What every variant gets.

    Attributes:
        rendered: folder of training worlds.
        benchmark: folder of pairs to judge on.
        steps, batch, rate: of the training.
        net: size of the network.
        pairs: size of the pieces.
    """

    rendered: Path
    benchmark: Path
    steps: int = 160
    batch: int = 6
    rate: float = 2e-3
    net: NetConfig = PICO
    pairs: PairConfig = field(default_factory=lambda: PairConfig(query_size=96, tile_size=192, clicks=6, extents=12))


class VariantTrainer(Trainer):
    """Trains a variant instead of a shipped size."""

    def __init__(self, config: TrainConfig, out: Path, variant: str, net: NetConfig) -> None:
        self._variant, self._net = VARIANTS[variant], net
        super().__init__(config, out)

    def build(self) -> CrossViewLocator:
        return self._variant.build(self._net)


def run_one(budget: Budget, variant: str, seed: int, out: Path) -> dict[str, float | None]:
    """Train and judge one variant with one seed on one core; what was done before is read from `out`.

    Returns:
        Figures over all objects, and accI@0.25 by number of targets.
    """
    result = out / f"{variant}-{seed}.json"
    if result.is_file():
        return dict(json.loads(result.read_text()))
    config = TrainConfig(
        model=budget.net.name,
        rendered=budget.rendered,
        steps=budget.steps,
        batch=budget.batch,
        rate=budget.rate,
        warmup=min(50, budget.steps),
        ema=0.98,
        seed=seed,
        device="cpu",
        workers=0,
        threads=1,
        tensorboard=False,
        pairs=budget.pairs,
        weights=VARIANTS[variant].weights,
    )
    trainer = VariantTrainer(config, out / f"{variant}-{seed}", variant, budget.net)
    trainer.resume()
    trainer.run(Console(quiet=True))
    located = evaluate_pairs(GeoLocator(Localizer(trainer.average)), read_folder(budget.benchmark))
    figures = summarize(located).to_dict()
    figures |= {f"acci_25, {name}": summarize(group).acci_25 for name, group in by_count(located).items()}
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(figures, indent=1))
    partial.rename(result)
    return figures


def run_all(
    budget: Budget,
    variants: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[dict[str, float | None]]]:
    """Figures of all variants, one record a seed; a run that was stopped goes on where it was."""
    out.mkdir(parents=True, exist_ok=True)
    _check(budget, out)
    tasks = [(variant, seed) for seed in seeds for variant in variants]
    figures: dict[tuple[str, int], dict[str, float | None]] = {}
    # Processes that are forked would inherit torch's locked thread pool.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        pending = {pool.submit(run_one, budget, variant, seed, out): (variant, seed) for variant, seed in tasks}
        for done, future in enumerate(as_completed(pending), start=1):
            figures[pending[future]] = future.result()
            if progress is not None:
                progress(done, len(tasks))
    return {variant: [figures[variant, seed] for seed in seeds] for variant in variants}


def _one_thread() -> None:
    torch.set_num_threads(1)


def _check(budget: Budget, out: Path) -> None:
    """Figures of different budgets must not meet in one folder."""
    told = json.loads(json.dumps(asdict(budget), default=str))
    path = out / "budget.json"
    if path.is_file() and json.loads(path.read_text()) != told:
        raise FileExistsError(f"{path}: another budget's figures are here; use another folder")
    path.write_text(json.dumps(told, indent=1))


@dataclass(frozen=True)
class Row:
    """One line of the table: means over seeds, and the difference to the full network, paired by seed.

    Attributes:
        title: of the variant.
        mean, deviation: of each figure; deviation over seeds, NaN for one seed.
        change: mean difference to the full network, NaN where that was not run.
    """

    title: str
    mean: dict[str, float]
    deviation: dict[str, float]
    change: dict[str, float]


FIGURES = {"acc_25": "acc@0.25", "acc_50": "acc@0.5", "acci_25": "accI@0.25", "within_5m": "within 5 m"}
"""Figures of the table, and their headings."""


def rows_of(figures: dict[str, list[dict[str, float | None]]], names: Sequence[str] = tuple(FIGURES)) -> list[Row]:
    """Lines of the table in the order of the variants."""

    def values(variant: str, name: str) -> np.ndarray:
        return np.array([np.nan if seed[name] is None else seed[name] for seed in figures[variant]], np.float64)

    rows = []
    for variant in figures:
        mean = {name: float(values(variant, name).mean()) for name in names}
        spread = {
            name: float(values(variant, name).std(ddof=1)) if len(figures[variant]) > 1 else np.nan for name in names
        }
        full = "full" in figures
        change = {n: float((values(variant, n) - values("full", n)).mean()) if full else np.nan for n in names}
        rows.append(Row(VARIANTS[variant].title, mean, spread, change))
    return rows
