"""How long a frame takes from being published to its targets being received, and where the time goes.

This process is camera and operator; the localizer is another process, as on a robot. One request at a time, with the
click sent just before its frame, so that nothing waits for anything but the frame.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, NavSatFix
from std_msgs.msg import Float64, Header

from cvgeo_ros.demo.processes import NAMESPACE, Processes
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.memory import reuse_large_blocks
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray
from cvgeo_ros.nodes.calibration import info_from_hfov
from cvgeo_ros.nodes.conversions import to_click_array, to_nanoseconds, to_time
from cvgeo_ros.nodes.images import to_image
from cvgeo_ros.scene import FrameRecord, Scene

PARTS: dict[str, tuple[str, ...]] = {
    "transport": ("transport", "wait"),
    "conversion": ("conversion",),
    "frame encoding": ("inference/rectify", "inference/frame"),
    "tile features": ("inference/tile",),
    "fusion and head": ("inference/consensus", "inference/head"),
}
"""Parts of the latency by what the localizer's diagnostics call them; the rest is publishing."""

SETTLE = 0.5
"""The other side of a match may still miss what is published in this time after it, s."""
LEAD = 50_000_000
"""How long clicks and telemetry are sent before their frame, ns."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of each request by part.

    Attributes:
        parts: Of :data:`PARTS`, "publish", "total" and "ROS share" (the total without inference): (N,) ms each.
    """

    parts: dict[str, NDArray[np.float64]]

    def rows(self) -> list[tuple[str, float, float]]:
        """Return name, median and 95th percentile in ms of each part."""
        return [(name, *np.percentile(values, [50, 95]).tolist()) for name, values in self.parts.items()]


