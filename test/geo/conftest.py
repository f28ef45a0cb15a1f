"""One synthetic scene in three kinds of map file."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import mercantile
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

ZOOM = 17
TILE = mercantile.tile(120.72, 24.26, ZOOM)
"""The top-left tile of the scene, five tiles wide and three high; odd numbers, so that overviews are off its corner."""
X, Y = TILE.x | 1, TILE.y | 1
COLUMNS, ROWS = 5, 3


def scene() -> np.ndarray:
    """RGB uint8 (768, 1280, 3): red grows to the right, green downwards, blue to the left."""
    v, u = np.mgrid[0 : ROWS * 256, 0 : COLUMNS * 256] + 0.5
    channels = [u / 5.1, v / 3.1, 251 - u / 5.1]
    return np.rint(np.stack(channels, axis=-1)).clip(0, 255).astype(np.uint8)


def mercator() -> Affine:
    """Of the scene's pixels, in EPSG:3857."""
    bounds = mercantile.xy_bounds(X, Y, ZOOM)
    step = (bounds.right - bounds.left) / 256
    return Affine(step, 0, bounds.left, 0, -step, bounds.top)


def write_geotiff(path: Path, image: np.ndarray, **options: object) -> Path:
    """Write (H, W, bands); options of rasterio.open override the scene's georeference."""
    profile = {
        "driver": "GTiff",
        "width": image.shape[1],
        "height": image.shape[0],
        "count": image.shape[2],
        "dtype": image.dtype,
        "crs": CRS.from_epsg(3857),
        "transform": mercator(),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    } | options
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(image.transpose(2, 0, 1))
    return path


def encode(tile: np.ndarray, suffix: str = ".png") -> bytes:
    codes = {2: cv2.COLOR_GRAY2BGR, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    quality = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    if suffix == ".jpg":
        quality = [cv2.IMWRITE_JPEG_QUALITY, 100]
    channels = 2 if tile.ndim == 2 else tile.shape[2]
    return cv2.imencode(suffix, cv2.cvtColor(tile, codes[channels]), quality)[1].tobytes()


def tiles(image: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Tiles of the scene at ZOOM by (x, y), row 0 in the north."""
    return {
        (X + c, Y + r): image[r * 256 : (r + 1) * 256, c * 256 : (c + 1) * 256]
        for r in range(ROWS)
        for c in range(COLUMNS)
    }


def write_mbtiles(
    path: Path, content: dict[tuple[int, int, int], bytes], metadata: dict[str, str] | None = None, view: bool = False
) -> Path:
    """Tiles by (zoom, x, y), row 0 in the north; `view`: the deduplicating layout in which tiles is a view."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metadata (name text, value text)")
    connection.executemany(
        "INSERT INTO metadata VALUES (?, ?)", (metadata or {"name": "scene", "format": "png"}).items()
    )
    rows = [(z, x, (1 << z) - 1 - y, data) for (z, x, y), data in content.items()]
    if view:
        connection.execute("CREATE TABLE images (tile_id text PRIMARY KEY, tile_data blob)")
        connection.execute("CREATE TABLE map (zoom_level int, tile_column int, tile_row int, tile_id text)")
        connection.execute("CREATE UNIQUE INDEX map_index ON map (zoom_level, tile_column, tile_row)")
        connection.executemany("INSERT INTO images VALUES (?, ?)", [(f"{r[:3]}", r[3]) for r in rows])
        connection.executemany("INSERT INTO map VALUES (?, ?, ?, ?)", [(*r[:3], f"{r[:3]}") for r in rows])
        connection.execute(
            "CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data "
            "FROM map JOIN images USING (tile_id)"
        )
    else:
        connection.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
        connection.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
        connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def write_xyz(root: Path, content: dict[tuple[int, int, int], bytes], suffix: str = ".png") -> Path:
    for (z, x, y), data in content.items():
        file = root / str(z) / str(x) / f"{y}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return root


def at_zoom(image: np.ndarray, suffix: str = ".png") -> dict[tuple[int, int, int], bytes]:
    return {(ZOOM, x, y): encode(tile, suffix) for (x, y), tile in tiles(image).items()}


@pytest.fixture(scope="session")
def maps() -> SimpleNamespace:
    """The helpers of this file."""
    return SimpleNamespace(**globals())


@pytest.fixture(params=["geotiff", "geotiff with overviews", "mbtiles", "mbtiles view", "xyz", "xyz webp"])
def map_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The scene, once in each kind of file."""
    image = scene()
    make: dict[str, Callable[[], Path]] = {
        "geotiff": lambda: write_geotiff(tmp_path / "scene.tif", image),
        "geotiff with overviews": lambda: with_overviews(write_geotiff(tmp_path / "scene.tif", image)),
        "mbtiles": lambda: write_mbtiles(tmp_path / "scene.mbtiles", at_zoom(image)),
        "mbtiles view": lambda: write_mbtiles(tmp_path / "scene.mbtiles", at_zoom(image), view=True),
        "xyz": lambda: write_xyz(tmp_path / "scene", at_zoom(image)),
        "xyz webp": lambda: write_xyz(tmp_path / "scene", at_zoom(image, ".webp"), ".webp"),
    }
    return make[request.param]()


def with_overviews(path: Path) -> Path:
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], rasterio.enums.Resampling.average)
    return path
