"""The localizer node over DDS: every way to click, services, lifecycle, priors, parameters."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from geographic_msgs.msg import GeoPoseStamped, GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Point, PointStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, NavSatFix
from std_msgs.msg import Float64, Header

from cvgeo_ros.geo.store import open_store
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray, TileInfo
from cvgeo_ros.nodes import calibration, conversions, images
from cvgeo_ros.nodes.publishers import LATCHED
from cvgeo_ros.srv import LoadMap, LocateTargets

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000
DARK = np.zeros((120, 160, 3), np.uint8)
BRIGHT = np.full((120, 160, 3), 250, np.uint8)


def test_clicks_find_their_frame_by_stamp(operator: Any, map_path: Path) -> None:
    operator.show(10 * SECOND, DARK)
    operator.show(20 * SECOND, BRIGHT)
    operator.click((30.0, 40.0), (50.0, 60.0), stamp=20 * SECOND)
    newer = operator.answer(20 * SECOND)
    operator.click((30.0, 40.0), stamp=10 * SECOND)
    operator.answer(10 * SECOND)
    bright, dark = operator.cores[0].frames
    assert bright.min() == 250 and dark.max() == 0
    assert newer.header.frame_id == "camera_optical"
    assert [target.id for target in newer.targets] == ["p0", "p1"]
    assert newer.targets[1].bbox.tolist() == [40.0, 55.0, 60.0, 65.0]
    store = open_store(map_path)
    assert newer.tile_id == store.tile_id
    expected = store.transform.pixel_to_geodetic([50.0, 60.0])
    place = newer.targets[1].position
    np.testing.assert_allclose([place.latitude, place.longitude], expected, atol=1e-12)
    assert conversions.to_nanoseconds(newer.latency) > 0


def test_points_with_and_without_stamp(operator: Any) -> None:
    operator.show(10 * SECOND, DARK)
    operator.show(20 * SECOND, BRIGHT)
    stamped = operator.graph.publisher(PointStamped, "click_stamped")
    header = Header(stamp=conversions.to_time(10 * SECOND))
    stamped.publish(PointStamped(header=header, point=Point(x=5.0, y=6.0)))
    assert operator.answer(10 * SECOND).targets[0].id == "0"
    operator.click((1.0, 1.0), stamp=20 * SECOND)
    operator.answer(20 * SECOND)
    # rqt_image_view's points carry no stamp and may lie on the outer edge.
    operator.graph.publisher(Point, "click").publish(Point(x=160.0, y=120.0))
    operator.targets.get(lambda message: message.targets[0].click.x == 160.0)
    assert operator.cores[0].frames[-1].min() == 250


def test_a_click_may_overtake_its_frame(operator: Any) -> None:
    operator.click((30.0, 40.0), stamp=5 * SECOND)
    operator.show(5 * SECOND)
    assert len(operator.answer(5 * SECOND).targets) == 1


def test_every_target_is_published_in_the_forms_others_take(operator: Any) -> None:
    graph = operator.graph
    poses = graph.listen(GeoPoseStamped, "target_geopose")
    covariances = graph.listen(GeoPoseWithCovarianceStamped, "target_geopose_cov")
    fixes = graph.listen(NavSatFix, "target_fix")
    operator.show(SECOND)
    operator.click((30.0, 40.0), (50.0, 60.0), stamp=SECOND)
    targets = operator.answer(SECOND).targets
    for index, target in enumerate(targets, start=1):
        pose, fix = poses.get(count=index), fixes.get(count=index)
        assert pose.pose.position.latitude == fix.latitude == target.position.latitude
        assert math.isnan(pose.pose.position.altitude) and math.isnan(fix.altitude)
        assert covariances.get(count=index).pose.covariance[0] == pytest.approx(1.5**2)
        assert conversions.to_nanoseconds(pose.header.stamp) == SECOND


def test_compressed_images(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), image_transport="compressed")
    operator.targets = operator.graph.listen(GeoTargetArray, "targets")
    publisher = operator.graph.publisher(CompressedImage, "image/compressed")
    _, png = cv2.imencode(".png", BRIGHT)
    publisher.publish(images.to_compressed(png.tobytes(), Header(stamp=conversions.to_time(SECOND)), "png"))
    operator.clicks = operator.graph.publisher(TargetClickArray, "clicks")
    operator.click((30.0, 40.0), stamp=SECOND)
    operator.answer(SECOND)
    assert operator.cores[0].frames[0].min() == 250


def test_priors_and_camera_reach_the_core(operator: Any) -> None:
    graph = operator.graph
    publishers = {
        topic: graph.publisher(kind, topic)
        for kind, topic in (
            (NavSatFix, "fix"),
            (Float64, "compass_hdg"),
            (Float64, "rel_alt"),
            (Float64, "camera_pitch"),
            (CameraInfo, "camera_info"),
        )
    }

    def asked() -> bool:
        stamp = operator.node.get_clock().now().nanoseconds
        header = Header(stamp=conversions.to_time(stamp))
        info = calibration.info_from_hfov(160, 120, 60.0)
        info.header = header
        publishers["fix"].publish(NavSatFix(header=header, latitude=24.25, longitude=120.7))
        publishers["compass_hdg"].publish(Float64(data=90.0))
        publishers["rel_alt"].publish(Float64(data=80.0))
        publishers["camera_pitch"].publish(Float64(data=-45.0))
        publishers["camera_info"].publish(info)
        operator.show(stamp)
        operator.click((30.0, 40.0), stamp=stamp)
        operator.answer(stamp)
        core = operator.cores[0]
        prior, camera = core.priors[-1], core.cameras[-1]
        return camera is not None and None not in (prior.latitude, prior.yaw, prior.pitch, prior.height)

    # Topics are not ordered among each other: the first answer may come before the last prior.
    graph.wait_until(asked)
    prior, camera = operator.cores[0].priors[-1], operator.cores[0].cameras[-1]
    assert (prior.latitude, prior.longitude, prior.height, prior.position_radius) == (24.25, 120.7, 80.0, 75.0)
    assert prior.yaw == pytest.approx(0.0) and prior.pitch == pytest.approx(math.radians(-45.0))
    assert math.degrees(camera.hfov) == pytest.approx(60.0)


def test_locate_service_takes_an_image_or_one_of_the_history(operator: Any) -> None:
    request = LocateTargets.Request()
    request.clicks = conversions.to_click_array(np.array([[30.0, 40.0]]), ["a"], conversions.to_time(0))
    request.image = images.to_image(BRIGHT, Header(stamp=conversions.to_time(9 * SECOND)))
    response = operator.graph.call(LocateTargets, "locate", request)
    assert (response.success, response.message) == (True, "")
    assert [target.id for target in response.targets.targets] == ["a"]
    assert conversions.to_nanoseconds(response.targets.header.stamp) == 9 * SECOND
    operator.proves_alive(3 * SECOND)
    request.image = images.Image()
    response = operator.graph.call(LocateTargets, "locate", request)
    assert response.success and conversions.to_nanoseconds(response.targets.header.stamp) == 3 * SECOND


def test_load_map_replaces_the_tile_and_latches_its_info(operator: Any, tmp_path: Path, make_map: Any) -> None:
    first = operator.graph.listen(TileInfo, "tile_info", LATCHED).get()
    path = make_map(tmp_path / "other.tif")
    response = operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
    assert response.success and response.tile.tile_id != first.tile_id
    late = operator.graph.listen(TileInfo, "tile_info", LATCHED).get()
    assert late.tile_id == response.tile.tile_id
    operator.proves_alive()
    assert operator.answer(77).tile_id == late.tile_id


def test_lifecycle_by_services(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), autostart=False)
    graph = operator.graph

    def change(transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return graph.call(ChangeState, "localizer/change_state", request).success

    def state() -> str:
        return graph.call(GetState, "localizer/get_state", GetState.Request()).current_state.label

    assert state() == "unconfigured"
    assert change(Transition.TRANSITION_CONFIGURE) and state() == "inactive"
    graph.listen(TileInfo, "tile_info", LATCHED).get()
    response = graph.call(LocateTargets, "locate", LocateTargets.Request())
    assert not response.success and "inactive" in response.message
    assert change(Transition.TRANSITION_ACTIVATE) and state() == "active"
    operator.connect().proves_alive()
    assert change(Transition.TRANSITION_DEACTIVATE)
    graph.wait_until(lambda: operator.images.get_subscription_count() == 0)
    assert change(Transition.TRANSITION_CLEANUP) and state() == "unconfigured"
    assert change(Transition.TRANSITION_CONFIGURE) and change(Transition.TRANSITION_ACTIVATE)
    operator.connect().proves_alive(SECOND)
    assert len(operator.cores) == 2


def test_a_request_under_way_survives_the_cleanup(operator: Any) -> None:
    operator.proves_alive(SECOND)
    core, answers = operator.cores[0], []
    core.gate.clear()
    request = LocateTargets.Request()
    request.clicks = conversions.to_click_array(np.array([[30.0, 40.0]]), ["a"], conversions.to_time(SECOND))
    client = operator.graph.tester.create_client(LocateTargets, "locate")
    for _ in range(2):
        client.call_async(request).add_done_callback(lambda future: answers.append(future.result()))
    operator.graph.wait_until(lambda: operator.node._engine._waiting > 0)
    cleanup = threading.Thread(target=lambda: (operator.node.trigger_deactivate(), operator.node.trigger_cleanup()))
    cleanup.start()
    core.gate.set()
    cleanup.join(15.0)
    operator.graph.wait_until(lambda: len(answers) == 2)
    assert answers[0].success
    operator.node.trigger_configure()
    operator.node.trigger_activate()
    operator.connect().proves_alive(2 * SECOND)


def test_an_interrupted_node_does_not_finish_its_work_first(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), prepare_map=True)
    operator.graph.wait_until(lambda: bool(operator.cores) and operator.cores[0].preparing)
    started = time.monotonic()
    operator.node.destroy_node()
    operator.graph.wait_until(lambda: not operator.cores[0].preparing)
    assert time.monotonic() - started < 5.0


def test_diagnostics_tell_what_an_operator_needs(operator: Any) -> None:
    operator.proves_alive()
    status = operator.entry("locating")
    values = {pair.key: pair.value for pair in status.values}
    assert status.level == DiagnosticStatus.OK and status.name == "cvgeo/localizer"
    assert values["tile"] == operator.answer(77).tile_id
    assert float(values["inference_ms"]) >= 0.0 and values["last_score"] == "0.900"
    assert {"image_rate_hz", "image_age_s", "drops", "last_error", "conversion_ms", "transport_ms"} <= set(values)


def test_requests_beyond_the_queue_are_turned_away(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), queue_size=1).connect()
    operator.proves_alive(SECOND)
    core = operator.cores[0]
    core.gate.clear()
    operator.click((30.0, 40.0), stamp=SECOND)
    operator.click((30.0, 40.0), stamp=SECOND)
    values = {pair.key: pair.value for pair in operator.entry("busy").values}
    assert values["drops"] == "1"
    core.gate.set()
    operator.proves_alive(2 * SECOND)


def test_precision_and_compilation_reach_the_core(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), half_precision=True, compile="default").connect()
    assert operator.cores[0].tuned == (True, "default")


def test_parameters_are_described_and_wrong_values_refused_with_a_reason(operator: Any) -> None:
    describe = DescribeParameters.Request(names=["prior_radius", "image_transport"])
    radius, transport = operator.graph.call(DescribeParameters, "localizer/describe_parameters", describe).descriptors
    assert radius.floating_point_range[0].from_value == 1.0 and "m" in radius.description
    assert "raw, compressed" in transport.additional_constraints

    def set_to(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return operator.graph.call(SetParameters, "localizer/set_parameters", request).results[0]

    for name, value, words in (
        ("prior_radius", -5.0, "prior_radius"),
        ("prior_radius", math.nan, "prior_radius"),
        ("prior_radius", "far", "DOUBLE"),
        ("camera_pitch", 400.0, "between -180 and 180"),
        ("queue_size", 0, "queue_size"),
        ("map", "/other.tif", "load_map"),
        ("compile", "fast", 'one of "", default, reduce-overhead'),
    ):
        result = set_to(name, value)
        assert not result.successful and words in result.reason, (name, value, result.reason)
    assert set_to("prior_radius", 150.0).successful
    operator.proves_alive()
    assert operator.cores[0].priors[-1].position_radius == 150.0
