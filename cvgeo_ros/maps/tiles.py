"""Tiles as they come from elsewhere: whether one is a whole image, and which ones an area takes."""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import mercantile
from PIL import Image, UnidentifiedImageError

from ..errors import MapError
from ..geo.mbtiles_writer import image_format
from ..geo.mercator import MAX_ZOOM, TileRange

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""
MAX_LATITUDE = 85.051128
"""Where the web's grid ends."""
EPSILON = 1e-9
"""Degrees by which a border on an edge of tiles belongs to the tile inside."""


class RefusedError(Exception):
    """A tile that must not go into a map; the message is one of few short reasons, which can be counted."""


def check_tile(data: bytes, size: int | None = None) -> int:
    """Side in pixels of a tile that is a whole square PNG, JPEG or WebP image of 8 bits a channel.

    Args:
        data: the tile.
        size: side that the other tiles have, None: any.

    Raises:
        RefusedError: it is not.
    """
    if not data:
        raise RefusedError("empty")
    if image_format(data) is None:
        head = data[:256].lstrip().lower()
        raise RefusedError("a web page" if head.startswith((b"<!doctype", b"<html", b"<?xml", b"{")) else "no image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Checks the sums of a PNG's chunks and that none is missing; of the other formats loading finds what lacks.
            image.verify()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            mode, (width, height) = image.mode, image.size
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise RefusedError("truncated or damaged") from error
    if mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise RefusedError(f"not 8 bits a channel ({mode})")
    if width != height or (size is not None and width != size):
        raise RefusedError(f"{width} x {height} px")
    return width


def parse_bounds(text: str) -> Bounds:
    """WEST,SOUTH,EAST,NORTH in degrees; MapError where they are no area that tiles can cover."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise MapError(f"{text!r} is no area: give WEST,SOUTH,EAST,NORTH in degrees") from None
    if not all(map(math.isfinite, (west, south, east, north))):
        raise MapError(f"{text!r} is no area: give finite numbers")
    if not (-180.0 <= west < east <= 180.0):
        raise MapError(
            f"{text!r}: west must lie below east, both within -180 and 180; where the area crosses the antimeridian, "
            "make two maps"
        )
    if not (-MAX_LATITUDE <= south < north <= MAX_LATITUDE):
        raise MapError(f"{text!r}: south must lie below north, both within {MAX_LATITUDE} degrees of the equator")
    return west, south, east, north


def parse_zooms(text: str) -> tuple[int, ...]:
    """Z or LOW-HIGH, highest first; MapError otherwise."""
    found = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", text.strip())
    if found is None:
        raise MapError(f"{text!r} is no zoom: give one such as 18, or several such as 14-18")
    low = int(found[1])
    high = int(found[2] or low)
    if not low <= high <= MAX_ZOOM:
        raise MapError(f"{text!r}: give zooms from 0 to {MAX_ZOOM}, the lower one first")
    return tuple(range(high, low - 1, -1))


@dataclass(frozen=True)
class Area:
    """The tiles that cover bounds at some zooms, highest zoom first, column by column."""

    bounds: Bounds
    zooms: tuple[int, ...]

    def at(self, zoom: int) -> TileRange:
        """The range of a zoom."""
        west, south, east, north = self.bounds
        first = mercantile.tile(west + EPSILON, north - EPSILON, zoom)
        last = mercantile.tile(east - EPSILON, south + EPSILON, zoom)
        return TileRange(zoom, first.x, last.x, first.y, last.y)

    def columns(self) -> Iterator[tuple[int, int, range]]:
        """(zoom, x, rows) of every column."""
        for zoom in self.zooms:
            tiles = self.at(zoom)
            for x in range(tiles.x_min, tiles.x_max + 1):
                yield zoom, x, range(tiles.y_min, tiles.y_max + 1)

    def holds(self, zoom: int, x: int, y: int) -> bool:
        """Whether a tile at one of its zooms is one of them."""
        tiles = self.at(zoom)
        return tiles.x_min <= x <= tiles.x_max and tiles.y_min <= y <= tiles.y_max

    @property
    def count(self) -> int:
        """Number of tiles."""
        ranges = [self.at(zoom) for zoom in self.zooms]
        return sum((r.x_max - r.x_min + 1) * (r.y_max - r.y_min + 1) for r in ranges)
