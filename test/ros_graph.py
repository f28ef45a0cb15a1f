"""A graph of nodes over real DDS in a domain of its own, a small map, and a core that answers by formula."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

rclpy = pytest.importorskip("rclpy")

# ruff: noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cvgeo_ros.errors import ClickError, MapError, WeightsError
from cvgeo_ros.geo import Attitude, GroundMatches, PinholeCamera, frame_to_ground
from cvgeo_ros.localizer import Localization, Prior, Target
from cvgeo_ros.localizer.localizer import DEFAULT_HFOV
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray
from cvgeo_ros.nodes import conversions, images
from cvgeo_ros.nodes.executor import PooledExecutor
from cvgeo_ros.nodes.localizer import LocalizerNode
from cvgeo_ros.nodes.places import MapSearch

TIMEOUT = 15.0
PIXELS = np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)


class Inbox:
    """Messages of a topic as they came."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._arrived = threading.Condition()

    def put(self, message: Any) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    def get(self, wanted: Callable[[Any], bool] = lambda _: True, count: int = 1) -> Any:
        """The count-th message that is wanted, waited for."""
        with self._arrived:
            found = self._arrived.wait_for(lambda: len([m for m in self.messages if wanted(m)]) >= count, TIMEOUT)
            assert found, f"only {len(self.messages)} messages, none as wanted: {self.messages[-1:]}"
            return [m for m in self.messages if wanted(m)][count - 1]


class Graph:
    """Nodes that spin in the background, and the other side of their topics and services."""

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._executor = PooledExecutor(4, context=self._context)
        self._nodes: list[Node] = []
        self.tester = self._add(rclpy.create_node("tester", namespace="cvgeo", context=self._context))
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        self._executor.spin_on(self.tester.get_logger().error)

    def _add(self, node: Node) -> Node:
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def start(self, make: Callable[..., Node], **parameters: Any) -> Any:
        """Start a node in the namespace cvgeo with these parameters."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        return self._add(make(namespace="cvgeo", context=self._context, parameter_overrides=overrides))

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Inbox:
        """Receive a topic, from the moment its publisher is known on."""
        inbox = Inbox()
        subscription = self.tester.create_subscription(kind, topic, inbox.put, qos)
        wait_until(lambda: subscription.get_publisher_count() > 0)
        return inbox

    def publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Any:
        """A publisher that has its subscriber."""
        publisher = self.tester.create_publisher(kind, topic, qos)
        wait_until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def call(self, kind: type, service: str, request: Any) -> Any:
        """Call a service of the graph."""
        client = self.tester.create_client(kind, service)
        assert client.wait_for_service(TIMEOUT), f"no service {service}"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT), f"{service} does not answer"
        return future.result()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(condition)

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(5.0)
        for node in self._nodes:
            node.destroy_node()
        rclpy.shutdown(context=self._context)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Operator:
    """A localizer whose core is the formula, the camera's side of its topics and an operator who clicks."""

    def __init__(self, graph: Graph, search: Callable[[str, str], Any] = MapSearch, **parameters: Any) -> None:
        self.graph = graph
        self.cores: list[Formula] = []

        def load(*arguments: Any) -> Any:
            self.cores.append(Formula(*arguments))
            return self.cores[-1]

        self.node = graph.start(lambda **options: LocalizerNode(load, search, **options), **parameters)
        self.health = graph.listen(DiagnosticArray, "/diagnostics")

    def connect(self) -> "Operator":
        """Wait until the node is active and connected."""
        self.targets = self.graph.listen(GeoTargetArray, "targets")
        self.images = self.graph.publisher(Image, "image")
        self.clicks = self.graph.publisher(TargetClickArray, "clicks")
        return self

    def show(self, stamp: int, pixels: NDArray[np.uint8] = PIXELS) -> None:
        """Publish a frame with a stamp in ns and wait until the node has it: of two at once it may keep the last."""
        header = Header(stamp=conversions.to_time(stamp), frame_id="camera_optical")
        self.images.publish(images.to_image(pixels, header))
        wait_until(lambda: getattr(self.node._history.newest(), "stamp", None) == stamp)

    def click(self, *points: tuple[float, float], stamp: int) -> None:
        """Publish an array of clicks in the frame with this stamp."""
        ids = [f"p{index}" for index in range(len(points))]
        self.clicks.publish(conversions.to_click_array(np.array(points), ids, conversions.to_time(stamp)))

    def answer(self, stamp: int) -> GeoTargetArray:
        """The answer for the frame with this stamp, waited for."""
        return self.targets.get(lambda message: conversions.to_nanoseconds(message.header.stamp) == stamp)

    def proves_alive(self, stamp: int = 77) -> None:
        """The node answers a good request."""
        self.show(stamp)
        self.click((30.0, 40.0), stamp=stamp)
        assert len(self.answer(stamp).targets) == 1

    def entry(self, words: str) -> DiagnosticStatus:
        """The diagnostics entry whose message has these words, waited for."""
        return self.health.get(lambda array: words in array.status[0].message).status[0]


