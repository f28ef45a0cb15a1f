"""Pixels of a tile around places, from blocks that are kept."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cvgeo_ros.geo import TileStore, open_store
from cvgeo_ros.localizer.features import Grid
from cvgeo_ros.localizer.pixels import TilePixels

from .conftest import GSD, texture, write_map


@pytest.fixture
def tile(tmp_path: Path) -> TileStore:
    return open_store(write_map(tmp_path / "map.tif", texture(1300, 2)))


def direct(tile: TileStore, grid: Grid, first: tuple[int, int], side: int) -> NDArray[np.uint8]:
    """What the map itself shows there, in one piece."""
    (u0, v0), (u1, v1) = (np.array(first) * grid.scale).tolist(), ((np.array(first) + side) * grid.scale).tolist()
    return tile.read(u0, v0, u1, v1, (side, side))[0]


def test_blocks_join_without_seams(tile: TileStore) -> None:
    grid = Grid.of(tile, GSD)
    (image, valid), first = TilePixels(tile).around(grid, (512.0, 700.5), 100)
    assert first == (412, 600) and valid.all()
    assert np.abs(image.astype(float) - direct(tile, grid, first, 201)).mean() < 1


def test_coarser_grids_have_their_own_blocks(tile: TileStore) -> None:
    pixels, coarse = TilePixels(tile), Grid.of(tile, 2 * GSD)
    pixels.around(Grid.of(tile, GSD), (300.0, 300.0), 50)
    (image, _), (u, v) = pixels.around(coarse, (300.0, 300.0), 50)
    assert np.abs(image.astype(float) - direct(tile, coarse, (u, v), 101)).mean() < 2


def test_what_lies_beyond_the_map_is_not_valid(tile: TileStore) -> None:
    (image, valid), first = TilePixels(tile).around(Grid.of(tile, GSD), (10.0, -5.0), 40)
    assert first == (-30, -45)
    assert valid[45:, 30:].all() and not valid[:45].any() and not valid[:, :30].any()
    assert not image[~valid].any()


def test_each_block_is_read_once_and_few_are_kept(tile: TileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = tile.read

    def counted(*args: object) -> object:
        nonlocal reads
        reads += 1
        return read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tile, "read", counted)
    grid, pixels = Grid.of(tile, GSD), TilePixels(tile, blocks=2)
    for _ in range(3):
        pixels.around(grid, (200.0, 200.0), 50)
    assert reads == 1
    pixels.around(grid, (700.0, 200.0), 50)
    pixels.around(grid, (200.0, 200.0), 50)  # looked at last
    assert reads == 2
    pixels.around(grid, (200.0, 700.0), 50)
    pixels.around(grid, (200.0, 200.0), 50)
    assert reads == 3
    pixels.around(grid, (700.0, 200.0), 50)
    assert reads == 4
