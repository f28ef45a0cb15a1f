"""A bag played in real time into a running graph, its time on /clock, as `ros2 bag play --clock` does."""

import threading
import time
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock

from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.bags.types import typestore
from cvgeo_ros.demo.recorder import message_class
from cvgeo_ros.nodes.conversions import to_time

TICK = 0.01
CLOCK = QoSProfile(depth=10)


class Playing:
    """Publishers of a bag's topics.

    Args:
        node: Publishes; in whatever namespace, topics are those of the bag.
        path: The bag.
        left_out: Beginnings of topics' names that are not played.
    """

    def __init__(self, node: Node, path: Path, left_out: tuple[str, ...] = ()) -> None:
        with Bag(path) as bag:
            kinds = {topic: kind for topic, kind in bag.topics.items() if not topic.startswith(left_out)}
            self._entries = [(e.time, e.topic, self._as_ros(e.message, kinds[e.topic])) for e in bag.read(kinds)]
        self._clock = node.create_publisher(Clock, "/clock", CLOCK)
        self._publishers = {
            topic: node.create_publisher(message_class(kind), topic, QoSProfile(depth=10))
            for topic, kind in kinds.items()
        }

    def connected(self, *topics: str) -> bool:
        """Whether somebody listens to the clock and to these topics."""
        publishers = [self._clock, *(self._publishers[topic] for topic in topics)]
        return all(publisher.get_subscription_count() for publisher in publishers)

    def set_clock(self, moment: int | None = None) -> None:
        """Tell a time, ns; without one that of the first message."""
        self._clock.publish(Clock(clock=to_time(self._entries[0][0] if moment is None else moment)))

    def play(self, rate: float = 1.0, tail: float = 1.0) -> None:
        """Play, and let the clock go on for some seconds after the last message."""
        first, started = self._entries[0][0], time.monotonic()
        pending = list(self._entries)
        end = pending[-1][0] + round(tail * 1e9)
        while True:
            moment = first + round((time.monotonic() - started) * rate * 1e9)
            while pending and pending[0][0] <= moment:
                due, topic, message = pending.pop(0)
                # Its own time, so that what is late by the player is not late by the clock.
                self.set_clock(due)
                self._publishers[topic].publish(message)
            if moment > end:
                return
            self.set_clock(moment)
            threading.Event().wait(TICK)

    @staticmethod
    def _as_ros(message: Any, kind: str) -> Any:
        return deserialize_message(bytes(typestore().serialize_cdr(message, kind)), message_class(kind))
