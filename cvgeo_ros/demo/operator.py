"""The operator: asks for a place, sees the camera's frames, clicks in them and receives the targets, all over DDS."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Header, String

from cvgeo_ros.demo.processes import NAMESPACE, NodeError
from cvgeo_ros.msg import GeoTargetArray, PlaceCandidateArray, TargetClickArray
from cvgeo_ros.nodes.conversions import to_click_array, to_nanoseconds, to_time
from cvgeo_ros.nodes.publishers import LATCHED, RESULTS

T = TypeVar("T")

SILENCE = 60.0
"""How long the graph may show no sign of life, s."""


class Operator:
    """See the module; its methods wait, and call ``check`` meanwhile, which raises when there is nothing to wait for.

    Args:
        node: In the namespace of the graph; its executor spins in another thread.
        check: Called about ten times a second while waiting.
    """

    def __init__(self, node: Node, check: Callable[[], None]) -> None:
        self._check = check
        self._news = threading.Condition()
        self._heard = time.monotonic()
        self._status: dict[str, DiagnosticStatus] = {}
        self._frames: list[Header] = []
        self._answers: dict[int, GeoTargetArray] = {}
        self._places: list[PlaceCandidateArray] = []
        self._clicks = node.create_publisher(TargetClickArray, "clicks", RESULTS)
        self._targets = node.create_subscription(GeoTargetArray, "targets", self._on_targets, RESULTS)
        self._sentences = node.create_publisher(String, "query_text", RESULTS)
        node.create_subscription(PlaceCandidateArray, "place_candidates", self._on_places, LATCHED)
        node.create_subscription(Header, "image/source", self._on_frame, RESULTS)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def wait_for_localizer(self) -> None:
        """Wait until the localizer is active and connected.

        Raises:
            NodeError: It cannot start; with the reason it gives.
        """

        def ready() -> bool:
            status = self._status.get("localizer")
            if status is None:
                return False
            if status.level == DiagnosticStatus.ERROR:
                raise NodeError(f"the localizer cannot start: {status.message}")
            connected = self._clicks.get_subscription_count() and self._targets.get_publisher_count()
            return _value(status, "state") == "active" and bool(connected)

        self._wait(lambda: ready() or None, "the localizer to become active")

    def ask(self, sentence: str, listeners: int) -> PlaceCandidateArray:
        """Describe a place when so many listen, the localizer among them; return the places that may be meant."""
        self._wait(
            lambda: self._sentences.get_subscription_count() >= listeners or None,
            "the localizer to listen to sentences",
        )
        former = len(self._places)
        self._sentences.publish(String(data=sentence))
        self._wait(lambda: len(self._places) > former or None, "the places that the sentence may mean")
        return self._places[-1]

    def searched(self, stamp: int) -> tuple[float, ...]:
        """Return the window of the map (u_min, v_min, u_max, v_max) where the clicks in a frame were looked for."""

        def told() -> tuple[float, ...] | None:
            status = self._status["localizer"]
            if _value(status, "answer_stamp") != str(stamp):
                return None
            return tuple(float(edge) for edge in _value(status, "search_window").split())

        return self._wait(told, "the window that was searched")

    def next_frame(self) -> Header | None:
        """Wait for a frame; return its stamp and file name (frame_id), None at the end of the source.

        Raises:
            NodeError: The camera stopped before.
        """

        def frame() -> Header | bool | None:
            if self._frames:
                return self._frames.pop(0)
            status = self._status.get("camera")
            if status is not None and status.level == DiagnosticStatus.ERROR:
                raise NodeError(f"the camera cannot go on: {status.message}")
            return False if status is not None and status.message == "end of the source" else None

        found = self._wait(frame, "the next frame of the camera")
        return found if isinstance(found, Header) else None

    def locate(self, points: NDArray[np.float64], ids: list[str], stamp: int) -> GeoTargetArray | str:
        """Click (N, 2) px in the frame with this stamp (ns) and wait; returns the targets, or why there are none."""
        errors = self._errors()
        self._clicks.publish(to_click_array(points, ids, to_time(stamp)))

        def answer() -> GeoTargetArray | str | None:
            found = self._answers.get(stamp)
            if found is None and self._errors() != errors:
                return _value(self._status["localizer"], "last_error")
            return found

        return self._wait(answer, f"the targets of {len(points)} clicks")

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition, at most this long; returns whether it came true."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._check()
            time.sleep(0.05)
        return True

    def _errors(self) -> str:
        return _value(self._status["localizer"], "errors")

    def _wait(self, look: Callable[[], T | None], what: str) -> T:
        """Wait until `look` returns something; it is asked whenever there is news."""
        with self._news:
            self._heard = time.monotonic()
            while (found := look()) is None:
                self._news.wait(0.1)
                self._check()
                if time.monotonic() - self._heard > SILENCE:
                    raise NodeError(f"waited for {what}, but no node has been heard of for {SILENCE:g} s")
            return found

    def _on_frame(self, message: Header) -> None:
        with self._tell():
            self._frames.append(message)

    def _on_targets(self, message: GeoTargetArray) -> None:
        with self._tell():
            self._answers[to_nanoseconds(message.header.stamp)] = message

    def _on_places(self, message: PlaceCandidateArray) -> None:
        with self._tell():
            self._places.append(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self._tell():
            for status in message.status:
                namespace, _, name = status.name.rpartition("/")
                if namespace == NAMESPACE:
                    self._status[name] = status

    @contextmanager
    def _tell(self) -> Iterator[None]:
        with self._news:
            yield
            self._heard = time.monotonic()
            self._news.notify_all()


def _value(status: DiagnosticStatus, key: str) -> str:
    return next((pair.value for pair in status.values if pair.key == key), "")


@contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """A node in the namespace of the graph whose callbacks run in a thread of their own, one after the other."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node(name, namespace=NAMESPACE, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin, name=name, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        # First the thread: an executor that is shut down from outside takes away what a callback under way still needs.
        ended.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
