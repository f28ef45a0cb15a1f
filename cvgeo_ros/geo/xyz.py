"""A folder of web tiles, {z}/{x}/{y}.png, .jpg, .jpeg or .webp, row 0 in the north (TMS if metadata.json says so)."""

import json
import os
import re
from pathlib import Path

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.mercator import TileRange, decode_tile, levels, to_block
from cvgeo_ros.geo.pyramid import Block, BlockCache, PyramidStore

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class XyzStore(PyramidStore):
    """The highest zoom is the pixel grid, the lower zooms its overviews, gaps are invalid.

    Opening lists the folders of the highest zoom and decodes one tile. A `metadata.json` beside the zooms, as
    mb-util and TileJSON have it, gives "attribution" and "scheme" ("xyz" or "tms").

    Raises:
        MapError: where the folder has no tiles or metadata.json is not JSON.
    """

    path: Path

    def __init__(self, path: Path, cache: BlockCache) -> None:
        self.path = path
        self._suffixes = list(SUFFIXES)
        self.metadata = _metadata(path)
        self.tms = self.metadata.get("scheme", "xyz") == "tms"
        zooms = sorted((int(name) for name in _numbered(path)), reverse=True)
        tiles = None
        while zooms and tiles is None:
            tiles = self._survey(zooms[0])
            if tiles is None:
                zooms.pop(0)
        if tiles is None:
            raise MapError(
                f"{path}: no tiles {{z}}/{{x}}/{{y}}.png, .jpg, .jpeg or .webp in it; give the folder above the zooms"
            )
        size = self._size
        super().__init__(
            f"{path.resolve().parent.name}/{path.resolve().name}",
            tiles.pixels(size),
            tiles.transform(size),
            re.sub(r"<[^>]*>", "", self.metadata.get("attribution", "")).strip(),
            levels(zooms),
            size,
            tiles.offset(size),
            cache,
        )

    def _survey(self, zoom: int) -> TileRange | None:
        """The extent of a zoom from its listings; None if it has no tiles. Notes the tiles' size and usual suffix."""
        folder = self.path / str(zoom)
        columns, rows, first = [], [], None
        for column in _numbered(folder):
            names = [name for name in os.listdir(folder / column) if _is_tile(name)]
            if names:
                columns.append(int(column))
                numbers = [int(name.split(".")[0]) for name in names]
                rows += [min(numbers), max(numbers)]
                first = first or folder / column / names[0]
        if first is None:
            return None
        self._suffixes.sort(key=lambda suffix: suffix != first.suffix)
        self._size = decode_tile(first.read_bytes(), str(first)).shape[0]
        y_min, y_max = min(rows), max(rows)
        if self.tms:
            y_min, y_max = (1 << zoom) - 1 - y_max, (1 << zoom) - 1 - y_min
        return TileRange(zoom, min(columns), max(columns), y_min, y_max)

    def _decode(self, source: int, column: int, row: int) -> Block | None:
        name = (1 << source) - 1 - row if self.tms else row
        for suffix in self._suffixes:
            file = self.path / str(source) / str(column) / f"{name}{suffix}"
            try:
                data = file.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise MapError(f"{file}: cannot be read ({error}); check the disk and the permissions") from error
            return to_block(decode_tile(data, str(file)), self._size, str(file))
        return None


def _numbered(folder: Path) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.name.isdecimal() and entry.is_dir()]


def _is_tile(name: str) -> bool:
    stem, suffix = os.path.splitext(name)
    return stem.isdecimal() and suffix in SUFFIXES


def _metadata(path: Path) -> dict[str, str]:
    file = path / "metadata.json"
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): value for key, value in content.items() if isinstance(value, str)}
    except (ValueError, AttributeError) as error:
        raise MapError(f"{file}: not a JSON object ({error}); mend or remove it") from error
