"""The web's tile grid: 2^z by 2^z tiles of EPSG:3857, row 0 in the north, as MBTiles files and XYZ folders have it."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import mercantile
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.pyramid import Block, Level
from cvgeo_ros.geo.transform import GeoTransform

MAX_ZOOM = 30


@dataclass(frozen=True)
class TileRange:
    """Tiles at one zoom, both ends included, row 0 in the north."""

    zoom: int
    x_min: int
    x_max: int
    y_min: int
    y_max: int

    def __post_init__(self) -> None:
        inside = 0 <= self.x_min <= self.x_max < 2**self.zoom and 0 <= self.y_min <= self.y_max < 2**self.zoom
        if not (0 <= self.zoom <= MAX_ZOOM and inside):
            raise MapError(f"tiles {self} lie outside the web mercator grid; was the map made for another grid?")

    def offset(self, size: int) -> tuple[int, int]:
        """The range's top-left corner in pixels of the world at this zoom, for tiles of `size` pixels."""
        return self.x_min * size, self.y_min * size

    def pixels(self, size: int) -> tuple[int, int]:
        """Width and height in pixels, for tiles of `size` pixels."""
        return (self.x_max - self.x_min + 1) * size, (self.y_max - self.y_min + 1) * size

    def transform(self, size: int) -> GeoTransform:
        """Where the range's pixels are, for tiles of `size` pixels."""
        world = mercantile.xy_bounds(0, 0, 0)
        step = (world.right - world.left) / 2**self.zoom / size
        u, v = self.offset(size)
        return GeoTransform(
            Affine(step, 0.0, world.left + u * step, 0.0, -step, world.top - v * step), CRS.from_epsg(3857)
        )


def levels(zooms: Iterable[int]) -> list[Level]:
    """Levels of a map that has these zooms, the highest first; the zooms between are built from the next higher."""
    available = set(zooms)
    top = max(available)
    return [
        Level(2.0 ** (top - zoom), 2.0 ** (top - zoom), zoom if zoom in available else None)
        for zoom in range(top, min(available) - 1, -1)
    ]


def decode_tile(data: bytes, where: str) -> NDArray[np.uint8]:
    """A PNG, JPEG or WebP tile as RGBA uint8 (n, n, 4); MapError naming `where` if it is not a square one."""
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise MapError(f"{where}: not a PNG, JPEG or WebP image ({len(data)} bytes); vector tiles cannot be used")
    if image.dtype != np.uint8:
        raise MapError(f"{where}: {image.dtype} pixels; make tiles of 8 bits a channel")
    channels = 1 if image.ndim == 2 else image.shape[2]
    codes = {1: cv2.COLOR_GRAY2RGBA, 3: cv2.COLOR_BGR2RGBA, 4: cv2.COLOR_BGRA2RGBA}
    if image.shape[0] != image.shape[1] or channels not in codes:
        raise MapError(
            f"{where}: {image.shape[1]} x {image.shape[0]} px with {channels} channels; square tiles are needed"
        )
    return np.asarray(cv2.cvtColor(image, codes[channels]), dtype=np.uint8)


def to_block(rgba: NDArray[np.uint8], size: int, where: str) -> Block | None:
    """The block of a tile, valid where alpha is at least half; None where it is nowhere. MapError at another size."""
    if rgba.shape[0] != size:
        raise MapError(f"{where}: {rgba.shape[0]} px wide, but other tiles of the map {size}; make the map anew")
    rgb = np.ascontiguousarray(rgba[..., :3])
    valid = rgba[..., 3] >= 128
    if valid.all():
        return Block(rgb)
    return Block(rgb, valid) if valid.any() else None
