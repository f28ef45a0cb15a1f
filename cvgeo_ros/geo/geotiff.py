"""GeoTIFF, and any other georeferenced 8-bit raster that GDAL reads, as a tile store."""

import threading
import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.pyramid import Block, BlockCache, Level, PyramidStore
from cvgeo_ros.geo.transform import GeoTransform

BLOCK_SIZE = 512


class GeoTiffStore(PyramidStore):
    """A raster file: its overviews are used where it has them, its mask, alpha band or nodata value where it has one.

    Bands: red, green and blue by their colour interpretation, else the first three; a single band is grey.
    Only 8 bits a band: how other types map to brightness is the user's choice, and the error says how to convert.

    Raises:
        MapError: where the file cannot be read, has no CRS or geotransform, a palette, or other than 8 bits a band.
    """

    path: Path

    def __init__(self, path: Path, cache: BlockCache) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._datasets: dict[int, rasterio.DatasetReader] = {}
        try:
            dataset = self._open(-1)
            _check(dataset, path.name)
            self._bands = colour_bands(dataset)
            flags = {flag for band in self._bands for flag in dataset.mask_flag_enums[band - 1]}
            self._opaque = flags == {MaskFlags.all_valid}
            levels = [Level(1.0, 1.0, -1)]
            for index in range(len(dataset.overviews(self._bands[0]))):
                overview = self._open(index)
                levels.append(Level(dataset.width / overview.width, dataset.height / overview.height, index))
            size = (dataset.width, dataset.height)
            transform = GeoTransform(dataset.transform, dataset.crs)
            attribution = dataset.tags().get("TIFFTAG_COPYRIGHT", "")
        except MapError as error:
            self._close_files()
            raise MapError(f"{path}: {error}") from error
        except RasterioError as error:
            self._close_files()
            raise MapError(
                f"{path}: not a raster that can be read ({error}); give a GeoTIFF, MBTiles or XYZ folder"
            ) from error
        super().__init__(
            f"{path.resolve().parent.name}/{path.stem}", size, transform, attribution, levels, BLOCK_SIZE, (0, 0), cache
        )

    def close(self) -> None:
        super().close()
        self._close_files()

    def _open(self, overview: int) -> rasterio.DatasetReader:
        options = {} if overview < 0 else {"overview_level": overview}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._datasets[overview] = rasterio.open(self.path, **options)
        return self._datasets[overview]

    def _close_files(self) -> None:
        with self._lock:
            for dataset in self._datasets.values():
                dataset.close()
            self._datasets.clear()

    def _decode(self, source: int, column: int, row: int) -> Block | None:
        left, top = column * BLOCK_SIZE, row * BLOCK_SIZE
        with self._lock:
            if source not in self._datasets:
                raise MapError(f"{self.path}: the store is closed; open it again")
            dataset = self._datasets[source]
            width, height = min(BLOCK_SIZE, dataset.width - left), min(BLOCK_SIZE, dataset.height - top)
            if left < 0 or top < 0 or width <= 0 or height <= 0:
                return None
            window = Window(left, top, width, height)
            try:
                bands: NDArray[np.uint8] = dataset.read(self._bands, window=window)
                # A pixel holds data where any of its bands does, as GDAL's dataset mask has it for nodata values.
                mask = None if self._opaque else dataset.read_masks(self._bands, window=window).max(axis=0) >= 128
            except RasterioError as error:
                raise MapError(
                    f"{self.path}: damaged at pixel ({left}, {top}) ({error}); copy the file again"
                ) from error
        if mask is not None and not mask.any():
            return None
        rgb = np.zeros((BLOCK_SIZE, BLOCK_SIZE, 3), dtype=np.uint8)
        rgb[:height, :width] = bands.transpose(1, 2, 0)
        if (mask is None or mask.all()) and (width, height) == (BLOCK_SIZE, BLOCK_SIZE):
            return Block(rgb)
        valid = np.zeros((BLOCK_SIZE, BLOCK_SIZE), dtype=bool)
        valid[:height, :width] = True if mask is None else mask
        return Block(rgb, valid)


def _check(dataset: rasterio.DatasetReader, name: str) -> None:
    """MapError where the raster cannot serve as a map, with the command that mends it."""
    if not dataset.crs:
        gcps = " (it has ground control points: gdalwarp applies them)" if dataset.gcps[0] else ""
        raise MapError(
            f"no CRS{gcps}; if it is known, set it: gdal_edit.py -a_srs EPSG:<code> {name}, "
            f"or gdal_translate -a_srs EPSG:<code> {name} fixed.tif"
        )
    if dataset.transform.is_identity:
        raise MapError(f"no geotransform; set its corners: gdal_edit.py -a_ullr <west> <north> <east> <south> {name}")
    others = sorted({kind for kind in dataset.dtypes if kind != "uint8"})
    if others:
        raise MapError(
            f"{others[0]} pixels, 8 bits are needed; "
            f"choose the range to show: gdal_translate -ot Byte -scale <min> <max> 0 255 {name} 8bit.tif"
        )
    if dataset.colorinterp[0] == ColorInterp.palette:
        raise MapError(f"colours are in a palette; expand it: gdal_translate -expand rgb {name} rgb.tif")


def colour_bands(dataset: rasterio.DatasetReader) -> list[int]:
    """The three bands (counted from 1) that make red, green and blue."""
    interpretation = list(dataset.colorinterp)
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(colour in interpretation for colour in colours):
        return [interpretation.index(colour) + 1 for colour in colours]
    usable = [band for band, kind in enumerate(interpretation, 1) if kind != ColorInterp.alpha]
    return usable[:3] if len(usable) >= 3 else usable[:1] * 3
