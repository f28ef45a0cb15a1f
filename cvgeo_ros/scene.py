"""Scenes on disk: a map, a flight's frames with telemetry, and objects with their true boxes.

A scene is a folder:

- ``scene.json``: ``{"name", "map", "frames", "frames_csv", "objects"}``, paths relative to the folder;
- ``map``: a georeferenced raster;
- ``frames_csv``: one row a frame, empty cells unknown (see :class:`FrameRecord`);
- ``objects``: a JSON list of :class:`SceneObject`.

Convention:
    Pixels are (u, v) from the top-left corner of the top-left pixel, pixel centres at .5. Angles are in degrees:
    ``yaw`` clockwise from north, ``pitch`` above the horizon (-90 = nadir). Stamps are in seconds, heights in metres.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from cvgeo_ros.errors import SceneError

SCENE_FILE = "scene.json"

T = TypeVar("T")

Latitude = Annotated[float, Field(ge=-90.0, le=90.0)]
Longitude = Annotated[float, Field(ge=-180.0, le=180.0)]


class FrameRecord(BaseModel):
    """One frame of a flight and what telemetry knows of it; None = unknown.

    Attributes:
        file: Name of the image in the frames folder.
        stamp: Capture time, s.
        lat, lon: WGS-84 position of the camera, deg.
        rel_alt: Height of the camera above the ground, m.
        yaw: Heading, deg clockwise from north.
        pitch: Of the optical axis above the horizon, deg; -90 = nadir.
        hfov: Horizontal field of view, deg.
        centre_lat, centre_lon: WGS-84 position of the ground point at the frame's centre, deg (truth, not telemetry).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str = Field(min_length=1)
    stamp: float | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    rel_alt: float | None = None
    yaw: float | None = None
    pitch: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    hfov: Annotated[float, Field(gt=0.0, lt=180.0)] | None = None
    centre_lat: Latitude | None = None
    centre_lon: Longitude | None = None


def require_extent(bbox: tuple[float, float, float, float]) -> None:
    """Refuse a box (u_min, v_min, u_max, v_max) that holds nothing. Raises ValueError."""
    u0, v0, u1, v1 = bbox
    if not (u0 < u1 and v0 < v1):
        raise ValueError(f"bbox {list(bbox)} is empty: want [u_min, v_min, u_max, v_max]")


