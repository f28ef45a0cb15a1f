"""The camera node: images of a folder, a scene, a video, a device or a stream, with telemetry where there is some.

Telemetry and camera_info of an image are published just before it and carry its stamp where they carry any.
"""

import math
import sys
import threading
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, NavSatFix, NavSatStatus
from std_msgs.msg import Float64, Header

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.nodes.calibration import info_from_file, info_from_hfov
from cvgeo_ros.nodes.conversions import NANOSECONDS, to_time
from cvgeo_ros.nodes.health import Diagnostics, Rate, Report
from cvgeo_ros.nodes.images import to_compressed, to_image
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.nodes.run import run
from cvgeo_ros.nodes.sources import Picture, open_source
from cvgeo_ros.scene import FrameRecord

MAX_BACK_OFF = 10.0
STALL = 3.0
"""Time without an image after which a device or a stream is said to hang, s."""

SPECS = (
    Spec(
        "source",
        "",
        "Folder of images, scene folder, video file, /dev/video0, rtsp:// or GStreamer pipeline",
        held=True,
    ),
    Spec("telemetry", "", "frames.csv for a folder or video; a scene brings its own", held=True),
    Spec("rate", 0.0, "Images a second; 0 = by the source's stamps, or 1 where it has none", 0.0, 1000.0),
    Spec("loop", False, "Start again after the last image"),
    Spec("start_delay", 0.0, "Wait before the first image, s", 0.0, 3600.0, held=True),
    Spec("wait_for_subscribers", 0, "Subscribers of the image to wait for before the first one", 0, 100, held=True),
    Spec("frame_id", "camera_optical", "Frame of the images (REP-103: _optical)", held=True),
    Spec("camera_info_url", "", "Calibration file (YAML of camera_calibration)", held=True),
    Spec("hfov", math.nan, "Horizontal field of view where no calibration or telemetry tells it, deg", 1.0, 179.0),
    Spec(
        "image_reliability",
        "reliable",
        "QoS of the images; reliable matches every subscriber",
        choices=("reliable", "best_effort"),
        held=True,
    ),
    Spec("jpeg_quality", 90, "Quality of image/compressed where the source is not compressed", 1, 100),
    Spec("image_width", 0, "Width asked of a device, px; 0 = its default", 0, 16384, held=True),
    Spec("image_height", 0, "Height asked of a device, px; 0 = its default", 0, 16384, held=True),
)


