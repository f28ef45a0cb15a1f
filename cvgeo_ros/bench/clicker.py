"""An operator who clicks in every frame as it comes, for hours, and counts what comes back."""

import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geographic_msgs.msg import GeoPoseStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cvgeo_ros.demo.processes import NAMESPACE
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray
from cvgeo_ros.nodes.conversions import to_click_array, to_nanoseconds
from cvgeo_ros.nodes.publishers import LATCHED, RESULTS
from cvgeo_ros.scene import Scene

OUTSTANDING = 4
"""Answers that may be awaited at a time; frames that come meanwhile are not clicked."""
PATIENCE = 20.0
"""How long an answer is waited for, s."""


class Clicker:
    """Clicks in each frame as it comes, and counts."""

    def __init__(self, node: Node, scene: Scene) -> None:
        self._clock = node.get_clock()
        self._clicks = {
            record.file: [(item.id, item.click) for item in scene.objects_of(record.file)] for record in scene.frames
        }
        self._lock = threading.Lock()
        self._running = True
        self._asked: set[int] = set()
        self._awaited: dict[int, float] = {}
        self._errors = 0
        self.restart()
        self._out = node.create_publisher(TargetClickArray, "clicks", RESULTS)
        # Topics of every output, so that all that is made in flight is made here.
        for kind, topic, handle, qos in (
            (Header, "image/source", self._on_frame, RESULTS),
            (GeoTargetArray, "targets", self._on_targets, RESULTS),
            (Image, "image_annotated", lambda _: self._count("pictures"), RESULTS),
            (Image, "tile_annotated", lambda _: None, LATCHED),
            (GeoPoseStamped, "vehicle_geopose", lambda _: self._count("poses"), RESULTS),
            (DiagnosticArray, "/diagnostics", self._on_diagnostics, 100),
        ):
            node.create_subscription(kind, topic, handle, qos)

    def restart(self) -> None:
        """Count from here on; what is still awaited from before does not count."""
        with self._lock:
            self._ignored = set(self._awaited)
            self._refused_before = self._errors
            self._counts = dict.fromkeys(("frames", "sent", "answered", "unasked", "pictures", "poses"), 0)
            self.latencies: list[float] = []

    def stop(self) -> None:
        """Click no more."""
        with self._lock:
            self._running = False

    def counts(self) -> dict[str, int]:
        """Return how many of each there were."""
        with self._lock:
            refused = self._errors - self._refused_before
            return {**self._counts, "waiting": self._waiting(), "refused": refused}

    def _waiting(self) -> int:
        since = time.monotonic() - PATIENCE / 2.0
        return sum(asked > since for asked in self._awaited.values())

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _on_frame(self, header: Header) -> None:
        clicks = self._clicks.get(header.frame_id)
        with self._lock:
            if not self._running:
                return
            self._counts["frames"] += 1
            if not clicks or self._waiting() >= OUTSTANDING:
                return
            self._asked.add(to_nanoseconds(header.stamp))
            self._awaited[to_nanoseconds(header.stamp)] = time.monotonic()
            self._counts["sent"] += 1
        names = [name for name, _ in clicks]
        self._out.publish(to_click_array(np.array([point for _, point in clicks]), names, header.stamp))

    def _on_targets(self, message: GeoTargetArray) -> None:
        stamp = to_nanoseconds(message.header.stamp)
        with self._lock:
            if stamp not in self._asked:
                self._counts["unasked"] += 1
            elif self._awaited.pop(stamp, None) is not None and stamp not in self._ignored:
                self._counts["answered"] += 1
                self.latencies.append((self._clock.now().nanoseconds - stamp) * 1e-6)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{NAMESPACE}/localizer":
                errors = next((int(pair.value) for pair in status.values if pair.key == "errors"), 0)
                with self._lock:
                    self._errors = max(errors, self._errors)
