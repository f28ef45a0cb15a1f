"""An autopilot as far as the wire shows it: a UDP socket that speaks MAVLink and keeps what it hears, decoded."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

TIMEOUT = 10.0


def free_port() -> int:
    """A UDP port that nobody has at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Peer:
    """Calls a port of this machine, or, without one, listens on its own and answers who called last."""

    def __init__(self, port: int | None = None, own_port: int = 0, system: int = 1, component: int = 1) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", own_port))
        self._socket.settimeout(0.05)
        self.port = int(self._socket.getsockname()[1])
        self._other: Any = ("127.0.0.1", port) if port else None
        self._packer = mavlink.MAVLink(None, system, component)
        self.heard: list[Any] = []
        self._arrived = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._open = False
        self._thread.join(2.0)
        self._socket.close()

    def _listen(self) -> None:
        parser = mavlink.MAVLink(None)
        while self._open:
            try:
                data, sender = self._socket.recvfrom(65535)
            except (TimeoutError, ConnectionRefusedError):
                continue
            self._other = self._other or sender
            with self._arrived:
                self.heard += parser.parse_buffer(data) or []
                self._arrived.notify_all()

    def get(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True, count: int = 1) -> Any:
        """The count-th message of a kind that is wanted, waited for."""
        with self._arrived:
            found = self._arrived.wait_for(lambda: len(self.all(kind, wanted)) >= count, TIMEOUT)
            assert found, f"{kind} is missing; heard {sorted({m.get_type() for m in self.heard})}"
            return self.all(kind, wanted)[count - 1]

    def all(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> list[Any]:
        return [message for message in self.heard if message.get_type() == kind and wanted(message)]

    def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        wait_until(lambda: self._other)
        self._socket.sendto(data, self._other)

    def send(self, *messages: Any) -> None:
        for message in messages:
            self.write(bytes(message.pack(self._packer)))
            self._packer.seq = (self._packer.seq + 1) % 256

    def heartbeat(self, autopilot: int = mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA) -> None:
        self.send(mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_QUADROTOR, autopilot, 0, 0, 3, 3))

    def flight(
        self,
        boot: int = 60_000,
        alt: float = 84.2,
        relative: float = 62.5,
        heading: float = 350.25,
        roll: float = 0.05,
        pitch: float = -0.1,
        place: tuple[float, float] = (24.1, 120.6),
    ) -> None:
        """HEARTBEAT, ATTITUDE and GLOBAL_POSITION_INT of one moment; m, degrees, roll and pitch in rad."""
        latitude, longitude = (round(value * 1e7) for value in place)
        self.heartbeat()
        yaw = (heading - 360.0 if heading > 180.0 else heading) * 3.141592653589793 / 180.0
        self.send(
            mavlink.MAVLink_attitude_message(boot, roll, pitch, yaw, 0.0, 0.0, 0.0),
            mavlink.MAVLink_global_position_int_message(
                boot, latitude, longitude, round(alt * 1e3), round(relative * 1e3), 0, 0, 0, round(heading * 100)
            ),
        )
