"""A bag through the navigator: what is found, that it is found again, and that it is what the node would publish."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from bag_flight import CAMERA, HEIGHT, SECOND, START, Flight, Oracle

from cvgeo_ros.bags import messages
from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.bags.types import typestore
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.errors import BagError
from cvgeo_ros.replay.run import Replay, replay
from cvgeo_ros.replay.settings import Settings, settings_from
from cvgeo_ros.telemetry.covariances import vehicle_pose_covariance


def play(flight: Flight, tmp_path: Path, map_path: Path, oracle: Oracle | None = None, **options: Any) -> Replay:
    settings = options.pop("settings", Settings())
    topics = options.pop("topics", {})
    core: Any = oracle or Oracle(flight)
    path = flight.write(tmp_path / options.pop("name", "flight.mcap"))
    return replay(path, map_path, lambda: core, settings, tmp_path / "results", topics)


def test_a_flight_is_followed_and_scored_against_its_truth(tmp_path: Path, map_path: Path) -> None:
    found = play(Flight(), tmp_path, map_path)
    assert found.summary["frames"] == 20 and found.summary["refused"] == 0
    assert found.summary["states"]["tracking"] >= 19
    assert found.summary["first_fix"] <= 0.5
    assert found.summary["position_error"]["p95"] < 2.0
    assert found.summary["heading_error"]["max"] < 3.0
    assert [target["id"] for answer in found.answers for target in answer["targets"]] == ["roof-2", "roof-9"]
    track = found.tracks[5]
    assert track.stamp == START + 5 * SECOND // 2 and track.time == 2.5
    assert track.truth is not None and track.truth[2] == pytest.approx(45.0)


def test_two_replays_differ_in_latencies_alone(tmp_path: Path, map_path: Path) -> None:
    def told(found: Replay) -> str:
        tracks = [{key: value for key, value in asdict(item).items() if key != "latency"} for item in found.tracks]
        answers = [{key: value for key, value in item.items() if key != "latency"} for item in found.answers]
        summary = {key: value for key, value in found.summary.items() if key != "latency"}
        return json.dumps([found.told, summary, tracks, answers])

    assert told(play(Flight(), tmp_path, map_path)) == told(play(Flight(), tmp_path, map_path))


@pytest.mark.parametrize("name", ["bag", "bag.db3"])
def test_either_storage_gives_the_same(tmp_path: Path, map_path: Path, name: str) -> None:
    one = play(Flight(frames=8), tmp_path, map_path)
    other = play(Flight(frames=8), tmp_path, map_path, name=name)
    assert [item.estimate for item in one.tracks] == [item.estimate for item in other.tracks]


def test_frames_pair_with_what_was_known_when_they_came(tmp_path: Path, map_path: Path) -> None:
    flight = Flight(frames=4)
    oracle = Oracle(flight)
    play(flight, tmp_path, map_path, oracle)
    assert [prior.height for prior in oracle.priors[:3]] == [HEIGHT] * 3
    assert oracle.priors[1].latitude == pytest.approx(flight.place(1)[0], abs=1e-9)
    # Straight down, the heading of the image's top is yaw less roll; what the first frame told of the lean is in both.
    top = oracle.priors[1].yaw - (oracle.priors[1].roll or 0.0)
    assert math.remainder(top - flight.yaw, 2 * math.pi) == pytest.approx(0.0, abs=0.01)
    oracle = Oracle(flight)
    play(flight, tmp_path, map_path, oracle, settings=settings_from({"use_position": False, "camera_yaw": 90}))
    assert oracle.priors[0].latitude is None
    assert oracle.priors[0].yaw == pytest.approx(flight.yaw - math.pi / 2)


def test_blank_frames_are_an_outage_that_ends(tmp_path: Path, map_path: Path) -> None:
    flight = Flight(frames=30, blank=range(10, 16), left_out=("fix",))
    oracle = Oracle(flight)
    found = play(flight, tmp_path, map_path, oracle)
    assert {item.state for item in found.tracks[10:16]} == {"coasting"}
    (outage,) = found.summary["outages"]
    assert outage["from"] == 5.0 and outage["to"] == 8.0
    # Without a position, it is the track that says where to look.
    assert oracle.priors[0].latitude is None and oracle.priors[9].latitude is not None


def test_results_are_the_nodes_topics_types_and_stamps(tmp_path: Path, map_path: Path) -> None:
    found = play(Flight(namespace="/uav7"), tmp_path, map_path)
    with Bag(tmp_path / "results") as bag:
        kinds = {
            "/uav7/targets": "cvgeo_ros/msg/GeoTargetArray",
            "/uav7/target_geopose": "geographic_msgs/msg/GeoPoseStamped",
            "/uav7/target_geopose_cov": "geographic_msgs/msg/GeoPoseWithCovarianceStamped",
            "/uav7/target_fix": "sensor_msgs/msg/NavSatFix",
            "/uav7/vehicle_geopose": "geographic_msgs/msg/GeoPoseStamped",
            "/uav7/vehicle_geopose_cov": "geographic_msgs/msg/GeoPoseWithCovarianceStamped",
            "/uav7/vehicle_fix": "sensor_msgs/msg/NavSatFix",
            "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        }
        assert bag.topics == kinds
        poses = [entry.message for entry in bag.read(["/uav7/vehicle_geopose_cov"])]
        states = [entry.message.status[0].values[0].value for entry in bag.read(["/diagnostics"])]
    known = [item for item in found.tracks if item.estimate is not None]
    assert states == [item.state for item in found.tracks]
    assert [messages.NANOSECONDS * p.header.stamp.sec + p.header.stamp.nanosec for p in poses] == [
        item.stamp for item in known
    ]
    found_at = [item.estimate.latitude for item in known if item.estimate is not None]
    assert [round(pose.pose.pose.position.latitude, 9) for pose in poses] == found_at


def test_messages_are_those_of_the_node(tmp_path: Path, map_path: Path) -> None:
    """Field by field, by the node's own conversions and the classes that ROS generates."""
    pytest.importorskip("rclpy")
    from geographic_msgs.msg import GeoPoseStamped, GeoPoseWithCovarianceStamped
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import NavSatFix
    from std_msgs.msg import Header

    from cvgeo_ros.msg import GeoTargetArray
    from cvgeo_ros.navigator import Navigator
    from cvgeo_ros.nodes import conversions
    from cvgeo_ros.replay.player import Answered, Followed, Player
    from cvgeo_ros.replay.results import Results

    flight = Flight(frames=4)
    with Bag(flight.write(tmp_path / "flight.mcap")) as bag:
        roles = {"/cvgeo/image/compressed": "image", "/cvgeo/clicks": "clicks", "/cvgeo/camera_info": "camera_info"}
        heard = [(roles[entry.topic], entry.time, entry.message) for entry in bag.read(roles)]
    mounting = math.radians(30.0)
    given: dict[str, list[Any]] = {}

    class Memory:
        def write(self, topic: str, message: Any, time: int) -> None:
            data = typestore().serialize_cdr(message, message.__msgtype__)
            given.setdefault(topic.rpartition("/")[2], []).append(bytes(data))

    results = Results(Memory(), "/cvgeo", mounting)  # type: ignore[arg-type]
    estimate = answer = None
    for item in Player(Navigator(Oracle(flight)), Settings()).play(heard):  # type: ignore[arg-type]
        if isinstance(item, Followed):
            assert item.step is not None
            estimate = item.step.estimate
            results.followed(item, estimate)
        else:
            answer = item
            results.answered(item)
    assert estimate is not None and isinstance(answer, Answered) and answer.localization is not None
    header = Header(stamp=conversions.to_time(estimate.stamp), frame_id="earth")
    same(
        given["vehicle_geopose"][-1],
        GeoPoseStamped(header=header, pose=conversions.to_vehicle_geopose(estimate, mounting)),
    )
    with_covariance = deserialize_message(given["vehicle_geopose_cov"][-1], GeoPoseWithCovarianceStamped)
    assert with_covariance.pose.covariance.tolist() == vehicle_pose_covariance(estimate.covariance).tolist()
    same(given["vehicle_fix"][-1], conversions.to_vehicle_fix(estimate, header))
    target = conversions.to_target(answer.localization.targets[0], "roof-2")
    array = deserialize_message(given["targets"][-1], GeoTargetArray)
    # Once through the wire, where numbers are as long as their fields.
    assert str(array.targets[0]) == str(deserialize_message(serialize_message(target), type(target)))
    header = Header(stamp=conversions.to_time(answer.stamp), frame_id="earth")
    same(given["target_geopose"][-1], conversions.to_geopose_stamped(target, header))
    same(given["target_geopose_cov"][-1], conversions.to_geopose_with_covariance(target, header))
    fix = deserialize_message(given["target_fix"][-1], NavSatFix)
    assert fix.position_covariance.tolist() == conversions.to_fix(target, header).position_covariance.tolist()


