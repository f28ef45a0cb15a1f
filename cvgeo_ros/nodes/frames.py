"""Frames as nodes receive them: the subscription, the latest frame and a short history by stamp."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from cvgeo_ros.errors import ImageError
from cvgeo_ros.nodes import images
from cvgeo_ros.nodes.conversions import NANOSECONDS, to_nanoseconds
from cvgeo_ros.nodes.parameters import Parameters, Spec

SPECS = (
    Spec("image_transport", "raw", "Which image to take", choices=("raw", "compressed"), held=True),
    Spec(
        "image_reliability",
        "best_effort",
        "QoS of the image subscription; best_effort matches every publisher",
        choices=("best_effort", "reliable"),
        held=True,
    ),
)
"""Parameters of a node that subscribes to images."""


def subscribe(
    node: Node, parameters: Parameters, handle: Callable[[Image | CompressedImage], None], group: CallbackGroup
) -> Any:
    """Subscribe to the newest image, raw or compressed and as reliable as ``SPECS`` say; returns the subscription."""
    compressed = parameters.text("image_transport") == "compressed"
    reliability = ReliabilityPolicy[parameters.text("image_reliability").upper()]
    return node.create_subscription(
        CompressedImage if compressed else Image,
        "image/compressed" if compressed else "image",
        handle,
        QoSProfile(depth=1, reliability=reliability),
        callback_group=group,
    )


MAX_FRAMES = 4096
"""Frames that a history holds at most, however small they are: messages without a picture take memory too."""


@dataclass(frozen=True)
class Frame:
    """An image message, converted only when it is needed.

    Attributes:
        message: The message.
        received: When it was received, ns on the node's clock.
    """

    message: Image | CompressedImage
    received: int

    @property
    def stamp(self) -> int:
        """Capture stamp, ns; of an image without one, when it was received."""
        return to_nanoseconds(self.message.header.stamp) or self.received

    def rgb(self) -> NDArray[np.uint8]:
        """Return RGB uint8 (H, W, 3). Raises ImageError as :func:`cvgeo_ros.nodes.images.to_rgb`."""
        return images.to_rgb(self.message)


class FrameHistory:
    """Frames in the order of arrival, the oldest forgotten beyond a number of bytes; safe to share by threads.

    The newest frame is always kept, however large.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._arrived = threading.Condition()

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame) -> None:
        """Put the newest frame in and wake those who wait for it."""
        with self._arrived:
            self._frames.append(frame)
            self._bytes += len(frame.message.data)
            while (self._bytes > self._max_bytes or len(self._frames) > MAX_FRAMES) and len(self._frames) > 1:
                self._bytes -= len(self._frames.popleft().message.data)
            self._arrived.notify_all()

    def clear(self) -> None:
        """Forget all frames."""
        with self._arrived:
            self._frames.clear()
            self._bytes = 0

    def newest(self) -> Frame | None:
        """Return the frame that arrived last, or None before any."""
        with self._arrived:
            return self._frames[-1] if self._frames else None

    def find(self, stamp: int, slop: int, timeout: float) -> Frame:
        """Return the frame with this stamp.

        A click can overtake its image, which is larger: a stamp that no frame has reached yet is waited for.

        Args:
            stamp: Capture stamp, ns; 0 = the newest frame.
            slop: Largest difference of stamps that still matches, ns.
            timeout: How long to wait for a frame that has not arrived, s of wall time.

        Raises:
            ImageError: No such frame, or no frame at all.
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                if self._frames and stamp == 0:
                    return self._frames[-1]
                nearest = min(reversed(self._frames), key=lambda frame: abs(frame.stamp - stamp), default=None)
                if nearest is not None and abs(nearest.stamp - stamp) <= slop:
                    return nearest
                overtaken = stamp != 0 and (nearest is None or self._frames[-1].stamp < stamp)
                if not overtaken or not self._arrived.wait(deadline - time.monotonic()):
                    raise ImageError(self._missing(stamp))

    def _missing(self, stamp: int) -> str:
        if not self._frames:
            return "no image received yet: check that the camera publishes and that the topic and its QoS match"
        seconds = [frame.stamp / NANOSECONDS for frame in self._frames]
        return (
            f"no image with stamp {stamp / NANOSECONDS:.3f} s: the history holds {len(seconds)} images from "
            f"{min(seconds):.3f} to {max(seconds):.3f} s (parameter history_bytes)"
        )
