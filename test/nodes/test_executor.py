"""The executor: callbacks side by side, each started once, errors not lost."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Float64

from cvgeo_ros.nodes.executor import PooledExecutor

pytestmark = [pytest.mark.ros, pytest.mark.usefixtures("ros_domain")]

PATIENCE = 20.0


class Graph:
    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node: Node = rclpy.create_node("graph", context=self.context)
        self.executor = PooledExecutor(3, context=self.context)
        self.executor.add_node(self.node)

    def topic(self, name: str, handle: Any) -> Any:
        group = MutuallyExclusiveCallbackGroup()
        self.node.create_subscription(Float64, name, handle, 10, callback_group=group)
        return self.node.create_publisher(Float64, name, 10)

    def spin_until(self, done: threading.Event) -> None:
        for _ in range(int(PATIENCE / 0.05)):
            if done.is_set():
                return
            self.executor.spin_once(timeout_sec=0.05)
        raise TimeoutError


@pytest.fixture
def graph() -> Iterator[Graph]:
    graph = Graph()
    yield graph
    graph.executor.shutdown(timeout_sec=2.0)
    graph.node.destroy_node()
    rclpy.shutdown(context=graph.context)


def test_a_callback_that_waits_holds_up_no_other_group(graph: Graph) -> None:
    released, second = threading.Event(), threading.Event()
    slow = graph.topic("slow", lambda _: released.wait(PATIENCE))
    fast = graph.topic("fast", lambda _: second.set())
    slow.publish(Float64())
    for _ in range(20):
        graph.executor.spin_once(timeout_sec=0.05)
    fast.publish(Float64())
    graph.spin_until(second)
    assert not released.is_set()
    released.set()


def test_each_callback_is_started_once(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    submit = graph.executor._pool.submit

    def counted(run: Any, handler: object, begun: threading.Event) -> Any:
        started.append(handler)
        return submit(run, handler, begun)

    monkeypatch.setattr(graph.executor._pool, "submit", counted)
    received, last = [], threading.Event()

    def take(message: Float64) -> None:
        received.append(message.data)
        if message.data == 29.0:
            last.set()

    topics = [graph.topic(name, take) for name in ("a", "b", "c")]
    for number in range(30):
        topics[number % 3].publish(Float64(data=float(number)))
    graph.spin_until(last)
    assert len(started) <= 2 * len(received), "rclpy's own executor starts some hundred times as many"


def test_spinning_on_survives_callbacks_that_fail_but_not_for_ever(graph: Graph) -> None:
    told: list[str] = []
    second = threading.Event()

    def take(message: Float64) -> None:
        if message.data < 0.0:
            raise KeyError("broken")
        second.set()

    topic = graph.topic("a", take)
    spinning = threading.Thread(target=graph.executor.spin_on, args=[told.append])
    spinning.start()
    topic.publish(Float64(data=-1.0))
    topic.publish(Float64(data=1.0))
    assert second.wait(PATIENCE) and len(told) == 1 and "KeyError: 'broken'" in told[0]
    graph.executor.shutdown(timeout_sec=2.0)
    spinning.join(PATIENCE)
    assert not spinning.is_alive()


def test_an_executor_that_only_fails_ends(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no wait set")

    monkeypatch.setattr(graph.executor, "spin_once", fail)
    with pytest.raises(OSError, match="no wait set"):
        graph.executor.spin_on(lambda _: None)


def test_an_error_in_a_callback_ends_the_spinning(graph: Graph) -> None:
    def fail(_: Float64) -> None:
        raise KeyError("broken")

    graph.topic("a", fail).publish(Float64())
    with pytest.raises(KeyError, match="broken"):
        graph.spin_until(threading.Event())


def test_a_shutdown_ends_the_spinning_although_a_callback_has_not_begun(graph: Graph) -> None:
    """The only thread is busy, the next callback waits for it, and the spinning thread for that callback."""
    graph.executor.remove_node(graph.node)
    executor = PooledExecutor(1, context=graph.context)
    executor.add_node(graph.node)
    started, released, second = threading.Event(), threading.Event(), threading.Event()

    def block(_: Float64) -> None:
        started.set()
        released.wait(PATIENCE)

    slow, fast = graph.topic("slow", block), graph.topic("fast", lambda _: second.set())
    spinning = threading.Thread(target=executor.spin_on, args=(print,), daemon=True)
    spinning.start()
    while not started.is_set():
        slow.publish(Float64())
        started.wait(0.05)
    while not executor._pool._work_queue.qsize():
        fast.publish(Float64())
        time.sleep(0.05)
    executor.shutdown(timeout_sec=0.1)
    spinning.join(PATIENCE)
    released.set()
    assert not spinning.is_alive()
    assert not second.is_set()
