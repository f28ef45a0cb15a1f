"""Training: reproducible by seed, resumed after being killed, watched while it runs, on one device or many."""

import os
import pickle
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..errors import TrainingError
from ..net import CONFIGS, CrossViewLocator
from ..net.weights import save_weights
from .distributed import Team, pick_device
from .feeding import open_stream
from .interrupts import Stopped, StopSignals, leave_to_parent
from .loop import rate_at
from .losses import LossWeights, Objective
from .pairs import PairConfig
from .pairstream import StreamConfig
from .progress import Journal
from .starting import start_from

Batch = dict[str, Tensor]

REPORT_EVERY = 50
"""Steps between two lines of the log."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: name of the size: nano or tiny.
        real: folder of photographs.
        rendered: folder of rendered worlds.
        rendered_share: share of rendered pairs.
        samples: folder of image pairs with boxes, instead of photographs and worlds.
        start: weights to begin from, a .safetensors file or the name of a shipped model; what they lack starts fresh.
        steps: optimiser steps; the learning rate falls to nothing over them.
        minutes: wall-clock budget; where it runs out first, the learning rate follows it instead.
        batch: pairs that go through the network at once, in each process.
        accumulate: batches whose mean gradient makes one step.
        rate: peak learning rate.
        warmup: steps of rising rate.
        decay: weight decay of AdamW, on matrices and kernels only.
        ema: memory of the moving average of the weights, which is what a run ends with.
        seed: of data and weights.
        device: auto, cpu, cuda or cuda:N; auto is a GPU where there is one.
        workers: processes that prepare data, for each process that trains; 0: it does so itself.
        threads: of torch, in each process that trains.
        half: compute in bfloat16 where torch's autocast deems it safe; routing stays in float32.
        save_every: steps between checkpoints.
        tensorboard: write events for TensorBoard, where it is installed.
        pairs: how pairs are drawn from photographs and worlds.
        stream: how image pairs with boxes are shown.
        weights: of the losses.

    Raises:
        ValueError: a number below the least that makes sense; names it.
    """

    model: str = "nano"
    real: Path | None = None
    rendered: Path | None = None
    rendered_share: float = 0.5
    samples: Path | None = None
    start: Path | None = None
    steps: int = 6000
    minutes: float | None = None
    batch: int = 12
    accumulate: int = 1
    rate: float = 1.2e-3
    warmup: int = 150
    decay: float = 0.03
    ema: float = 0.998
    seed: int = 0
    device: str = "auto"
    workers: int = 1
    threads: int = 2
    half: bool = True
    save_every: int = 200
    tensorboard: bool = True
    pairs: PairConfig = field(default_factory=PairConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        # Two pairs: each frame is also held against another's tile.
        least = {"batch": 2, "accumulate": 1, "steps": 1, "warmup": 1, "threads": 1, "save_every": 1, "seed": 0}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise ValueError(f"{name} {getattr(self, name)}: at least {number} is needed")
        if self.minutes is not None and self.minutes <= 0:
            raise ValueError(f"minutes {self.minutes}: more than 0 are needed")


class Trainer:
    """Runs one `TrainConfig`; `out` receives checkpoint.pt, log.jsonl, tensorboard/ and, at the end, weights."""

    def __init__(self, config: TrainConfig, out: Path, team: Team | None = None) -> None:
        """Set up the network and its optimiser.

        Args:
            config: the run.
            out: its folder, seen by all processes of the team.
            team: the processes that train together; None: this one alone.

        Raises:
            TrainingError: no such device.
        """
        self.config, self.out = config, out
        self.team = team or Team(pick_device(config.device))
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.model = self.build()
        self.average = self.build().to(self.team.device)
        self.average.load_state_dict(self.model.state_dict())
        self.objective = Objective(self.model, config.weights).to(self.team.device)
        decayed = [p for p in self.objective.parameters() if p.dim() > 1]
        others = [p for p in self.objective.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, config.rate, betas=(0.9, 0.98))
        self.step, self.elapsed = 0, 0.0

    def build(self) -> CrossViewLocator:
        """A fresh network; ablations build others."""
        return CrossViewLocator(CONFIGS[self.config.model])

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    @property
    def ended(self) -> bool:
        """Whether steps or minutes are used up."""
        minutes = self.config.minutes
        return self.step >= self.config.steps or (minutes is not None and self.elapsed > 60 * minutes)

    def resume(self) -> bool:
        """Continue from the last checkpoint, if there is one.

        Raises:
            TrainingError: it is damaged, or of another network.
        """
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.elapsed = state["step"], state["elapsed"]
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"{self.checkpoint}: damaged, or of another network ({error}); train into another folder"
            ) from error
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
        """Train to the end and write the averaged weights; returns their path.

        Raises:
            Stopped: by Ctrl-C or SIGTERM, once the step has ended and the checkpoint is written.
            TrainingError: nothing to train on.
            DatasetError: samples that cannot be read.
            WeightsError: weights to start from that cannot be used.
        """
        if not self.ended:
            self._train(console)
        path = self.out / f"{self.config.model}.safetensors"
        if self.team.leads:
            save_weights(self.average, path, steps=str(self.step), seed=str(self.config.seed))
        return path

    def _train(self, console: Console) -> None:
        config, team = self.config, self.team
        start = None
        if config.start and self.step == 0:
            start = start_from(self.model, config.start)
            self.average.load_state_dict(self.model.state_dict())
        batches = self.batches(console)
        module = team.join(self.objective.train())
        journal = None
        if team.leads:
            journal = Journal(self.out, console, self.step, config.steps, config.minutes, config.tensorboard)
            if start:
                journal.tell(start)
        seen: list[Batch] = []
        already, begin = self.elapsed, time.monotonic()
        with StopSignals() as signals, journal or nullcontext():
            while not self.ended:
                rate = rate_at(config, self.step, self.elapsed)
                seen.append(self._learn(module, batches, rate))
                self.step += 1
                # Processes that differ in clock or signals would differ in rate and end.
                self.elapsed, stop = team.largest([already + time.monotonic() - begin, signals.number])
                leave = self.ended or stop > 0
                if journal:
                    journal.advance(self.step, self.elapsed)
                if self.step % REPORT_EVERY == 0 or leave:
                    figures = self._means(seen)
                    seen.clear()
                    if journal:
                        journal.report(rate, figures)
                if team.leads and (self.step % config.save_every == 0 or leave):
                    self.save()
                if stop and not self.ended:
                    raise Stopped(int(stop))

    def batches(self, console: Console) -> Iterator[Batch]:
        """This process' own endless stream, on its device."""
        config, team = self.config, self.team
        # With the step in it, so that a resumed run does not see the same pairs again.
        seed = int(np.random.SeedSequence([config.seed, self.step, team.rank]).generate_state(1)[0])
        torch.manual_seed(seed)
        stream, told = open_stream(config, seed)
        console.print(f"{told}; from step {self.step}")
        loader = DataLoader(
            stream,
            config.batch,
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            pin_memory=team.device.type == "cuda",
            worker_init_fn=leave_to_parent,
        )
        # Forked here and now, before there are threads that tell of progress.
        batches = iter(loader)
        return ({k: v.to(team.device, non_blocking=True) for k, v in batch.items()} for batch in batches)

    def _learn(self, module: nn.Module, batches: Iterator[Batch], rate: float) -> Batch:
        """One step of the optimiser; one whose gradient is not finite is passed over. Returns what to watch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        watch = self.gradient(module, batches)
        norm = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._average()
        return {**watch, "skipped": (~torch.isfinite(norm)).float()}

    def gradient(self, module: nn.Module, batches: Iterator[Batch]) -> Batch:
        """Add the mean gradient of the next `accumulate` batches to the parameters'; returns means of what to watch.

        Args:
            module: the objective, as the team joined it.
            batches: on the device.
        """
        number = self.config.accumulate
        watched = []
        for count, batch in enumerate(islice(batches, number), start=1):
            with self.team.apart(module) if count < number else nullcontext():
                with torch.autocast(self.team.device.type, torch.bfloat16, enabled=self.config.half):
                    loss, watch = module(batch)
                (loss / number).backward()
            watched.append(watch)
        return {name: torch.stack([watch[name].float() for watch in watched]).mean() for name in watched[0]}

    def _average(self) -> None:
        """Exponential moving average of the weights, with a shorter memory at the start."""
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)

    def _means(self, seen: list[Batch]) -> dict[str, float]:
        """Of what was watched, over steps and processes."""
        means = [torch.stack([watch[name] for watch in seen]).mean().item() for name in seen[0]]
        return dict(zip(seen[0], self.team.mean(means), strict=True))
