"""Where training pairs come from: photographs, warped onto themselves, and rendered worlds, seen twice."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, TypeAdapter, ValidationError

from ..errors import DatasetError
from ..geo import Attitude, PinholeCamera, compass_to_yaw, ground_to_frame
from .warping import Homography


@dataclass(frozen=True)
class Shown:
    """A frame of a tile.

    Attributes:
        file: image.
        to_tile: homography frame px -> tile px of the ground.
        clicks: frame px, by number of the object.
        matches: file of true correspondences, see scenes.dataset.
        nadir: (2,) tile px of the point below the camera.
        height: of the camera, metres.
    """

    file: Path
    to_tile: Homography
    clicks: dict[int, tuple[float, float]]
    matches: Path
    nadir: NDArray[np.float64]
    height: float


Outline = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Contour (M, 2) and some inner points (K, 2) of an object, px."""


@dataclass
class Source:
    """One tile and the frames that show it.

    Attributes:
        tile: image file.
        gsd: metres per pixel of the tile, once shrunk.
        frames: that show it; empty: the tile is its own frame.
        boxes: (M, 4) boxes of the objects, tile px.
        mask: file of a building mask of the tile, where there is one.
        weight: how often it is drawn.
        shrink: factor that tile and frames are resized by when they are read.
    """

    tile: Path
    gsd: float
    frames: list[Shown] = field(default_factory=list)
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    mask: Path | None = None
    weight: float = 1.0
    shrink: float = 1.0


def read_rgb(path: Path, shrink: float = 1.0) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) RGB, resized by `shrink`; FileNotFoundError where it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"{path}: not a readable image")
    if shrink != 1.0:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


class _Set(BaseModel):
    """A folder of photographs from straight above."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    pattern: str = "*.jpg"
    gsd: PositiveFloat  # metres per pixel of the file
    shrink: Annotated[float, Field(gt=0, le=1)] = 1.0
    weight: PositiveFloat = 1.0


PHOTOGRAPHS_FILE = "photographs.json"
# Ground sampling distances are estimates (by cars and houses); the gate and the scale augmentation need no better.
_KNOWN = (
    _Set(folder="tartu", pattern="train/*.jpg", gsd=0.13),
    _Set(folder="caliterra", gsd=0.06, shrink=0.6, weight=0.25),
    _Set(folder="boruszyn", gsd=0.15, weight=1.5),
    _Set(folder="brighton", pattern="*.JPG", gsd=0.025, shrink=0.3, weight=0.7),
)


def real_sources(root: Path) -> list[Source]:
    """Photographs from straight above, each warped onto itself, with the outlines of buildings where there is a mask.

    Args:
        root: holds ``photographs.json``, a list of {"folder", "pattern" (*.jpg), "gsd" (m/px of the files), "shrink"
            (1), "weight" (1)}, or else the folders that the shipped weights were trained on. A mask lies beside its
            photograph: ``a.jpg`` and ``a_mask.png``, not 0 where a building is.

    Raises:
        DatasetError: a photographs.json that cannot be read, or one of whose sets is empty.
    """
    path = root / PHOTOGRAPHS_FILE
    known: tuple[_Set, ...] = _KNOWN
    if path.is_file():
        try:
            known = TypeAdapter(tuple[_Set, ...]).validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DatasetError(f"{path}: {where}: {first['msg']}") from error
    sources = []
    for group in known:
        files = sorted((root / group.folder).glob(group.pattern))
        if path.is_file() and not files:
            raise DatasetError(f"{path}: no file matches {root / group.folder / group.pattern}")
        for file in files:
            mask = file.with_name(file.stem + "_mask.png")
            sources.append(
                Source(
                    file,
                    group.gsd / group.shrink,
                    mask=mask if mask.exists() else None,
                    weight=group.weight,
                    shrink=group.shrink,
                )
            )
    return sources


def rendered_sources(root: Path) -> list[Source]:
    """Worlds written by `cvgeo_ros.learn.scenes.pack`."""
    sources = []
    for path in sorted(root.glob("*/world.json")):
        try:
            world: dict[str, Any] = json.loads(path.read_text())
        except json.JSONDecodeError:  # still being written
            continue
        ids = {o["id"]: i for i, o in enumerate(world["objects"])}
        frames: list[Shown] = []
        for view in world["views"]:
            clicks = {
                ids[o["id"]]: (float(o["click"][0]), float(o["click"][1]))
                for o in view["objects"]
                if o["visible"] > 0.4 and o["id"] in ids
            }
            to_tile = np.array(view["ground_to_sat"], np.float64)
            nadir = to_tile @ _nadir(view, path.parent / view["file"])
            frames.append(
                Shown(
                    path.parent / view["file"],
                    to_tile,
                    clicks,
                    path.parent / view["matches"],
                    nadir[:2] / nadir[2],
                    view["height"],
                )
            )
        boxes = np.array([o["bbox"] for o in world["objects"]], np.float64).reshape(-1, 4)
        sources.append(Source(path.parent / world["sat"], world["gsd"], frames, boxes, weight=1.0))
    return sources


def _nadir(view: dict[str, Any], file: Path) -> NDArray[np.float64]:
    """(3,) homogeneous frame px of the point below the camera of a rendered view."""
    with Image.open(file) as image:
        width, height = image.size
    camera = PinholeCamera.from_hfov(width, height, math.radians(view["hfov"]))
    attitude = Attitude(compass_to_yaw(view["yaw"]), math.radians(view["pitch"]), math.radians(view["roll"]))
    return ground_to_frame(camera, attitude, view["height"])[:, 2]


def read_outlines(path: Path) -> list[Outline]:
    """Contour and some inner points, px, of each building of a mask that does not touch its border."""
    mask = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    outlines = []
    for number in range(1, count):
        x, y, w, h, area = stats[number]
        if area < 60 or x == 0 or y == 0 or x + w == mask.shape[1] or y + h == mask.shape[0]:
            continue
        part = np.pad((labels[y : y + h, x : x + w] == number).astype(np.uint8), 1)
        contour = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0][:, 0]
        v, u = np.nonzero(cv2.erode(part, np.ones((3, 3), np.uint8)))
        if len(u):
            keep = slice(None, None, max(1, len(u) // 50))
            origin = np.array([x - 1, y - 1]) + 0.5
            outlines.append((contour + origin, np.stack([u, v], -1)[keep] + origin))
    return outlines
