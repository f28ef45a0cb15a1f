"""The vehicle part of the localizer node over DDS: the core's matches are by formula, pose and filter are real."""

import math
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geographic_msgs.msg import GeoPoseStamped, GeoPoseWithCovarianceStamped
from lifecycle_msgs.msg import State as LifecycleState
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import NavSatFix

from cvgeo_ros.geo import enu_to_geodetic
from cvgeo_ros.navigator import NavigatorConfig
from cvgeo_ros.nodes import conversions, vehicle_parameters
from cvgeo_ros.nodes.conversions import to_nanoseconds
from cvgeo_ros.srv import LoadMap
from cvgeo_ros.telemetry.covariances import UNKNOWN_VARIANCE

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000
HOME = (24.2604, 120.7355)
YAW = math.radians(30.0)


class Pilot:
    """Shows frames one at a time and hears what is said of the vehicle."""

    def __init__(self, operate: Callable[..., Any], map_path: Path, **parameters: Any) -> None:
        settings = {"map": str(map_path), "vehicle_rate": 1000.0, **parameters}
        self.operator = operate(**settings).connect()
        self.graph, self.core = self.operator.graph, self.operator.cores[0]
        self.poses = self.graph.listen(GeoPoseStamped, "vehicle_geopose")
        self.covariances = self.graph.listen(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
        self.fixes = self.graph.listen(NavSatFix, "vehicle_fix")

    def err(self, stamp: int) -> None:
        """A frame whose stamp is not believed, and wait until it has been looked at."""
        threading.Event().wait(0.01)  # it is due again
        self.operator.show(stamp)
        self.graph.wait_until(lambda: self.operator.node._vehicle._strange == stamp)

    def fly(self, stamp: int, east: float = 0.0, seen: bool = True) -> None:
        """A frame from `east` metres beside home, and wait until it has been looked at."""
        place = enu_to_geodetic([east, 0.0], HOME).tolist()
        self.core.place = (place[0], place[1], YAW) if seen else None
        before = len(self.core.frames)
        self.operator.show(stamp)
        self.graph.wait_until(lambda: len(self.core.frames) > before)

    def start(self) -> int:
        """Two frames: the vehicle is tracked; returns the stamp of the second."""
        for step in (10, 11):
            self.fly(step * SECOND)
        self.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 11 * SECOND)
        return 11 * SECOND

    def stamps(self) -> list[int]:
        return [to_nanoseconds(message.header.stamp) for message in self.poses.messages]

    def told(self, **wanted: str) -> None:
        """Wait for diagnostics that say this."""

        def says(array: Any) -> bool:
            values = {pair.key: pair.value for pair in array.status[0].values}
            return all(values.get(key) == value for key, value in wanted.items())

        del self.operator.health.messages[:-1]
        self.operator.health.get(says)


@pytest.fixture
def fly(operate: Callable[..., Any], map_path: Path) -> Callable[..., Pilot]:
    return lambda **parameters: Pilot(operate, map_path, **parameters)


def test_every_threshold_is_a_parameter_with_its_default() -> None:
    specs = {spec.name: spec for spec in vehicle_parameters.SPECS}
    assert specs.keys() == {"vehicle_rate", *(f"vehicle_{field.name}" for field in fields(NavigatorConfig))}
    for spec in specs.values():
        assert spec.refusal(spec.default) is None


def test_defaults_of_the_node_are_those_of_the_navigator(fly: Callable[..., Pilot]) -> None:
    node = fly().operator.node
    found = vehicle_parameters.config_from(node._settings)
    for field in fields(NavigatorConfig):
        assert getattr(found, field.name) == pytest.approx(getattr(NavigatorConfig(), field.name), rel=1e-6)


def test_the_vehicle_is_published_while_it_is_tracked(fly: Callable[..., Pilot]) -> None:
    pilot = fly(camera_yaw=90.0)
    pilot.fly(10 * SECOND)
    pilot.told(vehicle_state="searching")
    for step in range(1, 6):
        pilot.fly((10 + step) * SECOND, east=5.0 * step)
    last = pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 15 * SECOND)
    # One frame alone is not believed; after it each has its own stamp.
    assert pilot.stamps() == [step * SECOND for step in range(11, 16)]
    assert last.header.frame_id == "earth" and math.isnan(last.pose.position.altitude)
    expected = enu_to_geodetic([25.0, 0.0], HOME)
    np.testing.assert_allclose([last.pose.position.latitude, last.pose.position.longitude], expected, atol=3e-5)
    q = last.pose.orientation
    assert math.atan2(2 * q.w * q.z, 1 - 2 * q.z**2) == pytest.approx(YAW + math.pi / 2, abs=0.05)
    pilot.told(vehicle_state="tracking", vehicle_reset_counter="0", vehicle_accepted="true")


