"""The link over real UDP and a real terminal line: silence, restarts and garbage."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mavlink_peer import Peer, free_port, wait_until
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.errors import AutopilotError
from cvgeo_ros.mavlink import messages
from cvgeo_ros.mavlink.autopilot import Autopilot
from cvgeo_ros.mavlink.link import Link
from cvgeo_ros.mavlink.transport import open_transport, parse


class End:
    """Our end of a link."""

    def __init__(self, connection: str) -> None:
        self.autopilot = Autopilot(time.time_ns, 1.0)
        self.heard: list[Any] = []
        self.link = Link(lambda: open_transport(connection, 57_600), self._take, self._tick, 1, 191)
        self.link.start()

    def _take(self, message: Any) -> bool:
        self.heard.append(message)
        return self.autopilot.take(message)

    def _tick(self) -> None:
        self.link.send(messages.heartbeat())


@pytest.fixture
def start() -> Iterator[Callable[[str], End]]:
    ends: list[End] = []

    def make(connection: str) -> End:
        ends.append(End(connection))
        return ends[-1]

    yield make
    for end in ends:
        end.link.close()


def test_listening_answers_whom_the_autopilot_is(start: Any) -> None:
    port = free_port()
    end = start(f"udpin:127.0.0.1:{port}")
    wait_until(lambda: end.link.open)
    with Peer(port, system=255, component=190) as station, Peer(port, system=7) as peer:
        station.send(mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_GCS, mavlink.MAV_AUTOPILOT_INVALID, 0, 0, 3, 3))
        wait_until(lambda: end.link.counts["received"] == 1)
        assert not end.autopilot.alive and not end.link.send(messages.heartbeat())
        peer.heartbeat()
        told = peer.get("HEARTBEAT")
        assert (told.get_srcSystem(), told.get_srcComponent(), told.type) == (
            1,
            191,
            mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
        )
        assert end.autopilot.identity == (7, 1) and end.autopilot.name == "ArduPilot"
        # The ground station goes on talking, and is not sent what the autopilot should get.
        station.send(mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_GCS, mavlink.MAV_AUTOPILOT_INVALID, 0, 0, 3, 3))
        peer.get("HEARTBEAT", count=2)
        assert not station.heard


def test_calling_begins_before_anybody_listens(start: Any) -> None:
    port = free_port()
    end = start(f"udpout:127.0.0.1:{port}")
    wait_until(lambda: end.link.open)
    time.sleep(1.2)  # a heartbeat to nobody
    with Peer(own_port=port) as peer:
        peer.get("HEARTBEAT")
        peer.heartbeat()
        wait_until(lambda: end.autopilot.alive)


def test_the_heartbeat_comes_once_a_second(start: Any) -> None:
    with Peer() as peer:
        began = time.monotonic()
        start(f"udpout:127.0.0.1:{peer.port}")
        assert [peer.get("HEARTBEAT", count=count).get_seq() for count in (1, 2, 3)] == [0, 1, 2]
        assert time.monotonic() - began > 1.9


def test_an_autopilot_that_comes_back_elsewhere(start: Any) -> None:
    port = free_port()
    end = start(f"udpin:127.0.0.1:{port}")
    wait_until(lambda: end.link.open)
    for boot in (60_000, 300):
        with Peer(port) as peer:
            peer.flight(boot)
            peer.get("HEARTBEAT")
            peer.send(mavlink.MAVLink_gps_global_origin_message(241_000_000, 1_206_000_000, 20_000))
            wait_until(lambda: end.autopilot.origin is not None)
            assert end.autopilot.origin == messages.Origin(pytest.approx(24.1), pytest.approx(120.6), 20.0)
            if boot == 300:
                break
            # What it said before it restarted says nothing of afterwards.
            peer.flight(200)
            wait_until(lambda: end.autopilot.origin is None)
    assert end.autopilot.restarts == 1


def test_garbage_between_messages(start: Any) -> None:
    port = free_port()
    end = start(f"udpin:127.0.0.1:{port}")
    wait_until(lambda: end.link.open)
    rng = np.random.default_rng(5)
    packer = mavlink.MAVLink(None, 1, 1)
    good = bytes(mavlink.MAVLink_attitude_message(1, 0.1, 0.2, 0.3, 0, 0, 0).pack(packer))
    with Peer(port) as peer:
        peer.heartbeat()
        peer.get("HEARTBEAT")
        for _ in range(200):
            size = int(rng.integers(1, 300))
            wild = rng.integers(0, 256, size, np.uint8).tobytes()
            flipped = bytearray(good)
            flipped[int(rng.integers(0, len(good)))] ^= 1 << int(rng.integers(0, 8))
            for data in (wild, b"\xfd" + wild, bytes(flipped), good[: int(rng.integers(1, len(good)))]):
                peer.write(data)
            time.sleep(0.001)
        peer.send(mavlink.MAVLink_vfr_hud_message(0.0, 0.0, 0, 0, 77.0, 0.0))
        wait_until(lambda: any(message.get_type() == "VFR_HUD" for message in end.heard))
    assert end.link.counts["bad"] > 100
    for message in end.heard:
        if message.get_type() == "ATTITUDE":  # a bit that was flipped never passes for a value
            assert (message.roll, message.pitch) == (pytest.approx(0.1), pytest.approx(0.2))


def test_a_port_that_is_taken_is_waited_for(start: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        end = start(f"udpin:127.0.0.1:{port}")
        wait_until(lambda: end.link.error)
        assert not end.link.open and "in use" in end.link.error
    with Peer(port) as peer:
        wait_until(lambda: end.link.open)
        peer.heartbeat()
        wait_until(lambda: end.autopilot.alive)
        assert end.link.error == ""


class Line:
    """A terminal line at a path, which can be pulled out and put in again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ours = -1

    def plug(self) -> None:
        self.ours, theirs = os.openpty()
        os.set_blocking(self.ours, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(theirs))
        self._theirs = theirs

    def pull(self) -> None:
        self.path.unlink()
        os.close(self._theirs)
        os.close(self.ours)

    def read(self) -> bytes:
        try:
            return os.read(self.ours, 65536)
        except BlockingIOError:
            return b""


