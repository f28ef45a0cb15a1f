"""An executor that runs callbacks in a few threads, each callback once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from rclpy.executors import Executor, ShutdownException, TimeoutException


class PooledExecutor(Executor):
    """Callbacks of different callback groups run side by side.

    rclpy's MultiThreadedExecutor offers a callback that no thread has taken up yet again and again, for as long as it
    holds the interpreter; the hundreds of copies keep its threads busy, and on two cores a third of all images waited
    100 to 600 ms for them. Here the next callback is looked for once the last one has begun.

    Args:
        threads: Callbacks that may run at a time.
        options: Of rclpy's Executor.
    """

    def __init__(self, threads: int, **options: Any) -> None:
        super().__init__(**options)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="callback")
        self._errors: SimpleQueue[BaseException] = SimpleQueue()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for a callback that is ready and start it; raise what a callback before has raised."""
        if not self._errors.empty():
            raise self._errors.get()
        try:
            handler, _, _ = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        begun = threading.Event()
        self._pool.submit(self._run, handler, begun)
        begun.wait()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop, after the callbacks under way or the timeout; returns whether they ended."""
        ended = bool(super().shutdown(timeout_sec))
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    def _run(self, handler: Callable[[], None], begun: threading.Event) -> None:
        begun.set()
        handler()
        error = handler.exception() if handler.done() else None  # type: ignore[attr-defined]
        if error is not None:
            self._errors.put(error)
            self.wake()
