"""The launch file's arguments for autopilots: nothing without them, and what they ask for with them.

launch comes with ROS 2 from apt and is in no Python registry: without it these tests are skipped, and say so.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mavlink_peer import Peer, free_port

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch" / "cvgeo.launch.py"

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("launch", "launch_ros")),
    reason="launch is not installed: it comes with ROS 2 from apt",
)

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [argument.split(":=") for argument in sys.argv[2:]]
service = LaunchService(argv=[])
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


def nodes_of(**given: str) -> dict[str, Any]:
    """The nodes that the launch file makes of some arguments, by name, none of them started."""
    from launch.actions import OpaqueFunction
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node

    context = LaunchContext()
    context.launch_configurations.update(given)
    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    for argument in description.get_launch_arguments():
        argument.execute(context)
    found = [entity for entity in description.entities if isinstance(entity, Node)]
    for entity in description.entities:
        if isinstance(entity, OpaqueFunction):
            found += entity.execute(context) or []
    wanted = [node for node in found if node.condition is None or node.condition.evaluate(context)]
    for node in wanted:
        node._perform_substitutions(context)
    return {node.node_name.rpartition("/")[2]: (node, context) for node in wanted}


def parameters(entry: Any) -> dict[str, Any]:
    """Those that the launch file itself gives a node."""
    from launch_ros.utilities import evaluate_parameters

    node, context = entry
    given = evaluate_parameters(context, node._Node__parameters)
    return {key: value for part in given if isinstance(part, dict) for key, value in part.items()}


def remappings(entry: Any) -> dict[str, str]:
    return dict(entry[0].expanded_remapping_rules or [])


def test_nothing_feeds_an_autopilot_unless_asked() -> None:
    nodes = nodes_of()
    assert nodes.keys() == {"localizer", "visualizer"}
    assert "vehicle_rate" not in parameters(nodes["localizer"])
    assert not remappings(nodes["localizer"])


def test_mavlink() -> None:
    nodes = nodes_of(autopilot="mavlink", connection="udpout:10.0.0.2:14550")
    assert parameters(nodes["mavlink"])["connection"] == "udpout:10.0.0.2:14550"
    assert "publish_priors" not in parameters(nodes["mavlink"])
    assert parameters(nodes["localizer"])["vehicle_rate"] == 5.0
    assert parameters(nodes_of(autopilot="mavlink", vehicle_rate="8")["localizer"])["vehicle_rate"] == 8.0
    assert "connection" not in parameters(nodes_of(autopilot="mavlink")["mavlink"])


def test_px4() -> None:
    nodes = nodes_of(autopilot="px4")
    assert "px4" in nodes and "mavlink" not in nodes


def test_mavros_topics_are_priors_and_nothing_else() -> None:
    nodes = nodes_of(mavros="/mavros", autopilot="mavlink")
    assert remappings(nodes["localizer"]) == {
        "fix": "/mavros/global_position/global",
        "compass_hdg": "/mavros/global_position/compass_hdg",
        "rel_alt": "/mavros/global_position/rel_alt",
    }
    assert parameters(nodes["mavlink"])["publish_priors"] is False


def test_an_autopilot_that_is_not_known_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"autopilot.*not valid"):
        nodes_of(autopilot="setpoint")


@pytest.fixture
def launch(ros_domain: int) -> Iterator[Callable[..., subprocess.Popen]]:
    running: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-c", RUN, str(LAUNCH_FILE), *arguments]
        # A terminal sends Ctrl-C to launch and to all that it has started, and launch relies on it.
        running.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
        )
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.ros
@pytest.mark.slow
def test_the_mavlink_node_runs_and_ends_in_order(launch: Any) -> None:
    port = free_port()
    process = launch("autopilot:=mavlink", f"connection:=udpin:127.0.0.1:{port}", "visualizer:=false")
    with Peer(port) as peer:
        for _ in range(300):
            peer.heartbeat()
            if peer.heard or process.poll() is not None:
                break
            peer._thread.join(0.1)
        assert process.poll() is None, process.stdout.read()
        told = peer.get("HEARTBEAT")
        assert told.get_srcComponent() == 191
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30.0)
    assert re.search(r"\[mavlink-\d+\]: process has finished cleanly", output), output