def test_a_serial_line_with_noise_that_is_pulled_out_and_put_in_again(start: Any, tmp_path: Path) -> None:
    line = Line(tmp_path / "ttyACM0")
    end = start(str(line.path))
    wait_until(lambda: end.link.error)
    packer = mavlink.MAVLink(None, 1, 1)
    heartbeat = mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_PX4, 0, 0, 3, 3)
    for round_ in (1, 2):
        line.plug()
        wait_until(lambda: end.link.open)
        before = len(end.heard)
        # A start byte in the noise swallows what looks like its message; the stream is found again after it.
        os.write(line.ours, b"noise \xfd\x10\xff")
        for _ in range(20):
            os.write(line.ours, bytes(heartbeat.pack(packer)))
            time.sleep(0.01)
        wait_until(lambda before=before: len(end.heard) > before)
        assert end.autopilot.alive and end.autopilot.name == "PX4"
        sent = bytearray()
        wait_until(lambda sent=sent: sent.extend(line.read()) or b"\xfd" in sent)
        line.pull()
        wait_until(lambda: not end.link.open)
        assert end.link.counts["opened"] == round_


@pytest.mark.parametrize(
    "connection, found",
    [
        ("udpin:0.0.0.0:14550", ("udpin", "0.0.0.0", 14550)),
        ("udpin::14550", ("udpin", "0.0.0.0", 14550)),
        ("udpout:companion.local:14551", ("udpout", "companion.local", 14551)),
        ("udpout:[::1]:14551", ("udpout", "::1", 14551)),
        ("/dev/ttyACM0", ("serial", "/dev/ttyACM0", 0)),
    ],
)
def test_connections(connection: str, found: tuple) -> None:
    assert parse(connection) == found


@pytest.mark.parametrize(
    "connection", ["", "udpin:14550", "udpout::14550", "udpin:h:70000", "udpin:h:0", "tcp:h:1", "COM3"]
)
def test_what_is_no_connection(connection: str) -> None:
    with pytest.raises(AutopilotError, match="udpin:HOST:PORT"):
        parse(connection)


def test_a_listener_that_fails_with_one_message_hears_the_next() -> None:
    port, heard = free_port(), []

    def receive(message: Any) -> bool:
        heard.append(message)
        if len(heard) == 1:
            raise ZeroDivisionError("one message")
        return True

    link = Link(lambda: open_transport(f"udpin:127.0.0.1:{port}", 0), receive, lambda: None, 1, 191)
    link.start()
    try:
        wait_until(lambda: link.open)
        with Peer(port) as peer:
            peer.heartbeat()
            peer.heartbeat()
            wait_until(lambda: len(heard) == 2)
        assert link.counts["errors"] == 1 and "one message" in link.error
    finally:
        link.close()
