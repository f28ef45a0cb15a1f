"""GeoText-1652 (arXiv 2311.12751): its files, and the relevance of its evaluation.

A text is relevant to every image of its building and an image to every text of it. The building is the part of
`image_id` before the slash. The published evaluation counts buildings up while it reads and takes the number before it
advances it, so that the first image of each new building gets the number of the one before; figures that were published
carry that slip. It also calls image-to-text `txt_r*` and text-to-image `img_r*`.
"""

from pathlib import Path

import numpy as np

from ...errors import DatasetError
from .data import PlaceImage, read_list
from .evaluation import Labels

_PARTS = {"satellite": "satellite", "drone": "drone", "street": "ground", "ground": "ground", "google": "ground"}


def read_geotext(file: Path, root: Path | None = None) -> list[PlaceImage]:
    """Read train.json, test_24G_version.json or test_951_version.json.

    In the first, an entry has one `caption`, and an image has several entries, which are put together; in the others
    `caption` is a list.

    Args:
        file: one of them.
        root: folder that the images' paths start from; None: that of the file.

    Raises:
        DatasetError: the file or an image is missing, or an entry malformed; names it.
    """
    root = file.parent if root is None else root
    found: dict[str, PlaceImage] = {}
    for number, entry in enumerate(read_list(file)):
        where = f"{file}: entry {number}"
        try:
            name, identity, caption = str(entry["image"]), str(entry["image_id"]), entry["caption"]
        except KeyError as error:
            raise DatasetError(f"{where}: no {error}") from error
        captions = (caption,) if isinstance(caption, str) else caption
        if not isinstance(captions, (list, tuple)) or not captions or not all(isinstance(c, str) for c in captions):
            raise DatasetError(f"{where}: 'caption' must be a sentence or a list of them")
        path = root / name
        if not path.is_file():
            raise DatasetError(f"{where}: no such image: {path}")
        before = found[name].captions if name in found else ()
        found[name] = PlaceImage(path, _platform(name, where), building_of(identity), None, (*before, *captions))
    return list(found.values())


def building_of(image_id: str) -> str:
    """ "0839/image-43.jpeg" -> "0839"; the published code takes the first four characters, which are the same."""
    return image_id.split("/")[0].split(".")[0]


def _platform(name: str, where: str) -> str:
    """By a folder of the path: University-1652 keeps satellite, drone and street images apart."""
    for part in reversed(Path(name).parts[:-1]):
        for word, platform in _PARTS.items():
            if word in part:
                return platform
    raise DatasetError(f"{where}: no folder of {name!r} tells the platform (satellite, drone, street)")


def building_labels(images: list[PlaceImage], slip: bool = False) -> Labels:
    """(N,) number of each image's building.

    Args:
        images: in the order of the file.
        slip: number them as the published evaluation does: counted up at each change, one image too late.
    """
    if slip:
        labels, count = [], 0
        for index, image in enumerate(images):
            labels.append(count)
            count += index > 0 and image.place != images[index - 1].place
        return np.array(labels, np.int64)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(image.place, len(numbers)) for image in images], np.int64)
