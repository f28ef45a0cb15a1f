"""What happens to a node in flight: another map, a camera that stalls, time that goes backwards."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rasterio
from affine import Affine
from diagnostic_msgs.msg import DiagnosticStatus
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import NavSatFix, NavSatStatus
from std_msgs.msg import Float64, Header

from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.conversions import to_nanoseconds
from cvgeo_ros.srv import LoadMap

pytestmark = pytest.mark.ros

SECOND = 1_000_000_000


def other_map(path: Path) -> Path:
    """A map of another place and scale than the first."""
    pixels = np.random.default_rng(8).integers(0, 255, (3, 200, 300), np.uint8)
    profile = {"driver": "GTiff", "width": 300, "height": 200, "count": 3, "dtype": "uint8", "crs": "EPSG:32651"}
    with rasterio.open(path, "w", transform=Affine(0.3, 0.0, 300_000.0, 0.0, -0.3, 2_700_000.0), **profile) as file:
        file.write(pixels)
    return path


def place(store: TileStore, box: Any) -> list[float]:
    return store.transform.pixel_to_geodetic([(box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0]).tolist()


def test_maps_swapped_under_way(operate: Callable[..., Any], map_path: Path, tmp_path: Path) -> None:
    """Every answer belongs to one map, whole; none is lost, and none after the swap belongs to the map before."""
    operator = operate(map=str(map_path), queue_size=1000).connect()
    paths = [map_path, other_map(tmp_path / "other.tif")]
    stores = {store.tile_id: store for store in map(open_store, paths)}
    done = threading.Event()
    asked: list[int] = []

    def click() -> None:
        for number in range(1, 301):
            stamp = number * SECOND
            operator.show(stamp)
            operator.click((30.0, 40.0), (50.0, 60.0), stamp=stamp)
            asked.append(stamp)
        done.set()

    clicking = threading.Thread(target=click)
    clicking.start()
    swaps: list[tuple[int, str]] = []
    while not done.is_set():
        path = paths[(len(swaps) + 1) % 2]
        response = operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
        assert response.success, response.message
        swaps.append((len(asked), response.tile.tile_id))
    clicking.join()
    operator.targets.get(count=300)
    answers = operator.targets.messages
    assert [to_nanoseconds(answer.header.stamp) for answer in answers] == asked
    assert len(swaps) > 10 and {answer.tile_id for answer in answers} == set(stores)
    for answer in answers:
        for target in answer.targets:
            expected = place(stores[answer.tile_id], target.bbox)
            np.testing.assert_allclose([target.position.latitude, target.position.longitude], expected, atol=1e-9)
    operator.show(1000 * SECOND)
    operator.click((30.0, 40.0), stamp=1000 * SECOND)
    assert operator.answer(1000 * SECOND).tile_id == swaps[-1][1]


def test_a_map_that_cannot_be_loaded_changes_nothing(operator: Any, tmp_path: Path) -> None:
    operator.proves_alive(SECOND)
    first = operator.answer(SECOND).tile_id
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + bytes(64))
    for path in (tmp_path / "broken.tif", tmp_path / "missing.tif", tmp_path):
        response = operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
        assert not response.success and path.name in response.message
    operator.proves_alive(2 * SECOND)
    assert operator.answer(2 * SECOND).tile_id == first


def test_a_camera_that_stalls_is_told_and_comes_back(operate: Callable[..., Any], map_path: Path) -> None:
    operator = operate(map=str(map_path), image_timeout=0.5).connect()
    operator.proves_alive(SECOND)
    status = operator.entry("no image for")
    assert status.level == DiagnosticStatus.WARN and "check the camera" in status.message
    # Meanwhile the last frame can still be asked about.
    operator.click((30.0, 40.0), stamp=0)
    operator.targets.get(lambda message: to_nanoseconds(message.header.stamp) == SECOND, count=2)
    operator.health.messages.clear()
    operator.proves_alive(60 * SECOND)
    assert operator.entry("locating").level == DiagnosticStatus.OK


def test_stamps_that_go_backwards_find_their_own_frames(operator: Any) -> None:
    """A camera that is set back, or a bag in a loop without simulated time: the newer of equal stamps counts."""
    shades = {100: 10, 101: 20, 102: 30, 5: 40, 6: 50}
    for stamp, shade in shades.items():
        operator.show(stamp * SECOND, np.full((120, 160, 3), shade, np.uint8))
    for stamp, shade in ((5, 40), (102, 30), (6, 50), (100, 10)):
        operator.click((30.0, 40.0), stamp=stamp * SECOND)
        operator.answer(stamp * SECOND)
        assert operator.cores[0].frames[-1][0, 0, 0] == shade
    operator.show(101 * SECOND, np.full((120, 160, 3), 70, np.uint8))
    operator.click((30.0, 40.0), stamp=101 * SECOND)
    operator.answer(101 * SECOND)
    assert operator.cores[0].frames[-1][0, 0, 0] == 70


def test_simulated_time_set_back_forgets_what_was_of_the_time_before(
    operate: Callable[..., Any], map_path: Path
) -> None:
    operator = operate(map=str(map_path), use_sim_time=True).connect()
    graph = operator.graph
    clock, fixes = graph.publisher(Clock, "/clock"), graph.publisher(NavSatFix, "fix")
    heading = graph.publisher(Float64, "compass_hdg")

    def tell(seconds: int, latitude: float | None) -> None:
        clock.publish(Clock(clock=conversions.to_time(seconds * SECOND)))
        graph.wait_until(lambda: operator.node.get_clock().now().nanoseconds == seconds * SECOND)
        if latitude is not None:
            fix = NavSatFix(
                header=Header(stamp=conversions.to_time(seconds * SECOND)), latitude=latitude, longitude=120.7
            )
            fix.status.status = NavSatStatus.STATUS_FIX
            fixes.publish(fix)
            heading.publish(Float64(data=latitude))
            graph.wait_until(lambda: operator.node._priors._fix.nearest(seconds * SECOND, 0) is not None)
            graph.wait_until(lambda: operator.node._priors._heading.nearest(seconds * SECOND, 0) is not None)

    tell(100, 24.0)
    operator.proves_alive(100 * SECOND)
    assert operator.cores[0].priors[-1].latitude == 24.0
    tell(99, None)
    graph.wait_until(lambda: operator.node._history.newest() is None)
    # Within prior_max_age of the fix of the flight before, and of its frame.
    operator.proves_alive(99 * SECOND + SECOND // 2)
    prior = operator.cores[0].priors[-1]
    assert prior.latitude is None and prior.yaw is None
    operator.click((30.0, 40.0), stamp=100 * SECOND)
    assert "99.5" in operator.entry("no image with stamp").message
    tell(100, 25.0)
    operator.proves_alive(100 * SECOND + 1)
    assert operator.cores[0].priors[-1].latitude == 25.0


def test_nothing_is_answered_under_a_foreign_stamp(operator: Any) -> None:
    """Bursts of frames and clicks in no order: each answer is about the frame it names."""
    rng = np.random.default_rng(0)
    shades: dict[int, int] = {}
    for number in range(60):
        stamp = int(rng.integers(1, 10_000)) * SECOND // 10
        shades[stamp] = number
        operator.show(stamp, np.full((120, 160, 3), number, np.uint8))
        asked = int(rng.choice(list(shades)))
        before = len(operator.targets.messages)
        operator.click((30.0, 40.0), stamp=asked)
        operator.targets.get(count=before + 1)
        assert to_nanoseconds(operator.targets.messages[-1].header.stamp) == asked
        assert operator.cores[0].frames[-1][0, 0, 0] == shades[asked]
