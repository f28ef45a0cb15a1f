"""The px4 node with stand-ins for px4_msgs: fields and types of PX4's own definitions, without their DDS support."""

import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geographic_msgs.msg import GeoPoint, GeoPose, GeoPoseWithCovariance, GeoPoseWithCovarianceStamped
from geometry_msgs.msg import Quaternion
from std_msgs.msg import Float64, Header

from cvgeo_ros.errors import AutopilotError
from cvgeo_ros.nodes.conversions import to_time
from cvgeo_ros.nodes.px4 import Px4Node

pytestmark = pytest.mark.ros

# PX4/px4_msgs, msg/VehicleGlobalPosition.msg and msg/AuxGlobalPosition.msg.
VEHICLE = (
    "uint64 timestamp, uint64 timestamp_sample, float64 lat, float64 lon, float32 alt, float32 alt_ellipsoid, "
    "bool lat_lon_valid, bool alt_valid, float32 delta_alt, float32 delta_terrain, uint8 lat_lon_reset_counter, "
    "uint8 alt_reset_counter, uint8 terrain_reset_counter, float32 eph, float32 epv, float32 terrain_alt, "
    "bool terrain_alt_valid, bool dead_reckoning"
)
AUX = (
    "uint64 timestamp, uint64 timestamp_sample, uint8 id, uint8 source, float64 lat, float64 lon, float32 alt, "
    "float32 eph, float32 epv, uint8 lat_lon_reset_counter"
)
TYPES = {
    "uint64": (int, 0, 2**64 - 1),
    "uint8": (int, 0, 255),
    "float64": (float,),
    "float32": (float,),
    "bool": (bool,),
}


def stand_in(name: str, definition: str, version: int) -> type:
    """A class that takes what rclpy's generated class would take, and no more."""
    types = dict(reversed(field.split()) for field in definition.split(", "))

    def make(self: Any, **fields: Any) -> None:
        for field, kind in types.items():
            value = fields.pop(field, TYPES[kind][0](0))
            wanted, *span = TYPES[kind]
            assert type(value) is wanted, f"{field} is {value!r}"
            assert not span or span[0] <= value <= span[1], f"{field} is {value}"
            setattr(self, field, value)
        assert not fields, f"{name} has no {', '.join(fields)}"

    return type(name, (), {"__init__": make, "MESSAGE_VERSION": version})


class Sink:
    """Takes the place of the publisher of the stand-ins."""

    def __init__(self, topic: str, qos: Any) -> None:
        self.topic, self.qos, self.messages = topic, qos, []

    def publish(self, message: Any) -> None:
        self.messages.append(message)

    def get_subscription_count(self) -> int:
        return 1


@pytest.fixture
def px4_msgs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """px4_msgs of PX4 1.18, which still has the older message."""
    package, messages = ModuleType("px4_msgs"), ModuleType("px4_msgs.msg")
    messages.VehicleGlobalPosition = stand_in("VehicleGlobalPosition", VEHICLE, 0)  # type: ignore[attr-defined]
    messages.AuxGlobalPosition = stand_in("AuxGlobalPosition", AUX, 1)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "px4_msgs", package)
    monkeypatch.setitem(sys.modules, "px4_msgs.msg", messages)
    found = SimpleNamespace(messages=messages, sinks=[])
    create = Px4Node.create_publisher

    def create_publisher(self: Any, kind: type, topic: str, qos: Any, **options: Any) -> Any:
        if kind.__name__ not in ("VehicleGlobalPosition", "AuxGlobalPosition"):
            return create(self, kind, topic, qos, **options)
        found.sinks.append(Sink(topic, qos))
        return found.sinks[-1]

    monkeypatch.setattr(Px4Node, "create_publisher", create_publisher)
    return found


def pose(stamp: int, std: float = 3.0) -> GeoPoseWithCovarianceStamped:
    covariance = np.diag([std**2, 4.0, 1e6, 1e6, 1e6, 0.01])
    where = GeoPose(position=GeoPoint(latitude=24.1, longitude=120.6, altitude=math.nan), orientation=Quaternion(w=1.0))
    with_covariance = GeoPoseWithCovariance(pose=where, covariance=covariance.ravel())
    return GeoPoseWithCovarianceStamped(header=Header(stamp=to_time(stamp)), pose=with_covariance)


