"""The visualizer node over DDS: pictures for those who look, markers for all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from cvgeo_ros.draw import colour
from cvgeo_ros.geo.store import open_store
from cvgeo_ros.localizer import Target
from cvgeo_ros.msg import GeoTargetArray, PlaceCandidate, PlaceCandidateArray, TileInfo
from cvgeo_ros.nodes import conversions, images
from cvgeo_ros.nodes.publishers import LATCHED
from cvgeo_ros.nodes.visualizer import VisualizerNode

pytestmark = pytest.mark.ros

STAMP = 5_000_000_000
GREY = np.full((240, 320, 3), 128, np.uint8)


def answer(map_path: Path) -> tuple[TileInfo, GeoTargetArray]:
    store = open_store(map_path)
    u, v = store.width / 2, store.height / 2
    latitude, longitude = store.transform.pixel_to_geodetic([u, v]).tolist()
    bounds = store.transform.bounds(u - 20, v - 10, u + 20, v + 10)
    target = Target((160.0, 120.0), 0.9, (u - 20, v - 10, u + 20, v + 10), latitude, longitude, 1.5, bounds)
    header = Header(stamp=conversions.to_time(STAMP), frame_id="camera_optical")
    targets = [conversions.to_target(target, "1")]
    info = conversions.to_tile_info(store, header.stamp)
    return info, GeoTargetArray(header=header, tile_id=store.tile_id, targets=targets)


def test_pictures_and_markers_of_an_answer(graph: Any, map_path: Path) -> None:
    node = graph.start(VisualizerNode, map=str(map_path))
    info, targets = answer(map_path)
    graph.publisher(TileInfo, "tile_info", LATCHED).publish(info)
    sender = graph.publisher(GeoTargetArray, "targets")
    markers, poses = graph.listen(MarkerArray, "markers", LATCHED), graph.listen(PoseStamped, "target_pose")
    graph.wait_until(lambda: node._tile is not None)
    # Nobody looks: no image is received, no picture made.
    camera = graph.tester.create_publisher(Image, "image", 10)
    sender.publish(targets)
    box = next(marker for marker in markers.get().markers if marker.ns == "box")
    assert camera.get_subscription_count() == 0
    assert box.type == Marker.LINE_STRIP and box.header.frame_id == "map"
    corners = np.array([[point.x, point.y] for point in box.points])
    np.testing.assert_allclose(np.ptp(corners, axis=0), [20.0, 10.0], atol=0.5)
    assert abs(box.pose.position.x) < 0.5 and abs(box.pose.position.y) < 0.5
    assert poses.get().header == box.header and poses.get().pose == box.pose
    disc = next(marker for marker in markers.get().markers if marker.ns == "sigma")
    assert disc.scale.x == pytest.approx(3.0)

    frames, tiles = graph.listen(Image, "image_annotated"), graph.listen(Image, "tile_annotated")
    graph.wait_until(lambda: camera.get_subscription_count() > 0)
    camera.publish(images.to_image(GREY, targets.header))
    sender.publish(targets)
    frame = frames.get()
    assert frame.header == targets.header
    picture = images.to_rgb(frame)
    assert picture.shape == GREY.shape and (picture == colour(0)).all(axis=-1).any()
    tile = images.to_rgb(tiles.get())
    assert tile.shape == (768, 1024, 3) and (tile == colour(0)).all(axis=-1).any()


def test_an_answer_about_another_map_is_not_drawn_on_this_one(graph: Any, map_path: Path) -> None:
    node = graph.start(VisualizerNode, map=str(map_path))
    info, targets = answer(map_path)
    graph.publisher(TileInfo, "tile_info", LATCHED).publish(info)
    sender, tiles = graph.publisher(GeoTargetArray, "targets"), graph.listen(Image, "tile_annotated")
    markers = graph.listen(MarkerArray, "markers", LATCHED)
    graph.wait_until(lambda: node._tile is not None)
    foreign = GeoTargetArray(header=targets.header, tile_id="elsewhere", targets=targets.targets)
    sender.publish(foreign)
    sender.publish(targets)
    tiles.get()
    markers.get()
    assert len(tiles.messages) == len(markers.messages) == 1


def test_an_answer_that_makes_no_sense_does_not_end_the_node(graph: Any, map_path: Path) -> None:
    graph.start(VisualizerNode, map=str(map_path))
    _, targets = answer(map_path)
    sender, tiles = graph.publisher(GeoTargetArray, "targets"), graph.listen(Image, "tile_annotated")
    wild = answer(map_path)[1]
    wild.targets[0].bbox = np.array([np.nan, 0.0, np.inf, 1e30], np.float32)
    sender.publish(wild)
    sender.publish(targets)
    assert conversions.to_nanoseconds(tiles.get().header.stamp) == STAMP


def places(map_path: Path) -> PlaceCandidateArray:
    store = open_store(map_path)
    candidates = []
    for rank, window in enumerate(((40.0, 30.0, 160.0, 150.0), (200.0, 100.0, 320.0, 220.0))):
        latitude, longitude = store.transform.pixel_to_geodetic(np.reshape(window, (2, 2)).mean(axis=0)).tolist()
        south, west, north, east = store.transform.bounds(*window)
        candidate = PlaceCandidate(score=0.5 - 0.1 * rank, window=np.array(window, np.float32))
        candidate.position.latitude, candidate.position.longitude = latitude, longitude
        candidate.bounds.min_pt.latitude, candidate.bounds.min_pt.longitude = south, west
        candidate.bounds.max_pt.latitude, candidate.bounds.max_pt.longitude = north, east
        candidates.append(candidate)
    header = Header(stamp=conversions.to_time(STAMP))
    return PlaceCandidateArray(header=header, query="the hall", tile_id=store.tile_id, candidates=candidates)


def test_places_are_ranked_in_markers_and_picture(graph: Any, map_path: Path) -> None:
    graph.start(VisualizerNode, map=str(map_path))
    # Latched topics come in any order: places first, then the map they are on.
    sender = graph.publisher(PlaceCandidateArray, "place_candidates", LATCHED)
    sender.publish(places(map_path))
    markers = graph.listen(MarkerArray, "place_markers", LATCHED)
    info, targets = answer(map_path)
    graph.publisher(TileInfo, "tile_info", LATCHED).publish(info)
    first, *rest = markers.get().markers
    assert first.action == Marker.DELETEALL and {marker.ns for marker in rest} == {"place"}
    assert len({marker.id for marker in rest}) == len(rest) == 4
    frame, best, _, second = rest
    assert (best.text, second.text) == ("1  0.50", "2  0.40")
    # 60 m wide, and its centre 100 px left of and 60 px above the map's own.
    corners = np.array([[point.x, point.y] for point in frame.points])
    np.testing.assert_allclose(np.ptp(corners, axis=0), [60.0, 60.0], atol=2.5)
    np.testing.assert_allclose([frame.pose.position.x, frame.pose.position.y], [-50.0, 30.0], atol=1.0)
    # Targets have their own markers, which leave those of places alone.
    graph.publisher(GeoTargetArray, "targets").publish(targets)
    assert "place" not in {marker.ns for marker in graph.listen(MarkerArray, "markers", LATCHED).get().markers}
    assert len(markers.messages) == 1
    # Who looks later sees them still.
    picture = images.to_rgb(graph.listen(Image, "places_annotated", LATCHED).get())
    assert picture.shape == (768, 1024, 3)
    assert all((picture == colour(rank)).all(axis=-1).any() for rank in range(2))
    sender.publish(PlaceCandidateArray(query="", note="the query is empty"))
    assert len(markers.get(count=2).markers) == 1


def test_places_that_make_no_sense_do_not_end_the_node(graph: Any, map_path: Path) -> None:
    node = graph.start(VisualizerNode, map=str(map_path))
    info, _ = answer(map_path)
    graph.publisher(TileInfo, "tile_info", LATCHED).publish(info)
    sender = graph.publisher(PlaceCandidateArray, "place_candidates", LATCHED)
    markers, pictures = (
        graph.listen(kind, name, LATCHED)
        for kind, name in ((MarkerArray, "place_markers"), (Image, "places_annotated"))
    )
    wild = places(map_path)
    wild.header.stamp = conversions.to_time(1)
    wild.candidates[0].window = np.array([np.nan, 0.0, np.inf, 1e30], np.float32)
    wild.candidates[0].bounds.min_pt.latitude = np.inf
    sender.publish(wild)
    graph.wait_until(lambda: bool(markers.messages) and node._places._unpictured is None)
    sender.publish(places(map_path))
    pictures.get(lambda message: conversions.to_nanoseconds(message.header.stamp) == STAMP)
    markers.get(lambda message: len(message.markers) == 5 and message.markers[0].header.stamp.sec == 5)
