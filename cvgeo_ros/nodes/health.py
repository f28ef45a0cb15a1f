"""What a node tells of itself on /diagnostics."""

import threading
from collections import deque
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from cvgeo_ros.nodes.conversions import NANOSECONDS, to_time

MAX_REASON = 500
"""Characters of an error that are told: it may quote what a peer has sent."""

Report = tuple[bytes, str, dict[str, str]]
"""Level of DiagnosticStatus, message, values."""


class Diagnostics:
    """Publishes a node's report once a second and whenever asked."""

    def __init__(self, node: Node, report: Callable[[], Report]) -> None:
        self._node = node
        self._report = report
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self.publish, callback_group=MutuallyExclusiveCallbackGroup())

    def publish(self) -> None:
        """Publish the report now."""
        level, message, values = self._report()
        status = DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name().lstrip("/"),
            message=message,
            hardware_id="cvgeo",
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = to_time(self._node.get_clock().now().nanoseconds)
        self._publisher.publish(array)


class Rate:
    """How often something happened over its last events."""

    def __init__(self, events: int = 30) -> None:
        self._times: deque[int] = deque(maxlen=events)

    def tick(self, now: int) -> None:
        """Count an event at a time in ns."""
        if self._times and now < self._times[-1]:
            self._times.clear()
        self._times.append(now)

    def hertz(self, now: int) -> float:
        """Return events a second; it falls when events stop coming."""
        if len(self._times) < 2:
            return 0.0
        span = max(self._times[-1], now) - self._times[0]
        return (len(self._times) - 1) * NANOSECONDS / span if span > 0 else 0.0


class Health:
    """Counters of the localizer and the report made of them; safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images = Rate()
        self._image_stamp = self._image_received = 0
        self._counts = {"images": 0, "answers": 0, "errors": 0, "drops": 0, "vehicle_errors": 0, "place_errors": 0}
        self._answer: dict[str, str] = {}
        self._error = ""
        self._failed = False

    def image(self, stamp: int, now: int) -> None:
        """Count an image; times in ns."""
        with self._lock:
            self._images.tick(now)
            self._image_stamp, self._image_received = stamp, now
            self._counts["images"] += 1

    def answered(self, values: dict[str, str]) -> None:
        """Count an answer and remember what there is to tell of it."""
        with self._lock:
            self._counts["answers"] += 1
            self._answer = values
            self._failed = False

    def failed(self, reason: str, counted: str = "errors") -> None:
        """Count a request or message that was not served, a frame ("vehicle_errors") or a sentence ("place_errors")."""
        with self._lock:
            self._counts[counted] += 1
            self._error = reason[:MAX_REASON]
            self._failed = True

    def recovered(self) -> None:
        """Forget that the last request failed; the reason stays as last_error."""
        with self._lock:
            self._failed = False

    def dropped(self) -> None:
        """Count a request that was turned away because too many were waiting."""
        with self._lock:
            self._counts["drops"] += 1

    def report(self, state: str, tile_id: str | None, now: int, image_timeout: float = 0.0) -> Report:
        """Return the localizer's report; now in ns, image_timeout in s, 0 = images may stay away."""
        with self._lock:
            age = (now - self._image_stamp) / NANOSECONDS if self._image_stamp else None
            silence = (now - self._image_received) / NANOSECONDS
            values = {
                "state": state,
                "tile": tile_id or "",
                "image_rate_hz": f"{self._images.hertz(now):.2f}",
                "image_age_s": "" if age is None else f"{age:.3f}",
                **{key: str(count) for key, count in self._counts.items()},
                **self._answer,
                "last_error": self._error,
            }
            if self._failed:
                level = DiagnosticStatus.WARN if state == "active" else DiagnosticStatus.ERROR
                return level, self._error, values
        if state != "active":
            return DiagnosticStatus.WARN, f"{state}: not locating", values
        if tile_id is None:
            return DiagnosticStatus.ERROR, "no map loaded: set the parameter map or call load_map", values
        if age is None:
            return DiagnosticStatus.WARN, "no image received yet", values
        if 0.0 < image_timeout < silence:
            return DiagnosticStatus.WARN, f"no image for {silence:.1f} s: check the camera", values
        return DiagnosticStatus.OK, "locating", values
