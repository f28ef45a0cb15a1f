"""The demo as a user runs it: a process of its own, real DDS, and what it leaves behind."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import rasterio

pytest.importorskip("rclpy")

from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader

from cvgeo_ros.scene import Scene

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.usefixtures("ros_domain")]


def run_demo(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from cvgeo_ros.cli import app; app()", "demo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def left_over(out: Path) -> list[str]:
    """Command lines of processes that a demo with this output folder has left running."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(out) in line:
            found.append(line)
    return found


def test_the_shipped_scene(shipped: Scene, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_demo("--out", out, "--rate", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    number = len(shipped.objects)
    for item in shipped.objects:
        assert f" {item.id} " in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{number} of {number} targets received over DDS, median error")
    picture = cv2.imread(str(out / "demo.png"))
    assert picture is not None and picture.shape[0] > 900
    assert left_over(out) == []
    check_bag(out / "bag", shipped)


def check_bag(path: Path, scene: Scene) -> None:
    """Both readers work from the definitions inside the bag alone."""
    stamps: dict[str, list[int]] = {}
    with AnyReader([path]) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if hasattr(message, "header"):
                stamp = message.header.stamp
                stamps.setdefault(connection.topic, []).append(stamp.sec * 10**9 + stamp.nanosec)
            if connection.topic == "/cvgeo/image_annotated/compressed":
                assert cv2.imdecode(message.data, cv2.IMREAD_COLOR).shape == (720, 1280, 3)
        sent = {topic for connection in reader.connections if (topic := connection.topic).count("/") == 2}
        assert {"/cvgeo/fix", "/cvgeo/compass_hdg", "/cvgeo/rel_alt", "/cvgeo/markers", "/cvgeo/clicks"} <= sent
    frames = stamps["/cvgeo/image/compressed"]
    assert len(frames) == len(scene.frames)
    assert stamps["/cvgeo/targets"] == stamps["/cvgeo/image_annotated/compressed"] == frames
    assert len(stamps["/cvgeo/tile_info"]) == 1
    (file,) = path.glob("*.mcap")
    with file.open("rb") as stream:
        decoded = make_reader(stream, decoder_factories=[DecoderFactory()]).iter_decoded_messages(["/cvgeo/targets"])
        answers = [message for *_, message in decoded]
    assert [target.id for answer in answers for target in answer.targets] == [item.id for item in scene.objects]


def test_a_localizer_that_cannot_start(small_scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_demo(small_scene.root, "--out", out, "--model", tmp_path / "nothing.safetensors")
    assert done.returncode == 1
    assert "the localizer cannot start" in done.stderr and "nothing.safetensors: no such weights file" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_over(out) == []


def test_a_map_that_is_nowhere(small_scene: Scene, tmp_path: Path) -> None:
    root = tmp_path / "scene"
    shutil.copytree(small_scene.root, root)
    with rasterio.open(root / "map.tif") as file:
        pixels = file.read()
    profile = {"driver": "GTiff", "width": 300, "height": 200, "count": 3, "dtype": "uint8"}
    with rasterio.open(root / "bare.tif", "w", **profile) as file:
        file.write(pixels[:, :200, :300])
    replace(small_scene, root=root, map=root / "bare.tif", frames_dir=root / "frames").write()
    done = run_demo(root, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "bare.tif" in done.stderr and "Traceback" not in done.stderr
    assert "targets received" not in done.stdout
