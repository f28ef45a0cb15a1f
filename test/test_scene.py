"""Scene folders: what is read back equals what was written, and every defect is named with its place."""

import json
from pathlib import Path

import pytest

from cvgeo_ros.errors import SceneError
from cvgeo_ros.scene import FrameRecord, Scene, SceneObject, read_telemetry

FRAMES = [
    FrameRecord(file="a.jpg", stamp=0.0, lat=24.5, lon=120.25, rel_alt=100.0, yaw=30.0, pitch=-90.0, hfov=66.0),
    FrameRecord(file="b.jpg", stamp=2.0),
]
OBJECTS = [
    SceneObject(frame="a.jpg", id="a-1", click=(10.5, 20.0), bbox=(1, 2, 3, 4), cls="building", quality="B"),
    SceneObject(frame="b.jpg", id="b-1", click=(1, 2), bbox=(5, 6, 7, 8)),
]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "map.tif").write_bytes(b"II*\0")
    (tmp_path / "frames").mkdir()
    for record in FRAMES:
        (tmp_path / "frames" / record.file).write_bytes(b"")
    written = Scene(tmp_path, "small", tmp_path / "map.tif", tmp_path / "frames", FRAMES, OBJECTS)
    written.write()
    return written


def test_written_scene_reads_back(scene: Scene) -> None:
    assert Scene.load(scene.root) == scene
    assert Scene.load(scene.root / "scene.json") == scene
    assert [item.id for item in scene.objects_of("b.jpg")] == ["b-1"]


def test_class_is_called_class_in_the_file(scene: Scene) -> None:
    assert json.loads((scene.root / "objects.json").read_text())[0]["class"] == "building"


def test_scene_without_csv_and_objects_lists_its_images(scene: Scene) -> None:
    (scene.root / "scene.json").write_text('{"name": "bare", "map": "map.tif", "frames": "frames"}')
    bare = Scene.load(scene.root)
    assert bare.frames == [FrameRecord(file="a.jpg"), FrameRecord(file="b.jpg")]
    assert bare.objects == []


def test_unknown_columns_and_a_byte_order_mark_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\ufefffile,gimbal,lat\na.jpg,7,24.5\n", encoding="utf-8")
    assert read_telemetry(tmp_path / "t.csv") == [FrameRecord(file="a.jpg", lat=24.5)]


@pytest.mark.parametrize(
    ("file", "text", "parts"),
    [
        ("scene.json", None, ["scene.json", "no such file"]),
        ("scene.json", '{"name": "x",\n "map" "map.tif"}', ["scene.json: line 2", "not JSON"]),
        ("scene.json", '{"name": "x", "frames": "frames"}', ["scene.json", "'map'", "required"]),
        ("scene.json", '{"name": "x", "map": "no.tif", "frames": "frames"}', ["'map'", "no.tif"]),
        ("scene.json", '{"name": "x", "map": "map.tif", "frames": "f"}', ["'frames'", "not a folder"]),
        ("frames.csv", "stamp,lat\n1,2\n", ["frames.csv: line 1", "'file'"]),
        ("frames.csv", "file,lat\na.jpg,24.5\nb.jpg,north\n", ["frames.csv: line 3", "'lat'"]),
        ("frames.csv", "file,lat\na.jpg,124.5\n", ["frames.csv: line 2", "'lat'"]),
        ("frames.csv", "file,yaw\na.jpg,nan\n", ["frames.csv: line 2", "'yaw'", "finite"]),
        ("frames.csv", "file,lat\na.jpg,1\na.jpg,2\n", ["frames.csv: line 3", "already on line 2"]),
        ("frames.csv", "file,lat\n,1\n", ["frames.csv: line 2", "'file'"]),
        ("frames.csv", "file\na.jpg\nb.jpg\nc.jpg\n", ["frames.csv", "c.jpg"]),
        ("frames.csv", "file\n", ["no frames"]),
        ("objects.json", '[{"frame": "a.jpg", "id": "1", "bbox": [1, 2, 3, 4]}]', ["object 0", "'click'"]),
        (
            "objects.json",
            '[{"frame": "a.jpg", "id": "1", "click": [1, 2], "bbox": [1, 2, "x", 4]}]',
            ["object 0", "'bbox.2'"],
        ),
        (
            "objects.json",
            '[{"frame": "a.jpg", "id": "1", "click": [1, 2], "bbox": [3, 2, 1, 4]}]',
            ["object 0", "empty"],
        ),
        (
            "objects.json",
            '[{"frame": "z.jpg", "id": "1", "click": [1, 2], "bbox": [1, 2, 3, 4]}]',
            ["'frame'", "z.jpg"],
        ),
        (
            "objects.json",
            json.dumps([{"frame": "a.jpg", "id": "1", "click": [1, 2], "bbox": [1, 2, 3, 4]}] * 2),
            ["object 1", "twice"],
        ),
    ],
)
def test_defects_are_named(scene: Scene, file: str, text: str | None, parts: list[str]) -> None:
    if text is None:
        (scene.root / file).unlink()
    else:
        (scene.root / file).write_text(text)
    with pytest.raises(SceneError) as caught:
        Scene.load(scene.root)
    for part in parts:
        assert part in str(caught.value)


def test_binary_telemetry_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SceneError, match="cannot be read as text"):
        read_telemetry(tmp_path / "t.csv")