class SceneObject(BaseModel):
    """A click on an object in a frame and the object's true box on the map.

    Attributes:
        frame: Name of the frame's image.
        id: Unique name of this click within the scene.
        click: (u, v), frame px.
        bbox: (u_min, v_min, u_max, v_max), map px.
        cls: Class name; ``class`` in the file.
        quality: "A" where the extent is beyond doubt, else "B".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frame: str = Field(min_length=1)
    id: str = Field(min_length=1)
    click: tuple[float, float]
    bbox: tuple[float, float, float, float]
    cls: str = Field(default="object", validation_alias=AliasChoices("class", "cls"), serialization_alias="class")
    quality: Literal["A", "B"] = "A"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_extent(self.bbox)
        return self


class _SceneFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    map: str
    frames: str
    frames_csv: str | None = None
    objects: str | None = None


@dataclass(frozen=True)
class Scene:
    """A scene that was read and checked; make one with :meth:`load`.

    Attributes:
        root: Folder of the scene.
        name: Its name.
        map: Path of the map.
        frames_dir: Folder of the frames' images.
        frames: Frames in the order of frames_csv (without one: the folder's images by name).
        objects: Clicks with truth; empty if the scene has none.
    """

    root: Path
    name: str
    map: Path
    frames_dir: Path
    frames: list[FrameRecord]
    objects: list[SceneObject]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a scene folder (or its scene.json) and check that its parts exist and belong together.

        Raises:
            SceneError: A file is missing or malformed, or an object's frame is unknown; names file, line and field.
        """
        root = Path(path)
        if root.name == SCENE_FILE:
            root = root.parent
        head = _validated(root / SCENE_FILE, _SceneFile.model_validate_json)
        scene_map, frames_dir = root / head.map, root / head.frames
        if not scene_map.exists():
            raise SceneError(f"{root / SCENE_FILE}: field 'map': {scene_map} does not exist")
        if not frames_dir.is_dir():
            raise SceneError(f"{root / SCENE_FILE}: field 'frames': {frames_dir} is not a folder")
        if head.frames_csv is not None:
            frames = read_telemetry(root / head.frames_csv)
        else:
            frames = [FrameRecord(file=file.name) for file in _images(frames_dir)]
        if not frames:
            raise SceneError(f"{frames_dir}: the scene has no frames")
        for record in frames:
            if not (frames_dir / record.file).is_file():
                raise SceneError(f"{root / (head.frames_csv or head.frames)}: no image {frames_dir / record.file}")
        objects = [] if head.objects is None else _read_objects(root / head.objects, {record.file for record in frames})
        return cls(root, head.name, scene_map, frames_dir, frames, objects)

    def objects_of(self, file: str) -> list[SceneObject]:
        """Return the objects clicked in the frame with this file name, in the order of the file."""
        return [item for item in self.objects if item.frame == file]

    def write(self) -> None:
        """Write scene.json, frames.csv and objects.json into ``root``; map and images must lie below it already."""
        head = {
            "name": self.name,
            "map": self.map.relative_to(self.root).as_posix(),
            "frames": self.frames_dir.relative_to(self.root).as_posix(),
            "frames_csv": "frames.csv",
            "objects": "objects.json",
        }
        (self.root / SCENE_FILE).write_text(json.dumps(head, indent=1) + "\n")
        objects = [json.dumps(item.model_dump(by_alias=True)) for item in self.objects]
        (self.root / "objects.json").write_text("[\n" + ",\n".join(objects) + "\n]\n")
        write_telemetry(self.root / "frames.csv", self.frames)


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read an image file as RGB uint8 (H, W, 3). Raises SceneError where it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SceneError(f"{path}: not a readable image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_telemetry(path: str | Path) -> list[FrameRecord]:
    """Read a frames.csv: header row, then one row a frame; unknown columns are ignored, empty cells become None.

    Raises:
        SceneError: The file is missing, has no ``file`` column, repeats a file or holds a bad value; names line, field.
    """
    path = Path(path)
    records: list[FrameRecord] = []
    first_line: dict[str, int] = {}
    reader = csv.DictReader(_read_text(path).splitlines())
    if "file" not in (reader.fieldnames or ()):
        raise SceneError(f"{path}: line 1: no column 'file' in the header {reader.fieldnames}")
    for row in reader:
        cells = {key: row[key].strip() for key in FrameRecord.model_fields if row.get(key)}
        try:
            record = FrameRecord.model_validate({key: value for key, value in cells.items() if value})
        except ValidationError as error:
            raise SceneError(f"{path}: line {reader.line_num}: {_first_problem(error)}") from error
        if record.file in first_line:
            raise SceneError(
                f"{path}: line {reader.line_num}: field 'file': "
                f"{record.file} is already on line {first_line[record.file]}"
            )
        first_line[record.file] = reader.line_num
        records.append(record)
    return records


def write_telemetry(path: str | Path, frames: Sequence[FrameRecord]) -> None:
    """Write frames as a frames.csv that :func:`read_telemetry` reads back; None becomes an empty cell."""
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(FrameRecord.model_fields), lineterminator="\n")
        writer.writeheader()
        writer.writerows(record.model_dump() for record in frames)


def _read_objects(path: Path, frames: set[str]) -> list[SceneObject]:
    objects = _validated(path, TypeAdapter(list[SceneObject]).validate_json)
    seen: set[str] = set()
    for index, item in enumerate(objects):
        if item.frame not in frames:
            raise SceneError(f"{path}: object {index} ({item.id}): field 'frame': no frame {item.frame} in the scene")
        if item.id in seen:
            raise SceneError(f"{path}: object {index}: field 'id': {item.id} occurs twice")
        seen.add(item.id)
    return objects


def _images(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SceneError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path}: cannot be read as text: {error}") from error


def _validated(path: Path, parse: Callable[[str], T]) -> T:
    text = _read_text(path)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise SceneError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    try:
        return parse(text)
    except ValidationError as error:
        raise SceneError(f"{path}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = [str(part) for part in problem["loc"]]
    place = ""
    if where and isinstance(problem["loc"][0], int):
        place = f"object {where.pop(0)}: "
    field = f"field '{'.'.join(where)}': " if where else ""
    return f"{place}{field}{problem['msg']}"
