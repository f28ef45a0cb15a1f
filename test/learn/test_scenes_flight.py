"""A rendered flight: its bag's truth explains its frames, its telemetry is rough, and scenes become bags as well."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.geo import distance, enu_to_geodetic, geodetic_to_enu, open_store
from cvgeo_ros.learn.evaluation import Protocol
from cvgeo_ros.learn.scenes.bagging import scene_moments, write_bag
from cvgeo_ros.learn.scenes.flight import SPEED, Options, Track, write_flight
from cvgeo_ros.learn.scenes.world import World
from cvgeo_ros.scene import Scene
from cvgeo_ros.telemetry.images import to_rgb
from cvgeo_ros.telemetry.messages import camera_from_info, to_nanoseconds

SHIPPED = Path(__file__).resolve().parents[2] / "scenes" / "demo"


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Three seconds at 2 Hz, of which the camera sees nothing from the second to the third."""
    options = Options(seconds=3.0, rate=2.0, blank=(1.0, 2.0), fix_until=1.5, width=480, quality=70)
    return write_flight(tmp_path_factory.mktemp("flight") / "short", 700_001, options)


def heard(path: Path, *names: str) -> dict[str, list]:
    with Bag(path) as bag:
        topics = {f"/cvgeo/{name}": name for name in names}
        found: dict[str, list] = {name: [] for name in names}
        for entry in bag.read(topics):
            found[topics[entry.topic]].append(entry.message)
    return found


def test_a_click_lies_on_its_object_by_the_truth_of_its_frame(flight: Scene) -> None:
    """Ray from the click by position, rotation and intrinsics of the bag, to the box on the map."""
    told = heard(flight.root / "flight.mcap", "truth/geopose", "camera_info", "clicks")
    truth = {to_nanoseconds(message.header.stamp): message.pose for message in told["truth/geopose"]}
    camera = camera_from_info(told["camera_info"][0], 480, 270)
    objects = {item.id: item for item in flight.objects}
    tile = open_store(flight.map)
    assert camera is not None and len(objects) >= 2
    checked = 0
    for message in told["clicks"]:
        pose = truth[to_nanoseconds(message.header.stamp)]
        record = flight.frames[0]
        body = Rotation.from_quat([pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w])
        for click in message.clicks:
            x, y = (click.point.x - camera.cx) / camera.fx, (click.point.y - camera.cy) / camera.fy
            # The camera's right, down and forward are the body's right, back and down.
            ray = body.apply([-y, -x, -1.0])
            offset = ray[:2] * record.rel_alt / -ray[2]
            place = enu_to_geodetic(offset, (pose.position.latitude, pose.position.longitude))
            u, v = tile.transform.geodetic_to_pixel(place)
            u0, v0, u1, v1 = objects[click.id].bbox
            # A roof lies above the ground that the ray ends on.
            assert u0 - 25 < u < u1 + 25 and v0 - 25 < v < v1 + 25
            checked += 1
    tile.close()
    assert checked == len(objects)


def test_the_bag_tells_roughly_what_the_scene_tells_exactly(flight: Scene) -> None:
    told = heard(flight.root / "flight.mcap", "truth/geopose", "fix", "compass_hdg", "rel_alt", "camera_info")
    assert len(told["truth/geopose"]) == len(told["compass_hdg"]) == len(told["rel_alt"]) == 6
    assert len(told["fix"]) == 3  # until 1.5 s
    for record, pose in zip(flight.frames, told["truth/geopose"], strict=True):
        here = (pose.pose.position.latitude, pose.pose.position.longitude)
        assert record.lat is not None and record.lon is not None and distance(here, (record.lat, record.lon)) < 0.01
        assert math.isnan(pose.pose.position.altitude)
    errors = [
        distance((fix.latitude, fix.longitude), (record.lat, record.lon))
        for fix, record in zip(told["fix"], flight.frames, strict=False)
    ]
    assert max(errors) < 75.0 and max(errors) > 5.0
    turns = [
        math.remainder(message.data - (record.yaw or 0.0), 360.0)
        for message, record in zip(told["compass_hdg"], flight.frames, strict=True)
    ]
    assert 0.5 < np.std(turns) < 15.0


