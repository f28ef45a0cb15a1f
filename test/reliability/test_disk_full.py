"""A disk that fills up while a bag is recorded: it is told, and the graph goes on."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rosbags.highlevel import AnyReader

from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.demo.recorder import Recorder

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000
ROOM = 3 << 20


@pytest.fixture
def little_room() -> Iterator[Callable[[], None]]:
    """Limits the size of files that this process writes, which fails as a full disk does, from the call on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_recorder_tells_and_lets_the_graph_go_on(
    operator: Any, tmp_path: Path, little_room: Callable[[], None]
) -> None:
    rng = np.random.default_rng(0)
    recorder = Recorder(operator.graph.tester, tmp_path / "bag", ["/cvgeo/image"])
    operator.graph.wait_until(lambda: "/cvgeo/image" in recorder._known and "/cvgeo/targets" in recorder._known)
    little_room()
    stamp = 0
    while not recorder.failure:
        stamp += SECOND
        operator.show(stamp, rng.integers(0, 255, (480, 640, 3), np.uint8))
        operator.click((30.0, 40.0), stamp=stamp)
        operator.answer(stamp)
        assert stamp < 200 * SECOND, "the file may not have grown so large"
    assert "bag" in recorder.failure and "recording ended after" in recorder.failure
    assert "File too large" in recorder.failure or "No space left" in recorder.failure
    # Nodes in the same process, and the executor that ran the recorder's callbacks, go on.
    recorded = recorder.count("/cvgeo/targets")
    for later in range(3):
        operator.proves_alive(stamp + (later + 1) * SECOND)
    assert recorder.count("/cvgeo/targets") == recorded > 0
    recorder.close()
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size <= ROOM
    # What found room can be read.
    with Bag(tmp_path / "bag") as reader:
        saved = list(reader.read(["/cvgeo/targets"]))
    assert 0 < len(saved) <= recorded and "cut off" in reader.warnings[0]


def test_a_disk_that_is_full_at_the_end_or_from_the_start(
    operator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rosbags.rosbag2 import Writer

    def full(_: Writer) -> None:
        raise OSError(28, "No space left on device")

    recorder = Recorder(operator.graph.tester, tmp_path / "bag", [])
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "close", full)
        recorder.close()
    assert "No space left on device" in recorder.failure
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "open", full)
        recorder = Recorder(operator.graph.tester, tmp_path / "other", [])
    assert "No space left on device" in recorder.failure
    recorder.close()
    operator.proves_alive()
    # There is room again: the unfinished bag is replaced.
    again = Recorder(operator.graph.tester, tmp_path / "bag", [])
    operator.graph.wait_until(lambda: "/cvgeo/targets" in again._known)
    operator.proves_alive(SECOND)
    operator.graph.wait_until(lambda: again.count("/cvgeo/targets") == 1)
    again.close()
    assert again.failure == ""
    with AnyReader([tmp_path / "bag"]) as reader:
        assert "/cvgeo/targets" in {connection.topic for connection in reader.connections}


def may_mount() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.skipif(not may_mount(), reason="this machine lets no user mount a file system of his own")
def test_the_demo_on_a_full_disk(tmp_path: Path) -> None:
    """Every click is answered, table and reason are printed, and the exit code says that something is missing."""
    out = tmp_path / "out"
    out.mkdir()
    demo = f"mount -t tmpfs -o size=600k none {out} && exec {sys.executable} -m cvgeo_ros.cli demo --rate 2 --out {out}"
    demo = demo.replace("-m cvgeo_ros.cli", "-c 'from cvgeo_ros.cli import app; app()'")
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", demo]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=dict(os.environ))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left on device: recording ended after" in done.stdout, done.stdout
    last = done.stdout.splitlines()[-1]
    number = last.split()[0]
    assert last.startswith(f"{number} of {number} targets received over DDS"), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