def test_covariances_are_valid_and_in_the_order_of_each_message(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    pose, fix = pilot.covariances.get(), pilot.fixes.get()
    matrix, enu = np.reshape(pose.pose.covariance, (6, 6)), np.reshape(fix.position_covariance, (3, 3))
    assert fix.position_covariance_type == NavSatFix.COVARIANCE_TYPE_KNOWN
    for found in (matrix, enu):
        assert np.isfinite(found).all() and (found == found.T).all()
        assert (np.linalg.eigvalsh(found) > 0.0).all()
    estimate = pilot.operator.node._engine.estimate(11 * SECOND)
    east_north_yaw = matrix[np.ix_([1, 0, 5], [1, 0, 5])]
    np.testing.assert_allclose(east_north_yaw, estimate.covariance, rtol=1e-9)
    np.testing.assert_allclose(enu[:2, :2], estimate.covariance[:2, :2], rtol=1e-9)
    # What a flat map does not tell: height, roll and pitch.
    assert matrix[2, 2] == matrix[3, 3] == matrix[4, 4] == enu[2, 2] == UNKNOWN_VARIANCE
    assert fix.latitude == pose.pose.pose.position.latitude and math.isnan(fix.altitude)


def test_without_a_rate_nothing_is_followed(fly: Callable[..., Pilot]) -> None:
    pilot = fly(vehicle_rate=0.0)
    pilot.core.place = (*HOME, YAW)
    for stamp in (SECOND, 2 * SECOND, 3 * SECOND):
        pilot.operator.show(stamp)
    pilot.operator.click((30.0, 40.0), stamp=3 * SECOND)
    pilot.operator.answer(3 * SECOND)
    assert len(pilot.core.frames) == 1 and not pilot.poses.messages
    values = {pair.key for pair in pilot.operator.entry("locating").values}
    assert {key for key in values if key.startswith("vehicle_")} == {"vehicle_errors"}


def test_the_rate_is_kept_on_the_nodes_clock(fly: Callable[..., Pilot]) -> None:
    pilot = fly(use_sim_time=True, vehicle_rate=2.0)
    clock = pilot.graph.publisher(Clock, "/clock")
    node = pilot.operator.node
    for tick in range(100, 150):
        now = tick * SECOND // 10
        clock.publish(Clock(clock=conversions.to_time(now)))
        pilot.graph.wait_until(lambda now=now: node.get_clock().now().nanoseconds == now)
        pilot.operator.show(now)
    pilot.graph.wait_until(lambda: len(pilot.core.frames) >= 10)
    assert len(pilot.core.frames) == 10


def test_clicks_go_first_share_the_pass_and_only_the_newest_frame_waits(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    stamp = pilot.start()
    operator, core = pilot.operator, pilot.core
    done = len(core.frames)
    core.gate.clear()
    operator.click((1.0, 1.0), stamp=stamp)
    pilot.graph.wait_until(lambda: operator.node._engine._waiting == 1)
    shades = {12: 12, 13: 13, 14: 14}
    for second, shade in shades.items():
        operator.show(second * SECOND, np.full((120, 160, 3), shade, np.uint8))
    operator.click((30.0, 40.0), stamp=12 * SECOND)
    pilot.graph.wait_until(lambda: operator.node._engine._waiting == 2)
    core.gate.set()
    operator.answer(12 * SECOND)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 14 * SECOND)
    # The blocked click, the click's frame for both, and of those nobody clicked in the newest alone.
    assert [int(frame[0, 0, 0]) for frame in core.frames[done + 1 :]] == [12, 14]
    assert pilot.stamps() == [11 * SECOND, 12 * SECOND, 14 * SECOND]


def test_a_frame_that_was_followed_counts_once(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    stamp = pilot.start()
    before = pilot.operator.node._engine.estimate(stamp).covariance
    pilot.operator.click((30.0, 40.0), stamp=stamp)
    pilot.operator.answer(stamp)
    np.testing.assert_array_equal(pilot.operator.node._engine.estimate(stamp).covariance, before)
    assert pilot.stamps() == [stamp]


def test_the_track_is_where_the_next_frame_is_searched(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    pilot.fly(11 * SECOND + SECOND // 5)
    prior = pilot.core.priors[-1]
    assert (prior.latitude, prior.longitude) == pytest.approx(HOME, abs=3e-5)
    # Straight down, the heading of the image's top is yaw less roll; what the frames told of the lean is in both.
    top = math.remainder(prior.yaw - (prior.roll or 0.0) - YAW, 2 * math.pi)
    assert prior.position_radius >= 25.0 and top == pytest.approx(0.0, abs=0.1)


def test_coasting_is_published_lost_is_not(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    pilot.fly(12 * SECOND, seen=False)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 12 * SECOND)
    pilot.told(vehicle_state="coasting")
    pilot.fly(28 * SECOND, seen=False)
    pilot.fly(40 * SECOND, seen=False)
    pilot.told(vehicle_state="lost", vehicle_std_m="")
    assert 40 * SECOND not in pilot.stamps()


def test_a_track_without_frames_ages_in_the_diagnostics(fly: Callable[..., Pilot]) -> None:
    pilot = fly(vehicle_coast_after=0.1, vehicle_lost_after=2.0)
    pilot.start()
    pilot.told(vehicle_state="coasting")
    pilot.told(vehicle_state="lost")
    assert pilot.stamps() == [11 * SECOND]


def test_another_map_begins_a_new_track(fly: Callable[..., Pilot], tmp_path: Path, make_map: Any) -> None:
    pilot = fly()
    pilot.start()
    path = make_map(tmp_path / "other.tif")
    assert pilot.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path))).success
    pilot.fly(12 * SECOND)
    assert pilot.core.priors[-1].latitude is None
    pilot.told(vehicle_state="searching", vehicle_reset_counter="1")


def test_cleanup_begins_a_new_track(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    node = pilot.operator.node
    for change in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure, node.trigger_activate):
        change()
    assert node._state_machine.current_state[0] == LifecycleState.PRIMARY_STATE_ACTIVE
    pilot.operator.connect()
    pilot.core = pilot.operator.cores[1]
    pilot.fly(12 * SECOND)
    assert pilot.core.priors[-1].latitude is None and pilot.stamps() == [11 * SECOND]


def test_a_single_wrong_stamp_does_not_move_the_track(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    for wrong in (2_000_000_000 * SECOND, 500 * SECOND):
        pilot.err(wrong)
    pilot.fly(12 * SECOND)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 12 * SECOND)
    pilot.told(vehicle_state="tracking", vehicle_reset_counter="0")
    assert pilot.stamps() == [11 * SECOND, 12 * SECOND]


def test_stamps_that_stay_set_back_begin_a_new_track(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    for step in (1000, 1001, 1002):
        pilot.fly(step * SECOND)
    pilot.err(10 * SECOND)
    for step in (11, 12, 13):
        pilot.fly(step * SECOND)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 13 * SECOND)
    pilot.told(vehicle_state="tracking", vehicle_reset_counter="1")
    assert pilot.stamps() == [step * SECOND for step in (1001, 1002, 12, 13)]


def test_simulated_time_that_is_set_back_begins_anew(fly: Callable[..., Pilot]) -> None:
    pilot = fly(use_sim_time=True)
    clock = pilot.graph.publisher(Clock, "/clock")
    node = pilot.operator.node

    def tell(seconds: int) -> None:
        clock.publish(Clock(clock=conversions.to_time(seconds * SECOND)))
        pilot.graph.wait_until(lambda: node.get_clock().now().nanoseconds == seconds * SECOND)

    for second in (100, 101):
        tell(second)
        pilot.fly(second * SECOND)
    pilot.poses.get()
    tell(50)
    pilot.graph.wait_until(lambda: node._history.newest() is None)
    for second in (50, 51):
        tell(second)
        pilot.fly(second * SECOND)
    pilot.poses.get(count=2)
    assert pilot.stamps() == [101 * SECOND, 51 * SECOND]


def test_what_goes_wrong_with_a_frame_is_told_and_the_next_one_followed(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pilot.core, "locate", lambda *_: 1 // 0)
        pilot.operator.show(12 * SECOND)
        pilot.operator.entry("ZeroDivisionError")
    pilot.fly(13 * SECOND)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 13 * SECOND)


def test_the_rate_may_change_in_flight(fly: Callable[..., Pilot]) -> None:
    pilot = fly()
    pilot.start()
    node = pilot.operator.node
    assert node.set_parameters([Parameter("vehicle_rate", value=0.0)])[0].successful
    pilot.operator.show(12 * SECOND)
    pilot.operator.proves_alive(13 * SECOND)
    assert pilot.stamps() == [11 * SECOND]
    assert node.set_parameters([Parameter("vehicle_rate", value=50.0)])[0].successful
    pilot.fly(14 * SECOND)
    pilot.poses.get(lambda message: to_nanoseconds(message.header.stamp) == 14 * SECOND)
    refused = node.set_parameters([Parameter("vehicle_gate", value=3.0)])[0]
    assert not refused.successful and "configure" in refused.reason
