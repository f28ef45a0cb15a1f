"""Bags as they come: whole, cut off, without their metadata, in either storage, and of types that nobody knows."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from cvgeo_ros.bags import messages
from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.errors import BagError

SECOND = messages.NANOSECONDS


def write(path: Path, count: int = 40) -> Path:
    with BagWriter(path) as bag:
        for index in range(count):
            stamp = index * SECOND
            bag.write("/cvgeo/rel_alt", messages.number(index), stamp)
            picture = np.random.default_rng(index).integers(0, 255, 60_000, np.uint8).tobytes()
            bag.write("/cvgeo/image/compressed", messages.compressed_image(stamp, "camera", picture), stamp + 5)
            pose = messages.geo_pose(45.0, 9.0 + 1e-4 * index, (0.0, 0.0, 0.0, 1.0))
            bag.write("/cvgeo/truth/geopose", messages.geo_pose_stamped(stamp, "earth", pose), stamp)
    return path


@pytest.mark.parametrize("name", ["flight", "flight.mcap", "flight.db3"])
def test_what_is_written_is_read_in_the_order_of_receipt(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    assert path.is_dir() == (name == "flight") and len(list(tmp_path.iterdir())) == 1
    with Bag(path) as bag:
        assert bag.topics["/cvgeo/truth/geopose"] == "geographic_msgs/msg/GeoPoseStamped"
        assert bag.count("/cvgeo/rel_alt") == 40
        entries = list(bag.read(["/cvgeo/rel_alt", "/cvgeo/truth/geopose"]))
        assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
        heights = [entry.message.data for entry in entries if entry.topic == "/cvgeo/rel_alt"]
        assert heights == list(range(40))
        assert entries[-1].message.header.frame_id == "earth" or entries[-2].message.header.frame_id == "earth"
        assert not bag.warnings


def test_a_former_bag_is_replaced_only_by_a_whole_one_and_nothing_else_is(tmp_path: Path) -> None:
    path = write(tmp_path / "flight", 3)
    with pytest.raises(ZeroDivisionError), BagWriter(path) as bag:
        bag.write("/a", messages.number(1.0 / len(bag.path.suffix)), 1)
    with Bag(path) as former:
        assert former.count("/cvgeo/rel_alt") == 3
    assert write(path, 2) == path
    with Bag(path) as newer:
        assert newer.count("/cvgeo/rel_alt") == 2
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sun")
    with pytest.raises(BagError, match="no bag"):
        BagWriter(tmp_path / "holiday")
    assert (tmp_path / "holiday" / "beach.jpg").exists()


@pytest.mark.parametrize("share", [0.35, 0.8, 0.9999])
def test_of_a_recording_that_was_cut_off_what_is_whole_is_read(tmp_path: Path, share: float) -> None:
    data = write(tmp_path / "flight.mcap", 100).read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: int(share * len(data))])
    with Bag(cut) as bag:
        heights = [entry.message.data for entry in bag.read(["/cvgeo/rel_alt"])]
        assert "cut off" in bag.warnings[0]
    assert heights == list(range(len(heights)))
    # A chunk of a megabyte is lost at most.
    assert len(heights) >= 100 * share - 20


def test_a_folder_whose_recorder_was_killed_has_no_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "flight")
    (path / "metadata.yaml").unlink()
    (file,) = path.iterdir()
    # Two parts, the tenth after the second, the last one cut off.
    shutil.copy(file, path / "flight_10.mcap")
    file.rename(path / "flight_2.mcap")
    data = (path / "flight_10.mcap").read_bytes()
    (path / "flight_10.mcap").write_bytes(data[: len(data) // 2])
    with Bag(path) as bag:
        assert len(list(bag.read(["/cvgeo/rel_alt"]))) > 40
        assert "flight_10.mcap" in bag.warnings[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "no bag"),
        (lambda path: path.with_suffix(".bag").write_bytes(b"#ROSBAG V2.0"), "ROS 1"),
        (lambda path: path.with_suffix(".txt").write_text("hello"), "no bag"),
        (lambda path: path.with_suffix(".mcap").write_bytes(b""), "not a readable bag"),
        (lambda path: path.with_suffix(".mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100)), "not a readable bag"),
        (lambda path: path.with_suffix(".db3").write_bytes(b"SQLite format 3\0" + bytes(4000)), "not a readable bag"),
    ],
)
def test_what_is_no_bag_is_refused_by_name(tmp_path: Path, make: object, words: str) -> None:
    make(tmp_path / "x")  # type: ignore[operator]
    path = next(tmp_path.iterdir(), tmp_path / "x")
    with pytest.raises(BagError, match=words) as refusal:
        Bag(path)
    assert str(path) in str(refusal.value)


def test_types_that_nobody_knows_matter_only_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "strange"
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("float32 thrust", "secret_msgs/msg/Engine"))
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        engine = writer.add_connection("/engine", "secret_msgs/msg/Engine", typestore=store)
        height = writer.add_connection("/rel_alt", "std_msgs/msg/Float64", typestore=store)
        message = store.types["secret_msgs/msg/Engine"](thrust=1.0)
        writer.write(engine, 1, store.serialize_cdr(message, "secret_msgs/msg/Engine"))
        number = store.types["std_msgs/msg/Float64"](data=2.0)
        writer.write(height, 2, store.serialize_cdr(number, "std_msgs/msg/Float64"))
    # As a bag of Humble, which holds no definitions.
    import sqlite3

    with sqlite3.connect(next(path.glob("*.db3"))) as database:
        database.execute("DELETE FROM message_definitions")
    with Bag(path) as bag:
        assert [entry.message.data for entry in bag.read(["/rel_alt"])] == [2.0]
        with pytest.raises(BagError, match="/engine: the type secret_msgs/msg/Engine is unknown"):
            list(bag.read(["/engine"]))


def test_messages_that_cannot_be_decoded_are_counted_and_left_out(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/rel_alt", "std_msgs/msg/Float64", typestore=store)
        number = store.types["std_msgs/msg/Float64"](data=2.0)
        for index, cut in enumerate((12, 7, 12, 0)):
            whole = bytes(store.serialize_cdr(number, "std_msgs/msg/Float64"))
            writer.write(connection, index, whole[:cut])
    with Bag(tmp_path / "bag") as bag:
        assert [entry.time for entry in bag.read(["/rel_alt"])] == [0, 2]
        assert bag.warnings == ["/rel_alt: 2 messages cannot be decoded"]
