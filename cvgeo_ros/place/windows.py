"""Windows of a map that sentences are compared with: north-up squares of a few sizes, overlapping, in rows.

Convention:
    Windows are numbered size by size, in each from the north-west corner along rows. Rows lie on parallels, and the
    windows of each are as far apart in metres as those of any other, so maps of any CRS, rotation and extent are cut
    alike. Edges of the outermost windows lie on the map's bounds.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PlaceError
from ..geo import TileStore
from ..geo.geodesy import metres_per_degree
from ..geo.resample import warp

SCALES = (120.0, 240.0)
"""Sides of windows, metres."""
OVERLAP = 0.5
"""Share of a window's side that the next one covers too, at least."""
LEAST_VALID = 0.5
"""Share of a window that has to show something."""


@dataclass(frozen=True)
class Window:
    """A north-up square over ground.

    Attributes:
        number: of the window in its map.
        u0, v0, u1, v1: upright box of tile pixels around it.
        latitude, longitude: of its centre, degrees.
        bounds: south, west, north, east in degrees; west > east across the antimeridian.
        scale: its side, metres.
    """

    number: int
    u0: float
    v0: float
    u1: float
    v1: float
    latitude: float
    longitude: float
    bounds: tuple[float, float, float, float]
    scale: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.u0, self.v0, self.u1, self.v1


class WindowGrid:
    """All windows of a map, those among them too that show nothing.

    Raises:
        PlaceError: a size is not above 0, or the overlap is not in 0..0.9.
    """

    def __init__(self, tile: TileStore, scales: tuple[float, ...] = SCALES, overlap: float = OVERLAP) -> None:
        if not scales or not all(0.0 < scale < 1e5 for scale in scales) or not 0.0 <= overlap <= 0.9:
            raise PlaceError(
                f"windows of {scales} m that overlap by {overlap}: sides above 0 and an overlap in 0..0.9 needed"
            )
        self.tile, self.scales, self.overlap = tile, scales, overlap
        south, self._west, north, east = tile.transform.bounds(0.0, 0.0, tile.width, tile.height)
        width = (east - self._west) % 360.0
        rows = [part for scale in scales for part in self._rows(scale, south, north, width)]
        latitude, first, step, count, side = (np.array(column) for column in zip(*rows, strict=True))
        self._latitude, self._first, self._step, self._side = latitude, first, step, side
        self._starts = np.concatenate([[0], np.cumsum(count, dtype=np.int64)])

    def _rows(self, scale: float, south: float, north: float, width: float) -> list[tuple[float, ...]]:
        """Latitude, offset of the first window and step east (degrees), how many and how large, of each row."""
        height = (north - south) * float(metres_per_degree((south + north) / 2)[1])
        rows: list[tuple[float, ...]] = []
        for down in self._spread(height, scale):
            latitude = north - down / height * (north - south)
            east = float(metres_per_degree(latitude)[0])
            places = self._spread(width * east, scale)
            step = places[1] - places[0] if len(places) > 1 else 0.0
            rows.append((latitude, places[0] / east, step / east, float(len(places)), scale))
        return rows

    def _spread(self, extent: float, scale: float) -> NDArray[np.float64]:
        """Centres of windows along an extent, metres."""
        if extent <= scale:
            return np.array([extent / 2])
        count = math.ceil((extent - scale) / (scale * (1.0 - self.overlap)) - 1e-6) + 1
        return np.linspace(scale / 2, extent - scale / 2, count)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def centres(self, numbers: ArrayLike) -> NDArray[np.float64]:
        """Latitude, longitude (N, 2) in degrees of windows (N,)."""
        which = np.asarray(numbers, np.int64)
        row = np.searchsorted(self._starts, which, side="right") - 1
        longitude = self._west + self._first[row] + (which - self._starts[row]) * self._step[row]
        return np.stack([self._latitude[row], (longitude + 180.0) % 360.0 - 180.0], axis=-1)

    def sides(self, numbers: ArrayLike) -> NDArray[np.float64]:
        """Sides (N,) in metres of windows (N,)."""
        row = np.searchsorted(self._starts, np.asarray(numbers, np.int64), side="right") - 1
        return np.asarray(self._side[row])

    def window(self, number: int) -> Window:
        """One window. IndexError where there is none of that number."""
        if not 0 <= number < len(self):
            raise IndexError(f"window {number} of {len(self)}")
        ((latitude, longitude),) = self.centres([number]).tolist()
        side = float(self.sides([number])[0])
        east, north = (side / 2 / float(metres) for metres in metres_per_degree(latitude))
        west, right = ((longitude + shift + 180.0) % 360.0 - 180.0 for shift in (-east, east))
        centre, per_metre = self._local(latitude, longitude)
        reach = np.abs(per_metre).sum(axis=1) * side / 2
        (u0, v0), (u1, v1) = (centre - reach).tolist(), (centre + reach).tolist()
        return Window(
            number, u0, v0, u1, v1, latitude, longitude, (latitude - north, west, latitude + north, right), side
        )

    def _local(self, latitude: float, longitude: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tile pixel (2,) of a place, and tile pixels per metre east and north there, (2, 2)."""
        pixel = self.tile.transform.geodetic_to_pixel([latitude, longitude])
        return pixel, np.asarray(np.linalg.inv(self.tile.transform.jacobian(pixel)), np.float64)

    def covered(self, numbers: ArrayLike) -> NDArray[np.bool_]:
        """Which windows have their centre in the tile; of others it can show less than half."""
        pixels = self.tile.transform.geodetic_to_pixel(self.centres(numbers))
        with np.errstate(invalid="ignore"):
            return np.asarray(((pixels >= 0) & (pixels <= [self.tile.width, self.tile.height])).all(axis=-1))

    def read(self, number: int, size: int) -> tuple[NDArray[np.uint8], float]:
        """What a window shows, RGB uint8 (size, size, 3), north up, gaps in its mean colour; and how much of it is
        no gap, 0..1. Tiles that are rotated, or whose grid is not to the north, are resampled.
        """
        window = self.window(number)
        centre, per_metre = self._local(window.latitude, window.longitude)
        # Pixels of the window to tile pixels, about the centre.
        to_tile = per_metre @ np.diag([1.0, -1.0]) * (window.scale / size)
        if np.abs(to_tile[0, 1]) + np.abs(to_tile[1, 0]) < 1.0 / size * np.abs(to_tile).max() and to_tile[0, 0] > 0:
            half = np.abs(np.diag(to_tile)) * size / 2
            (u0, v0), (u1, v1) = (centre - half).tolist(), (centre + half).tolist()
            image, valid = self.tile.read(u0, v0, u1, v1, (size, size))
        else:
            # As fine as the window is to be, from the upright box around it.
            finest = float(np.linalg.norm(to_tile, axis=0).min())
            shape = tuple(math.ceil(extent / finest) for extent in (window.v1 - window.v0, window.u1 - window.u0))
            source, known = self.tile.read(*window.box, (shape[0], shape[1]))
            scale = np.array([shape[1] / (window.u1 - window.u0), shape[0] / (window.v1 - window.v0)])
            matrix = np.eye(3)
            matrix[:2, :2] = scale[:, None] * to_tile
            matrix[:2, 2] = scale * (centre - [window.u0, window.v0]) - matrix[:2, :2] @ [size / 2, size / 2]
            image, coverage = warp(source, matrix, (size, size), valid=known)
            valid = coverage >= 128
        share = float(valid.mean())
        if 0.0 < share < 1.0:
            image = image.copy()
            image[~valid] = np.rint(image[valid].mean(axis=0)).astype(np.uint8)
        return image, share
