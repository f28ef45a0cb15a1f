"""Each message as the other end decodes it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.estimate import VehicleEstimate
from cvgeo_ros.geo.geodesy import enu_to_geodetic
from cvgeo_ros.mavlink import messages
from cvgeo_ros.mavlink.messages import Attitude, GpsConfig, Origin

STAMP = 1_782_907_200_123_456_789  # 2026-07-01 12:00 UTC
ESTIMATE = VehicleEstimate(
    STAMP,
    24.12345678,
    120.65432109,
    np.array([[4.0, 1.0], [1.0, 9.0]]),
    yaw=math.radians(60.0),
    yaw_std=math.radians(2.0),
)


def decoded(message: Any) -> Any:
    """The message after a way over the wire."""
    (found,) = mavlink.MAVLink(None).parse_buffer(bytes(message.pack(mavlink.MAVLink(None, 1, 191))))
    return found


def test_gps_input() -> None:
    told = decoded(messages.gps_input(ESTIMATE, 84.25, GpsConfig(gps_id=1, send_yaw=True)))
    assert told.get_type() == "GPS_INPUT"
    assert (told.lat, told.lon) == (241_234_568, 1_206_543_211)
    assert told.alt == pytest.approx(84.25)
    assert told.time_usec == 1_782_907_200_123_456
    assert (told.time_week, told.time_week_ms) == (2425, (3 * 86_400 + 43_200 + 18) * 1000 + 123)
    # VDOP, both velocities and the speed's accuracy; nothing that the EKF weighs positions by.
    assert told.ignore_flags == 4 | 8 | 16 | 32
    assert told.horiz_accuracy == pytest.approx(math.sqrt(6.5 + math.sqrt(2.5**2 + 1.0)))
    assert told.vert_accuracy == pytest.approx(5.0)
    assert (told.fix_type, told.gps_id, told.satellites_visible, told.hdop) == (3, 1, 10, 1.0)
    assert (told.vn, told.ve, told.vd, told.vdop, told.speed_accuracy) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert told.yaw == 3000


def test_gps_input_without_altitude_says_so() -> None:
    told = decoded(messages.gps_input(ESTIMATE, None, GpsConfig()))
    assert told.ignore_flags == 1 | 4 | 8 | 16 | 32 | 128
    assert told.alt == 0.0


def test_gps_input_sends_certain_headings_only_and_only_if_wanted() -> None:
    wanted = GpsConfig(send_yaw=True, max_yaw_std=math.radians(1.0))
    assert decoded(messages.gps_input(ESTIMATE, 84.0, wanted)).yaw == 0
    assert decoded(messages.gps_input(ESTIMATE, 84.0, GpsConfig())).yaw == 0
    unknown = replace(ESTIMATE, yaw=None, yaw_std=None)
    assert decoded(messages.gps_input(unknown, 84.0, GpsConfig(send_yaw=True))).yaw == 0
    north = replace(ESTIMATE, yaw=math.pi / 2)
    assert decoded(messages.gps_input(north, 84.0, GpsConfig(send_yaw=True))).yaw == 36_000


def test_a_heights_own_sigma_goes_first() -> None:
    told = decoded(messages.gps_input(replace(ESTIMATE, height=100.0, height_std=2.5), 84.0, GpsConfig()))
    assert told.vert_accuracy == 2.5


@pytest.mark.parametrize("latitude, longitude", [(-89.99, -179.999), (89.99, 180.0), (0.0, -180.0)])
def test_gps_input_all_over_the_earth(latitude: float, longitude: float) -> None:
    told = decoded(messages.gps_input(replace(ESTIMATE, latitude=latitude, longitude=longitude), 0.0, GpsConfig()))
    assert told.lat == round(latitude * 1e7) and abs(told.lon) == abs(round(longitude * 1e7))


ATTITUDE = Attitude(0.05, -0.1, 1.0)
ORIGIN = Origin(24.1, 120.6, 20.0)


def odometry(**changes: Any) -> Any:
    latitude, longitude = enu_to_geodetic([30.0, -40.0], (ORIGIN.latitude, ORIGIN.longitude)).tolist()
    estimate = replace(ESTIMATE, latitude=latitude, longitude=longitude, **changes)
    return decoded(messages.odometry(estimate, 84.0, ATTITUDE, ORIGIN, 5.0, 7))


def test_odometry() -> None:
    told = odometry()
    assert told.get_type() == "ODOMETRY"
    # The only pair of frames that ArduPilot takes.
    assert (told.frame_id, told.child_frame_id) == (mavlink.MAV_FRAME_LOCAL_FRD, mavlink.MAV_FRAME_BODY_FRD)
    assert (told.x, told.y, told.z) == (
        pytest.approx(-40.0, abs=1e-3),
        pytest.approx(30.0, abs=1e-3),
        pytest.approx(-64.0),
    )
    w, x, y, z = told.q
    assert math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) == pytest.approx(math.radians(30.0), abs=1e-6)
    assert math.asin(2 * (w * y - z * x)) == pytest.approx(-0.1, abs=1e-6)
    assert math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)) == pytest.approx(0.05, abs=1e-6)
    assert all(math.isnan(value) for value in (told.vx, told.vy, told.vz, told.rollspeed, told.yawspeed))
    assert math.isnan(told.velocity_covariance[0])
    covariance = np.zeros((6, 6))
    covariance[np.triu_indices(6)] = told.pose_covariance
    np.testing.assert_allclose(covariance[:2, :2], [[9.0, 1.0], [0.0, 4.0]])  # north, east
    assert covariance[2, 2] == pytest.approx(25.0)
    assert math.sqrt(covariance[5, 5]) == pytest.approx(math.radians(2.0))
    assert (told.reset_counter, told.estimator_type) == (7, mavlink.MAV_ESTIMATOR_TYPE_VISION)
    assert told.time_usec == STAMP // 1000


def test_odometry_of_an_unknown_heading_is_the_autopilots_with_a_variance_that_says_so() -> None:
    told = odometry(yaw=None, yaw_std=None)
    w, x, y, z = told.q
    assert math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) == pytest.approx(1.0, abs=1e-6)
    assert math.sqrt(told.pose_covariance[20]) == pytest.approx(math.pi)


def test_heartbeat_is_an_onboard_computers() -> None:
    told = decoded(messages.heartbeat())
    assert (told.type, told.autopilot) == (mavlink.MAV_TYPE_ONBOARD_CONTROLLER, mavlink.MAV_AUTOPILOT_INVALID)


def test_requests() -> None:
    told = decoded(messages.message_interval(3, 1, 30, 20.0))
    assert (told.command, told.param1, told.param2) == (511, 30.0, 50_000.0)
    assert (told.target_system, told.target_component) == (3, 1)
    told = decoded(messages.message_request(3, 1, 49))
    assert (told.command, told.param1) == (512, 49.0)
    told = decoded(messages.set_origin(3, ORIGIN, STAMP))
    assert (told.latitude, told.longitude, told.altitude) == (241_000_000, 1_206_000_000, 20_000)
