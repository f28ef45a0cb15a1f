"""CVOGL as DetGeo's authors publish it: one click and one box a sample, drone or street views against satellite tiles.

Below a root lie ``CVOGL_DroneAerial`` and ``CVOGL_SVI``, each with ``query/``, ``satellite/`` and, for each split,
``<folder>_<split>.pth``: a list of 8-field tuples, pickled by torch. As DetGeo's loader reads them::

    (id, query file, satellite file, query centre, click [x, y] in query px, box [x1, y1, x2, y2] in satellite px,
     polygon in satellite px, class name)

The query centre and the polygon are read by nobody; other names that are about for fields 3 to 5 are wrong.

Convention:
    CVOGL's clicks name pixels by their indices: click (x, y) is the centre of that pixel, (x + 0.5, y + 0.5) here.
    Its boxes are kept as they are, cut to whole numbers as DetGeo cuts them.
"""

import math
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import torch

from ..errors import DatasetError
from ..net.config import View
from ..scene import read_image
from .pairsets import PairObject, PairSample

Subset = Literal["drone", "ground"]

FOLDERS: dict[Subset, str] = {"drone": "CVOGL_DroneAerial", "ground": "CVOGL_SVI"}
QUERY_SIZES: dict[Subset, tuple[int, int]] = {"drone": (256, 256), "ground": (512, 256)}
"""(width, height) of the queries, px."""
TILE_SIZE = 1024
"""Side of the satellite tiles, px."""
_VIEWS: dict[Subset, View] = {"drone": View.DRONE, "ground": View.GROUND}
_FIELDS = 8


def split_file(root: str | Path, subset: Subset, split: str) -> Path:
    """The file that lists a split ("train", "val" or "test")."""
    return Path(root) / FOLDERS[subset] / f"{FOLDERS[subset]}_{split}.pth"


def read_cvogl(root: str | Path, subset: Subset, split: str) -> list[PairSample]:
    """Read one split; nothing but plain data is unpickled.

    Args:
        root: folder that holds CVOGL_DroneAerial and CVOGL_SVI.
        subset: "drone" or "ground".
        split: "train", "val" or "test".

    Returns:
        Samples of one object each, named ``<split>-<index>`` in the order of the file; the object's id is the file's.

    Raises:
        DatasetError: a file is missing, or an entry malformed; names file, entry and field.
    """
    path = split_file(root, subset, split)
    folder = path.parent
    known: set[Path] = set()
    samples = []
    for index, entry in enumerate(_load(path)):
        where = f"{path}: entry {index}"
        if not isinstance(entry, tuple | list) or len(entry) != _FIELDS:
            raise DatasetError(f"{where}: expected a tuple of {_FIELDS} fields, got {_short(entry)}")
        key, query, tile, _, click, box, _, name = entry
        files = []
        for number, kind, file in ((1, "query", query), (2, "satellite", tile)):
            image = folder / kind / str(file)
            if image not in known and not image.is_file():
                raise DatasetError(f"{where}: field {number} ({kind} image): no image {image}")
            known.add(image)
            files.append(image)
        x, y = (math.floor(c) for c in _numbers(click, 2, f"{where}: field 4 (click)"))
        corners = [math.trunc(c) for c in _numbers(box, 4, f"{where}: field 5 (box)")]
        if corners[0] > corners[2] or corners[1] > corners[3]:
            raise DatasetError(f"{where}: field 5 (box): {corners} is no [x1, y1, x2, y2]")
        u0, v0, u1, v1 = map(float, corners)
        item = PairObject(str(key), (x + 0.5, y + 0.5), (u0, v0, u1, v1), str(name))
        samples.append(PairSample(f"{split}-{index:05d}", files[0], files[1], _VIEWS[subset], (item,)))
    return samples


def write_cvogl(root: str | Path, subset: Subset, split: str, samples: Sequence[PairSample]) -> None:
    """Write samples as one split of CVOGL, one entry an object; images of other sizes are resized, boxes with them.

    Raises:
        DatasetError: a sample of another view, or an image whose shape is not that of CVOGL's (it would be distorted).
    """
    path = split_file(root, subset, split)
    folder = path.parent
    for kind in ("query", "satellite"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    tiles: dict[Path, tuple[str, float]] = {}
    entries: list[tuple[Any, ...]] = []
    for index, sample in enumerate(samples):
        if sample.view is not _VIEWS[subset]:
            raise DatasetError(f"{sample.name}: a {sample.view.name.lower()} view is none of {FOLDERS[subset]}")
        stem = f"{split}_{index:05d}"
        width, height = QUERY_SIZES[subset]
        query, shrink = _copy(sample.query, folder / "query" / stem, (width, height))
        if sample.tile not in tiles:
            tiles[sample.tile] = _copy(sample.tile, folder / "satellite" / stem, (TILE_SIZE, TILE_SIZE))
        tile, scale = tiles[sample.tile]
        for item in sample.objects:
            click = [min(math.floor(c * shrink), size - 1) for c, size in zip(item.click, (width, height), strict=True)]
            x1, y1, x2, y2 = box = [round(c * scale) for c in item.bbox]
            entries.append(
                (
                    item.id if len(sample.objects) == 1 else f"{sample.name}/{item.id}",
                    query,
                    tile,
                    [width // 2, height // 2],
                    click,
                    box,
                    [x1, y1, x2, y1, x2, y2, x1, y2],
                    item.cls or "object",
                )
            )
    torch.save(entries, path)


def _load(path: Path) -> list[Any]:
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; give the folder that holds {' and '.join(FOLDERS.values())}"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"{path}: not a list pickled by torch, of plain data alone ({reason})") from error
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f"{path}: expected a list of tuples, got {_short(entries)}")
    return entries


def _numbers(value: Any, count: int, where: str) -> list[float]:
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise DatasetError(f"{where}: expected {count} numbers, got {_short(value)}")
    return numbers


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _copy(source: Path, target: Path, size: tuple[int, int]) -> tuple[str, float]:
    """Copy an image, resized where needed; its new file name and the factor it was resized by."""
    image = read_image(source)
    height, width = image.shape[:2]
    if abs(width * size[1] / (height * size[0]) - 1.0) > 0.01:
        raise DatasetError(f"{source}: {width} x {height} px; crop it to the shape of {size[0]} x {size[1]}")
    if (width, height) == size:
        target = target.with_suffix(source.suffix)
        shutil.copyfile(source, target)
    else:
        target = target.with_suffix(".png")
        method = cv2.INTER_AREA if width > size[0] else cv2.INTER_LINEAR
        cv2.imwrite(str(target), cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_RGB2BGR))
    return target.name, size[0] / width
