"""Lower zooms of a map, averaged from the highest one, so that it can be shown whole and searched coarsely at once."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geo.mbtiles_writer import MbtilesWriter
from ..geo.mercator import decode_tile

JPEG_QUALITY = 92
COMMIT_EVERY = 256


def build_overviews(writer: MbtilesWriter, progress: Callable[[int, int], None] | None = None) -> int:
    """Add the zooms below the lowest one that is there, down to the one at which a single tile shows all.

    Args:
        progress: called with the zoom and the tiles of it done.

    Returns:
        How many tiles were added.
    """
    added = 0
    zooms = writer.zooms()
    zoom = zooms[-1] if zooms else 0
    while zoom > 0:
        extent = writer.extent(zoom)
        if extent is None or (extent.x_min == extent.x_max and extent.y_min == extent.y_max):
            break
        for done, (x, y) in enumerate(writer.parents(zoom), start=1):
            writer.put(zoom - 1, x, y, encode(_parent(writer, zoom, x, y)))
            added += 1
            if done % COMMIT_EVERY == 0:
                writer.commit()
            if progress is not None:
                progress(zoom - 1, done)
        zoom -= 1
    writer.commit()
    return added


def _parent(writer: MbtilesWriter, zoom: int, x: int, y: int) -> NDArray[np.uint8]:
    """The tile above four, RGBA; colours count as much as they are opaque."""
    children = []
    for row in (2 * y, 2 * y + 1):
        for column in (2 * x, 2 * x + 1):
            data = writer.get(zoom, column, row)
            children.append(None if data is None else decode_tile(data, f"{writer.part}: tile {zoom}/{column}/{row}"))
    size = next(child.shape[0] for child in children if child is not None)
    blank = np.zeros((size, size, 4), np.uint8)
    four = [blank if child is None else child for child in children]
    whole = np.vstack([np.hstack(four[:2]), np.hstack(four[2:])]).reshape(size, 2, size, 2, 4).astype(np.float32)
    weight = whole[..., 3:]
    total = weight.sum((1, 3))
    colour = (whole[..., :3] * weight).sum((1, 3)) / np.maximum(total, 1.0)
    return np.rint(np.concatenate([colour, total / 4.0], axis=-1)).astype(np.uint8)


def encode(rgba: NDArray[np.uint8]) -> bytes:
    """A tile as JPEG, or as PNG where parts of it show nothing."""
    opaque = bool((rgba[..., 3] >= 128).all())
    if opaque:
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        return cv2.imencode(".jpg", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR), quality)[1].tobytes()
    return cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()
