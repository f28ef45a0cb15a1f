"""The geoid above the ellipsoid, from a grid of the user's: EGM96 or EGM2008 as GTX or GeoTIFF."""

import math
import threading
import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from cvgeo_ros.errors import AutopilotError
from cvgeo_ros.geo.geodesy import check_place

LIMIT = 120.0
"""Metres: the geoid lies between 107 m below and 86 m above the ellipsoid (EGM2008)."""


class Geoid:
    """Heights of the geoid, interpolated bilinearly between the grid's nodes; safe to share by threads.

    Convention:
        Undulation N in metres, positive where the geoid lies above the WGS-84 ellipsoid: AMSL = ellipsoidal height - N.

    Args:
        path: GTX (vdatum) or GeoTIFF with one band in metres, north up in degrees, as PROJ and NGA give them out.

    Raises:
        AutopilotError: The file cannot be read, is not such a grid, or holds something other than a geoid.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                self._grid = rasterio.open(self.path)
            self._check_layout()
            self._check_values()
        except RasterioError as error:
            raise AutopilotError(
                f"geoid {path}: cannot be read ({error}); give an EGM96 or EGM2008 grid as .gtx or .tif"
            ) from error

    def _check_layout(self) -> None:
        grid, affine = self._grid, self._grid.transform
        if grid.count != 1 or affine.b or affine.d or affine.a <= 0.0 or affine.e >= 0.0 or affine.is_identity:
            raise AutopilotError(f"geoid {self.path}: not a georeferenced grid of one band with north up")
        if grid.crs is not None and not grid.crs.is_geographic:
            raise AutopilotError(f"geoid {self.path}: in {grid.crs}; a grid in degrees is needed")
        if affine.a * grid.width > 360.0 + 2.0 * affine.a or -affine.e * grid.height > 180.0 - 2.0 * affine.e:
            raise AutopilotError(f"geoid {self.path}: wider than the Earth; are its units degrees?")

    def _check_values(self) -> None:
        shape = (min(self._grid.height, 256), min(self._grid.width, 256))
        values = self._grid.read(1, out_shape=shape, masked=True).compressed()
        values = values[np.isfinite(values)]
        if not values.size or not np.ptp(values) or np.abs(values).max() > LIMIT:
            span = f"{values.min():g} to {values.max():g}" if values.size else "nothing"
            raise AutopilotError(
                f"geoid {self.path}: holds {span}, where a geoid has different values within {LIMIT:g} m; "
                "is it a terrain model?"
            )

    def undulation(self, latitude: float, longitude: float) -> float:
        """Return N in metres at a place (WGS-84 degrees).

        Raises:
            MapError: No place on Earth.
            AutopilotError: Outside the grid, or in a gap of it.
        """
        check_place(latitude, longitude, "geoid")
        affine, width, height = self._grid.transform, self._grid.width, self._grid.height
        turn = 360.0 / affine.a
        around = width > turn - 0.5
        # rasterio counts from the corner of a cell; the grid's nodes are the centres.
        x = ((longitude - affine.c) / affine.a) % turn - 0.5
        y = (latitude - affine.f) / affine.e - 0.5
        if not (around or x <= width - 0.5) or not -0.5 <= y <= height - 0.5:
            raise AutopilotError(
                f"geoid {self.path}: does not cover latitude {latitude:.5f}, longitude {longitude:.5f}"
            )
        # The outer half of the outer cells has no further node.
        x = x % turn if around else min(max(x, 0.0), width - 1.0)
        y = min(max(y, 0.0), height - 1.0)
        column, row = math.floor(x), math.floor(y)
        columns = [column, (column + 1) % round(turn)] if around else [column, min(column + 1, width - 1)]
        nodes = self._nodes([row, min(row + 1, height - 1)], columns)
        right, down = x - column, y - row
        # A weight of zero must not spread the gap beside a node.
        weights = np.outer([1.0 - down, down], [1.0 - right, right])
        value = float(np.sum(np.where(weights > 0.0, nodes, 0.0) * weights))
        if not abs(value) <= LIMIT:
            raise AutopilotError(f"geoid {self.path}: a gap at latitude {latitude:.5f}, longitude {longitude:.5f}")
        return value

    def _nodes(self, rows: list[int], columns: list[int]) -> NDArray[np.float64]:
        with self._lock:
            cells = [
                self._grid.read(1, window=Window(column, row, 1, 1), masked=True).astype(np.float64).filled(np.nan)
                for row in rows
                for column in columns
            ]
        return np.array(cells).reshape(2, 2)
