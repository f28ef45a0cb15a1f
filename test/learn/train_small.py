"""The command line, with one more size of the network; each trainer leaves behind what it saw and what it became.

Run by tests as a process of its own: train_small.py NETWORK.json train ...
"""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from cvgeo_ros.cli import app
from cvgeo_ros.learn import training
from cvgeo_ros.net import CONFIGS, NetConfig


class WatchedTrainer(training.Trainer):
    seen: list[float]

    def run(self, console: Console) -> Path:
        self.seen = []
        path = super().run(console)
        left = {"step": self.step, "weights": self.model.state_dict(), "seen": self.seen}
        torch.save(left, self.out / f"rank{self.team.rank}.pt")
        return path

    def gradient(self, module: nn.Module, batches: Iterator[training.Batch]) -> training.Batch:
        taken = list(islice(batches, self.config.accumulate))
        self.seen += [batch["query"].float().mean().item() for batch in taken]
        return super().gradient(module, iter(taken))


config = NetConfig.from_dict(json.loads(Path(sys.argv.pop(1)).read_text()))
CONFIGS[config.name] = config
training.Trainer = WatchedTrainer
app()
