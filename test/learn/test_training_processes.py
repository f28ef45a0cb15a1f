"""Trainings as users run them: processes that are killed, told to stop, and started by torchrun."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cvgeo_ros.cli.train import write_config
from cvgeo_ros.learn.training import TrainConfig
from cvgeo_ros.net import NetConfig

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("train_small.py")
# Trainings of one machine talk over its loopback, whatever its name resolves to.
ENV = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONUNBUFFERED": "1"}


class Command:
    """`cvgeo train` on the folder of a run, as a process group of its own."""

    def __init__(self, root: Path, network: NetConfig) -> None:
        self.root, self.out = root, root / "run"
        (root / "network.json").write_text(json.dumps(network.to_dict()))
        self.running: list[subprocess.Popen[str]] = []

    def __call__(self, config: TrainConfig, *launcher: str) -> subprocess.Popen[str]:
        write_config(config, self.root / "train.yaml")
        arguments = [self.root / "network.json", "train", "--config", self.root / "train.yaml", "--out", self.out]
        process = subprocess.Popen(
            [sys.executable, *launcher, SCRIPT, *arguments],
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def step(self) -> int:
        """Of the checkpoint; 0 where there is none."""
        path = self.out / "checkpoint.pt"
        return torch.load(path, weights_only=True)["step"] if path.exists() else 0

    def wait_for_step(self, step: int, process: subprocess.Popen[str]) -> None:
        end = time.monotonic() + 200
        while self.step() < step:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, f"no step {step} in time"
            time.sleep(0.2)


@pytest.fixture
def command(tmp_path: Path, small_config: NetConfig) -> Iterator[Command]:
    command = Command(tmp_path, small_config)
    yield command
    for process in command.running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_run_goes_on_after_sigkill_and_loses_nothing_by_sigterm(train_config: TrainConfig, command: Command) -> None:
    config = replace(train_config, steps=100_000, save_every=2, workers=1)
    killed = command(config)
    command.wait_for_step(2, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    config = replace(config, save_every=100_000)
    reached = command.step()
    again = command(config)
    assert again.stdout is not None
    begun = [next(again.stdout) for _ in range(2)]
    assert [line.split()[-3:] for line in begun] == [["from", "step", str(reached)]] * 2, begun
    time.sleep(1.0)  # some steps
    os.killpg(again.pid, signal.SIGTERM)  # as by a shutdown: to the processes that draw pairs as well
    told, _ = again.communicate(timeout=100)
    assert again.returncode == 128 + signal.SIGTERM, told
    (last,) = re.findall(r"stopped by SIGTERM after step (\d+)", told)
    assert command.step() == int(last) > reached
    log = (command.out / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == int(last)


def test_two_processes_train_as_one(train_config: TrainConfig, command: Command) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    seen: list[float] = []
    for steps in (3, 5):
        process = command(replace(train_config, steps=steps, accumulate=2, save_every=100), *torchrun)
        told, _ = process.communicate(timeout=250)
        assert process.returncode == 0, told
        ranks = [torch.load(command.out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
        assert [rank["step"] for rank in ranks] == [steps, steps]
        for name, value in ranks[0]["weights"].items():
            assert torch.equal(value, ranks[1]["weights"][name]), name
        seen += ranks[0]["seen"] + ranks[1]["seen"]
        assert told.count("from step") == 1 + (steps == 5), "one of them speaks"
    assert len(seen) == 5 * 2 * 2, "processes, batches and, as the second command went on with the first, steps"
    assert len(set(seen)) == len(seen), "none saw what another did"
    assert command.step() == 5
    assert {path.name for path in command.out.iterdir()} == {
        "checkpoint.pt",
        "config.yaml",
        "log.jsonl",
        "small.safetensors",
        "rank0.pt",
        "rank1.pt",
    }
    assert [json.loads(line)["step"] for line in (command.out / "log.jsonl").read_text().splitlines()] == [3, 5]
