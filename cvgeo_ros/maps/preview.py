"""A picture of a whole map: what it shows, and where it shows nothing."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import draw
from ..draw import canvas
from ..geo import TileStore
from .survey import Survey

GAP: canvas.Colour = (235, 60, 160)
QUICK = 1 << 26
"""Pixels that are averaged on the spot where a map has no lower resolutions."""
PATCHES = 48
"""Samples a side of a map that is larger and has none."""


def preview(store: TileStore, found: Survey, size: int = 1200) -> draw.Picture:
    """The map as a picture of `size` pixels along its longer side, gaps hatched and framed, under a line of facts.

    A large map without lower resolutions is shown by samples: each square has the mean colour of a piece in its middle.
    """
    scale = size / max(store.width, store.height)
    shape = (max(round(store.height * scale), 8), max(round(store.width * scale), 8))
    if _has_overviews(found, scale) or store.width * store.height <= QUICK:
        image, valid = store.read(0, 0, store.width, store.height, shape)
    else:
        image, valid = _sampled(store, found, shape)
    picture = np.where(valid[..., None], image, _hatched(shape)).astype(np.uint8)
    _frame_gaps(picture, found, (shape[1] / store.width, shape[0] / store.height))
    picture = draw.scale_bar(picture, found.gsd / scale, found.attribution or "no attribution in the file")
    return _headed(picture, found)


def _has_overviews(found: Survey, scale: float) -> bool:
    """Whether the file itself has a resolution within a factor of 8 of the picture's."""
    factors = [float(factor) for factor in found.overviews] or [
        2.0 ** (found.zooms[0].zoom - zoom.zoom) for zoom in found.zooms
    ]
    return max([1.0, *factors]) * scale >= 1 / 8


def _sampled(store: TileStore, found: Survey, shape: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Mean colours of pieces of 32 px in the middle of each patch; what is covered comes from the survey."""
    longest = max(shape)
    rows, columns = (max(round(PATCHES * side / longest), 1) for side in shape)
    colours = np.zeros((rows, columns, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            u, v = store.width * (column + 0.5) / columns, store.height * (row + 0.5) / rows
            piece, valid = store.read(u - 16, v - 16, u + 16, v + 16, (32, 32))
            colours[row, column] = piece[valid].mean(0) if valid.any() else canvas.PAPER
    size = (shape[1], shape[0])
    image = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
    covered = cv2.resize(found.coverage, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(image, np.uint8), covered >= 0.5


def _hatched(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Diagonal stripes, RGB uint8."""
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]]
    stripe = ((u + v) // 6) % 2 == 0
    return np.where(stripe[..., None], np.array(GAP, np.uint8), np.array(canvas.PAPER, np.uint8))


def _frame_gaps(picture: draw.Picture, found: Survey, scale: tuple[float, float]) -> None:
    """A box around each gap, large enough to be seen however small the gap is."""
    for gap in found.gaps:
        u0, v0, u1, v1 = (value * scale[k % 2] for k, value in enumerate(gap.box))
        pad_u, pad_v = (max(5.0 - (end - start) / 2, 1.0) for start, end in ((u0, u1), (v0, v1)))
        corners = np.array([[u0 - pad_u, v0 - pad_v], [u1 + pad_u, v0 - pad_v], [u1 + pad_u, v1 + pad_v],
                            [u0 - pad_u, v1 + pad_v]])  # fmt: skip
        canvas.polygon(picture, corners, canvas.INK, 4.0)
        canvas.polygon(picture, corners, GAP, 2.0)


def _headed(picture: draw.Picture, found: Survey) -> draw.Picture:
    """The picture below a line of facts, broken where it is narrow."""
    size = max(round(min(picture.shape[1], 1200) / 60), 11)
    parts = [
        found.path.name,
        f"{found.gsd:.2f} m/px",
        f"{found.area * 1e-6:.3g} sq km",
        f"{_share(found.covered)} {'of the tiles' if found.zooms else 'covered'}",
        *([f"{len(found.gaps)} gaps"] if found.gaps else []),
    ]
    lines: list[str] = []
    for part in parts:
        if lines and canvas.text_size(f"{lines[-1]}   {part}", size)[0] < picture.shape[1] - 2 * size:
            lines[-1] += f"   {part}"
        else:
            lines.append(part)
    height = round(1.7 * size)
    sheet = np.full((height * len(lines) + size // 2, picture.shape[1], 3), canvas.PAPER, np.uint8)
    for index, text in enumerate(lines):
        canvas.text(sheet, (size, height * (index + 0.5) + size / 4), text, size, canvas.TEXT, anchor="lm")
    return np.vstack([sheet, picture])


def _share(value: float) -> str:
    """A share in per cent that is 100 only where nothing is missing."""
    return f"{math.floor(value * 1000) / 10:g} %"
