"""Devices by name; processes that train together are in test_training_processes.py."""

import pytest
import torch

from cvgeo_ros.errors import TrainingError
from cvgeo_ros.learn.distributed import Team, pick_device, team


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """torch that sees as many GPUs as the test is given."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize(
    "gpus, name, local_rank, device",
    [
        (0, "auto", None, "cpu"),
        (0, "auto", 1, "cpu"),
        (2, "auto", None, "cuda:0"),
        (2, "auto", 1, "cuda:1"),
        (2, "cuda", 1, "cuda:1"),
        (2, "cuda:1", None, "cuda:1"),
        (2, "cpu", 1, "cpu"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_each_process_has_a_device(name: str, local_rank: int | None, device: str) -> None:
    assert pick_device(name, local_rank) == torch.device(device)


@pytest.mark.parametrize(
    "gpus, name, local_rank, words",
    [
        (0, "cuda", None, "torch sees 0 GPUs"),
        (2, "auto", 2, "number 2 is needed, but torch sees 2 GPUs"),
        (2, "cuda:0", 1, "with 'cuda' each takes its own"),
        (2, "gpu", None, "none of auto, cpu, cuda, cuda:N"),
        (2, "meta", None, "none of auto, cpu, cuda, cuda:N"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_devices_that_are_not_there_are_named(name: str, local_rank: int | None, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        pick_device(name, local_rank)


def test_a_process_by_itself_is_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with team("cpu") as alone:
        assert alone == Team(torch.device("cpu")) and alone.leads
        assert alone.mean([1.0, 2.0]) == alone.largest([1.0, 2.0]) == [1.0, 2.0]
        module = torch.nn.Linear(2, 2)
        assert alone.join(module) is module
