"""A thousand malformed messages of each type that a node subscribes to: the next good frame is answered, by its stamp.

The localizer runs the real core, with a small network of fresh weights.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import torch
from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Point, PointStamped
from hypothesis import strategies as st
from malformed import EVERY, EXAMPLES, Receipts, malformed, send_all, spoilt, strategy, wild
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, NavSatFix, NavSatStatus
from std_msgs.msg import Float64, Header
from visualization_msgs.msg import MarkerArray

from cvgeo_ros.geo.store import open_store
from cvgeo_ros.localizer import Localizer, Target
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray, TileInfo
from cvgeo_ros.net import CrossViewLocator, NetConfig
from cvgeo_ros.nodes import calibration, conversions, images
from cvgeo_ros.nodes.camera import CameraNode
from cvgeo_ros.nodes.localizer import LocalizerNode
from cvgeo_ros.nodes.publishers import LATCHED, RESULTS
from cvgeo_ros.nodes.visualizer import VisualizerNode
from cvgeo_ros.srv import LoadMap, LocateTargets

pytestmark = [pytest.mark.ros, pytest.mark.slow]

SECOND = 1_000_000_000


class Bench:
    """The localizer with good input on all of its topics but the one under test."""

    def __init__(self, graph: Any, map_path: Path, config: NetConfig, **parameters: Any) -> None:
        torch.manual_seed(0)
        network = CrossViewLocator(config)
        self.graph = graph
        self.stamps = {0}
        self.node = graph.start(
            lambda **options: LocalizerNode(lambda _, __, cache: Localizer(network, cache), **options),
            map=str(map_path),
            frame_timeout=0.01,
            queue_size=1000,
            cache_bytes=64 << 20,
            **parameters,
        )
        graph.wait_until(lambda: self.node._state == "active")
        self.receipts = Receipts(self.node)
        self.targets = graph.listen(GeoTargetArray, "targets")
        kinds = {topic: type(message) for topic, message in self.good(SECOND).items()}
        self.publishers = {topic: graph.publisher(kind, topic) for topic, kind in kinds.items()}
        self.health = self.node._health

    def good(self, stamp: int) -> dict[str, Any]:
        """A good message for each topic, in the order of sending."""
        header = Header(stamp=conversions.to_time(stamp), frame_id="camera_optical")
        info = calibration.info_from_hfov(160, 120, 60.0)
        info.header = header
        pixels = np.random.default_rng(stamp % 2**32).integers(0, 255, (120, 160, 3), np.uint8)
        fix = NavSatFix(header=header, latitude=24.2604, longitude=120.7355, altitude=100.0)
        fix.status.status = NavSatStatus.STATUS_FIX
        pose = GeoPoseWithCovarianceStamped(header=header)
        pose.pose.pose.position.latitude, pose.pose.pose.position.longitude = fix.latitude, fix.longitude
        pose.pose.pose.orientation.w = 1.0
        pose.pose.covariance = np.diag([25.0, 25.0, 1e6, 1e6, 1e6, 0.01]).ravel()
        return {
            "camera_info": info,
            "fix": fix,
            "vehicle_prior": pose,
            "compass_hdg": Float64(data=90.0),
            "rel_alt": Float64(data=60.0),
            "camera_pitch": Float64(data=-90.0),
            "image": images.to_image(pixels, header),
            "click": Point(x=80.0, y=60.0),
            "click_stamped": PointStamped(header=header, point=Point(x=80.0, y=60.0)),
            "clicks": conversions.to_click_array(np.array([[80.0, 60.0], [50.0, 50.0]]), ["a", "b"], header.stamp),
        }

    def send(self, topic: str, message: Any) -> None:
        """Send whatever this is, and remember the stamp if the node may answer it."""
        if isinstance(message, Image | CompressedImage):
            self.stamps.add(conversions.to_nanoseconds(message.header.stamp))
        self.receipts.deliver(self.publishers[topic], message)

    def proves_alive(self, stamp: int) -> None:
        """A good frame is answered under its own stamp."""
        # Clicks that make sense wait for inference like any others.
        self.graph.wait_until(lambda: self.node._engine._waiting == 0)
        self.stamps.add(stamp)
        for topic, message in self.good(stamp).items():
            if topic not in ("click", "click_stamped"):
                self.receipts.deliver(self.publishers[topic], message)
        answer = self.targets.get(lambda message: conversions.to_nanoseconds(message.header.stamp) == stamp)
        assert [target.id for target in answer.targets] == ["a", "b"]
        assert all(np.isfinite([target.score, target.position_std]).all() for target in answer.targets)


@pytest.fixture
def bench(graph: Any, map_path: Path, small_config: NetConfig) -> Bench:
    return Bench(graph, map_path, small_config)


TOPICS = [
    "image",
    "camera_info",
    "fix",
    "vehicle_prior",
    "compass_hdg",
    "rel_alt",
    "camera_pitch",
    "click",
    "click_stamped",
    "clicks",
]


@pytest.mark.parametrize("topic", TOPICS)
def test_localizer(bench: Bench, topic: str) -> None:
    now = bench.node.get_clock().now().nanoseconds
    sent = 0

    def send(message: Any) -> None:
        nonlocal sent
        bench.send(topic, message)
        sent += 1
        if sent % EVERY == 0:
            bench.proves_alive(now + sent * SECOND // 100)

    good = bench.good(now)[topic]
    if topic == "image":  # of a size that is quickly drawn, and whose stamp is at the node's time
        good = images.to_image(np.zeros((4, 5, 3), np.uint8), good.header)
    assert send_all(malformed(good), send) == EXAMPLES
    bench.proves_alive(now + 100 * SECOND)
    told = {conversions.to_nanoseconds(message.header.stamp) for message in bench.targets.messages}
    assert told <= bench.stamps, "an answer under a stamp that no frame had"


def test_localizer_with_compressed_images(graph: Any, operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), image_transport="compressed")
    operator.targets = graph.listen(GeoTargetArray, "targets")
    frames = graph.publisher(CompressedImage, "image/compressed")
    clicks = graph.publisher(TargetClickArray, "clicks")
    receipts = Receipts(operator.node)

    def jpeg(stamp: int, size: int = 64) -> CompressedImage:
        import cv2

        _, data = cv2.imencode(".jpg", np.full((size, size, 3), 99, np.uint8))
        return images.to_compressed(data.tobytes(), Header(stamp=conversions.to_time(stamp)))

    def proves_alive(stamp: int) -> None:
        receipts.deliver(frames, jpeg(stamp))
        points = conversions.to_click_array(np.array([[8.0, 6.0]]), ["a"], conversions.to_time(stamp))
        receipts.deliver(clicks, points)
        assert len(operator.answer(stamp).targets) == 1

    sent = 0

    def send(message: Any) -> None:
        nonlocal sent
        receipts.deliver(frames, message)
        # Images are converted only when somebody clicks in them.
        receipts.deliver(clicks, conversions.to_click_array(np.array([[8.0, 6.0]]), ["a"], conversions.to_time(0)))
        sent += 1
        if sent % EVERY == 0:
            graph.wait_until(lambda: operator.node._engine._waiting == 0)
            proves_alive(sent * SECOND)

    assert send_all(malformed(jpeg(SECOND, 8)), send) == EXAMPLES


def test_localizers_services(bench: Bench, map_path: Path) -> None:
    now = bench.node.get_clock().now().nanoseconds
    good = LocateTargets.Request(clicks=bench.good(now)["clicks"])
    good.image = images.to_image(np.zeros((4, 5, 3), np.uint8), Header(stamp=conversions.to_time(now)))
    requests = wild(LocateTargets.Request) | spoilt(good)
    paths = st.builds(LoadMap.Request, path=strategy("string") | st.sampled_from(["/", "/dev/null", "/proc/self/mem"]))
    answers = {True: 0, False: 0}

    def ask(request: Any) -> None:
        kind, service = (LoadMap, "load_map") if isinstance(request, LoadMap.Request) else (LocateTargets, "locate")
        response = bench.graph.call(kind, service, request)
        assert response.success or response.message
        answers[response.success] += 1

    assert send_all(requests | paths, ask) == EXAMPLES
    assert answers[False] > EXAMPLES // 2
    bench.proves_alive(now + SECOND)
    assert bench.targets.messages[-1].tile_id == open_store(map_path).tile_id


@pytest.mark.parametrize("topic", ["targets", "tile_info", "image"])
def test_visualizer(graph: Any, map_path: Path, topic: str) -> None:
    node = graph.start(VisualizerNode, map=str(map_path), frame_timeout=0.01)
    markers, frames = graph.listen(MarkerArray, "markers", LATCHED), graph.listen(Image, "image_annotated")
    tiles = graph.listen(Image, "tile_annotated")
    graph.wait_until(lambda: node._images is not None)
    receipts = Receipts(node)
    publishers = {
        "tile_info": graph.publisher(TileInfo, "tile_info", LATCHED),
        "image": graph.publisher(Image, "image"),
        "targets": graph.publisher(GeoTargetArray, "targets", RESULTS),
    }
    store = open_store(map_path)

    def good(stamp: int) -> dict[str, Any]:
        header = Header(stamp=conversions.to_time(stamp), frame_id="camera_optical")
        latitude, longitude = store.transform.pixel_to_geodetic([200.0, 150.0]).tolist()
        bounds = store.transform.bounds(190.0, 140.0, 210.0, 160.0)
        target = Target((3.0, 2.0), 0.9, (190.0, 140.0, 210.0, 160.0), latitude, longitude, 1.5, bounds)
        answer = GeoTargetArray(header=header, tile_id=store.tile_id, targets=[conversions.to_target(target, "1")])
        picture = images.to_image(np.full((4, 6, 3), 128, np.uint8), header)
        return {"tile_info": conversions.to_tile_info(store, header.stamp), "image": picture, "targets": answer}

    def proves_alive(stamp: int) -> None:
        for name, message in good(stamp).items():
            receipts.deliver(publishers[name], message)
        for inbox in (frames, tiles):
            inbox.get(lambda message: conversions.to_nanoseconds(message.header.stamp) == stamp)
        markers.get(lambda message: conversions.to_nanoseconds(message.markers[0].header.stamp) == stamp)

    sent = 0

    def send(message: Any) -> None:
        nonlocal sent
        receipts.deliver(publishers[topic], message)
        sent += 1
        if sent % EVERY == 0:
            proves_alive(sent * SECOND)

    assert send_all(malformed(good(SECOND)[topic]), send) == EXAMPLES


def test_camera_and_its_clock(graph: Any, tmp_path: Path) -> None:
    import cv2

    (tmp_path / "flight").mkdir()
    cv2.imwrite(str(tmp_path / "flight" / "a.png"), np.zeros((4, 6, 3), np.uint8))
    node = graph.start(CameraNode, source=str(tmp_path / "flight"), rate=10.0, loop=True, use_sim_time=True)
    frames, clock = graph.listen(Image, "image"), graph.publisher(Clock, "/clock")
    sent = 0

    def goes_on(start: int) -> None:
        """Time that runs on from here is what the next images are stamped with."""
        told = []
        for step in range(2000):
            told.append(start + step * SECOND // 20)
            clock.publish(Clock(clock=conversions.to_time(told[-1])))
            if any(conversions.to_nanoseconds(message.header.stamp) in told for message in frames.messages):
                return
            threading.Event().wait(0.01)
        raise AssertionError("no image since the clock was right again")

    def send(message: Any) -> None:
        nonlocal sent
        clock.publish(message)
        threading.Event().wait(0.002)
        sent += 1
        if sent % EVERY == 0:
            frames.messages.clear()
            goes_on(100 * SECOND)

    assert send_all(malformed(Clock(clock=conversions.to_time(100 * SECOND))), send) == EXAMPLES
    assert node.get_clock().ros_time_is_active
