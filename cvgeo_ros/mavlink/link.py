"""A MAVLink connection that outlives silence, restarts and garbage."""

import threading
import time
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.mavlink.messages import Message
from cvgeo_ros.mavlink.transport import Transport

READ_TIMEOUT = 0.1
BACK_OFF = (0.2, 5.0)


class Link:
    """Reads and sends in a thread of its own.

    Args:
        open_transport: Opens the connection; may raise OSError and is then called again.
        receive: Called with each message; returns whether it is the autopilot's.
        tick: Called once a second while the connection is open.
        system, component: Whom messages come from.
    """

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        receive: Callable[[Message], bool],
        tick: Callable[[], None],
        system: int,
        component: int,
    ) -> None:
        self._open, self._receive, self._tick = open_transport, receive, tick
        self._packer = mavlink.MAVLink(None, system, component)
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mavlink", daemon=True)
        self.counts = {"received": 0, "bad": 0, "sent": 0, "opened": 0, "errors": 0}
        self.error = ""

    def start(self) -> None:
        """Begin; from now on `receive` and `tick` are called."""
        self._thread.start()

    def close(self) -> None:
        """Stop and release the connection."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        self._drop("")

    @property
    def open(self) -> bool:
        """Whether there is a connection; it says nothing of the other end."""
        return self._transport is not None

    def send(self, message: Message) -> bool:
        """Send a message; False where it cannot be sent now. Safe to call from any thread."""
        failure = ""
        with self._lock:
            if self._transport is None:
                return False
            try:
                if not self._transport.write(bytes(message.pack(self._packer))):
                    return False
                self._packer.seq = (self._packer.seq + 1) % 256
                self.counts["sent"] += 1
                return True
            except OSError as error:
                failure = str(error)
        self._drop(failure)
        return False

    def _drop(self, reason: str) -> None:
        with self._lock:
            if reason:
                self.error = reason
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def _run(self) -> None:
        wait = BACK_OFF[0]
        while not self._stop.is_set():
            try:
                transport = self._open()
            except OSError as error:
                self.error = str(error)
                self._stop.wait(wait)
                wait = min(2.0 * wait, BACK_OFF[1])
                continue
            with self._lock:
                self._transport = transport
            self.counts["opened"] += 1
            self.error = ""
            wait = BACK_OFF[0]
            self._serve(transport)
            self._stop.wait(wait)

    def _serve(self, transport: Transport) -> None:
        parser, ticked = _parser(), -1.0
        while not self._stop.is_set() and self._transport is transport:
            if time.monotonic() - ticked >= 1.0:
                ticked = time.monotonic()
                self._guarded(self._tick)
            try:
                data = transport.read(READ_TIMEOUT)
            except (OSError, ValueError) as error:  # ValueError: closed by a send that failed
                self._drop(str(error))
                return
            if not data:
                continue
            if transport.whole:
                parser = _parser()
            try:
                messages = parser.parse_buffer(data) or []
            except Exception:  # a message that pymavlink finds whole and then cannot unpack
                self.counts["bad"] += 1
                parser = _parser()
                continue
            for message in messages:
                self._take(message, transport)

    def _take(self, message: Message, transport: Transport) -> None:
        if message.get_type() == "BAD_DATA":
            self.counts["bad"] += 1
            return
        self.counts["received"] += 1
        if self._guarded(lambda: self._receive(message)):
            transport.confirm()

    def _guarded(self, call: Callable[[], bool | None]) -> bool:
        """What a listener does wrong with one message must not cost all that come after it."""
        try:
            return bool(call())
        except Exception as error:
            self.counts["errors"] += 1
            self.error = f"{type(error).__name__}: {error}"
            return False


def _parser() -> Any:
    parser = mavlink.MAVLink(None)
    parser.robust_parsing = True
    return parser
