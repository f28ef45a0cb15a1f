import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geographic_msgs.msg import GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Point, PointStamped
from sensor_msgs.msg import CameraInfo, NavSatFix, NavSatStatus
from std_msgs.msg import Header

from cvgeo_ros.errors import CalibrationError, ClickError
from cvgeo_ros.geo.store import open_store
from cvgeo_ros.localizer import Target
from cvgeo_ros.msg import TargetClick, TargetClickArray
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.calibration import info_from_file, info_from_hfov
from cvgeo_ros.telemetry.covariances import UNKNOWN_VARIANCE

TARGET = Target((10.0, 20.0), 0.75, (1.0, 2.0, 3.0, 4.0), 24.25, 120.5, 2.0, (24.0, 120.0, 24.5, 121.0))


@pytest.mark.parametrize("nanoseconds", [0, 1, 999_999_999, 1_700_000_000_123_456_789])
def test_time_survives_the_round_trip(nanoseconds: int) -> None:
    assert conversions.to_nanoseconds(conversions.to_time(nanoseconds)) == nanoseconds
    assert conversions.to_nanoseconds(conversions.to_duration(nanoseconds)) == nanoseconds


def test_target_has_no_altitude_and_keeps_what_it_has() -> None:
    message = conversions.to_target(TARGET, "mast")
    assert (message.id, message.click.x, message.click.y) == ("mast", 10.0, 20.0)
    assert message.bbox.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert (message.position.latitude, message.position.longitude) == (24.25, 120.5)
    assert (message.bounds.min_pt.latitude, message.bounds.max_pt.longitude) == (24.0, 121.0)
    points = (message.position, message.bounds.min_pt, message.bounds.max_pt)
    assert all(math.isnan(point.altitude) for point in points)


def test_covariances_tell_what_is_unknown() -> None:
    message, header = conversions.to_target(TARGET, "0"), Header(frame_id="earth")
    pose = conversions.to_geopose_with_covariance(message, header)
    covariance = np.reshape(pose.pose.covariance, (6, 6))
    assert np.diag(covariance).tolist() == [4.0, 4.0] + [UNKNOWN_VARIANCE] * 4
    assert np.count_nonzero(covariance) == 6
    assert math.isnan(pose.pose.pose.position.altitude)
    fix = conversions.to_fix(message, header)
    assert np.diag(np.reshape(fix.position_covariance, (3, 3))).tolist() == [4.0, 4.0, UNKNOWN_VARIANCE]
    assert fix.position_covariance_type == NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN
    assert math.isnan(fix.altitude)


def test_tile_info_describes_the_map(map_path: Path) -> None:
    store = open_store(map_path)
    info = conversions.to_tile_info(store, conversions.to_time(5))
    assert (info.width, info.height, info.crs, info.tile_id) == (400, 300, "EPSG:32651", store.tile_id)
    assert info.geotransform.tolist() == [270_000.0, 0.5, 0.0, 2_685_000.0, 0.0, -0.5]
    assert info.gsd == pytest.approx(0.5, rel=1e-3)
    corner = store.transform.pixel_to_geodetic([0.0, 0.0])
    assert info.bounds.max_pt.latitude == pytest.approx(corner[0], abs=1e-4)
    assert info.bounds.min_pt.longitude == pytest.approx(corner[1], abs=1e-4)


def test_clicks_of_every_kind() -> None:
    point = Point(x=3.0, y=4.0)
    bare = conversions.clicks_from(point)
    assert (bare.stamp, bare.ids, bare.points.tolist()) == (0, ("0",), [[3.0, 4.0]])
    header = Header(stamp=conversions.to_time(7))
    assert conversions.clicks_from(PointStamped(header=header, point=point)).stamp == 7
    array = TargetClickArray(header=header, clicks=[TargetClick(id="roof", point=point), TargetClick(point=point)])
    clicks = conversions.clicks_from(array)
    assert (clicks.stamp, clicks.ids, clicks.points.shape) == (7, ("roof", "1"), (2, 2))
    with pytest.raises(ClickError, match="empty"):
        conversions.clicks_from(TargetClickArray())


def test_fix_without_position_is_unknown() -> None:
    fix = NavSatFix(latitude=1.0, longitude=2.0)
    fix.status.status = NavSatStatus.STATUS_NO_FIX
    assert conversions.position_from_fix(fix) is None
    fix.status.status = NavSatStatus.STATUS_FIX
    latitude, longitude, std = conversions.position_from_fix(fix) or (0.0, 0.0, 0.0)
    assert (latitude, longitude) == (1.0, 2.0) and math.isnan(std)
    fix.position_covariance = [9.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 100.0]
    fix.position_covariance_type = NavSatFix.COVARIANCE_TYPE_APPROXIMATED
    assert conversions.position_from_fix(fix) == (1.0, 2.0, 3.0)
    fix.latitude = math.nan
    assert conversions.position_from_fix(fix) is None


def test_heading_counts_only_where_the_covariance_knows_it() -> None:
    message = GeoPoseWithCovarianceStamped()
    orientation = message.pose.pose.orientation
    orientation.w, orientation.z = math.cos(0.6), math.sin(0.6)
    _, yaw = conversions.pose_from_geopose(message)
    assert yaw == pytest.approx(1.2)
    message.pose.covariance[35] = UNKNOWN_VARIANCE
    assert conversions.pose_from_geopose(message)[1] is None
    assert conversions.pose_from_geopose(GeoPoseWithCovarianceStamped())[1] is None


def test_camera_scales_with_a_resized_stream() -> None:
    info = info_from_hfov(1920, 1080, 90.0)
    camera = conversions.camera_from_info(info, 960, 540)
    assert camera is not None and (camera.width, camera.fx, camera.cx) == (960, pytest.approx(480.0), 480.0)
    assert conversions.camera_from_info(CameraInfo(width=1920, height=1080), 1920, 1080) is None
    with pytest.raises(CalibrationError, match=r"1920 x 1080.*640 x 480"):
        conversions.camera_from_info(info, 640, 480)


def test_calibration_files(tmp_path: Path) -> None:
    file = tmp_path / "camera.yaml"
    file.write_text(
        "image_width: 640\nimage_height: 480\ndistortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 510, 240, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    info = info_from_file(f"file://{file}")
    assert (info.width, info.k[0], info.k[4], info.d[0]) == (640, 500.0, 510.0, 0.1)
    for text, words in (
        ("image_width: 640\n", "image_height"),
        ("{", "not YAML"),
        ("image_width: 640\nimage_height: 480\ncamera_matrix: {data: [1, 2]}\n", "camera_matrix"),
    ):
        file.write_text(text)
        with pytest.raises(CalibrationError, match=words):
            info_from_file(str(file))
    with pytest.raises(CalibrationError, match="No such file"):
        info_from_file(str(tmp_path / "none.yaml"))
