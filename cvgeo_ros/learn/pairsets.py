"""Data sets of image pairs: a query image, a satellite tile without georeference, and the objects to find in both.

The simple folder format is one file beside the images, ``pairs.json``::

    {"name": "...",
     "pairs": [{"name": "...", "query": "a.jpg", "tile": "b.jpg", "view": "drone" or "ground",
                "gsd": m/px, "hfov": deg, "height": m, "yaw": deg, "pitch": deg,
                "objects": [{"id": "...", "click": [u, v], "bbox": [u0, v0, u1, v1], "class": "..."}]}]}

Paths are relative to the folder. ``gsd`` to ``pitch`` may be left out or null: unknown.

Convention:
    Pixels are (u, v) from the top-left corner of the top-left pixel, pixel centres at .5: clicks in the query, boxes in
    the tile. ``yaw`` is clockwise from the tile's up, ``pitch`` above the horizon (-90 = nadir).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import DatasetError
from ..net.config import View
from ..scene import require_extent

PAIRS_FILE = "pairs.json"

_Positive = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True)
class PairObject:
    """An object that both images show.

    Attributes:
        id: name of the click, unique in its sample.
        click: (u, v), query px.
        bbox: (u_min, v_min, u_max, v_max), tile px.
        cls: class name; may be empty.
    """

    id: str
    click: tuple[float, float]
    bbox: tuple[float, float, float, float]
    cls: str = ""


@dataclass(frozen=True)
class PairSample:
    """One query image, its own satellite tile, and the objects to find; no georeference. Unknown = None.

    Attributes:
        name: unique in its data set.
        query, tile: image files; samples may share a tile.
        view: platform the query was taken from, DRONE or GROUND.
        objects: to find, at least one.
        gsd: metres per tile px.
        hfov: horizontal field of view of the query, deg.
        height: of the camera above ground, m.
        yaw: heading, deg clockwise from the tile's up.
        pitch: of the optical axis above the horizon, deg; -90 = nadir.
    """

    name: str
    query: Path
    tile: Path
    view: View
    objects: tuple[PairObject, ...]
    gsd: float | None = None
    hfov: float | None = None
    height: float | None = None
    yaw: float | None = None
    pitch: float | None = None


class _ObjectEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: str = Field(min_length=1)
    click: tuple[float, float]
    bbox: tuple[float, float, float, float]
    cls: str = Field(default="", validation_alias=AliasChoices("class", "cls"), serialization_alias="class")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        require_extent(self.bbox)
        return self


class _PairEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    query: str = Field(min_length=1)
    tile: str = Field(min_length=1)
    view: Literal["drone", "ground"]
    gsd: _Positive | None = None
    hfov: Annotated[float, Field(gt=0.0, le=360.0)] | None = None
    height: _Positive | None = None
    yaw: float | None = None
    pitch: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    objects: list[_ObjectEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _require_distinct("object id", [item.id for item in self.objects])
        return self


class _PairsFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    pairs: list[_PairEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _require_distinct("pair name", [pair.name for pair in self.pairs])
        return self


def read_folder(root: str | Path) -> list[PairSample]:
    """Read a folder with a pairs.json (or that file) and check that its images exist.

    Raises:
        DatasetError: a file is missing, or an entry malformed; names file, entry and field.
    """
    root = Path(root)
    if root.name == PAIRS_FILE:
        root = root.parent
    path = root / PAIRS_FILE
    content = _validated(path, _read_json(path))
    samples = []
    for number, entry in enumerate(content.pairs):
        for field in ("query", "tile"):
            file = root / getattr(entry, field)
            if not file.is_file():
                raise DatasetError(f"{path}: pair {number} ({entry.name}): field '{field}': no image {file}")
        samples.append(
            PairSample(
                name=entry.name,
                query=root / entry.query,
                tile=root / entry.tile,
                view=View[entry.view.upper()],
                objects=tuple(PairObject(item.id, item.click, item.bbox, item.cls) for item in entry.objects),
                gsd=entry.gsd,
                hfov=entry.hfov,
                height=entry.height,
                yaw=entry.yaw,
                pitch=entry.pitch,
            )
        )
    return samples


def write_folder(root: str | Path, name: str, samples: Sequence[PairSample]) -> None:
    """Write ``root / "pairs.json"``, which `read_folder` reads back; the images lie below `root` already.

    Raises:
        DatasetError: an image lies elsewhere, or a value is one that `read_folder` would refuse.
    """
    root = Path(root)
    path = root / PAIRS_FILE
    pairs: list[dict[str, Any]] = []
    for sample in samples:
        entry: dict[str, Any] = {"name": sample.name}
        for field in ("query", "tile"):
            file: Path = getattr(sample, field)
            try:
                entry[field] = file.resolve().relative_to(root.resolve()).as_posix()
            except ValueError as error:
                raise DatasetError(f"{sample.name}: {field} {file} is not below {root}; copy it there first") from error
        entry["view"] = sample.view.name.lower()
        for field in ("gsd", "hfov", "height", "yaw", "pitch"):
            if getattr(sample, field) is not None:
                entry[field] = float(getattr(sample, field))
        entry["objects"] = [
            {"id": item.id, "click": list(item.click), "bbox": list(item.bbox), "class": item.cls}
            for item in sample.objects
        ]
        pairs.append(entry)
    content = _validated(path, {"name": name, "pairs": pairs})
    lines = [json.dumps(pair.model_dump(by_alias=True, exclude_none=True)) for pair in content.pairs]
    path.write_text(f'{{"name": {json.dumps(name)}, "pairs": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def _require_distinct(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} occurs twice")
        seen.add(name)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as text: {error}") from error


def _validated(path: Path, content: Any) -> _PairsFile:
    try:
        return _PairsFile.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = list(problem["loc"])
        place: list[str] = []
        if where[:1] == ["pairs"] and len(where) > 1:
            entry = content["pairs"][int(where[1])]
            name = entry.get("name") if isinstance(entry, dict) else None
            place.append(f"pair {where[1]} ({name})" if name else f"pair {where[1]}")
            where = where[2:]
            if where[:1] == ["objects"] and len(where) > 1:
                place.append(f"object {where[1]}")
                where = where[2:]
        field = f"field '{'.'.join(map(str, where))}'" if where else ""
        parts = [", ".join(place), field, problem["msg"].removeprefix("Value error, ")]
        raise DatasetError(f"{path}: " + ": ".join(filter(None, parts))) from error
