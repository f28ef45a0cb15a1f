"""An executor that runs callbacks in a few threads, each callback once."""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from rclpy.executors import Executor, ExternalShutdownException, ShutdownException, TimeoutException

MAX_FAILURES = 10
"""Callbacks that may fail one right after the other."""


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
        try:
            future = self._pool.submit(self._run, handler, begun)
        except RuntimeError:
            if self._is_shutdown:  # from another thread, while this one waited
                return
            raise
        # A shutdown cancels what has not begun: it never will, and nobody is to wait for it.
        future.add_done_callback(lambda _: begun.set())
        begun.wait()

    def spin_on(self, report: Callable[[str], object]) -> None:
        """Spin until the context is shut down; a callback that fails does not end the others.

        rclpy's own callbacks are among them: its clock raises on a time before 1970.

        Args:
            report: Told of each failure.

        Raises:
            Exception: What was raised when MAX_FAILURES came one right after the other.
        """
        failures = 0
        while self.context.ok() and not self._is_shutdown:
            try:
                self.spin_once()
                failures = 0
            except ExternalShutdownException:
                return
            except Exception:
                # What a callback publishes while an interrupt takes the context away fails; that is no error.
                if not self.context.ok():
                    return
                failures += 1
                if failures >= MAX_FAILURES:
                    raise
                report(f"a callback failed:\n{traceback.format_exc()}")

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
