"""A bag of a run: every topic of a namespace, as rosbag2 writes it, in an MCAP file that explains its own messages.

``ros2 bag play`` replays it and Foxglove opens it. Pictures are kept as JPEG under ``<topic>/compressed``, since a
minute of raw video fills a gigabyte.
"""

import importlib
import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image

from cvgeo_ros.bags.types import learn
from cvgeo_ros.bags.writer import is_bag, qos
from cvgeo_ros.nodes.images import to_compressed, to_rgb

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
SHARED_TOPICS = ("/diagnostics", "/rosout")
JPEG_QUALITY = 85
# Large enough that nothing is lost while a picture is being compressed.
DEPTH = 200


class Recorder:
    """Records topics as they appear; a context that closes the bag.

    A disk that is full or fails ends the recording and nothing else: see :attr:`failure`.

    Args:
        node: Subscribes; its executor must spin.
        path: Folder of the bag; a former bag there is replaced.
        pictures: Topics of raw images to keep as JPEG. Others are left out: cameras publish theirs compressed as well.
    """

    def __init__(self, node: Node, path: Path, pictures: Collection[str]) -> None:
        self._node = node
        self._pictures = pictures
        self._namespace = node.get_namespace().rstrip("/") + "/"
        self._known: dict[str, Any] = {}
        self._types = get_typestore(Stores.EMPTY)
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._failure = ""
        if path.is_dir() and is_bag(path):
            shutil.rmtree(path)
        self._writer: Writer | None = Writer(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        try:
            self._writer.open()
        except OSError as error:
            self._give_up(error)
        self._timer = node.create_timer(0.02, self._follow_topics)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count(self, topic: str) -> int:
        """Return how many messages of a topic are in the bag."""
        with self._lock:
            return self._counts.get(topic, 0)

    @property
    def failure(self) -> str:
        """Why the bag is incomplete; empty while all is well."""
        return self._failure

    def close(self) -> None:
        """Stop recording and finish the bag."""
        with self._lock:
            if self._writer is None:
                return
            self._timer.cancel()
            try:
                self._writer.close()
            except OSError as error:
                self._give_up(error)
            self._writer = None

    def _give_up(self, error: OSError) -> None:
        """End the recording; what is on the disk stays there. With the lock held."""
        writer, self._writer = self._writer, None
        assert writer is not None
        with suppress(OSError):  # what is still in the file's buffer finds no room either
            writer.abort()
        self._failure = (
            f"{writer.path}: {error.strerror or error}: recording ended after {sum(self._counts.values())} messages; "
            "make room and record again (`cvgeo replay` and `mcap recover` read what was written)"
        )
        self._node.get_logger().error(self._failure)

    def _follow_topics(self) -> None:
        for topic, (kind, *_) in self._node.get_topic_names_and_types():
            if topic in self._known or not (topic.startswith(self._namespace) or topic in SHARED_TOPICS):
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if publishers and (kind != IMAGE or topic in self._pictures):
                self._known[topic] = self._subscribe(topic, kind, publishers)

    def _subscribe(self, topic: str, kind: str, publishers: list[TopicEndpointInfo]) -> Any:
        """Subscribe in the way that receives most from these publishers."""
        offered = [publisher.qos_profile for publisher in publishers]
        reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
        latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        profile = QoSProfile(
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        if kind == IMAGE:
            write = self._open(f"{topic}/compressed", COMPRESSED, reliable, latched)
            receive: Callable[[Any], None] = lambda image: write(serialize_message(compress(image)))  # noqa: E731
            return self._node.create_subscription(Image, topic, receive, profile)
        write = self._open(topic, kind, reliable, latched)
        return self._node.create_subscription(message_class(kind), topic, write, profile, raw=True)

    def _open(self, topic: str, kind: str, reliable: bool, latched: bool) -> Callable[[bytes], None]:
        """Make room for a topic and return what writes its serialised messages."""
        learn(self._types, kind)
        with self._lock:
            if self._writer is None:
                return lambda _: None
            connection = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[qos(reliable, latched)]
            )
        return lambda data: self._write(connection, data)

    def _write(self, connection: Connection, data: bytes) -> None:
        now = self._node.get_clock().now().nanoseconds
        with self._lock:
            if self._writer is None:
                return
            try:
                self._writer.write(connection, now, data)
            except OSError as error:
                self._give_up(error)
            else:
                self._counts[connection.topic] = self._counts.get(connection.topic, 0) + 1


def message_class(kind: str) -> type:
    """Return the Python class of a message type such as "std_msgs/msg/Header"."""
    package, group, name = kind.split("/")
    found: type = getattr(importlib.import_module(f"{package}.{group}"), name)
    return found


def compress(image: Image) -> CompressedImage:
    """Return an image as JPEG."""
    bgr = cv2.cvtColor(to_rgb(image), cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return to_compressed(jpeg.tobytes(), image.header)
