"""Values over time, looked up by time."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Samples(Generic[T]):
    """The last values of a topic with their times; safe to share by threads."""

    def __init__(self, size: int = 512) -> None:
        self._items: deque[tuple[int, T]] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, time: int, value: T) -> None:
        """Put a value in; time in ns."""
        with self._lock:
            self._items.append((time, value))

    def nearest(self, time: int, max_age: int | None) -> T | None:
        """Return the value nearest to a time (ns), None where none is within max_age (ns; None = any age)."""
        with self._lock:
            best = min(reversed(self._items), key=lambda item: abs(item[0] - time), default=None)
        if best is None or (max_age is not None and abs(best[0] - time) > max_age):
            return None
        return best[1]
