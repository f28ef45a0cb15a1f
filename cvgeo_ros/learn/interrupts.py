"""Ctrl-C and SIGTERM as a wish to stop, granted when nothing is lost by it."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Stopped(KeyboardInterrupt):
    """A training that was told to stop and has written its checkpoint.

    Attributes:
        signal: what told it.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)


class StopSignals:
    """While entered, the first Ctrl-C and every SIGTERM are noted only; a second Ctrl-C acts as ever."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that came, 0 where none has."""
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # handlers cannot be set elsewhere
            self._former = {
                number: signal.signal(number, self._note) or signal.SIG_DFL
                for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number
        # Launchers send SIGTERM to a group and then to each of its processes: more than one is no impatience.
        if number == signal.SIGINT:
            signal.signal(number, self._former[number])


def leave_to_parent(_: int = 0) -> None:
    """For processes that work for another one: signals to the whole group are its to act on; it ends them itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
