"""The camera node over DDS: a folder, a scene with telemetry, a video, a stream that comes back."""

import csv
import json
import math
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, NavSatFix
from std_msgs.msg import Float64, Header

from cvgeo_ros.errors import CalibrationError, ImageError, SceneError
from cvgeo_ros.nodes import camera, images, sources
from cvgeo_ros.nodes.camera import CameraNode
from cvgeo_ros.nodes.conversions import to_nanoseconds, to_time

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000


def shade(index: int) -> np.ndarray:
    return np.full((48, 64, 3), 40 + 60 * index, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "flight"
    path.mkdir()
    for index, name in enumerate(("a.png", "b.png", "c.jpg")):
        cv2.imwrite(str(path / name), shade(index))
    return path


@pytest.fixture
def scene(folder: Path) -> Path:
    root = folder.parent
    columns = ["file", "stamp", "lat", "lon", "rel_alt", "yaw", "pitch", "hfov"]
    rows = [["a.png", 0.0, 24.1, 120.5, 80.0, 90.0, -90.0, 60.0], ["b.png", 0.05, 24.2, 120.6, 81.0, 91.0, -60.0, 70.0]]
    with (root / "frames.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    (root / "map.tif").touch()
    head = {"name": "two", "map": "map.tif", "frames": "flight", "frames_csv": "frames.csv"}
    (root / "scene.json").write_text(json.dumps(head))
    return root


def brightness(message: Image) -> int:
    return round(float(images.to_rgb(message).mean()))


def test_a_folder_in_order_at_a_rate(graph: Any, folder: Path) -> None:
    graph.start(CameraNode, source=str(folder), rate=50.0, wait_for_subscribers=2)
    names, frames = graph.listen(Header, "image/source"), graph.listen(Image, "image")
    compressed = graph.listen(CompressedImage, "image/compressed")
    third = frames.get(count=3)
    assert [brightness(message) for message in frames.messages] == pytest.approx([40, 100, 160], abs=2)
    assert (third.encoding, third.width, third.height, third.header.frame_id) == ("bgr8", 64, 48, "camera_optical")
    stamps = [to_nanoseconds(message.header.stamp) for message in frames.messages]
    # Two gaps of 20 ms; an image that comes late is not made up for by the next one before its time.
    assert stamps[2] - stamps[0] >= 0.03 * SECOND
    names.get(lambda header: header.frame_id == "c.jpg")
    # Files that are compressed already are sent as they are.
    jpeg = compressed.get(lambda message: "jpeg" in message.format)
    assert bytes(jpeg.data) == (folder / "c.jpg").read_bytes()


def test_a_scene_with_telemetry_just_before_its_image(graph: Any, scene: Path) -> None:
    graph.start(CameraNode, source=str(scene), wait_for_subscribers=1)
    fixes, infos = graph.listen(NavSatFix, "fix"), graph.listen(CameraInfo, "camera_info")
    numbers = {name: graph.listen(Float64, name) for name in ("compass_hdg", "rel_alt", "camera_pitch")}
    frames = graph.listen(Image, "image")
    second = frames.get(count=2)
    fix, info = fixes.get(count=2), infos.get(count=2)
    assert (fix.latitude, fix.longitude) == (24.2, 120.6) and math.isnan(fix.altitude)
    assert fix.header.stamp == info.header.stamp == second.header.stamp
    assert 2 * math.degrees(math.atan(32 / info.k[0])) == pytest.approx(70.0)
    assert [numbers[name].get(count=2).data for name in numbers] == [91.0, 81.0, -60.0]


def test_a_video_by_its_own_time_in_a_loop(graph: Any, tmp_path: Path) -> None:
    path = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for index in range(3):
        writer.write(shade(index))
    writer.release()
    graph.start(CameraNode, source=str(path), loop=True, hfov=66.0, wait_for_subscribers=1)
    infos, frames = graph.listen(CameraInfo, "camera_info"), graph.listen(Image, "image")
    frames.get(count=5)
    seen = [brightness(message) for message in frames.messages[:5]]
    assert seen == pytest.approx([40, 100, 160, 40, 100], abs=3)
    stamps = [to_nanoseconds(message.header.stamp) for message in frames.messages]
    assert stamps[2] - stamps[0] >= 0.075 * SECOND
    assert infos.get().k[0] == pytest.approx(32 / math.tan(math.radians(33.0)))


def test_telemetry_of_a_video_goes_by_stamp(tmp_path: Path, scene: Path) -> None:
    path = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for index in range(3):
        writer.write(shade(index))
    writer.release()
    video = sources.open_source(str(path), str(scene / "frames.csv"))
    latitudes = []
    while (picture := video.read()) is not None:
        assert picture.record is not None
        latitudes.append(picture.record.lat)
    assert latitudes == [24.1, 24.2, 24.2]


def test_unreadable_files_are_reported_and_skipped(graph: Any, folder: Path) -> None:
    (folder / "b.png").write_bytes(b"not a picture")
    graph.start(CameraNode, source=str(folder), rate=50.0, wait_for_subscribers=1)
    health, frames = graph.listen(DiagnosticArray, "/diagnostics"), graph.listen(Image, "image")
    frames.get(count=2)
    health.get(lambda array: "b.png" in array.status[0].message)
    values = {pair.key: pair.value for pair in health.get(lambda a: "end" in a.status[0].message).status[0].values}
    assert (values["images"], values["unreadable"]) == ("2", "1")


def test_simulated_time_paces_and_stamps(graph: Any, folder: Path) -> None:
    graph.start(CameraNode, source=str(folder), rate=1.0, use_sim_time=True, wait_for_subscribers=1)
    clock, frames = graph.publisher(Clock, "/clock"), graph.listen(Image, "image")
    seconds = count(100)

    def arrived() -> bool:
        clock.publish(Clock(clock=to_time(next(seconds) * SECOND)))
        return len(frames.messages) == 3

    graph.wait_until(arrived)
    stamps = [message.header.stamp.sec for message in frames.messages]
    assert stamps[0] >= 100 and stamps == sorted(set(stamps))


def test_a_lost_stream_is_connected_again(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Flaky:
        """Stands in for cv2.VideoCapture: the first connection fails, each later one gives two images."""

        opened = 0

        def __init__(self, *_: Any) -> None:
            type(self).opened += 1
            self.left = 2 if self.opened > 1 else 0

        def isOpened(self) -> bool:
            return self.left > 0

        def set(self, *_: Any) -> None:
            pass

        def read(self) -> tuple[bool, Any]:
            self.left -= 1
            return self.left >= 0, shade(0)

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Flaky)
    graph.start(CameraNode, source="rtsp://camera/stream", wait_for_subscribers=1)
    health, frames = graph.listen(DiagnosticArray, "/diagnostics"), graph.listen(Image, "image")
    frames.get(count=4)
    assert "connecting again in 0.5 s" in health.get(lambda a: "again" in a.status[0].message).status[0].message
    assert Flaky.opened >= 3


def test_a_stream_that_hangs_is_told_and_goes_on(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, released = threading.Event(), threading.Event()

    class Hanging:
        """Stands in for cv2.VideoCapture: from some image on, reading returns when it is released."""

        def __init__(self, *_: Any) -> None:
            self.read_so_far = 0

        def isOpened(self) -> bool:
            return True

        def set(self, *_: Any) -> None:
            pass

        def read(self) -> tuple[bool, Any]:
            self.read_so_far += 1
            if self.read_so_far == 3:
                hangs.set()
                released.wait(15.0)
            return True, shade(0)

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Hanging)
    monkeypatch.setattr(camera, "STALL", 0.2)
    graph.start(CameraNode, source="rtsp://camera/stream", rate=20.0, wait_for_subscribers=1)
    health, frames = graph.listen(DiagnosticArray, "/diagnostics"), graph.listen(Image, "image")
    assert hangs.wait(15.0)
    status = health.get(lambda array: "the source hangs" in array.status[0].message).status[0]
    assert status.level == DiagnosticStatus.WARN
    before = len(frames.messages)
    released.set()
    frames.get(count=before + 3)
    health.messages.clear()
    assert health.get(lambda array: array.status[0].message == "streaming").status[0].level == DiagnosticStatus.OK


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"source": ""}, ImageError, "source is empty"),
        ({"source": "/nowhere/at/all"}, ImageError, "/nowhere/at/all"),
        ({"telemetry": "/nowhere.csv"}, SceneError, "nowhere.csv"),
        ({"camera_info_url": "file:///nowhere.yaml"}, CalibrationError, "nowhere.yaml"),
    ],
)
def test_what_cannot_start_says_why(graph: Any, folder: Path, change: dict[str, str], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        graph.start(CameraNode, **({"source": str(folder)} | change))


def test_a_folder_named_like_a_device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.rename(folder.parent / "2024").parent)
    picture = sources.open_source("2024").read()
    assert picture is not None and picture.name == "a.png"


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"no video")])
def test_empty_folders_and_foreign_files(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "thing")
    with pytest.raises(ImageError, match="thing"):
        sources.open_source(str(tmp_path / "thing"))
