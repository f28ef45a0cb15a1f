"""Where a tile's pixels are on Earth.

Convention:
    pixels: (..., 2) u, v; origin at the top-left corner of the top-left pixel, pixel centres at .5.
    geodetic: (..., 2) latitude, longitude in degrees, WGS-84, whatever the tile's own CRS and its axis order.
    offsets: (..., 2) east, north in metres over ground about an origin (latitude, longitude); see `geodesy`.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup
from rasterio.crs import CRS

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.geodesy import as_pairs, enu_to_geodetic, geodetic_to_enu, metres_per_degree


@lru_cache(maxsize=64)
def _to_wgs84(wkt: str, x: float, y: float) -> pyproj.Transformer:
    """CRS x, y (east first) to WGS-84 longitude, latitude, by the operation that is best near (x, y) of the CRS.

    One fixed operation: pyproj's usual choice point by point steps by up to a metre where two datum shifts meet inside
    one tile, and is not its own inverse there. It is rebuilt from its pipeline, since threads may share a Transformer
    but not a TransformerGroup's members.
    """
    try:
        crs = pyproj.CRS.from_wkt(wkt)
        longitude, latitude = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
        place = math.isfinite(longitude + latitude)
        area = AreaOfInterest(longitude, latitude, longitude, latitude) if place else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of grids that are not installed: the next best operation serves
            best = TransformerGroup(crs, "EPSG:4326", always_xy=True, area_of_interest=area).transformers[0]
        return pyproj.Transformer.from_pipeline(best.definition)
    except (ProjError, IndexError) as error:
        raise MapError(
            f"CRS {wkt[:80]!r} has no known way to WGS-84 ({error}); "
            "reproject the map, for instance with gdalwarp -t_srs EPSG:3857"
        ) from error


@dataclass(frozen=True)
class GeoTransform:
    """Tile pixels to the tile's CRS to WGS-84 and back; vectorised, immutable, safe to share by threads.

    Attributes:
        affine: pixel (u, v) to CRS (x, y), x east first as in GDAL's geotransform; rotation and shear allowed.
        crs: the tile's CRS, projected or geographic.

    Raises:
        MapError: where the affine is singular or not finite, or the CRS is missing or not tied to Earth.
    """

    affine: Affine
    crs: CRS

    def __post_init__(self) -> None:
        coefficients = tuple(self.affine)[:6]
        if not all(map(math.isfinite, coefficients)):
            raise MapError(
                f"geotransform {coefficients} is not finite; georeference the map anew (gdal_edit.py -a_ullr)"
            )
        a, b, _, d, e, _ = coefficients
        if abs(a * e - b * d) <= 1e-12 * (a * a + b * b + d * d + e * e):
            raise MapError(f"geotransform {coefficients} is singular; georeference the map anew (gdal_edit.py -a_ullr)")
        if not self.crs:
            raise MapError("map has no CRS; if it is known, set it: gdal_edit.py -a_srs EPSG:<code> <map>")
        if not (self.crs.is_geographic or self.crs.is_projected):
            raise MapError(
                f"CRS {self.crs.to_string()[:80]!r} is neither geographic nor projected; reproject with gdalwarp"
            )

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        return np.array(tuple(self.affine)[:6], dtype=np.float64).reshape(2, 3)

    @cached_property
    def _wgs84(self) -> pyproj.Transformer:
        # A window of a tile must use its tile's operation, so the place is blurred to the size of datum shifts' areas.
        size = 1.0 if self.crs.is_geographic else 1e5
        x, y = (size * round(value / size) for value in self._matrix[:, 2])
        return _to_wgs84(self.crs.to_wkt(version="WKT2_2018"), x, y)

    def pixel_to_geodetic(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Latitude, longitude (..., 2) in degrees of pixels (..., 2); NaN outside the projection's domain.

        Longitudes lie in [-180, 180). Raises MapError where the last axis is not 2.
        """
        uv = as_pairs(pixels, "pixels")
        with np.errstate(invalid="ignore"):
            xy = uv @ self._matrix[:, :2].T + self._matrix[:, 2]
        longitude, latitude = self._wgs84.transform(xy[..., 0], xy[..., 1])
        geodetic = np.stack([np.asarray(latitude), np.asarray(longitude)], axis=-1)
        geodetic[~np.isfinite(geodetic).all(axis=-1)] = np.nan
        geodetic[..., 1] = (geodetic[..., 1] + 180.0) % 360.0 - 180.0
        return geodetic

    def geodetic_to_pixel(self, geodetic: ArrayLike) -> NDArray[np.float64]:
        """Pixels (..., 2) of latitude, longitude (..., 2) in degrees; NaN outside the projection's domain.

        Longitudes are taken as they are: where a tile crosses the antimeridian, only one side of it is found.
        Inverse of `pixel_to_geodetic`: to micrometres, or to two millimetres where the CRS has a datum of its own.
        """
        places = as_pairs(geodetic, "geodetic")
        x, y = self._wgs84.transform(places[..., 1], places[..., 0], direction="INVERSE")
        xy = np.stack([np.asarray(x), np.asarray(y)], axis=-1)
        xy[~np.isfinite(xy).all(axis=-1)] = np.nan
        return np.asarray((xy - self._matrix[:, 2]) @ np.linalg.inv(self._matrix[:, :2]).T)

    def pixel_to_enu(self, pixels: ArrayLike, origin: tuple[float, float]) -> NDArray[np.float64]:
        """Offsets (..., 2) east, north in metres of pixels (..., 2) about `origin` (latitude, longitude)."""
        return geodetic_to_enu(self.pixel_to_geodetic(pixels), origin)

    def enu_to_pixel(self, offsets: ArrayLike, origin: tuple[float, float]) -> NDArray[np.float64]:
        """Pixels (..., 2) at `offsets` (..., 2) in metres over ground about `origin` (latitude, longitude)."""
        return self.geodetic_to_pixel(enu_to_geodetic(offsets, origin))

    def jacobian(self, pixel: ArrayLike) -> NDArray[np.float64]:
        """Derivative of the ground by the pixel: (..., 2, 2), d(east, north) in metres / d(u, v), at pixels (..., 2).

        True metres over ground: a projection's scale factor and convergence are included (web mercator's pixel at
        latitude 60 degrees is about half its nominal size). Central difference over two pixels in the CRS, exact
        ellipsoidal metric: relative error under 1e-6 for pixels of 1 cm to 1 km.

        Raises:
            MapError: where a pixel lies outside the domain of the tile's projection.
        """
        centre = as_pairs(pixel, "pixel")
        steps = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        corners = self.pixel_to_geodetic(centre[..., None, :] + steps)
        degrees = (corners[..., 0::2, :] - corners[..., 1::2, :]) / 2.0
        degrees[..., 1] = (degrees[..., 1] + 90.0) % 180.0 - 90.0
        east, north = metres_per_degree(corners[..., 0].mean(axis=-1))
        jacobian = np.stack([degrees[..., 1] * east[..., None], degrees[..., 0] * north[..., None]], axis=-2)
        if not np.isfinite(jacobian).all():
            raise MapError(f"pixel {centre.tolist()} lies outside the domain of {self.crs.to_string()[:80]}")
        return np.asarray(jacobian)

    def gsd(self, pixel: ArrayLike) -> tuple[float, float]:
        """Ground sampling distance at a pixel (2,): metres over ground per pixel along u and along v.

        Raises:
            MapError: where the pixel lies outside the domain of the tile's projection.
        """
        along_u, along_v = np.linalg.norm(self.jacobian(np.reshape(as_pairs(pixel, "pixel"), 2)), axis=0)
        return float(along_u), float(along_v)

    def bounds(self, u0: float, v0: float, u1: float, v1: float) -> tuple[float, float, float, float]:
        """South, west, north, east in degrees of a pixel box; west > east where it crosses the antimeridian.

        Raises:
            MapError: where the box leaves the domain of the tile's projection.
        """
        t = np.linspace(0.0, 1.0, 9)
        u, v = u0 + (u1 - u0) * t, v0 + (v1 - v0) * t
        edge = [(u, np.full(9, v0)), (u, np.full(9, v1)), (np.full(9, u0), v), (np.full(9, u1), v)]
        places = self.pixel_to_geodetic(np.concatenate([np.stack(side, axis=-1) for side in edge]))
        if not np.isfinite(places).all():
            raise MapError(f"box {(u0, v0, u1, v1)} leaves the domain of {self.crs.to_string()[:80]}")
        first = places[0, 1]
        longitude = first + (places[:, 1] - first + 180.0) % 360.0 - 180.0
        west, east = ((float(x) + 180.0) % 360.0 - 180.0 for x in (longitude.min(), longitude.max()))
        return float(places[:, 0].min()), west, float(places[:, 0].max()), east

    def window(self, u0: float, v0: float, scale_u: float = 1.0, scale_v: float = 1.0) -> "GeoTransform":
        """The transform of a window read from this tile at another resolution.

        Args:
            u0, v0: the window's top-left corner in this tile's pixels.
            scale_u, scale_v: pixels of this tile per pixel of the window, above 0.

        Raises:
            MapError: where an argument is not finite or a scale is not above 0.
        """
        if not (all(map(math.isfinite, (u0, v0, scale_u, scale_v))) and scale_u > 0 and scale_v > 0):
            raise MapError(
                f"window at ({u0}, {v0}) scaled by ({scale_u}, {scale_v}): finite numbers and scales above 0 needed"
            )
        a, b, c, d, e, f = tuple(self.affine)[:6]
        return GeoTransform(
            Affine(a * scale_u, b * scale_v, c + a * u0 + b * v0, d * scale_u, e * scale_v, f + d * u0 + e * v0),
            self.crs,
        )
