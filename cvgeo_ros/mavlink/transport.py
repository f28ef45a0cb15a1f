"""Ways to the autopilot: UDP and serial lines."""

import re
import select
import socket
from typing import Protocol

import serial

from cvgeo_ros.errors import AutopilotError

MAX_DATAGRAM = 65_535


class Transport(Protocol):
    """Bytes to and from the autopilot. What fails raises OSError; the transport is then closed and opened anew.

    Attributes:
        whole: Whether each read begins with a message, so that nothing of the one before is missing.
    """

    whole: bool

    def read(self, timeout: float) -> bytes:
        """Return what has arrived, waiting up to a timeout (s) for something."""

    def write(self, data: bytes) -> bool:
        """Send; False where nobody to send to is known yet."""

    def confirm(self) -> None:
        """Note that what was read last came from the autopilot."""

    def close(self) -> None:
        """Release the port."""


class Udp:
    """A UDP socket.

    Args:
        host, port: To listen on, or to send to.
        listen: Wait for the autopilot to speak first, and answer whence it last spoke.
    """

    whole = True

    def __init__(self, host: str, port: int, listen: bool) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._listen = listen
        self._peer = None if listen else address
        self._last = self._peer
        try:
            if listen:
                self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise

    def read(self, timeout: float) -> bytes:
        if not select.select([self._socket], [], [], timeout)[0]:
            return b""
        try:
            data, self._last = self._socket.recvfrom(MAX_DATAGRAM)
        except (BlockingIOError, ConnectionRefusedError):  # refused: what was sent before met nobody
            return b""
        return data

    def write(self, data: bytes) -> bool:
        if self._peer is None:
            return False
        try:
            self._socket.sendto(data, self._peer)
        except (BlockingIOError, ConnectionRefusedError):
            return False
        return True

    def confirm(self) -> None:
        if self._listen:
            self._peer = self._last

    def close(self) -> None:
        self._socket.close()


class Serial:
    """A serial line or USB.

    Args:
        device: /dev/...
        baud: Bits a second.
    """

    whole = False

    def __init__(self, device: str, baud: int) -> None:
        self._port = serial.Serial(device, baud, timeout=0.0, write_timeout=0.5)

    def read(self, timeout: float) -> bytes:
        if not select.select([self._port], [], [], timeout)[0]:
            return b""
        data = bytes(self._port.read(4096))
        if not data:
            raise OSError("the device was unplugged")
        return data

    def write(self, data: bytes) -> bool:
        return self._port.write(data) == len(data)

    def confirm(self) -> None:
        """A line has one other end."""

    def close(self) -> None:
        self._port.close()


_UDP = re.compile(r"(udpin|udpout):(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):(\d{1,5})")


def parse(connection: str) -> tuple[str, str, int]:
    """Return kind (udpin, udpout or serial), host or device, and port of a connection, named as pymavlink names them.

    Raises:
        AutopilotError: It is none.
    """
    match = _UDP.fullmatch(connection)
    if match and 0 < int(match[3]) < 65_536 and (match[2] or match[1] == "udpin"):
        return match[1], match[2].strip("[]") or "0.0.0.0", int(match[3])
    if connection.startswith("/"):
        return "serial", connection, 0
    raise AutopilotError(
        f"connection {connection!r}: give udpin:HOST:PORT to listen, udpout:HOST:PORT to call, or a device such as "
        "/dev/ttyACM0"
    )


def open_transport(connection: str, baud: int) -> Transport:
    """Open a connection.

    Raises:
        AutopilotError: It is none.
        OSError: It cannot be opened now.
    """
    kind, where, port = parse(connection)
    return Serial(where, baud) if kind == "serial" else Udp(where, port, kind == "udpin")
