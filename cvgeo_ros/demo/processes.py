"""Nodes as processes that end with the one that started them, whatever ends it."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import yaml

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.share import shipped

NAMESPACE = "cvgeo"
PATIENCE = 5.0
"""How long a node may take to end when asked, s."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class NodeError(CvgeoError):
    """A node that ended before its time, or cannot do its work."""


def set_up_ros() -> None:
    """Choose a ROS domain of one's own and the DDS profile for images, unless the environment names its own.

    For this process and those it starts; before rclpy is initialised.
    """
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(free_domain())
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    for folder in shipped("config"):
        if (folder / "fastdds.xml").is_file():
            os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(folder / "fastdds.xml"))


def free_domain() -> int:
    """Return a ROS domain in which no process of this machine takes part.

    The first participant of domain d receives on UDP port 7410 + 250 d (DDSI-RTPS 2.5, 9.6.2.3); domains up to 101 stay
    below Linux's ephemeral ports. The start depends on the process, so that two that ask at once differ.
    """
    for offset in range(101):
        domain = 1 + (os.getpid() + offset) % 101
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
        return domain
    raise NodeError("every ROS domain from 1 to 101 is in use on this machine: set ROS_DOMAIN_ID to one of them")


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that the block is left through its `finally`."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    former = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Processes:
    """Nodes in the namespace ``NAMESPACE``, each a process with its log; a context that ends them all.

    Args:
        folder: Receives <node>.log and the nodes' parameters.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, node: str, parameters: Mapping[str, Any]) -> None:
        """Start the module ``cvgeo_ros.nodes.<node>`` with these parameters."""
        file = self._folder / f"{node}.yaml"
        file.write_text(yaml.safe_dump({f"/{NAMESPACE}/{node}": {"ros__parameters": dict(parameters)}}))
        ros = ["--ros-args", "-r", f"__ns:=/{NAMESPACE}", "--params-file", str(file), "--disable-external-lib-logs"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0"}
        with self.log(node).open("wb") as log:
            self._running[node] = subprocess.Popen(
                [sys.executable, "-P", "-m", f"cvgeo_ros.nodes.{node}", *ros],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the parent alone, which ends the nodes in order; if it is killed, the kernel ends them.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def pid(self, node: str) -> int:
        """Return the process id of a node."""
        return self._running[node].pid

    def kill(self, node: str) -> None:
        """End a node by SIGKILL, as the kernel does when memory is short; it may be started again."""
        process = self._running.pop(node)
        process.kill()
        process.wait()

    def log(self, node: str) -> Path:
        """Return the path of a node's log."""
        return self._folder / f"{node}.log"

    def check(self) -> None:
        """Raise NodeError if one of the nodes has ended."""
        for node, process in self._running.items():
            code = process.poll()
            if code is not None:
                lines = self.log(node).read_text(errors="replace").strip().splitlines()
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                said = f": {lines[-1]}" if lines else ""
                raise NodeError(f"the {node} node {how}{said}\nIts whole log: {self.log(node)}")

    def end(self) -> None:
        """End the nodes: by SIGINT, as Ctrl-C would, and by SIGKILL those that take too long."""
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        for process in self._running.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
