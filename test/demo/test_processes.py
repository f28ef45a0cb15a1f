"""Nodes end with the one that started them, and say why they end before."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from cvgeo_ros.demo.processes import NodeError, Processes, free_domain

pytestmark = [pytest.mark.ros, pytest.mark.usefixtures("ros_domain")]

KILLED = """
import os, signal, sys
from pathlib import Path
from cvgeo_ros.demo.processes import Processes
processes = Processes(Path(sys.argv[1]))
processes.start("visualizer", {})
print(processes._running["visualizer"].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 10.0
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.05)


def test_nodes_end_with_an_exception(tmp_path: Path) -> None:
    started = []

    def fail() -> None:
        with Processes(tmp_path) as processes:
            processes.start("visualizer", {})
            started.append(processes._running["visualizer"].pid)
            processes.check()
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert not is_running(started[0])


def test_nodes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == -9
    wait_until_ended(int(done.stdout))


def test_a_node_that_dies_says_why(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("camera", {"source": str(tmp_path / "nothing")})
        with pytest.raises(NodeError, match=r"the camera node ended with exit code 2: error: source") as error:
            wait_for_death(processes)
    assert "does not exist" in str(error.value)
    assert str(tmp_path / "camera.log") in str(error.value)


def wait_for_death(processes: Processes) -> None:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        processes.check()
        time.sleep(0.05)


def test_domains_in_use_are_passed_over() -> None:
    domain = free_domain()
    # A process of its own: a second participant of one process listens on other ports than the first.
    hold = "import rclpy; rclpy.init(); node = rclpy.create_node('holder'); print('here', flush=True); input()"
    command = [sys.executable, "-c", hold]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        # Fast DDS may have something to say before, of what killed processes have left in shared memory.
        assert holder.stdout is not None and "here\n" in holder.stdout
        assert free_domain() != domain
        holder.kill()
