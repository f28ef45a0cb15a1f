import math
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.mavlink import autopilot as module
from cvgeo_ros.mavlink.autopilot import Autopilot, News

SECOND = 1_000_000_000


class Time:
    """Both clocks, standing still until they are moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def nanoseconds(self) -> int:
        return round(self.seconds * SECOND)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(module.time, "monotonic", lambda: found.seconds)
    return found


def sent(message: Any, system: int = 1, component: int = 1) -> Any:
    (found,) = mavlink.MAVLink(None).parse_buffer(bytes(message.pack(mavlink.MAVLink(None, system, component))))
    return found


def heartbeat(autopilot: int = mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA, **source: int) -> Any:
    return sent(mavlink.MAVLink_heartbeat_message(mavlink.MAV_TYPE_QUADROTOR, autopilot, 0, 0, 3, 3), **source)


def attitude(boot: int = 1000, roll: float = 0.1, yaw: float = -0.5) -> Any:
    return sent(mavlink.MAVLink_attitude_message(boot, roll, 0.2, yaw, 0.0, 0.0, 0.0))


def test_silence_is_noticed_and_another_may_follow(time: Time) -> None:
    autopilot = Autopilot(time.nanoseconds, 1.0)
    assert autopilot.take(heartbeat(system=3))
    assert not autopilot.take(heartbeat(system=4)) and autopilot.identity == (3, 1)
    time.seconds += 4.9
    assert autopilot.alive
    time.seconds += 0.2
    assert not autopilot.alive
    assert autopilot.take(heartbeat(mavlink.MAV_AUTOPILOT_PX4, system=4))
    assert autopilot.identity == (4, 1) and autopilot.name == "PX4"


def test_the_one_that_is_wanted(time: Time) -> None:
    autopilot = Autopilot(time.nanoseconds, 1.0, system=4)
    assert not autopilot.take(heartbeat(system=3))
    assert autopilot.take(heartbeat(system=4))


@pytest.mark.parametrize("source", [{"component": 191}, {"autopilot": mavlink.MAV_AUTOPILOT_INVALID}])
def test_gimbals_and_ground_stations_are_no_autopilots(time: Time, source: dict) -> None:
    assert not Autopilot(time.nanoseconds, 1.0).take(heartbeat(**source))


def test_values_age(time: Time) -> None:
    autopilot = Autopilot(time.nanoseconds, 1.0)
    autopilot.take(heartbeat())
    autopilot.take(attitude(roll=0.1))
    then = time.nanoseconds()
    time.seconds += 0.5
    autopilot.take(attitude(boot=1500, roll=0.3))
    assert autopilot.attitude(then).roll == pytest.approx(0.1)  # type: ignore[union-attr]
    assert autopilot.attitude(then + SECOND).roll == pytest.approx(0.3)  # type: ignore[union-attr]
    assert autopilot.attitude(then + 2 * SECOND) is None


def test_a_restart_forgets(time: Time) -> None:
    autopilot = Autopilot(time.nanoseconds, 1.0)
    autopilot.take(heartbeat())
    autopilot.take(sent(mavlink.MAVLink_gps_global_origin_message(241_000_000, 1_206_000_000, 20_000)))
    autopilot.take(attitude(boot=90_000))
    autopilot.take(attitude(boot=89_990))  # overtaken on the way
    assert autopilot.origin is not None and autopilot.restarts == 0
    autopilot.take(sent(mavlink.MAVLink_global_position_int_message(400, 0, 0, 0, 0, 0, 0, 0, 0)))
    assert autopilot.origin is None and autopilot.restarts == 1
    assert autopilot.attitude(time.nanoseconds()) is None and autopilot.alive


def test_attitude_tells_the_heading_only_where_nothing_better_does(time: Time) -> None:
    news: list[News] = []
    autopilot = Autopilot(time.nanoseconds, 1.0, told=news.append)
    autopilot.take(heartbeat())
    autopilot.take(attitude(yaw=math.radians(-10.0)))
    assert news[-1].heading == pytest.approx(350.0)
    autopilot.take(sent(mavlink.MAVLink_global_position_int_message(2000, 1, 1, 0, 0, 0, 0, 0, 34_900)))
    assert news[-1].heading == pytest.approx(349.0)
    autopilot.take(attitude(boot=2010))
    assert news[-1].heading is None and news[-1].attitude is not None


def test_an_attitude_that_is_no_number_is_none(time: Time) -> None:
    news: list[News] = []
    autopilot = Autopilot(time.nanoseconds, 1.0, told=news.append)
    autopilot.take(heartbeat())
    autopilot.take(attitude(roll=math.nan))
    assert not news and autopilot.attitude(time.nanoseconds()) is None
