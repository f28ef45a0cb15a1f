import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

import geographic_msgs.msg
import rclpy
from rclpy.node import Node

import cvgeo_ros.msg
import cvgeo_ros.srv
from cvgeo_ros.msg import GeoTarget, GeoTargetArray

# Others build against these: a name, a type or the order of fields that changes breaks their bags and their peers.
FIELDS = {
    cvgeo_ros.msg.TargetClick: {"id": "string", "point": "geometry_msgs/Point"},
    cvgeo_ros.msg.TargetClickArray: {
        "header": "std_msgs/Header",
        "clicks": "sequence<cvgeo_ros/TargetClick>",
    },
    cvgeo_ros.msg.GeoTarget: {
        "id": "string",
        "click": "geometry_msgs/Point",
        "score": "float",
        "bbox": "float[4]",
        "position": "geographic_msgs/GeoPoint",
        "bounds": "geographic_msgs/BoundingBox",
        "position_std": "float",
    },
    cvgeo_ros.msg.GeoTargetArray: {
        "header": "std_msgs/Header",
        "latency": "builtin_interfaces/Duration",
        "tile_id": "string",
        "targets": "sequence<cvgeo_ros/GeoTarget>",
    },
    cvgeo_ros.msg.TileInfo: {
        "header": "std_msgs/Header",
        "tile_id": "string",
        "width": "uint32",
        "height": "uint32",
        "gsd": "double",
        "bounds": "geographic_msgs/BoundingBox",
        "crs": "string",
        "geotransform": "double[6]",
        "attribution": "string",
    },
    cvgeo_ros.msg.PlaceCandidate: {
        "position": "geographic_msgs/GeoPoint",
        "bounds": "geographic_msgs/BoundingBox",
        "score": "float",
        "expert_scores": "sequence<float>",
        "window": "float[4]",
    },
    cvgeo_ros.msg.PlaceCandidateArray: {
        "header": "std_msgs/Header",
        "query": "string",
        "note": "string",
        "tile_id": "string",
        "experts": "sequence<string>",
        "expert_weights": "sequence<float>",
        "latency": "builtin_interfaces/Duration",
        "candidates": "sequence<cvgeo_ros/PlaceCandidate>",
    },
    cvgeo_ros.srv.FindPlace.Request: {
        "query": "string",
        "near": "geographic_msgs/GeoPoint",
        "radius": "float",
        "count": "uint32",
    },
    cvgeo_ros.srv.FindPlace.Response: {
        "success": "boolean",
        "message": "string",
        "places": "cvgeo_ros/PlaceCandidateArray",
    },
    cvgeo_ros.srv.LocateTargets.Request: {
        "image": "sensor_msgs/Image",
        "clicks": "cvgeo_ros/TargetClickArray",
    },
    cvgeo_ros.srv.LocateTargets.Response: {
        "success": "boolean",
        "message": "string",
        "targets": "cvgeo_ros/GeoTargetArray",
    },
    cvgeo_ros.srv.LoadMap.Request: {"path": "string"},
    cvgeo_ros.srv.LoadMap.Response: {
        "success": "boolean",
        "message": "string",
        "tile": "cvgeo_ros/TileInfo",
    },
    geographic_msgs.msg.GeoPoint: {"latitude": "double", "longitude": "double", "altitude": "double"},
    geographic_msgs.msg.GeoPointStamped: {"header": "std_msgs/Header", "position": "geographic_msgs/GeoPoint"},
    geographic_msgs.msg.GeoPose: {
        "position": "geographic_msgs/GeoPoint",
        "orientation": "geometry_msgs/Quaternion",
    },
    geographic_msgs.msg.GeoPoseStamped: {"header": "std_msgs/Header", "pose": "geographic_msgs/GeoPose"},
    geographic_msgs.msg.GeoPoseWithCovariance: {"pose": "geographic_msgs/GeoPose", "covariance": "double[36]"},
    geographic_msgs.msg.GeoPoseWithCovarianceStamped: {
        "header": "std_msgs/Header",
        "pose": "geographic_msgs/GeoPoseWithCovariance",
    },
    geographic_msgs.msg.BoundingBox: {"min_pt": "geographic_msgs/GeoPoint", "max_pt": "geographic_msgs/GeoPoint"},
}

PUBLISHER = """
import rclpy
from cvgeo_ros.msg import GeoTarget, GeoTargetArray

rclpy.init()
node = rclpy.create_node("publisher")
publisher = node.create_publisher(GeoTargetArray, "targets", 10)
message = GeoTargetArray(tile_id="tile", targets=[GeoTarget(id="a"), GeoTarget(id="b", score=0.75)])
message.header.stamp.sec = 12
message.latency.nanosec = 5
message.targets[1].bbox = [1.0, 2.0, 3.5, 4.0]
message.targets[1].position.latitude = 24.5
message.targets[1].position.altitude = float("nan")
node.create_timer(0.05, lambda: publisher.publish(message))
rclpy.spin(node)
"""


@pytest.mark.parametrize("message", FIELDS, ids=lambda message: f"{message.__module__}.{message.__name__}")
def test_fields(message: type) -> None:
    assert list(message.get_fields_and_field_types().items()) == list(FIELDS[message].items())


@pytest.fixture
def node(ros_domain: int) -> Iterator[Node]:
    rclpy.init()
    node = rclpy.create_node("subscriber")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.mark.ros
def test_targets_cross_processes(node: Node) -> None:
    received: list[GeoTargetArray] = []
    node.create_subscription(GeoTargetArray, "targets", received.append, 10)
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER])
    try:
        deadline = time.monotonic() + 30
        while not received and time.monotonic() < deadline:
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        publisher.kill()
        publisher.wait()
    assert received, "nothing came over DDS"
    message = received[0]
    assert (message.header.stamp.sec, message.latency.nanosec, message.tile_id) == (12, 5, "tile")
    assert [(target.id, target.score) for target in message.targets] == [("a", 0.0), ("b", 0.75)]
    target: GeoTarget = message.targets[1]
    assert list(target.bbox) == [1.0, 2.0, 3.5, 4.0]
    assert target.position.latitude == 24.5
    assert target.position.altitude != target.position.altitude
