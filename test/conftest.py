"""Isolation of tests that talk over DDS: from each other, from parallel runs and from other machines."""

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cvgeo_ros.net import NetConfig

# Domains whose ports stay below Linux's range of ephemeral ports (ROS 2 documentation, "The ROS_DOMAIN_ID").
DOMAIN_IDS = range(1, 102)


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS domain that no other test on this machine uses, for this process and its children."""
    folder = Path(tempfile.gettempdir(), f"cvgeo_ros_domains_{os.getuid()}")
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for domain in DOMAIN_IDS:
            with (folder / str(domain)).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                patch.setenv("ROS_DOMAIN_ID", str(domain))
                patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
                yield domain
                return
    raise RuntimeError(f"all ROS domains of {folder} are in use")


@pytest.fixture(autouse=True, scope="session")
def session_domain() -> Iterator[int]:
    """Keeps whatever a test starts by accident, or for a whole module, out of everybody else's domain."""
    with own_domain() as domain:
        yield domain


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """A shell that starts the tests in the background has SIGINT ignored, and every process they start would too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """ROS domain of this test alone, in the environment of this process and its children."""
    with own_domain() as domain:
        yield domain


@pytest.fixture(scope="session")
def small_config() -> "NetConfig":
    """A network of the same code as the shipped sizes, fast enough for hundreds of tests."""
    from cvgeo_ros.net import NetConfig

    return NetConfig(
        name="small",
        embed_dim=8,
        depths=(1, 2, 2),
        num_heads=(1, 2, 4),
        window_size=4,
        conv_stem=True,
        moe_blocks=((), (1,), (0, 1)),
        expert_ratio=2.0,
        mlp_ratio=2.0,
        match_dim=16,
        context_dim=16,
        query_size=64,
    )