def test_blank_frames_show_nothing_and_the_others_something(flight: Scene) -> None:
    images = heard(flight.root / "flight.mcap", "image/compressed")["image/compressed"]
    bright = [float(to_rgb(message).mean()) for message in images]
    assert [value < 20.0 for value in bright] == [False, False, True, True, False, False]
    assert (flight.root / "flight.mcap").stat().st_size < 1_000_000
    assert cv2.imread(str(flight.frames_dir / flight.frames[0].file)).shape == (270, 480, 3)


def test_tracks_are_smooth_flown_at_one_speed_and_banked_into_turns() -> None:
    for seed in range(5):
        track = Track(np.random.default_rng(seed))
        poses = [track.at(0.5 * k) for k in range(240)]
        places = np.array([[pose.x, pose.y] for pose in poses])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        np.testing.assert_allclose(steps, SPEED * 0.5, rtol=0.01)
        assert (
            np.abs(places).max() < 240.0 and min(p.height for p in poses) > 100.0 and max(p.height for p in poses) < 120
        )
        yaws = np.unwrap([pose.yaw for pose in poses])
        assert np.abs(np.diff(yaws)).max() < 0.15
        along = np.arctan2(*np.diff(places, axis=0).T[::-1])
        assert np.abs((along - yaws[:-1] + np.pi) % (2 * np.pi) - np.pi).max() < 0.15
        up = np.array([pose.rotation.as_matrix()[:, 2] for pose in poses])
        tilt = np.degrees(np.arccos(up[:, 2]))
        assert np.ptp(tilt) > 1.0 and tilt.max() < 12.0
        # The lift leans to the inside of the turn, whatever the mounting adds.
        left = np.stack([-np.sin(yaws), np.cos(yaws)], axis=1)
        lean = (up[:-1, :2] * left[:-1]).sum(axis=1)
        assert np.corrcoef(lean, np.diff(yaws))[0, 1] > 0.5


def test_a_scene_becomes_a_bag_with_the_priors_of_a_protocol(tmp_path: Path) -> None:
    scene = Scene.load(SHIPPED)
    path = tmp_path / "demo.mcap"
    assert write_bag(path, scene_moments(scene, np.random.default_rng(0), pitch=False, apart=7.0)) == 6
    told = heard(path, "image/compressed", "fix", "clicks", "truth/geopose")
    with Bag(path) as bag:
        assert "/cvgeo/camera_pitch" not in bag.topics
    stamps = [to_nanoseconds(message.header.stamp) for message in told["image/compressed"]]
    assert np.diff(stamps).tolist() == [7_000_000_000] * 5
    # The file's own bytes, not compressed anew.
    assert told["image/compressed"][0].data.tobytes() == (scene.frames_dir / scene.frames[0].file).read_bytes()
    assert sum(len(message.clicks) for message in told["clicks"]) == len(scene.objects)
    for fix, record in zip(told["fix"], scene.frames, strict=True):
        away = geodetic_to_enu((fix.latitude, fix.longitude), (record.lat or 0.0, record.lon or 0.0))
        assert 0.0 < float(np.hypot(*away)) <= 75.0
    write_bag(path, scene_moments(scene, np.random.default_rng(0), Protocol.BLIND))
    with Bag(path) as bag:
        assert not {"/cvgeo/fix", "/cvgeo/compass_hdg", "/cvgeo/rel_alt"} & bag.topics.keys()


def test_landmarks_are_set_into_the_town_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Laid(Exception):
        pass

    def note(seed: int, extent: float, theme: str, landmarks: bool) -> World:
        raise Laid(landmarks)

    monkeypatch.setattr("cvgeo_ros.learn.scenes.flight.build_world", note)
    for landmarks in (False, True):
        with pytest.raises(Laid) as laid:
            write_flight(tmp_path, 700_007, Options(landmarks=landmarks))
        assert laid.value.args == (landmarks,)
