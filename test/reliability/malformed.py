"""Messages that no peer in its senses sends, made by Hypothesis for any ROS type.

Three kinds: every field wild; a good message with some fields spoilt; the bytes of a good message mangled on the wire.
"""

import copy
import importlib
import math
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rclpy.node import Node
from rclpy.serialization import serialize_message

EXAMPLES = 1000
"""Messages of each type."""
EVERY = 100
"""Malformed messages between two good ones."""
PATIENCE = 20.0

_LIMITS = {
    f"{sign}int{bits}": ((0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
_EXTREMES = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e-300, 1e30, -1e30, 90.0, 90.1, 180.0, 360.0, 1e6)
_WORDS = (
    "",
    "rgb8",
    "bgr8",
    "mono8",
    "bayer_rggb8",
    "yuyv",
    "16UC1",
    "jpeg",
    "a" * 300,
    "\x00",
    "ä\U0001f6f8",
    "../..",
)


def strategy(kind: str) -> st.SearchStrategy[Any]:
    """Any value of a field of this type, as rclpy's get_fields_and_field_types names it."""
    if array := re.fullmatch(r"sequence<(.+?)(?:, (\d+))?>", kind):
        return st.lists(strategy(array[1]), max_size=6)
    if array := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        count = int(array[2])
        few = st.lists(strategy(array[1]), min_size=1, max_size=3)
        return few.map(lambda values: (values * count)[:count])
    if kind.startswith("string"):
        return st.sampled_from(_WORDS) | st.text(st.characters(codec="utf-8"), max_size=12)
    if kind in ("double", "float"):
        width = 64 if kind == "double" else 32
        fitting = [value for value in _EXTREMES if width == 64 or not 0.0 < abs(value) < 1e-40]
        return st.sampled_from(fitting) | st.floats(width=width)
    if kind == "boolean":
        return st.booleans()
    if kind in ("octet", "char"):
        return st.integers(0, 255)
    if kind in _LIMITS:
        low, high = _LIMITS[kind]
        return st.sampled_from([low, high, 0, 1]) | st.integers(low, high)
    package, name = kind.split("/")
    return wild(getattr(importlib.import_module(f"{package}.msg"), name))


def wild(kind: type) -> st.SearchStrategy[Any]:
    """A message of this type in which every field is anything at all."""
    fields = kind.get_fields_and_field_types()  # type: ignore[attr-defined]
    return st.builds(kind, **{name: strategy(field) for name, field in fields.items()})


def leaves(message: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """Paths and types of the fields of a message and of the messages in it."""
    found = []
    for name, field in message.get_fields_and_field_types().items():
        value = getattr(message, name)
        found.append(((*path, name), field))
        if hasattr(value, "get_fields_and_field_types"):
            found += leaves(value, (*path, name))
        elif isinstance(value, list):
            for index, item in enumerate(value[:2]):
                if hasattr(item, "get_fields_and_field_types"):
                    found += leaves(item, (*path, name, index))
    return found


@st.composite
def spoilt(draw: Callable[..., Any], good: Any) -> Any:
    """A good message with one to three fields that are anything."""
    message = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        path, kind = draw(st.sampled_from(leaves(message)))
        *way, last = path
        owner = message
        for step in way:
            owner = owner[step] if isinstance(step, int) else getattr(owner, step)
        setattr(owner, last, draw(strategy(kind)))
    return message


@st.composite
def mangled(draw: Callable[..., Any], good: Any) -> bytes:
    """The serialised message with words overwritten, or cut short; never longer, which the sender would refuse."""
    data = bytearray(serialize_message(good))
    words = (len(data) - 4) // 4
    for _ in range(draw(st.integers(1, 4))):
        start = 4 + 4 * draw(st.integers(0, words - 1))
        data[start : start + 4] = draw(
            st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0"])
            | st.binary(min_size=4, max_size=4)
        )
    return bytes(data[: draw(st.integers(4, len(data)) | st.just(len(data)))])


def malformed(good: Any) -> st.SearchStrategy[Any]:
    """A message of the type of a good one, or bytes, that must do no harm."""
    return wild(type(good)) | spoilt(good) | spoilt(good) | mangled(good)


def send_all(messages: st.SearchStrategy[Any], send: Callable[[Any], None]) -> int:
    """Draw EXAMPLES messages, the same in every run, and send each; returns how many that were."""
    sent = 0

    # No shrinking: what went before is part of what a node has become.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(messages)
    def each(message: Any) -> None:
        nonlocal sent
        send(message)
        sent += 1

    each()
    return sent


class Receipts:
    """Counts the messages that reach the callbacks of a node's subscriptions."""

    def __init__(self, node: Node) -> None:
        self._counts: Counter[str] = Counter()
        self._news = threading.Condition()
        for subscription in node.subscriptions:
            subscription.callback = self._counted(subscription.topic_name, subscription.callback)

    def _counted(self, topic: str, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        def receive(message: Any) -> None:
            try:
                handle(message)
            finally:
                with self._news:
                    self._counts[topic] += 1
                    self._news.notify_all()

        return receive

    def deliver(self, publisher: Any, message: Any) -> None:
        """Publish and wait until the node has it; the middleware may refuse bytes that are no message."""
        topic = publisher.topic_name
        with self._news:
            seen = self._counts[topic]
            publisher.publish(message)
            patience = 0.003 if isinstance(message, bytes) else PATIENCE
            arrived = self._news.wait_for(lambda: self._counts[topic] > seen, patience)
        assert arrived or isinstance(message, bytes), f"{topic}: not received, or the node has stopped: {message}"
