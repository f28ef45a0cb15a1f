"""Images of places with the sentences that describe them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from ...place.config import PLATFORMS


@dataclass(frozen=True)
class PlaceImage:
    """An image and what is written about it.

    Attributes:
        path: image file.
        platform: one of `PLATFORMS`.
        place: what it shows; images of one place by one platform are not told apart by their captions.
        gsd: metres per pixel, None where unknown.
        captions: descriptions of the whole image, each of a few sentences.
    """

    path: Path
    platform: str
    place: str
    gsd: float | None
    captions: tuple[str, ...]


def read_places(folder: Path) -> list[PlaceImage]:
    """Read a folder that `cvgeo place render` wrote.

    Raises:
        DatasetError: places.json or an image is missing, or an entry malformed; names it.
    """
    path = folder / "places.json"
    return [_image(entry, folder, f"{path}: entry {number}") for number, entry in enumerate(read_list(path))]


def read_list(path: Path) -> list[dict[str, Any]]:
    """A JSON file that is a list of objects.

    Raises:
        DatasetError: it is none.
    """
    try:
        entries = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DatasetError(f"{path}: must be a list of entries, one an image")
    return entries


def _image(entry: dict[str, Any], folder: Path, where: str) -> PlaceImage:
    try:
        path, gsd = folder / str(entry["image"]), entry["gsd"]
        captions = tuple(str(caption) for caption in entry["captions"])
        image = PlaceImage(
            path, str(entry["platform"]), str(entry["place"]), None if gsd is None else float(gsd), captions
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{where}: {type(error).__name__} {error}") from error
    if image.platform not in PLATFORMS:
        raise DatasetError(f"{where}: platform {image.platform!r} is none of {', '.join(PLATFORMS)}")
    if not captions:
        raise DatasetError(f"{where}: no captions")
    if not path.is_file():
        raise DatasetError(f"{where}: no such image: {path}")
    return image
