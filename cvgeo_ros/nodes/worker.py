"""A thread of a node's own for work that takes long: requests wait in a short queue, callbacks go on meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cvgeo_ros.errors import CvgeoError

T = TypeVar("T")


class BusyError(CvgeoError):
    """A request that was turned away because too many are waiting."""


class ClosedError(CvgeoError):
    """A request that found the node stopping."""

    def __init__(self) -> None:
        super().__init__("the node is being stopped: the request was dropped")


class Worker:
    """One thread that does jobs one after the other; any thread may call its methods.

    Args:
        name: Of the thread.
        limit: Tells how many jobs may wait, the one under way among them.
    """

    def __init__(self, name: str, limit: Callable[[], int]) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._limit = limit
        self._waiting = 0
        self._offered: Callable[[], None] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Queue a job for the worker thread.

        Raises:
            BusyError: As many jobs as may are waiting.
            ClosedError: The worker was closed.
        """
        limit = self._limit()
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._waiting >= limit:
                raise BusyError(f"busy: {limit} requests are waiting (parameter queue_size): turned away")
            future = self._worker.submit(job)
            self._waiting += 1
        future.add_done_callback(self._on_done)
        return future

    def run(self, job: Callable[[], T]) -> T:
        """Queue a job and wait for its result; raises what :meth:`submit` and the job raise."""
        try:
            return self.submit(job).result()
        except CancelledError as error:
            raise ClosedError from error

    def aside(self, job: Callable[[], None]) -> None:
        """Have a job done that takes no time, and no place among those that wait."""
        with self._lock:
            if not self._closed:
                self._worker.submit(job)

    def offer(self, job: Callable[[], None]) -> None:
        """Have a job done when no other waits; one that was offered before and has not begun is dropped for it."""
        with self._lock:
            self._offered = job
            self._start_offered()

    def _on_done(self, _: "Future[Any]") -> None:
        with self._lock:
            self._waiting -= 1
            self._start_offered()

    def _start_offered(self) -> None:
        if self._offered is not None and not self._waiting and not self._closed:
            self._worker.submit(self._run_offered)

    def _run_offered(self) -> None:
        with self._lock:
            if self._waiting:  # it came in the meantime, and starts this again
                return
            job, self._offered = self._offered, None
        if job is not None:
            job()

    def close(self) -> None:
        """Finish the job under way and drop those waiting."""
        with self._lock:
            self._closed = True
            self._offered = None
        self._worker.shutdown(wait=True, cancel_futures=True)
