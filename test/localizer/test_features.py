"""Feature blocks: windows of blocks equal a direct encoding, voids are marked, grids keep true scale."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from cvgeo_ros.geo import open_store
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.localizer.features import FeatureCache, Grid

from .conftest import Flight, texture


def test_windows_across_blocks_join_without_seams(flight: Flight, localizer: Localizer) -> None:
    cache = FeatureCache(localizer.model, flight.store, 64 << 20)
    grid = Grid.of(flight.store, 0.32)
    window = cache.window(grid, 40, 40, 90, 90)  # crosses the borders at 64
    image, _ = flight.store.read(0, 0, 1024, 1024, (1024, 1024))
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        whole = localizer.model.encode_tile(pixels, torch.tensor([0.32]))[0].match[..., 40:90, 40:90]
    agreement = (whole * window.features.match).sum(1)[0]
    assert agreement.mean() > 0.97
    seam = agreement[22:26].mean()
    assert seam > agreement.mean() - 0.05
    assert window.origin == (40, 40)


def test_two_places_in_turn_are_put_together_once(flight: Flight, localizer: Localizer) -> None:
    cache = FeatureCache(localizer.model, flight.store, 64 << 20)
    fine, coarse = Grid.of(flight.store, 0.32), Grid.of(flight.store, 0.64)
    first, second = cache.window(fine, 0, 0, 40, 40), cache.window(coarse, 0, 0, 20, 20)
    assert cache.window(fine, 0, 0, 40, 40) is first and cache.window(coarse, 0, 0, 20, 20) is second
    cache.window(fine, 0, 0, 41, 41)
    assert len(cache._windows) == 2  # memory stays bounded


def test_windows_are_clipped_to_the_tile(flight: Flight, localizer: Localizer) -> None:
    cache = FeatureCache(localizer.model, flight.store, 64 << 20)
    grid = Grid.of(flight.store, 0.32)
    window = cache.window(grid, -20, 100, 30, 500)
    assert window.origin == (0, 100)
    assert window.void.shape == (1, grid.cells[1] - 100, 30)


def test_void_parts_of_a_map_have_no_features(localizer: Localizer, tmp_path: Path) -> None:
    image = texture(512, seed=4)
    image[:, 256:] = 0
    with rasterio.open(
        tmp_path / "half.tif", "w", driver="GTiff", width=512, height=512, count=3, dtype="uint8", nodata=0,
        crs="EPSG:32633", transform=from_origin(500_000, 5_000_000, 0.32, 0.32),
    ) as file:  # fmt: skip
        file.write(np.maximum(image, np.where(np.arange(512) < 256, 1, 0)[None, :, None]).transpose(2, 0, 1))
    cache = FeatureCache(localizer.model, open_store(tmp_path / "half.tif"), 64 << 20)
    window = cache.window(Grid.of(cache.tile, 0.32), 0, 0, 64, 64)
    assert window.void[0, :, 33:].all() and not window.void[0, :, :31].any()
    assert (window.features.match[0, :, :, 33:] == 0).all()


@pytest.mark.parametrize("crs, step", [("EPSG:3857", 0.5), ("EPSG:4326", 4e-6)])
def test_grid_cells_are_square_on_the_ground(tmp_path: Path, crs: str, step: float) -> None:
    origin = (1_000_000, 8_000_000) if crs == "EPSG:3857" else (10.0, 58.0)
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", width=400, height=300, count=3, dtype="uint8",
        crs=crs, transform=from_origin(*origin, step, step),
    ) as file:  # fmt: skip
        file.write(np.full((3, 300, 400), 90, np.uint8))
    store = open_store(tmp_path / "m.tif")
    grid = Grid.of(store, 0.5)
    axes = store.transform.jacobian((200, 150)) * np.asarray(grid.scale)
    assert np.linalg.norm(axes, axis=0) == pytest.approx([0.5, 0.5], rel=1e-6)
    cells = np.array([[3.0, 4.5]])
    assert grid.from_tile(grid.to_tile(cells)) == pytest.approx(cells)
