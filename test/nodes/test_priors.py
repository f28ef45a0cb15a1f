import math
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import Float64

from cvgeo_ros.geo import PositionPrior
from cvgeo_ros.nodes.conversions import to_time
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.priors import SPECS, Priors

SECOND = 1_000_000_000
FRAME = Frame(Image(), received=100 * SECOND)
FRAME.message.header.stamp = to_time(99 * SECOND)


def parameters(**changes: Any) -> Any:
    values = {spec.name: spec.default for spec in SPECS} | changes
    return SimpleNamespace(
        number=values.__getitem__,
        flag=values.__getitem__,
        nanoseconds=lambda name: round(values[name] * 1e9),
        known=lambda name: None if math.isnan(values[name]) else values[name],
    )


def fix(latitude: float, stamp: int) -> NavSatFix:
    message = NavSatFix(latitude=latitude, longitude=8.0)
    message.header.stamp = to_time(stamp)
    return message


def test_nothing_known_is_an_empty_prior() -> None:
    prior = Priors().at(FRAME, parameters())
    assert (prior.latitude, prior.yaw, prior.pitch, prior.height) == (None, None, None, None)


def test_each_frame_finds_the_values_of_its_own_moment() -> None:
    priors = Priors()
    for step in range(-3, 4):
        now = (100 + step) * SECOND
        priors.on_fix(fix(45.0 + step, now - SECOND), now)
        priors.on_heading(Float64(data=90.0 + step), now)
        priors.on_height(Float64(data=120.0 + step), now)
        priors.on_pitch(Float64(data=-60.0 + step), now)
    prior = priors.at(FRAME, parameters())
    assert (prior.latitude, prior.longitude, prior.height) == (45.0, 8.0, 120.0)
    assert prior.yaw == pytest.approx(0.0)
    assert prior.pitch == pytest.approx(math.radians(-60.0))


def test_compass_counts_clockwise_from_north_and_the_camera_may_be_turned() -> None:
    priors = Priors()
    priors.on_heading(Float64(data=0.0), FRAME.received)
    assert priors.at(FRAME, parameters()).yaw == pytest.approx(math.pi / 2)
    assert priors.at(FRAME, parameters(camera_yaw=90.0)).yaw == pytest.approx(0.0)


def test_old_values_are_not_used() -> None:
    priors = Priors()
    priors.on_fix(fix(45.0, 90 * SECOND), 90 * SECOND)
    priors.on_heading(Float64(data=10.0), 90 * SECOND)
    priors.on_height(Float64(data=math.nan), FRAME.received)
    prior = priors.at(FRAME, parameters())
    assert (prior.latitude, prior.yaw, prior.height) == (None, None, None)
    assert priors.at(FRAME, parameters(prior_max_age=60.0)).latitude == 45.0


def test_an_uncertain_position_widens_the_search() -> None:
    priors = Priors()
    message = fix(45.0, 99 * SECOND)
    message.position_covariance_type = NavSatFix.COVARIANCE_TYPE_APPROXIMATED
    message.position_covariance[0] = 50.0**2
    priors.on_fix(message, FRAME.received)
    assert priors.at(FRAME, parameters()).position_radius == pytest.approx(150.0)
    assert priors.at(FRAME, parameters(prior_radius=200.0)).position_radius == 200.0
    assert priors.at(FRAME, parameters(use_position=False)).latitude is None


def test_the_vehicle_estimate_goes_before_fix_and_compass() -> None:
    priors = Priors()
    priors.on_fix(fix(45.0, 99 * SECOND), FRAME.received)
    priors.on_heading(Float64(data=0.0), FRAME.received)
    message = GeoPoseWithCovarianceStamped()
    message.header.stamp = to_time(99 * SECOND)
    message.pose.pose.position.latitude = 46.0
    message.pose.pose.orientation.w = 1.0
    message.pose.covariance[35] = 0.01
    priors.on_pose(message, FRAME.received)
    prior = priors.at(FRAME, parameters())
    assert (prior.latitude, prior.yaw) == (46.0, 0.0)
    # A default orientation with an unknown heading leaves the compass in charge.
    message.pose.covariance[35] = 1e6
    priors = Priors()
    priors.on_heading(Float64(data=0.0), FRAME.received)
    priors.on_pose(message, FRAME.received)
    assert priors.at(FRAME, parameters()).yaw == pytest.approx(math.pi / 2)


def test_an_assumed_area_ends_by_itself_or_when_all_is_forgotten() -> None:
    area, priors = PositionPrior(45.0, 9.0, 85.0), Priors()
    assert priors.area(0) is None
    priors.assume(area, until=10 * SECOND)
    assert priors.area(10 * SECOND) is area and priors.area(10 * SECOND + 1) is None
    assert priors.at(FRAME, parameters()).latitude is None, "it is no prior: it vouches for nothing"
    priors.assume(area)
    assert priors.area(10**18) is area
    priors.forget()
    assert priors.area(0) is None
