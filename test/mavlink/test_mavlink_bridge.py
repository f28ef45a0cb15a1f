"""Estimates go in, a peer decodes what comes out of a real socket."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mavlink_peer import Peer, free_port, wait_until
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.altitude import Altimeter, Source
from cvgeo_ros.autopilot.estimate import GateConfig, VehicleEstimate
from cvgeo_ros.mavlink.autopilot import News
from cvgeo_ros.mavlink.bridge import Bridge, BridgeConfig, Output
from cvgeo_ros.mavlink.transport import open_transport


class Flight:
    """A bridge and the autopilot at its other end."""

    def __init__(self, config: BridgeConfig, altimeter: Altimeter) -> None:
        port = free_port()
        self.news: list[News] = []
        self.bridge = Bridge(
            config, altimeter, lambda: open_transport(f"udpin:127.0.0.1:{port}", 0), time.time_ns, self.news.append
        )
        self.bridge.start()
        self.peer = Peer(port)
        wait_until(lambda: self.bridge._link.open)

    def hear(self, **changes: Any) -> None:
        """The autopilot tells of the flight, and the bridge has it."""
        before = len(self.news)
        self.peer.flight(**changes)
        wait_until(lambda: len(self.news) >= before + 2)

    def close(self) -> None:
        self.bridge.close()
        self.peer.close()


@pytest.fixture
def fly() -> Iterator[Callable[..., Flight]]:
    flights: list[Flight] = []

    def make(altimeter: Altimeter | None = None, **changes: Any) -> Flight:
        changes = {"gate": GateConfig(rate=1e6)} | changes
        flights.append(Flight(BridgeConfig(**changes), altimeter or Altimeter(Source.AUTOPILOT)))
        return flights[-1]

    yield make
    for flight in flights:
        flight.close()


def estimate(**changes: Any) -> VehicleEstimate:
    found = VehicleEstimate(time.time_ns() - 100_000_000, 24.1, 120.6, np.diag([4.0, 9.0]), yaw=0.0, yaw_std=0.05)
    return replace(found, **changes)


def test_gps_input_with_the_autopilots_altitude(fly: Any) -> None:
    flight = fly()
    flight.hear(alt=84.2)
    sent = estimate()
    assert flight.bridge.offer(sent) is None
    told = flight.peer.get("GPS_INPUT")
    assert (told.lat, told.lon, told.alt) == (241_000_000, 1_206_000_000, pytest.approx(84.2, abs=1e-3))
    assert told.time_usec == sent.stamp // 1000
    assert not told.ignore_flags & 1
    health = flight.bridge.health()
    assert health.good and health.message == "sending GPS_INPUT"
    assert float(health.values["last_age_ms"]) == pytest.approx(100.0, abs=50.0)
    assert health.values["sent"] == "1" and health.values["autopilot"] == "ArduPilot"


def test_without_origin_the_autopilots_altitude_is_none(fly: Any) -> None:
    flight = fly()
    flight.hear(place=(0.0, 0.0), alt=0.0)
    refusal = flight.bridge.offer(estimate())
    assert refusal is not None and refusal.kind == "altitude"
    health = flight.bridge.health()
    assert not health.good and "no altitude above mean sea level" in health.message
    # Not the altitude it shows to pilots either, which has the same defect.
    flight.peer.send(mavlink.MAVLink_vfr_hud_message(0.0, 0.0, 0, 0, 40.0, 0.0))
    flight.hear(place=(0.0, 0.0), alt=0.0)
    assert flight.bridge.offer(estimate()) is not None
    assert not flight.peer.all("GPS_INPUT")


def test_vfr_hud_where_nothing_else_tells_an_altitude(fly: Any) -> None:
    flight = fly()
    flight.peer.heartbeat()
    flight.peer.send(mavlink.MAVLink_vfr_hud_message(0.0, 0.0, 0, 0, 40.5, 0.0))
    wait_until(lambda: flight.bridge.autopilot.amsl(time.time_ns()) is not None)
    assert flight.bridge.offer(estimate()) is None
    assert flight.peer.get("GPS_INPUT").alt == 40.5


def test_flagged_if_the_user_wants_it_so(fly: Any) -> None:
    flight = fly(flag_altitude=True)
    flight.hear(place=(0.0, 0.0))
    assert flight.bridge.offer(estimate()) is None
    assert flight.peer.get("GPS_INPUT").ignore_flags & (1 | 128) == 1 | 128
    health = flight.bridge.health()
    assert not health.good and "without altitude" in health.message


def test_altitude_above_home_before_there_is_an_origin(fly: Any) -> None:
    flight = fly(Altimeter(Source.HOME, home_altitude=20.0))
    flight.hear(place=(0.0, 0.0), relative=62.5)
    assert flight.bridge.offer(estimate()) is None
    assert flight.peer.get("GPS_INPUT").alt == pytest.approx(82.5)


def test_altitudes_are_those_of_the_images_moment(fly: Any) -> None:
    flight = fly(telemetry_max_age=0.3)
    flight.hear(alt=50.0)
    then = time.time_ns()
    time.sleep(0.2)
    flight.hear(alt=60.0)
    assert flight.bridge.offer(estimate(stamp=then)) is None
    assert flight.peer.get("GPS_INPUT").alt == pytest.approx(50.0)
    time.sleep(0.5)
    refusal = flight.bridge.offer(estimate(stamp=time.time_ns()))
    assert refusal is not None and refusal.kind == "altitude"


def test_stale_and_unsure_estimates_never_leave(fly: Any) -> None:
    flight = fly()
    flight.hear()
    now = time.time_ns()
    for bad, kind in (
        (estimate(stamp=now - 700_000_000), "stale"),
        (estimate(covariance=np.diag([1e6, 1e6])), "unsure"),
        (estimate(covariance=np.zeros((2, 2))), "covariance"),
        (estimate(latitude=math.nan), "position"),
    ):
        refusal = flight.bridge.offer(bad)
        assert refusal is not None and refusal.kind == kind
        assert flight.bridge.health().message == f"not sent: {refusal.reason}"
        assert flight.bridge.health().values[f"refused_{kind}"] == "1"
    assert flight.bridge.offer(estimate()) is None
    flight.peer.get("GPS_INPUT")
    assert len(flight.peer.all("GPS_INPUT")) == 1


def test_rate(fly: Any) -> None:
    flight = fly(gate=GateConfig(rate=5.0))
    flight.hear()
    now = time.time_ns()
    for index in range(4):
        assert flight.bridge.offer(estimate(stamp=now - 400_000_000 + index * 100_000_000)) is None
    flight.peer.get("GPS_INPUT", count=2)
    assert flight.bridge.health().values["left_out"] == "2"


def test_nobody_there_is_said(fly: Any) -> None:
    flight = fly()
    refusal = flight.bridge.offer(estimate())
    assert refusal is not None and refusal.kind == "link"
    assert flight.bridge.health().message == "no autopilot is heard: no HEARTBEAT in 5 s"


def test_silence_of_the_estimates_is_said(fly: Any) -> None:
    flight = fly()
    flight.hear()
    assert "is vehicle_geopose_cov published?" in flight.bridge.health().message


def test_missing_messages_are_asked_for(fly: Any) -> None:
    flight = fly(request_rate=20.0)
    flight.peer.heartbeat()
    asked = flight.peer.get("COMMAND_LONG", lambda m: m.param1 == mavlink.MAVLINK_MSG_ID_ATTITUDE)
    assert (asked.command, asked.param2, asked.target_system) == (511, 50_000.0, 1)
    flight.peer.get("COMMAND_LONG", lambda m: m.param1 == mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT)
    for _ in range(25):  # what comes is not asked for
        flight.hear()
        time.sleep(0.1)
        if len(flight.peer.all("HEARTBEAT")) >= 3:
            break
    flight.peer.heard.clear()
    flight.hear()
    flight.peer.get("HEARTBEAT")
    assert not flight.peer.all("COMMAND_LONG")


def test_odometry_about_the_autopilots_origin(fly: Any) -> None:
    flight = fly(output=Output.ODOMETRY)
    flight.hear(alt=84.2, roll=0.05, pitch=-0.1)
    refusal = flight.bridge.offer(estimate())
    assert refusal is not None and refusal.kind == "origin"
    asked = flight.peer.get("COMMAND_LONG", lambda m: m.param1 == mavlink.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN)
    assert asked.command == 512
    assert not flight.peer.all("SET_GPS_GLOBAL_ORIGIN")  # not without being told to
    flight.peer.send(mavlink.MAVLink_gps_global_origin_message(241_000_000, 1_206_000_000, 20_000))
    wait_until(lambda: flight.bridge.autopilot.origin)
    assert flight.bridge.offer(estimate(latitude=24.1 + 1e-4)) is None
    told = flight.peer.get("ODOMETRY")
    assert (told.x, told.y, told.z) == (
        pytest.approx(11.075, abs=0.01),
        pytest.approx(0.0, abs=1e-3),
        pytest.approx(-64.2, abs=1e-3),
    )
    assert told.reset_counter == 0
    # 110 m in an instant is a reset, which the EKF must hear of.
    assert flight.bridge.offer(estimate(latitude=24.1 + 1.1e-3)) is None
    assert flight.peer.get("ODOMETRY", count=2).reset_counter == 1


def test_odometry_needs_an_attitude(fly: Any) -> None:
    flight = fly(Altimeter(Source.AUTOPILOT), output=Output.ODOMETRY)
    flight.peer.heartbeat()
    flight.peer.send(
        mavlink.MAVLink_gps_global_origin_message(241_000_000, 1_206_000_000, 20_000),
        mavlink.MAVLink_vfr_hud_message(0.0, 0.0, 0, 0, 84.0, 0.0),
    )
    wait_until(lambda: flight.bridge.autopilot.amsl(time.time_ns()))
    refusal = flight.bridge.offer(estimate())
    assert refusal is not None and refusal.kind == "attitude"


def test_an_origin_is_set_if_the_user_wants_it(fly: Any) -> None:
    flight = fly(Altimeter(Source.HOME, home_altitude=20.0), output=Output.ODOMETRY, set_origin=True)
    flight.hear(place=(0.0, 0.0), relative=62.5)
    assert flight.bridge.offer(estimate()) is not None
    told = flight.peer.get("SET_GPS_GLOBAL_ORIGIN")
    assert (told.latitude, told.longitude, told.altitude) == (241_000_000, 1_206_000_000, 20_000)
    assert told.target_system == 1


def test_output_none_sends_nothing_and_reads_priors(fly: Any) -> None:
    flight = fly(output=Output.NONE)
    flight.hear(heading=350.25, relative=62.5, roll=0.05)
    assert flight.bridge.offer(estimate()) is None
    assert flight.bridge.health().good
    assert [news.heading for news in flight.news if news.heading is not None][-1] == pytest.approx(350.25)
    assert [news.relative_altitude for news in flight.news if news.relative_altitude is not None] == [62.5]
    assert [news.attitude.roll for news in flight.news if news.attitude] == [pytest.approx(0.05)]
    assert not flight.peer.all("GPS_INPUT") and not flight.peer.all("ODOMETRY")


def test_an_unknown_heading_is_no_north(fly: Any) -> None:
    flight = fly()
    flight.peer.heartbeat()
    flight.peer.send(
        mavlink.MAVLink_global_position_int_message(60_000, 241_000_000, 1_206_000_000, 84_000, 60_000, 0, 0, 0, 65_535)
    )
    wait_until(lambda: flight.news)
    assert flight.news[0].heading is None and flight.news[0].relative_altitude == 60.0


def test_another_system_on_the_link_is_not_listened_to(fly: Any) -> None:
    flight = fly()
    flight.hear(alt=84.2)
    with Peer(flight.bridge._link._transport._socket.getsockname()[1], system=9) as other:
        other.flight(alt=500.0)
        other.flight(alt=500.0)
        wait_until(lambda: flight.bridge._link.counts["received"] >= 9)
    assert flight.bridge.offer(estimate()) is None
    assert flight.peer.get("GPS_INPUT").alt == pytest.approx(84.2, abs=1e-3)
    assert not other.heard