@pytest.fixture(scope="session")
def make_map() -> Callable[..., Path]:
    return write_map


@pytest.fixture
def operate(graph: Graph) -> Callable[..., Operator]:
    return lambda *search, **parameters: Operator(graph, *search, **parameters)


@pytest.fixture
def operator(graph: Graph, map_path: Path) -> Operator:
    return Operator(graph, map=str(map_path)).connect()


@pytest.fixture
def graph(ros_domain: int) -> Iterator[Graph]:
    graph = Graph(ros_domain)
    yield graph
    graph.close()


def write_map(path: Path, crs: str | None = "EPSG:32651") -> Path:
    """A north-up map of 400 x 300 pixels of half a metre."""
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 255, (3, 300, 400), np.uint8)
    affine = Affine(0.5, 0.0, 270_000.0, 0.0, -0.5, 2_685_000.0)
    profile = {"driver": "GTiff", "width": 400, "height": 300, "count": 3, "dtype": "uint8", "transform": affine}
    with rasterio.open(path, "w", crs=crs, **profile) as file:
        file.write(pixels)
    return path


@pytest.fixture(scope="session")
def map_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_map(tmp_path_factory.mktemp("map") / "map.tif")


class Formula:
    """A core that puts the box of 20 x 10 pixels at the click's own pixel and remembers what it was asked."""

    def __init__(self, model: str = "nano", device: str = "cpu", cache_bytes: int = 0) -> None:
        if model == "missing":
            raise WeightsError(f"weights {model!r} not found: give one of nano, or the path of a .safetensors file")
        self.tile: Any = None
        self.notice = ""
        self.tuned: tuple[bool, str | None] | None = None
        self.frames: list[np.ndarray] = []
        self.cameras: list[Any] = []
        self.priors: list[Prior] = []
        self.preparing = False
        # Where the camera hangs, straight down: latitude, longitude, yaw; None: no ground is recognised.
        self.place: tuple[float, float, float] | None = None
        self.gate = threading.Event()
        self.gate.set()

    def tune(self, half: bool, compiled: str | None) -> None:
        assert self.tile is None, "features were to be computed by what was tuned"
        self.tuned = half, compiled

    def set_tile(self, tile: Any) -> None:
        self.tile = tile

    def prepare(self, progress: Callable[[float], None]) -> None:
        self.preparing = True
        try:
            for step in range(1, 101):
                time.sleep(0.1)
                progress(step / 100)
        finally:
            self.preparing = False

    def locate(
        self,
        frame: np.ndarray,
        clicks: np.ndarray,
        camera: Any = None,
        prior: Prior | None = None,
        ground: bool = False,
    ) -> Any:
        self.gate.wait(TIMEOUT)
        if self.tile is None:
            raise MapError("no map loaded")
        height, width = frame.shape[:2]
        for index, (u, v) in enumerate(clicks):
            if not (0.0 <= u <= width and 0.0 <= v <= height):
                raise ClickError(f"click {index} ({u}, {v}) is not inside the frame of {width} x {height} pixels")
        self.frames.append(frame.copy())
        self.cameras.append(camera)
        self.priors.append(prior or Prior())
        targets = []
        for u, v in clicks.tolist():
            latitude, longitude = self.tile.transform.pixel_to_geodetic([u, v]).tolist()
            bounds = self.tile.transform.bounds(u - 10, v - 5, u + 10, v + 5)
            targets.append(Target((u, v), 0.9, (u - 10, v - 5, u + 10, v + 5), latitude, longitude, 1.5, bounds))
        window = (0.0, 0.0, float(self.tile.width), float(self.tile.height))
        matches = self._ground(width, height) if ground else None
        return Localization(tuple(targets), self.tile.tile_id, window, {"frame": 0.001}, matches)

    def _ground(self, width: int, height: int) -> GroundMatches | None:
        if self.place is None:
            return None
        latitude, longitude, yaw = self.place
        camera = PinholeCamera.from_hfov(width, height, DEFAULT_HFOV)
        u, v = np.meshgrid(np.linspace(5.0, width - 5.0, 12), np.linspace(5.0, height - 5.0, 9))
        pixels = np.column_stack([u.ravel(), v.ravel()])
        ground = frame_to_ground(camera, Attitude(yaw, -math.pi / 2), 60.0, pixels)
        ground += np.random.default_rng(len(self.frames)).normal(0.0, 0.3, ground.shape)
        return GroundMatches(pixels, ground, (latitude, longitude), np.ones(len(pixels)), 1.0, 0.9)