class CameraNode(Node):
    """See the module.

    Args:
        options: Of rclpy's node.

    Raises:
        CvgeoError: The source or calibration cannot be used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", **options)
        self._settings = get = Parameters(self, SPECS, lambda: "is read when the node starts")
        self._source = open_source(
            get.text("source"),
            get.text("telemetry"),
            get.count("image_width"),
            get.count("image_height"),
            get.number("rate"),
        )
        url = get.text("camera_info_url")
        self._calibration = info_from_file(url) if url else None
        reliability = ReliabilityPolicy[get.text("image_reliability").upper()]
        images = QoSProfile(depth=5, reliability=reliability)
        small = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._image = self.create_publisher(Image, "image", images)
        self._compressed = self.create_publisher(CompressedImage, "image/compressed", images)
        self._name = self.create_publisher(Header, "image/source", small)
        self._info = self.create_publisher(CameraInfo, "camera_info", small)
        self._fix = self.create_publisher(NavSatFix, "fix", small)
        self._heading = self.create_publisher(Float64, "compass_hdg", small)
        self._height = self.create_publisher(Float64, "rel_alt", small)
        self._pitch = self.create_publisher(Float64, "camera_pitch", small)
        self._rate = Rate()
        self._published = 0
        self._status = (DiagnosticStatus.OK, "starting")
        self._counts = {"images": 0, "unreadable": 0, "reconnects": 0}
        self._diagnostics = Diagnostics(self, self._report)
        self._stop = threading.Event()
        self._player = threading.Thread(target=self._play, name="camera", daemon=True)
        self._player.start()

    def destroy_node(self) -> None:
        """Stop playing and release the source."""
        self._stop.set()
        self._player.join(timeout=5.0)
        super().destroy_node()

    def _report(self) -> Report:
        now = self._now()
        silence = (now - self._published) / NANOSECONDS if self._published else 0.0
        values = {
            "source": self._settings.text("source"),
            "image_rate_hz": f"{self._rate.hertz(now):.2f}",
            "image_age_s": f"{silence:.3f}",
            **{key: str(count) for key, count in self._counts.items()},
        }
        # Reading from a device or a stream that hangs returns late or never.
        if self._source.live and self._status[0] == DiagnosticStatus.OK and silence > max(STALL, 3.0 * self._period()):
            return DiagnosticStatus.WARN, f"no image for {silence:.1f} s: the source hangs", values
        return *self._status, values

    def _period(self) -> float:
        rate = self._settings.number("rate")
        return 1.0 / rate if rate > 0.0 else 0.0

    def _tell(self, level: bytes, message: str) -> None:
        self._status = (level, message)
        if level != DiagnosticStatus.OK:
            self.get_logger().warning(message, throttle_duration_sec=2.0)
        self._diagnostics.publish()

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _play(self) -> None:
        try:
            self._wait_for_start()
            if self._source.live:
                self._play_live()
            else:
                self._play_recorded()
        except Exception as error:
            # The context may be gone already, which ends the node anyway.
            if not self._stop.is_set() and self.context.ok():
                self._tell(DiagnosticStatus.ERROR, f"camera stopped: {error}")
        finally:
            self._source.close()

    def _wait_for_start(self) -> None:
        wanted = self._settings.count("wait_for_subscribers")
        while not self._stop.is_set() and self._subscribers() < wanted:
            self._status = (DiagnosticStatus.OK, f"waiting for {wanted} subscribers, {self._subscribers()} so far")
            self._stop.wait(0.02)
        self._sleep_until(self._now() + self._settings.nanoseconds("start_delay"))

    def _subscribers(self) -> int:
        return self._image.get_subscription_count() + self._compressed.get_subscription_count()

    def _sleep_until(self, time: int) -> None:
        """Sleep on the node's clock, which may be simulated, and wake up early to stop or when it is set back."""
        clock = self.get_clock()
        now = self._now()
        while not self._stop.is_set() and now < time:
            self._stop.wait(0.005 if clock.ros_time_is_active else min((time - now) / NANOSECONDS, 0.2))
            before, now = now, self._now()
            if now < before:  # waiting for the time that was due before might last for ever
                return

    def _play_recorded(self) -> None:
        self._status = (DiagnosticStatus.OK, "playing")
        while not self._stop.is_set():
            played = self._play_once()
            if not self._settings.flag("loop"):
                self._tell(DiagnosticStatus.OK, "end of the source")
                return
            if played == 0:
                raise CvgeoError(f"{self._settings.text('source')}: no image of it can be read")
            self._source.rewind()

    def _play_once(self) -> int:
        """Play the source through and return the number of images published."""
        due = self._now()
        previous: float | None = None
        played = 0
        while not self._stop.is_set():
            try:
                picture = self._source.read()
            except CvgeoError as error:
                self._counts["unreadable"] += 1
                self._tell(DiagnosticStatus.WARN, str(error))
                continue
            if picture is None:
                break
            if played == 0:
                due = self._now()
            else:
                gap = self._gap(previous, picture.stamp)
                due += gap
                # After a stall the images go on at their pace; they do not catch up in a burst.
                if gap <= self._now() - due:
                    due = self._now()
            previous = picture.stamp
            self._sleep_until(due)
            due = min(due, self._now())
            if not self._stop.is_set():
                self._publish(picture, self._now())
                played += 1
        # The last image stands as long as any before the first one follows again.
        self._sleep_until(due + self._gap(None, None))
        return played

    def _gap(self, previous: float | None, stamp: float | None) -> int:
        rate = self._settings.number("rate")
        if rate > 0.0:
            return round(NANOSECONDS / rate)
        if previous is None or stamp is None:
            return NANOSECONDS
        return round(max(stamp - previous, 0.0) * NANOSECONDS)

    def _play_live(self) -> None:
        name = self._settings.text("source")
        back_off = 0.5
        due = 0
        self._source.rewind()
        while not self._stop.is_set():
            picture = self._source.read()
            now = self._now()
            if picture is None:
                self._tell(DiagnosticStatus.ERROR, f"{name}: no image: connecting again in {back_off:g} s")
                self._stop.wait(back_off)
                back_off = min(2.0 * back_off, MAX_BACK_OFF)
                self._counts["reconnects"] += 1
                self._source.rewind()
                continue
            if self._status[0] != DiagnosticStatus.OK or self._counts["images"] == 0:
                self._status = (DiagnosticStatus.OK, "streaming")
            back_off = 0.5
            rate = self._settings.number("rate")
            if now >= due:
                self._publish(picture, now)
                due = now + round(0.9 * NANOSECONDS / rate) if rate > 0.0 else 0

    def _publish(self, picture: Picture, now: int) -> None:
        header = Header(stamp=to_time(now), frame_id=self._settings.text("frame_id"))
        record = picture.record
        if record is not None:
            self._publish_telemetry(record, header)
        height, width = picture.bgr.shape[:2]
        info = self._calibration or info_from_hfov(width, height, self._hfov(record))
        info.header = header
        self._info.publish(info)
        # A header is a stamp and a string: the image's own name, for those who know the scene by its files.
        self._name.publish(Header(stamp=header.stamp, frame_id=picture.name))
        if self._image.get_subscription_count():
            self._image.publish(to_image(picture.bgr, header, "bgr8"))
        if self._compressed.get_subscription_count():
            self._compressed.publish(self._compress(picture, header))
        self._rate.tick(now)
        self._published = now
        self._counts["images"] += 1

    def _publish_telemetry(self, record: FrameRecord, header: Header) -> None:
        if record.lat is not None and record.lon is not None:
            fix = NavSatFix(header=header, latitude=record.lat, longitude=record.lon, altitude=math.nan)
            fix.status.status = NavSatStatus.STATUS_FIX
            self._fix.publish(fix)
        for publisher, value in (
            (self._heading, record.yaw),
            (self._height, record.rel_alt),
            (self._pitch, record.pitch),
        ):
            if value is not None:
                publisher.publish(Float64(data=value))

    def _hfov(self, record: FrameRecord | None) -> float | None:
        if record is not None and record.hfov is not None:
            return record.hfov
        return self._settings.known("hfov")

    def _compress(self, picture: Picture, header: Header) -> CompressedImage:
        if picture.encoded is not None:
            return to_compressed(picture.encoded, header, "png" if picture.name.lower().endswith(".png") else "jpeg")
        quality = self._settings.count("jpeg_quality")
        _, jpeg = cv2.imencode(".jpg", picture.bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return to_compressed(np.asarray(jpeg, np.uint8).tobytes(), header)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    return run(CameraNode, args)


if __name__ == "__main__":
    sys.exit(main())