def measure(
    scene: Scene,
    model: str = "nano",
    device: str = "auto",
    width: int = 1920,
    requests: int = 30,
    out: Path = Path("out/latency"),
    patience: float = 120.0,
) -> Latency:
    """Measure on the first frame of a scene that has a click.

    Args:
        scene: Frame, click, telemetry and map.
        model, device: As the localizer's parameters.
        width: The frame is resized to this width, px.
        requests: How many to measure, after three that fill the caches.
        out: Receives the localizer's log.
        patience: How long to wait for the localizer to start, and for one answer, s.

    Raises:
        CvgeoError: The localizer does not answer; says why where it said so.
    """
    reuse_large_blocks()
    record = next((frame for frame in scene.frames if scene.objects_of(frame.file)), scene.frames[0])
    picture = cv2.imread(str(scene.frames_dir / record.file), cv2.IMREAD_COLOR)
    if picture is None:
        raise CvgeoError(f"{scene.frames_dir / record.file}: not an image, or damaged")
    scale = width / picture.shape[1]
    picture = cv2.resize(picture, (width, round(picture.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    objects = scene.objects_of(record.file)
    click = np.array([objects[0].click]) * scale if objects else np.array([[width / 2, picture.shape[0] / 2]])
    parameters = {"map": str(scene.map.resolve()), "model": model, "device": device, "frame_timeout": 5.0}
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        with Processes(out) as processes:
            processes.start("localizer", parameters)
            operator = _Operator(context, processes.check, np.asarray(picture, np.uint8), click, record, patience)
            try:
                samples = [operator.ask() for _ in range(requests + 3)][3:]
            finally:
                operator.close()
    finally:
        rclpy.shutdown(context=context)
    return Latency({name: np.array([sample[name] for sample in samples]) for name in samples[0]})


class _Operator:
    """Camera and operator in one node."""

    def __init__(
        self,
        context: rclpy.Context,
        check: Callable[[], None],
        bgr: NDArray[np.uint8],
        click: NDArray[np.float64],
        record: FrameRecord,
        patience: float,
    ) -> None:
        self._check = check
        self._patience = patience
        self._node = rclpy.create_node("operator", namespace=NAMESPACE, context=context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._click = click
        self._record = record
        self._frame = to_image(bgr, Header(frame_id="camera_optical"), "bgr8")
        self._info = info_from_hfov(bgr.shape[1], bgr.shape[0], record.hfov)
        publish = self._node.create_publisher
        self._images, self._clicks = publish(Image, "image", 5), publish(TargetClickArray, "clicks", 10)
        self._infos, self._fixes = publish(CameraInfo, "camera_info", 10), publish(NavSatFix, "fix", 10)
        self._numbers = {
            publish(Float64, "compass_hdg", 10): record.yaw,
            publish(Float64, "rel_alt", 10): record.rel_alt,
            publish(Float64, "camera_pitch", 10): record.pitch,
        }
        self._answers: dict[int, float] = {}
        self._reports: dict[int, dict[str, float]] = {}
        self._failure = ""
        self._node.create_subscription(GeoTargetArray, "targets", self._on_targets, 10)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos_profile_sensor_data)
        publishers: list[Any] = [self._images, self._clicks, self._infos, self._fixes, *self._numbers]
        self._wait(lambda: all(publisher.get_subscription_count() for publisher in publishers))
        time.sleep(SETTLE)

    def close(self) -> None:
        """Leave the ROS graph: what stays behind would take part in it as long as the process lives."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _on_targets(self, message: GeoTargetArray) -> None:
        self._answers[to_nanoseconds(message.header.stamp)] = time.perf_counter()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name != f"{NAMESPACE}/localizer":
                continue
            values = {pair.key: pair.value for pair in status.values}
            self._failure = values.get("last_error", "")
            if "answer_stamp" in values:
                self._reports[int(values["answer_stamp"])] = {
                    key.removesuffix("_ms"): float(value) for key, value in values.items() if key.endswith("_ms")
                }

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._patience
        while not done():
            if self._failure:
                raise CvgeoError(self._failure)
            self._check()
            if time.monotonic() > deadline:
                raise CvgeoError(f"the localizer did not answer within {self._patience:g} s")
            self._executor.spin_once(timeout_sec=0.05)

    def ask(self) -> dict[str, float]:
        """Publish a frame with its click, wait for the answer and return the parts of its latency, ms."""
        clock = self._node.get_clock()
        # The stamp is when the frame is to be published; what is small goes before, so that it waits for nothing.
        stamp = clock.now().nanoseconds + LEAD
        header = Header(stamp=to_time(stamp), frame_id="camera_optical")
        self._frame.header = self._info.header = header
        if self._record.lat is not None and self._record.lon is not None:
            self._fixes.publish(NavSatFix(header=header, latitude=self._record.lat, longitude=self._record.lon))
        for publisher, value in self._numbers.items():
            if value is not None:
                publisher.publish(Float64(data=value))
        self._infos.publish(self._info)
        self._clicks.publish(to_click_array(self._click, ["0"], header.stamp))
        while (left := stamp - clock.now().nanoseconds) > 0:
            time.sleep(left * 1e-9)
        late = clock.now().nanoseconds - stamp
        started = time.perf_counter()
        self._images.publish(self._frame)
        self._wait(lambda: stamp in self._answers and stamp in self._reports)
        report = self._reports[stamp]
        total = (self._answers[stamp] - started) * 1e3
        parts = {name: sum(report.get(key, 0.0) for key in keys) for name, keys in PARTS.items()}
        known = sum(parts[name] for name in ("frame encoding", "tile features", "fusion and head"))
        parts["transport"] -= late * 1e-6
        parts["fusion and head"] += report["inference"] - known
        parts["publish"] = total - sum(parts.values())
        return parts | {"total": total, "ROS share": total - report["inference"]}


def table(latency: Latency) -> Any:
    """Return the figures as a rich table."""
    from rich.table import Table

    table = Table("part", title=f"from publish to targets, ms, {len(latency.parts['total'])} requests")
    table.add_column("median", justify="right")
    table.add_column("95 %", justify="right")
    for name, median, high in latency.rows():
        if name == "total":
            table.add_section()
        table.add_row(name, f"{median:.1f}", f"{high:.1f}")
    return table


def main(scene: Path, model: str, device: str, width: int, requests: int, out: Path) -> None:
    """Measure the latency from a published frame to received targets on a scene and print it."""
    from rich.console import Console

    Console().print(table(measure(Scene.load(scene), model, device, width, requests, out)))
