"""From a sentence to located objects: one run over DDS, and what its bag proves."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from rosbags.highlevel import AnyReader

from cvgeo_ros.cli.demo_sentence import clicks_at, refusal
from cvgeo_ros.demo.replay import Clicks, Played
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.msg import PlaceCandidate, PlaceCandidateArray
from cvgeo_ros.place.experts import PlaceModel, save_place_model
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject

SENTENCE = "A street with houses beside a river."
SPACING, HALF, SIDE = 240, 160, 40  # map px between frames, of half a frame's width, and of half a box


@pytest.fixture
def flight(shipped: Scene, tmp_path: Path) -> Scene:
    """Frames from straight above that cover the map: wherever the sentence leads, there is one."""
    tile = open_store(shipped.map)
    root = tmp_path / "flight"
    (root / "frames").mkdir(parents=True)
    records, objects = [], []
    for v in range(200, tile.height - 190, SPACING):
        for u in range(200, tile.width - 190, SPACING):
            image, _ = tile.read(u - HALF, v - HALF * 0.75, u + HALF, v + HALF * 0.75, (360, 480))
            name = f"{u}_{v}.png"
            cv2.imwrite(str(root / "frames" / name), image[..., ::-1])
            latitude, longitude = tile.transform.pixel_to_geodetic([u, v]).tolist()
            metres = 2 * HALF * tile.transform.gsd((u, v))[0]
            height = metres / 2 / np.tan(np.radians(33.0))
            record = FrameRecord(
                file=name,
                stamp=float(len(records)),
                lat=latitude,
                lon=longitude,
                rel_alt=height,
                yaw=0,
                pitch=-90,
                hfov=66,
            )
            records.append(record)
            box = (u - SIDE, v - SIDE, u + SIDE, v + SIDE)
            objects.append(SceneObject(frame=name, id=name, click=(240.0, 180.0), bbox=box, cls="spot"))
    shutil.copy(shipped.map, root / "map.tif")
    scene = Scene(root, "flight", root / "map.tif", root / "frames", records, objects)
    scene.write()
    return scene


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.usefixtures("ros_domain")
def test_a_sentence_leads_to_located_objects(flight: Scene, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_place_model(PlaceModel(), tmp_path / "fresh.safetensors")
    out = tmp_path / "out"
    arguments = ["--sentence", SENTENCE, "--place-model", tmp_path / "fresh.safetensors", "--out", out, "--rate", "4"]
    command = [sys.executable, "-c", "from cvgeo_ros.cli import app; app()", "demo", flight.root, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    heard = read_bag(out / "bag")
    assert [message.data for message in heard["query_text"]] == [SENTENCE]
    (places,) = heard["place_candidates"]
    best = places.candidates[0]
    assert places.query == SENTENCE and f"place 1  {best.position.latitude:.6f}" in done.stdout
    # No position was believed: what the camera tells of it is in the bag, and the window is the place's own.
    assert len(heard["fix"]) >= len(heard["targets"]) > 0
    tile = open_store(flight.map)
    centre = [best.position.latitude, best.position.longitude]
    radius = float(distance(centre, [best.bounds.min_pt.latitude, best.bounds.min_pt.longitude]))
    least = radius / tile.transform.gsd(best.window.reshape(2, 2).mean(axis=0))[0]
    middle = best.window.reshape(2, 2).mean(axis=0)
    stamps = {stamp_of(message): message for message in heard["targets"]}
    windows = {stamp: window for stamp, window in searched(heard["diagnostics"]).items() if stamp in stamps}
    assert windows.keys() == stamps.keys()
    boxes = {item.id: item.bbox for item in flight.objects}
    for stamp, window in windows.items():
        wanted = [*np.maximum(middle - least, 0), *np.minimum(middle + least, [tile.width, tile.height])]
        outward = np.array([-1, -1, 1, 1]) * (window - wanted)
        assert (outward >= -1.0).all(), "it holds all of the circle around the place's window"
        # Beyond it there is only what the camera can see from there.
        assert (outward <= 2 * HALF).all()
        for target in stamps[stamp].targets:
            u0, v0, u1, v1 = boxes[target.id]
            assert window[0] <= (u0 + u1) / 2 <= window[2] and window[1] <= (v0 + v1) / 2 <= window[3]
            truth = tile.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
            assert distance([target.position.latitude, target.position.longitude], truth) < 10.0
    count = sum(len(message.targets) for message in stamps.values())
    assert f"{count} of {count} objects clicked lie there" in done.stdout
    assert len(heard["places_annotated/compressed"]) == 1 and len(heard["place_markers"]) >= 1
    picture = cv2.imread(str(out / "place.png"))
    assert picture is not None and picture.shape[0] > 900


def read_bag(path: Path) -> dict[str, list[Any]]:
    heard: dict[str, list[Any]] = {}
    with AnyReader([path]) as reader:
        for connection, _, data in reader.messages():
            name = connection.topic.removeprefix("/cvgeo").removeprefix("/")
            heard.setdefault(name, []).append(reader.deserialize(data, connection.msgtype))
    return heard


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def searched(diagnostics: list[Any]) -> dict[int, np.ndarray]:
    """By the stamp of the frame: where the localizer says that it searched."""
    found = {}
    for message in diagnostics:
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        if values.get("search_window"):
            found[int(values["answer_stamp"])] = np.array(values["search_window"].split(), float)
    return found


def test_clicks_are_made_above_the_place_only() -> None:
    place = PlaceCandidate()
    place.bounds.min_pt.latitude, place.bounds.max_pt.latitude = 45.0, 45.001
    # Across the antimeridian.
    place.bounds.min_pt.longitude, place.bounds.max_pt.longitude = 179.999, -179.999
    positions = {"in.png": (45.0005, 180.0), "north.png": (45.002, 180.0), "west.png": (45.0005, 179.99), "?.png": None}
    records = []
    for name, position in positions.items():
        latitude, longitude = position or (None, None)
        records.append(FrameRecord(file=name, lat=latitude, lon=longitude))
    scene = Scene(Path(), "", Path(), Path(), records, [])
    clicks = {name: Clicks(np.zeros((1, 2)), ["a"]) for name in positions}
    assert list(clicks_at(scene, clicks, place)) == ["in.png"]


def test_what_could_not_be_done_is_told() -> None:
    assert refusal(Played({}, "")) == ""
    nowhere = PlaceCandidateArray(note="the places of this map are not indexed")
    assert "not indexed" in refusal(Played({}, "", nowhere))
    found = PlaceCandidateArray(candidates=[PlaceCandidate()])
    assert "no frame" in refusal(Played({}, "", found))
    assert refusal(Played({"a.png": "why"}, "", found)) == ""
