"""Ranked places on one sheet: the map with their windows, beside it what each window shows."""

from collections.abc import Sequence

import numpy as np

from cvgeo_ros.draw import canvas
from cvgeo_ros.draw.canvas import Picture, colour

COLUMNS, ROWS = 2, 4


def places_sheet(
    map_image: Picture, crops: Sequence[Picture], captions: Sequence[str], title: str, height: int = 900
) -> Picture:
    """Return the map beside the first eight windows, numbered from 1 in the colours of ``draw_boxes``.

    Args:
        map_image: RGB uint8, drawn on already.
        crops: One a place, best first, RGB uint8, square.
        captions: As many texts, e.g. scores.
        title: The sentence; cut where it is longer than the sheet is wide.
        height: Of the map on the sheet, px.
    """
    panel = canvas.resize(map_image, height)
    gap, top, size = round(height * 0.02), round(height * 0.06), round(height * 0.023)
    side = (height - (ROWS - 1) * gap) // ROWS
    shown = list(zip(crops, captions, strict=True))[: COLUMNS * ROWS]
    columns = min(-(-len(shown) // ROWS), COLUMNS)
    width = panel.shape[1] + 2 * gap + columns * (side + gap)
    sheet = np.full((top + height + gap, width, 3), canvas.PAPER, np.uint8)
    sheet[top : top + height, gap : gap + panel.shape[1]] = panel
    canvas.text(
        sheet, (gap, top / 2), _cut(title, round(size * 1.3), width - 2 * gap), round(size * 1.3), canvas.TEXT, "lm"
    )
    for index, (crop, caption) in enumerate(shown):
        column, row = divmod(index, ROWS) if columns == 1 else (index % columns, index // columns)
        u, v = panel.shape[1] + 2 * gap + column * (side + gap), top + row * (side + gap)
        cell = np.ascontiguousarray(canvas.resize(crop, side)[:side, :side])
        edge = np.array([[0, 0], [cell.shape[1], 0], [cell.shape[1], side], [0, side]], np.float64)
        canvas.polygon(cell, edge, colour(index), 8)
        label = str(index + 1)
        split = canvas.text_size(label, size)[0] + size
        end = split + canvas.text_size(caption, size)[0] + size if caption else split
        canvas.panel(cell, (0, 0, end, 1.8 * size), 0.85)
        canvas.panel(cell, (0, 0, split, 1.8 * size), 1.0, colour(index))
        canvas.text(cell, (size / 2, 0.9 * size), label, size, canvas.INK, "lm")
        canvas.text(cell, (split + size / 2, 0.9 * size), caption, size, canvas.TEXT, "lm")
        sheet[v : v + side, u : u + cell.shape[1]] = cell
    return sheet


def _cut(text: str, size: int, width: float) -> str:
    """The text, or its beginning as far as it fits."""
    if canvas.text_size(text, size)[0] <= width:
        return text
    fits = [k for k in range(len(text)) if canvas.text_size(text[:k] + "...", size)[0] <= width]
    return text[: max(fits, default=0)].rstrip() + "..."
