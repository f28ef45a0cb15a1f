"""Maps of one painted ground in several georeferences, and a model that sees nothing but colours."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from affine import Affine

from cvgeo_ros.geo import TileStore, enu_to_geodetic, geodetic_to_enu, open_store
from cvgeo_ros.geo.mbtiles_writer import MbtilesWriter
from cvgeo_ros.maps.importing import import_map
from cvgeo_ros.place.config import PlaceConfig
from cvgeo_ros.place.experts import TextEmbedding

ORIGIN = (45.6, 9.0)
RED, BLUE = (150.0, 120.0), (-200.0, -100.0)
"""Centres of a red and a blue disc in the green, metres east and north of the origin."""
Ground = Callable[[np.ndarray], np.ndarray]


def waves(offsets: np.ndarray) -> np.ndarray:
    """(..., 2) metres to RGB 0..255, smooth and nowhere alike within some hundred metres."""
    east, north = offsets[..., 0], offsets[..., 1]
    return 127 + 100 * np.stack([np.sin(east / 90), np.sin(north / 70), np.sin((east + north) / 110)], axis=-1)


def discs(offsets: np.ndarray) -> np.ndarray:
    """Red and blue disc of 80 m in the green."""
    colours = np.empty((*offsets.shape[:-1], 3))
    colours[:] = (20, 160, 20)
    for centre, colour in ((RED, (220, 20, 20)), (BLUE, (20, 20, 220))):
        colours[np.linalg.norm(offsets - centre, axis=-1) < 80.0] = colour
    return colours


def paint(
    path: Path,
    ground: Ground,
    crs: str = "EPSG:32632",
    turn: float = 0.0,
    size: tuple[int, int] = (700, 560),
    gsd: float = 1.0,
    void: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Path:
    """Write a GeoTIFF (width, height) of the ground about the origin, turned by degrees; empty where `void` says so."""
    width, height = size
    to_crs = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = to_crs.transform(ORIGIN[1], ORIGIN[0])
    affine = Affine.translation(x, y) @ Affine.rotation(turn) @ Affine.scale(gsd, -gsd)
    affine = affine @ Affine.translation(-width / 2, -height / 2)
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    east, north = affine.a * u + affine.b * v + affine.c, affine.d * u + affine.e * v + affine.f
    longitude, latitude = to_crs.transform(east, north, direction="INVERSE")
    offsets = geodetic_to_enu(np.stack([latitude, longitude], axis=-1), ORIGIN)
    image = np.rint(ground(offsets)).astype(np.uint8).transpose(2, 0, 1)
    alpha = np.full((1, height, width), 255, np.uint8)
    if void is not None:
        alpha[0, void(offsets)] = 0
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 4, "dtype": "uint8", "crs": crs}
    with rasterio.open(path, "w", transform=affine, photometric="RGB", alpha="YES", **profile) as file:
        file.write(np.concatenate([image, alpha]))
    return path


def paint_mbtiles(path: Path, ground: Ground) -> Path:
    source = paint(path.with_suffix(".tif"), ground)
    with MbtilesWriter(path) as writer:
        import_map(source, writer)
        writer.finish({})
    source.unlink()
    return path


def painted(kind: str, folder: Path, ground: Ground) -> TileStore:
    """The ground as a GeoTIFF in UTM, one that is turned, one in degrees, or an MBTiles file."""
    if kind == "mbtiles":
        return open_store(paint_mbtiles(folder / "map.mbtiles", ground))
    turn = 30.0 if kind == "turned" else 0.0
    if kind == "degrees":
        return open_store(paint(folder / "map.tif", ground, "EPSG:4326", gsd=1e-5))
    return open_store(paint(folder / "map.tif", ground, turn=turn))


def place_of(offset: tuple[float, float]) -> tuple[float, float]:
    """Latitude and longitude of metres east and north of the origin."""
    latitude, longitude = enu_to_geodetic(np.array(offset), ORIGIN).tolist()
    return latitude, longitude


class ColourModel:
    """Each expert sees one mixture of the mean colour; sentences name a colour."""

    def __init__(self, digest: str = "colours", fail_after: int | None = None) -> None:
        self.config = PlaceConfig(name="colour", dim=4, image_size=24)
        self.fail_after = fail_after
        self.seen: list[np.ndarray] = []
        self.metres: list[float] = []
        self._digest = digest

    def digest(self) -> str:
        return self._digest

    def embed_images(self, images: np.ndarray, gsd: np.ndarray | None = None) -> np.ndarray:
        if self.fail_after is not None and len(self.seen) + len(images) > self.fail_after:
            raise KeyboardInterrupt
        assert gsd is not None
        self.seen.extend(images)
        self.metres.extend((gsd * images.shape[1]).tolist())
        return self._rows(images.reshape(len(images), -1, 3).mean(axis=1) / 255)

    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding:
        named = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.6, 0.1), "blue": (0.1, 0.1, 0.9)}
        colours = [next(colour for name, colour in named.items() if name in text) for text in texts]
        return TextEmbedding(self._rows(np.array(colours)), np.tile(np.float32([0.5, 0.3, 0.2]), (len(texts), 1)))

    def _rows(self, colours: np.ndarray) -> np.ndarray:
        rows = np.stack([np.c_[colours, np.full(len(colours), 0.2 * k)] for k in (0, 1, 2)], axis=1)
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
