"""Bad input to the localizer node: each gives a clear error, and the node answers the next good request."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import Header

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.nodes import conversions, images
from cvgeo_ros.nodes.run import run
from cvgeo_ros.srv import LoadMap, LocateTargets

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000


def locate(operator: Any, image: Image, *points: tuple[float, float]) -> Any:
    clicks = conversions.to_click_array(np.array(points), [str(i) for i in range(len(points))], image.header.stamp)
    return operator.graph.call(LocateTargets, "locate", LocateTargets.Request(image=image, clicks=clicks))


def good_image() -> Image:
    return images.to_image(np.zeros((120, 160, 3), np.uint8), Header())


@pytest.mark.parametrize("point", [(math.nan, 10.0), (161.0, 10.0), (10.0, -1.0), (10.0, math.inf)])
def test_clicks_that_are_not_in_the_frame(operator: Any, point: tuple[float, float]) -> None:
    operator.show(SECOND)
    operator.click((30.0, 40.0), point, stamp=SECOND)
    status = operator.entry("click 1")
    assert status.level == DiagnosticStatus.WARN
    response = locate(operator, good_image(), point)
    assert not response.success and "click 0" in response.message
    operator.proves_alive(2 * SECOND)
    assert operator.entry("locating").level == DiagnosticStatus.OK


def test_a_click_before_any_frame(operator: Any) -> None:
    operator.graph.publisher(Point, "click").publish(Point(x=10.0, y=10.0))
    operator.entry("no image received yet")
    operator.proves_alive()


def test_a_click_in_a_frame_that_never_comes(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), frame_timeout=0.05).connect()
    operator.show(SECOND)
    operator.click((10.0, 10.0), stamp=9 * SECOND)
    operator.entry("no image")
    operator.proves_alive(20 * SECOND)


def test_an_empty_array_of_clicks(operator: Any) -> None:
    operator.clicks.publish(conversions.to_click_array(np.zeros((0, 2)), [], conversions.to_time(0)))
    operator.entry("empty")
    operator.proves_alive()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda image: setattr(image, "data", image.data[: len(image.data) // 2]), "truncated"),
        (lambda image: setattr(image, "encoding", "rgb565"), "unknown encoding 'rgb565'"),
        (lambda image: setattr(image, "step", 7), "step is 7"),
    ],
)
def test_images_that_cannot_be_read(operator: Any, spoil: Callable[[Image], None], words: str) -> None:
    bad = good_image()
    bad.header.stamp = conversions.to_time(SECOND)
    spoil(bad)
    operator.images.publish(bad)
    operator.click((30.0, 40.0), stamp=SECOND)
    operator.entry(words)
    response = locate(operator, bad, (30.0, 40.0))
    assert not response.success and words in response.message
    operator.proves_alive(2 * SECOND)


def test_a_tile_without_crs(operator: Any, tmp_path: Path, make_map: Any) -> None:
    path = make_map(tmp_path / "nowhere.tif", crs=None)
    response = operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
    assert not response.success and "CRS" in response.message
    operator.entry("CRS")
    operator.proves_alive()


def test_a_corrupt_mbtiles(operator: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.mbtiles"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 8)
    response = operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
    assert not response.success and "broken.mbtiles" in response.message
    operator.proves_alive()


def test_a_map_that_does_not_exist_at_start(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map="/nowhere/map.tif")
    assert operator.entry("/nowhere/map.tif").level == DiagnosticStatus.ERROR
    operator.node.set_parameters([Parameter("map", value=str(map_path))])
    operator.node.trigger_configure()
    operator.node.trigger_activate()
    operator.connect().proves_alive()


def test_missing_weights(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), model="missing")
    status = operator.entry("weights 'missing' not found")
    assert status.level == DiagnosticStatus.ERROR
    assert operator.node.set_parameters([Parameter("model", value="nano")])[0].successful
    operator.node.trigger_configure()
    operator.node.trigger_activate()
    operator.connect().proves_alive()


def test_no_map_at_all(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate().connect()
    operator.entry("no map loaded")
    operator.show(SECOND)
    operator.click((30.0, 40.0), stamp=SECOND)
    operator.entry("no map loaded")
    assert operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(map_path))).success
    operator.proves_alive(2 * SECOND)


def test_a_camera_info_of_another_shape(operator: Any) -> None:
    from cvgeo_ros.nodes.calibration import CameraInfo, info_from_hfov

    publisher = operator.graph.publisher(CameraInfo, "camera_info")
    publisher.publish(info_from_hfov(160, 160, 60.0))

    def refused() -> bool:
        operator.show(SECOND)
        operator.click((30.0, 40.0), stamp=SECOND)
        return any("camera_info" in array.status[0].message for array in operator.health.messages)

    operator.graph.wait_until(refused)
    publisher.publish(info_from_hfov(160, 120, 60.0))
    operator.graph.wait_until(lambda: locate(operator, good_image(), (1.0, 1.0)).success)


def test_senseless_priors_are_ignored(operator: Any) -> None:
    operator.graph.publisher(NavSatFix, "fix").publish(NavSatFix(latitude=400.0, longitude=math.nan))
    operator.proves_alive()
    assert operator.cores[0].priors[-1].latitude is None


def test_an_error_nobody_foresaw(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(operator.cores[0], "locate", lambda *_: 1 // 0)
        operator.show(SECOND)
        operator.click((30.0, 40.0), stamp=SECOND)
        operator.entry("ZeroDivisionError")
    operator.proves_alive(2 * SECOND)


def test_what_is_wrong_at_start_is_one_sentence(capsys: pytest.CaptureFixture[str], session_domain: int) -> None:
    def make() -> Any:
        raise CvgeoError("source 'x' does not exist")

    assert run(make, []) == 2
    assert capsys.readouterr().err == "error: source 'x' does not exist\n"
