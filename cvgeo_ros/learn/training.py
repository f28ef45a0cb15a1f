"""Training: reproducible by seed, resumed after being killed, watched while it runs."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch.utils.data import DataLoader

from ..net import CONFIGS, CrossViewLocator
from ..net.weights import save_weights
from .losses import LossWeights, Objective
from .pairs import PairConfig, Pairs
from .sources import real_sources, rendered_sources


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: name of the size.
        real: folder of real photographs, or None.
        rendered: folder of packed rendered worlds, or None.
        rendered_share: share of rendered pairs.
        steps: optimiser steps; the learning rate falls to nothing over them.
        minutes: wall-clock budget; where it runs out first, the learning rate follows it instead.
        batch: pairs per step.
        rate: peak learning rate.
        warmup: steps of rising rate.
        seed: of data and weights.
        workers: processes that prepare data.
        threads: of torch.
        half: compute in bfloat16 where torch's autocast deems it safe; routing stays in float32.
        save_every: steps between checkpoints.

    Raises:
        ValueError: a batch of fewer than 2 pairs.
    """

    model: str = "nano"
    real: Path | None = None
    rendered: Path | None = None
    rendered_share: float = 0.5
    steps: int = 6000
    minutes: float | None = None
    batch: int = 12
    rate: float = 1.2e-3
    warmup: int = 150
    decay: float = 0.03
    ema: float = 0.998
    seed: int = 0
    workers: int = 1
    threads: int = 2
    half: bool = True
    save_every: int = 200
    pairs: PairConfig = field(default_factory=PairConfig)
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.batch < 2:  # each frame is also held against another's tile
            raise ValueError(f"batch {self.batch}: at least 2 pairs are needed")


def rate_at(config: TrainConfig, step: int, elapsed: float) -> float:
    """Linear warm-up, then cosine over steps or minutes, whichever is further on."""
    progress = step / config.steps
    if config.minutes is not None:
        progress = max(progress, elapsed / 60 / config.minutes)
    return config.rate * min(1.0, (step + 1) / config.warmup) * (0.5 + 0.5 * float(np.cos(np.pi * min(progress, 1.0))))


class Trainer:
    """Runs one `TrainConfig`; `out` receives checkpoint.pt, log.jsonl and, at the end, weights."""

    def __init__(self, config: TrainConfig, out: Path) -> None:
        self.config, self.out = config, out
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.model = CrossViewLocator(CONFIGS[config.model])
        self.average = CrossViewLocator(CONFIGS[config.model])
        self.average.load_state_dict(self.model.state_dict())
        self.objective = Objective(self.model, config.weights)
        decayed = [p for p in self.objective.parameters() if p.dim() > 1]
        others = [p for p in self.objective.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, config.rate, betas=(0.9, 0.98))
        self.step, self.elapsed = 0, 0.0

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def resume(self) -> bool:
        """Continue from the last checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, weights_only=True)
        self.objective.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        return True

    def save(self) -> None:
        """Write the checkpoint atomically: a kill while writing leaves the last one whole."""
        state = {
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def run(self, console: Console) -> Path:
        """Train to the end and write the averaged weights; returns their path."""
        config = self.config
        real = real_sources(config.real) if config.real else []
        rendered = rendered_sources(config.rendered) if config.rendered else []
        if not real and not rendered:
            raise FileNotFoundError(f"no training images under {config.real} or {config.rendered}")
        share = config.rendered_share if real else 1.0
        # The seed moves with the step, so that a resumed run does not see the same pairs again.
        stream = Pairs(real, rendered, share, config.pairs, seed=config.seed + 1000 * self.step)
        loader = DataLoader(
            stream, config.batch, num_workers=config.workers, prefetch_factor=4 if config.workers else None
        )
        console.print(f"{len(real)} photographs, {len(rendered)} rendered worlds; from step {self.step}")
        self.objective.train()
        seen: dict[str, list[float]] = {}
        already, started = self.elapsed, time.monotonic()
        batches = iter(loader)
        with (self.out / "log.jsonl").open("a") as log:
            while not self.ended:
                rate = rate_at(config, self.step, self.elapsed)
                for name, value in self._learn(next(batches), rate).items():
                    seen.setdefault(name, []).append(float(value))
                self.step += 1
                self.elapsed = already + time.monotonic() - started
                if self.step % 50 == 0 or self.ended:
                    self._report(console, log, seen, rate)
                if self.step % config.save_every == 0 or self.ended:
                    self.save()
        path = self.out / f"{config.model}.safetensors"
        save_weights(self.average, path, steps=str(self.step), seed=str(config.seed))
        return path

    @property
    def ended(self) -> bool:
        """Whether steps or minutes are used up."""
        minutes = self.config.minutes
        return self.step >= self.config.steps or (minutes is not None and self.elapsed > 60 * minutes)

    def _learn(self, batch: dict[str, torch.Tensor], rate: float) -> dict[str, torch.Tensor]:
        """One step of the optimiser; a batch whose gradient is not finite is passed over. Returns what to watch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.half):
            loss, watch = self.objective(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._average()
        return {**watch, "skipped": (~torch.isfinite(norm)).float()}

    def _average(self) -> None:
        """Exponential moving average of the weights, with a shorter memory at the start."""
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)

    def _report(self, console: Console, log: Any, seen: dict[str, list[float]], rate: float) -> None:
        means = {name: round(float(np.mean(values)), 4) for name, values in seen.items()}
        seen.clear()
        log.write(json.dumps({"step": self.step, "seconds": round(self.elapsed), "rate": rate, **means}) + "\n")
        log.flush()
        console.print(f"{self.step:6d} {self.elapsed:6.0f} s  " + "  ".join(f"{k} {v:.3f}" for k, v in means.items()))
