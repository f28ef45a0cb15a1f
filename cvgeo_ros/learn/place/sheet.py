"""A contact sheet of a rendered set: places in rows, each picture with its captions below it."""

import json
import textwrap
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import SceneError
from cvgeo_ros.learn.place.rendering import SIZE

_WIDTH, _TEXT, _LINE = 460, 200, 12


def draw_sheet(folder: Path, count: int = 4, first: int = 0) -> NDArray[np.uint8]:
    """Return ``count`` places of a set from the ``first`` on, as an RGB image (H, W, 3).

    Raises:
        SceneError: The folder holds no set, or fewer places.
    """
    index = folder / "places.json"
    if not index.is_file():
        raise SceneError(f"{folder}: no places.json; render a set there first")
    places: dict[str, dict[str, dict[str, object]]] = {}
    for item in json.loads(index.read_text()):
        places.setdefault(item["place"], {})[item["platform"]] = item
    chosen = list(places.values())[first : first + count]
    if not chosen:
        raise SceneError(f"{folder}: {len(places)} places, none from {first} on")
    return np.vstack(
        [np.hstack([_cell(folder, row[name]) for name in ("satellite", "drone", "ground")]) for row in chosen]
    )


def _cell(folder: Path, item: dict[str, object]) -> NDArray[np.uint8]:
    cell = np.full((SIZE + _TEXT, _WIDTH, 3), 255, np.uint8)
    picture = cv2.imread(str(folder / str(item["image"])))
    if picture is None:
        raise SceneError(f"{folder / str(item['image'])}: missing or no picture")
    left = (_WIDTH - SIZE) // 2
    cell[4 : SIZE + 4, left : left + SIZE] = picture[:, :, ::-1]
    v = SIZE + 16
    captions = item["captions"]
    assert isinstance(captions, list)
    for number, caption in enumerate(captions):
        for line in textwrap.wrap(f"{number + 1}. {caption}", 80):
            cv2.putText(cell, line, (4, v), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (20, 20, 20), 1, cv2.LINE_AA)
            v += _LINE
    return cell
