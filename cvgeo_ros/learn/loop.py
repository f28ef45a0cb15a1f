"""One stage of a training: resumed after being killed, watched while it runs."""

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from ..errors import TrainingError
from .interrupts import Stopped, StopSignals
from .progress import Journal

Watch = dict[str, Tensor]
"""Scalars; `loss` is what is minimised."""
REPORT_EVERY = 50
BETAS = (0.9, 0.98)


class Schedule(Protocol):
    """What the learning rate follows: a `Stage`, or the configuration of a whole run."""

    @property
    def steps(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def minutes(self) -> float | None: ...
    @property
    def warmup(self) -> int: ...


@dataclass(frozen=True)
class Stage:
    """How long and how fast a stage learns.

    Attributes:
        steps: optimiser steps; the learning rate falls to nothing over them.
        rate: peak learning rate.
        minutes: wall-clock budget; where it runs out first, the learning rate follows it instead.
        warmup: steps of rising rate.
        decay: weight decay of AdamW, on matrices and kernels only.
    """

    steps: int
    rate: float
    minutes: float | None = None
    warmup: int = 50
    decay: float = 0.05

    def __post_init__(self) -> None:
        if self.steps < 0 or self.rate <= 0 or self.warmup < 1:
            raise ValueError("steps must not be negative, rate and warmup must be positive")


def rate_at(stage: Schedule, step: int, elapsed: float) -> float:
    """Linear warm-up, then cosine over steps or minutes, whichever is further on."""
    progress = step / stage.steps
    if stage.minutes is not None:
        progress = max(progress, elapsed / 60 / stage.minutes)
    return stage.rate * min(1.0, (step + 1) / stage.warmup) * (0.5 + 0.5 * float(np.cos(np.pi * min(progress, 1.0))))


def run_stage(
    module: nn.Module,
    loss: Callable[[int], Watch],
    stage: Stage,
    out: Path,
    console: Console,
    save_every: int = 200,
    at_step: Callable[[int], None] | None = None,
) -> None:
    """Train a module's parameters that want gradients; `out` receives checkpoint.pt and log.jsonl.

    Args:
        module: changed in place; ends in evaluation mode.
        loss: of a step, by its number; draws its own batch, so that a resumed run draws what an unbroken one would.
        stage: how long and how fast.
        out: folder of the stage; where it holds a checkpoint the stage goes on from it.
        console: for people.
        save_every: steps between checkpoints.
        at_step: called before each step with its number, and first of all when a run goes on.

    Raises:
        Stopped: by Ctrl-C or SIGTERM, once the checkpoint is written.
        TrainingError: a checkpoint that is damaged or of another network.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.dim() > 1], "weight_decay": stage.decay},
        {"params": [p for p in wanted if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, stage.rate, betas=BETAS)
    path = out / "checkpoint.pt"
    step, already = _resume(path, module, optimizer)
    begin, seen = time.monotonic(), []
    elapsed = already

    def ended() -> bool:
        return step >= stage.steps or (stage.minutes is not None and elapsed > 60 * stage.minutes)

    if not ended():
        module.train()
        with StopSignals() as signals, Journal(out, console, step, stage.steps, stage.minutes, False) as journal:
            while not ended():
                if at_step:
                    at_step(step)
                rate = rate_at(stage, step, elapsed)
                watch = loss(step)
                optimizer.zero_grad(set_to_none=True)
                watch["loss"].backward()
                norm = torch.nn.utils.clip_grad_norm_(wanted, 1.0)
                if torch.isfinite(norm):
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    optimizer.step()
                seen.append({name: float(value.detach()) for name, value in watch.items()})
                step, elapsed = step + 1, already + time.monotonic() - begin
                journal.advance(step, elapsed)
                leave = ended() or signals.number > 0
                if step % REPORT_EVERY == 0 or leave:
                    journal.report(rate, {name: float(np.mean([s[name] for s in seen])) for name in seen[0]})
                    seen.clear()
                if step % save_every == 0 or leave:
                    _save(path, module, optimizer, step, elapsed)
                if signals.number and not ended():
                    raise Stopped(signals.number)
    module.eval()


def _resume(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state["module"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"]), float(state["elapsed"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path}: damaged, or of another network ({error}); train into another folder") from error


def _save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int, elapsed: float) -> None:
    """Atomically: a kill while writing leaves the last one whole. Frozen parameters are not in it."""
    wanted = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    state = {name: value for name, value in module.state_dict().items() if name in wanted}
    partial = path.with_suffix(".partial")
    torch.save({"module": state, "optimizer": optimizer.state_dict(), "step": step, "elapsed": elapsed}, partial)
    os.replace(partial, path)