def now(node: Any) -> int:
    return int(node.get_clock().now().nanoseconds)


def test_aux_global_position(graph: Any, px4_msgs: Any) -> None:
    node = graph.start(Px4Node, altitude="home", home_altitude=20.0, source_id=2)
    estimates = graph.publisher(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    heights = graph.publisher(Float64, "rel_alt")
    health = graph.listen(DiagnosticArray, "/diagnostics")
    (sink,) = px4_msgs.sinks
    assert sink.topic == "/fmu/in/aux_global_position_v1"
    heights.publish(Float64(data=62.5))
    graph.wait_until(lambda: node._relative.nearest(now(node), None) is not None)
    stamp = now(node) - 50_000_000
    estimates.publish(pose(stamp))
    graph.wait_until(lambda: sink.messages)
    (told,) = sink.messages
    assert type(told) is px4_msgs.messages.AuxGlobalPosition
    assert (told.lat, told.lon, told.alt, told.eph, told.epv) == (24.1, 120.6, 82.5, pytest.approx(3.0), 5.0)
    assert (told.id, told.source, told.lat_lon_reset_counter) == (2, 2, 0)
    assert told.timestamp_sample == stamp // 1000 < told.timestamp
    assert health.get(lambda array: array.status[0].message == "sending").status[0].level == DiagnosticStatus.OK


def test_vehicle_global_position_without_altitude(graph: Any, px4_msgs: Any) -> None:
    node = graph.start(Px4Node, generation="VehicleGlobalPosition")
    estimates = graph.publisher(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    health = graph.listen(DiagnosticArray, "/diagnostics")
    (sink,) = px4_msgs.sinks
    assert sink.topic == "/fmu/in/aux_global_position"
    estimates.publish(pose(now(node)))
    graph.wait_until(lambda: sink.messages)
    (told,) = sink.messages
    assert type(told) is px4_msgs.messages.VehicleGlobalPosition
    assert told.lat_lon_valid and not told.alt_valid and math.isnan(told.alt)
    health.get(lambda array: array.status[0].message == "sending without altitude")


def test_bad_estimates_are_refused_and_said(graph: Any, px4_msgs: Any) -> None:
    node = graph.start(Px4Node, max_std=10.0)
    estimates = graph.publisher(GeoPoseWithCovarianceStamped, "vehicle_geopose_cov")
    health = graph.listen(DiagnosticArray, "/diagnostics")
    for message, words in (
        (pose(now(node), std=11.0), "max_std"),
        (pose(now(node) - 2_000_000_000), "max_age"),
        (GeoPoseWithCovarianceStamped(), "no stamp"),
    ):
        estimates.publish(message)
        found = health.get(lambda array, words=words: words in array.status[0].message).status[0]
        assert found.level == DiagnosticStatus.WARN
    assert not px4_msgs.sinks[0].messages


def test_px4_msgs_of_an_older_release(graph: Any, px4_msgs: Any) -> None:
    del px4_msgs.messages.AuxGlobalPosition
    graph.start(Px4Node)
    assert px4_msgs.sinks[0].topic == "/fmu/in/aux_global_position"
    with pytest.raises(AutopilotError, match="has no AuxGlobalPosition"):
        graph.start(Px4Node, generation="AuxGlobalPosition")


def test_without_px4_msgs_it_says_what_to_install(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "px4_msgs.msg", None)
    with pytest.raises(AutopilotError, match="px4_msgs is not installed"):
        graph.start(Px4Node)


def test_it_hears_of_the_vehicle_and_of_no_target(graph: Any, px4_msgs: Any) -> None:
    node = graph.start(Px4Node)
    heard = {topic for topic, _ in node.get_subscriber_names_and_types_by_node("px4", "/cvgeo")}
    assert heard - {"/parameter_events", "/clock"} == {"/cvgeo/vehicle_geopose_cov", "/cvgeo/rel_alt"}