def same(data: bytes, message: Any) -> None:
    from rclpy.serialization import deserialize_message

    # By their text: NaN is not itself.
    assert str(deserialize_message(data, type(message))) == str(message)


def test_frames_that_are_refused_do_not_stop_a_replay(tmp_path: Path, map_path: Path) -> None:
    path = tmp_path / "flight.mcap"
    flight = Flight(frames=3)
    with BagWriter(path) as bag:
        for index, data in enumerate((b"\xff\xd8 no jpeg", b"", b"x" * 50)):
            stamp = START + index * SECOND
            bag.write("/image/compressed", messages.compressed_image(stamp, "camera", data), stamp)
            bag.write("/camera_info", messages.camera_info(stamp, "camera", CAMERA), stamp)
            bag.write("/clicks", messages.clicks(stamp, "camera", []), stamp + 1)
            bag.write("/clicks", messages.clicks(7, "camera", [("a", (1.0, 1.0))]), stamp + 2)
    core: Any = Oracle(flight)
    found = replay(path, map_path, lambda: core, Settings(), None, {})
    assert found.summary["refused"] == 3 and found.summary["clicks_refused"] == 6
    assert "truncated" in found.tracks[0].error_text and "empty" in found.tracks[1].error_text


def test_what_is_missing_is_named(tmp_path: Path, map_path: Path) -> None:
    with pytest.raises(BagError, match=r"no images.*rel_alt"):
        play(Flight(left_out=("image/compressed",)), tmp_path, map_path)
    with pytest.raises(BagError, match="no topic /nose"):
        play(Flight(), tmp_path, map_path, topics={"image": "/nose"})
    with pytest.raises(BagError, match="wanted sensor_msgs/msg/NavSatFix"):
        play(Flight(), tmp_path, map_path, topics={"fix": "/cvgeo/rel_alt"})
    with pytest.raises(BagError, match="sonar: no such input"):
        play(Flight(), tmp_path, map_path, topics={"sonar": "/cvgeo/rel_alt"})
    found = play(Flight(left_out=("truth/geopose",)), tmp_path, map_path, topics={"truth": "/cvgeo/fix"})
    assert found.summary["position_error"]["median"] < 2.0 and found.summary["heading_error"] is None
    found = play(Flight(left_out=("truth/geopose",)), tmp_path, map_path)
    assert found.summary["position_error"] is None


def test_two_cameras_have_to_be_told_apart(tmp_path: Path, map_path: Path) -> None:
    from cvgeo_ros.replay.topics import assign

    kind = "sensor_msgs/msg/Image"
    topics = {"/front/image": kind, "/down/image": kind, "/front_image": kind, "/down/truth/fix": kind}
    with pytest.raises(BagError, match="--topic image=/down/image"):
        assign(topics, {})
    assert assign(topics, {"image": "/front/image"})["image"] == "/front/image"
