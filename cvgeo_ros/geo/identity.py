"""Which map a file is: a digest of its content, taken in milliseconds however large it is; and what lies beside it."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cvgeo_ros.errors import MapError

if TYPE_CHECKING:
    from cvgeo_ros.geo.store import TileStore

WHOLE = 16 << 20
"""Files up to this size are read whole."""
SAMPLES, SAMPLE = 1024, 4096
"""Of larger ones so many pieces of so many bytes, evenly spread from the first byte to the last."""
FILES = 256
"""Of a folder, the names of all files count, and the content of so many."""


def map_digest(path: Path) -> str:
    """Digest of a map's content; neither name, place nor time of change matter, so a copy is the same map.

    Of large files only pieces are read, the header among them. SQLite counts its changes there and GeoTIFFs that grow
    change their size; what can escape is a change in place of less than a thousandth of a large GeoTIFF.

    Raises:
        MapError: the map cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            names = sorted(_names(path))
            digest.update("\0".join(names).encode())
            for name in names[:: max(len(names) // FILES, 1)]:
                digest.update((path / name.lstrip("/")).read_bytes())
        else:
            _add_file(digest, path)
    except OSError as error:
        raise MapError(f"{path}: cannot be read ({error}); check the disk and the permissions") from error
    return digest.hexdigest()


def tile_digest(tile: "TileStore") -> str:
    """Digest of a map's content, size and georeference, which may come from a file beside it.

    Raises:
        MapError: the map is no file, or cannot be read.
    """
    if tile.path is None:
        raise MapError(f"{tile.tile_id}: this map is no file; save it first")
    place = [tile.width, tile.height, *tuple(tile.transform.affine)[:6], tile.transform.crs.to_wkt()]
    return hashlib.sha256(f"{map_digest(tile.path)} {json.dumps(place)}".encode()).hexdigest()


def _names(root: Path) -> Iterator[str]:
    """Of all files below a folder, relative to it."""
    for folder, _, files in os.walk(root):
        within = folder[len(str(root)) :].lstrip(os.sep)
        yield from (f"{within}/{name}" for name in files)


def _add_file(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "little"))
        if size <= WHOLE:
            digest.update(file.read())
            return
        for k in range(SAMPLES):
            file.seek((size - SAMPLE) * k // (SAMPLES - 1))
            digest.update(file.read(SAMPLE))


def features_path(map_path: Path, model: str) -> Path:
    """Where the features of a map belong for a model of this name: beside it."""
    whole = map_path.resolve()
    return whole.with_name(f"{whole.name}.{model}.features")


def places_path(map_path: Path, model: str) -> Path:
    """Where the index of a map's places belongs for a model of this name: beside it."""
    whole = map_path.resolve()
    return whole.with_name(f"{whole.name}.{model}.places")


def all_features(map_path: Path) -> Iterator[Path]:
    """All files of features beside a map, whatever the model."""
    whole = map_path.resolve()
    prefix, suffix = f"{whole.name}.", ".features"
    if whole.parent.is_dir():
        for path in sorted(whole.parent.iterdir()):
            if path.name.startswith(prefix) and path.name.endswith(suffix) and path.is_file():
                yield path
