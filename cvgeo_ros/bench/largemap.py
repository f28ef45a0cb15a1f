"""What a large map costs: the time to open it and the memory of working on it, on one that is made up."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import CvgeoError

ZOOM = 19
VARIANTS = 64
"""Distinct tiles; opening and reading do not care that they repeat."""
COMMIT_EVERY = 20_000


def generate(path: Path, size: int, progress: Any = None) -> int:
    """Write an MBTiles file of about `size` bytes without lower zooms, the hardest kind; returns its tiles."""
    rng = np.random.default_rng(0)
    tiles = []
    for _ in range(VARIANTS):
        coarse = rng.integers(0, 255, (24, 24, 3), np.uint8)
        image = cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC).astype(int)
        noisy = (image + rng.integers(-24, 24, image.shape)).clip(0, 255).astype(np.uint8)
        tiles.append(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    side = max(int((size / np.mean([len(tile) for tile in tiles])) ** 0.5), 1)
    path.unlink(missing_ok=True)
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("CREATE TABLE metadata (name text, value text)")
    file.execute("INSERT INTO metadata VALUES ('format', 'jpg')")
    file.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
    file.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
    left, low = 275_000, 330_000
    done = 0
    for column in range(side):
        file.execute("BEGIN")
        rows = ((ZOOM, left + column, low + row, tiles[(column * 31 + row * 7) % VARIANTS]) for row in range(side))
        file.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        file.execute("COMMIT")
        done += side
        if progress is not None:
            progress(done, side * side)
    file.close()
    return done


def measure(path: Path, cache_bytes: int, windows: int, model: str, device: str) -> dict[str, float]:
    """Open the map in a process of its own, read and encode windows all over it, and watch its memory.

    Returns:
        open_s: wall time to open it with nothing of the file in memory; cpu_s: CPU time of that.
        pixels_mb, features_mb: how much the process grew, at its highest, while it read pixels and while it encoded,
        beyond what it had after its first window (libraries, weights, working memory of one encoding).
        cached_mb: features held in the end.
    """
    arguments = json.dumps([str(path), cache_bytes, windows, model, device])
    run = subprocess.run([sys.executable, "-m", __name__, arguments], capture_output=True, text=True)
    if run.returncode:
        raise CvgeoError(f"the process that was to be measured failed: {run.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def _child(path: str, cache_bytes: int, windows: int, model: str, device: str) -> None:
    from ..geo import open_store
    from ..localizer import Localizer
    from ..localizer.features import FeatureCache, Grid
    from ..memory import reuse_large_blocks
    from .timing import resident_bytes

    reuse_large_blocks()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begun, cpu = time.perf_counter(), time.process_time()
    store = open_store(path, cache_bytes // 2)
    found = {"open_s": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu}
    localizer = Localizer.load(model, device, cache_bytes)
    cache = FeatureCache(localizer.model, store, cache_bytes)
    grid = Grid.matched(store, localizer.model.config.gsd)
    rng = np.random.default_rng(1)

    def look(side: int) -> None:
        x, y = (int(rng.integers(0, limit - side)) for limit in grid.cells)
        cache.window(grid, x, y, x + side, y + side)

    look(64)
    before = resident_bytes()
    peak = before
    for _ in range(windows * 20):
        u, v = rng.uniform(0, [store.width - 800, store.height - 800])
        store.read(u, v, u + 800, v + 800, (600, 600))
        peak = max(peak, resident_bytes())
    found["pixels_mb"] = (peak - before) / 1e6
    for _ in range(windows):
        look(64)
        peak = max(peak, resident_bytes())
    found |= {"features_mb": (peak - before) / 1e6, "cached_mb": cache.bytes / 1e6, "blocks": cache.encoded}
    print(json.dumps(found))


if __name__ == "__main__":
    _child(*json.loads(sys.argv[1]))
