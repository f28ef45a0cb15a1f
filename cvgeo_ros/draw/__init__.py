"""Pictures of an answer: numbered clicks in the frame, boxes numbered alike on the map, both side by side.

Convention:
    Images are RGB uint8 (H, W, 3). Pixels are (u, v) from the top-left corner of the top-left pixel, centres at .5.
    Target i has the colour ``colour(i)`` in every picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvgeo_ros.draw import canvas
from cvgeo_ros.draw.canvas import Picture, colour

__all__ = [
    "Box",
    "MapView",
    "Picture",
    "Store",
    "colour",
    "draw_boxes",
    "draw_clicks",
    "map_view",
    "scale_bar",
    "side_by_side",
    "view_window",
]

Box = tuple[float, float, float, float]


class Store(Protocol):
    """What :func:`map_view` needs of a tile store (see cvgeo_ros.geo.store)."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def read(
        self, u0: float, v0: float, u1: float, v1: float, shape: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]: ...


@dataclass(frozen=True)
class MapView:
    """A piece of a map, ready to draw on.

    Attributes:
        image: RGB uint8 (H, W, 3).
        to_image: (3, 3) homogeneous, tile px to px of the image.
    """

    image: Picture
    to_image: NDArray[np.float64]


def view_window(
    width: int, height: int, boxes: ArrayLike, shape: tuple[int, int], margin: float = 0.35, least: float = 0.0
) -> Box:
    """Choose the part of a tile that shows some boxes well, with the aspect ratio of the picture.

    Args:
        width, height: Size of the tile, px.
        boxes: (N, 4) u_min, v_min, u_max, v_max, tile px; N = 0 shows the whole tile.
        shape: (H, W) of the picture.
        margin: Around the boxes, as a share of their extent, on each side.
        least: Smallest extent of the window, tile px.

    Returns:
        u0, v0, u1, v1 in tile px; reaches outside the tile only where the tile is smaller than the window.
    """
    extents = np.asarray(boxes, np.float64).reshape(-1, 4)
    if len(extents) == 0:
        low, high = np.zeros(2), np.array([width, height], np.float64)
    else:
        low, high = extents[:, :2].min(axis=0), extents[:, 2:].max(axis=0)
        low, high = low - margin * (high - low), high + margin * (high - low)
    centre = (low + high) / 2
    scale = max((high[0] - low[0]) / shape[1], (high[1] - low[1]) / shape[0], least / max(shape))
    scale = min(scale, max(width / shape[1], height / shape[0]))
    half = scale * np.array([shape[1], shape[0]]) / 2
    size = np.array([width, height], np.float64)
    centre = np.where(2 * half >= size, size / 2, np.clip(centre, half, size - half))
    return (*(centre - half).tolist(), *(centre + half).tolist())


def map_view(store: Store, window: Box, shape: tuple[int, int]) -> MapView:
    """Read a window of a tile (u0, v0, u1, v1 in px) as a picture of ``shape`` (H, W), dark where there is no map."""
    u0, v0, u1, v1 = window
    pixels, valid = store.read(u0, v0, u1, v1, shape)
    image = np.where(valid[..., None], pixels, np.array(canvas.PAPER, np.uint8)).astype(np.uint8)
    scale_u, scale_v = shape[1] / (u1 - u0), shape[0] / (v1 - v0)
    return MapView(image, np.array([[scale_u, 0.0, -u0 * scale_u], [0.0, scale_v, -v0 * scale_v], [0.0, 0.0, 1.0]]))


def draw_clicks(frame: Picture, clicks: ArrayLike, labels: Sequence[str], captions: Sequence[str] = ()) -> Picture:
    """Return the frame with a numbered cross-hair at each click.

    Args:
        frame: RGB uint8 (H, W, 3); stays as it is.
        clicks: (N, 2) u, v, px.
        labels: N short names, beside the cross-hairs.
        captions: N or no texts after the names, e.g. scores.
    """
    image, points, unit = frame.copy(), np.asarray(clicks, np.float64).reshape(-1, 2), canvas.unit(frame)
    for index, (u, v) in enumerate(points):
        radius = 11 * unit
        for thickness, ink in ((4.2 * unit, canvas.INK), (2.2 * unit, colour(index))):
            canvas.circle(image, u, v, radius, ink, thickness)
            for du, dv in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                near, far = radius * 0.45, radius * 1.55
                canvas.line(image, (u + du * near, v + dv * near), (u + du * far, v + dv * far), ink, thickness)
    taken: list[Box] = [(u - 14 * unit, v - 14 * unit, u + 14 * unit, v + 14 * unit) for u, v in points]
    for index, (u, v) in enumerate(points):
        reach = 18 * unit
        _tag(image, (u - reach, v - reach, u + reach, v + reach), labels[index], _at(captions, index), index, taken)
    return image


def draw_boxes(
    image: Picture,
    to_image: ArrayLike,
    boxes: ArrayLike,
    labels: Sequence[str],
    captions: Sequence[str] = (),
    truth: ArrayLike | None = None,
) -> Picture:
    """Return a picture of the map with a numbered box for each target.

    Args:
        image: RGB uint8 (H, W, 3); stays as it is.
        to_image: (3, 3) homogeneous, tile px to px of the image.
        boxes: (N, 4) u_min, v_min, u_max, v_max, tile px.
        labels: N short names.
        captions: N or no texts after the names, e.g. score and sigma.
        truth: (N, 4) or None: true boxes, drawn dashed; a row of NaN is skipped.
    """
    picture, unit = image.copy(), canvas.unit(image)
    corners = _to_corners(boxes, to_image)
    if truth is not None:
        for corner in _to_corners(truth, to_image):
            if np.isfinite(corner).all():
                canvas.dashed(picture, corner, canvas.INK, 3.2 * unit, 9 * unit)
                canvas.dashed(picture, corner, canvas.TEXT, 1.6 * unit, 9 * unit)
    for index, corner in enumerate(corners):
        canvas.fill(picture, corner, colour(index), 0.16)
        for thickness, ink in ((5.0 * unit, canvas.INK), (2.8 * unit, colour(index))):
            canvas.polygon(picture, corner, ink, thickness)
    extents = [(*corner.min(axis=0).tolist(), *corner.max(axis=0).tolist()) for corner in corners]
    taken = list(extents)
    for index, extent in enumerate(extents):
        _tag(picture, extent, labels[index], _at(captions, index), index, taken)
    return picture


def scale_bar(image: Picture, metres_per_pixel: float, text: str = "") -> Picture:
    """Return the picture with a scale bar at the bottom left and a line of text (attribution) at the bottom right."""
    picture, unit = image.copy(), canvas.unit(image)
    height, width = picture.shape[:2]
    size, pad = round(13 * unit), 14 * unit
    if math.isfinite(metres_per_pixel) and metres_per_pixel > 0:
        metres = _round_length(0.22 * width * metres_per_pixel)
        length = metres / metres_per_pixel
        name = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
        label_width = canvas.text_size(name, size)[0]
        canvas.panel(picture, (pad / 2, height - pad * 2.6, pad * 2.2 + length + label_width, height - pad / 2), 0.72)
        y = height - pad * 1.55
        for thickness, ink in ((4.5 * unit, canvas.INK), (2.4 * unit, canvas.TEXT)):
            canvas.line(picture, (pad, y), (pad + length, y), ink, thickness)
            for u in (pad, pad + length):
                canvas.line(picture, (u, y - 4 * unit), (u, y + 4 * unit), ink, thickness)
        canvas.text(picture, (pad * 1.5 + length, y), name, size, canvas.TEXT, anchor="lm")
    if text:
        size = round(11 * unit)
        text_width, _ = canvas.text_size(text, size)
        canvas.panel(picture, (width - text_width - pad, height - pad * 1.6, width, height), 0.72)
        canvas.text(picture, (width - pad / 2, height - pad * 0.8), text, size, canvas.TEXT, anchor="rm")
    return picture


def side_by_side(
    frame: Picture,
    map_image: Picture,
    titles: tuple[str, str] = ("", ""),
    rows: Sequence[Sequence[str]] = (),
    header: Sequence[str] = (),
    height: int = 900,
) -> Picture:
    """Return frame and map beside each other at one height, with a table of the targets below.

    Args:
        frame, map_image: RGB uint8 pictures, drawn on already.
        titles: A line above each.
        rows: One a target in the order of the colours: name, then as many texts as the header has after its first.
        header: Names of the table's columns.
        height: Of the two pictures, px.
    """
    panels = [canvas.resize(picture, height) for picture in (frame, map_image)]
    gap, top, size = round(height * 0.02), round(height * 0.055), round(height * 0.023)
    line = round(size * 1.9)
    table = (line * (len(rows) + 1) + gap) if rows else 0
    width = sum(panel.shape[1] for panel in panels) + 3 * gap
    sheet = np.full((top + height + gap + table, width, 3), canvas.PAPER, np.uint8)
    u = gap
    for panel, title in zip(panels, titles, strict=True):
        sheet[top : top + height, u : u + panel.shape[1]] = panel
        canvas.text(sheet, (u, top / 2), title, round(size * 1.15), canvas.TEXT, anchor="lm")
        u += panel.shape[1] + gap
    if rows:
        columns = [list(texts) for texts in zip(header, *rows, strict=True)]
        widths = [max(canvas.text_size(text, size)[0] for text in column) for column in columns]
        # As wide as the frame above, unless it would fall apart or does not fit.
        space = (panels[0].shape[1] - 1.6 * size - sum(widths)) / max(len(columns) - 1, 1)
        space = min(max(space, 1.5 * size), 6.0 * size)
        below = top + height + gap
        for index in range(len(rows) + 1):
            left, y = gap + 1.6 * size, below + line * (index + 0.5)
            if index:
                canvas.disc(sheet, gap + 0.6 * size, y, 0.36 * size, colour(index - 1))
            for column, width in zip(columns, widths, strict=True):
                canvas.text(sheet, (left, y), column[index], size, canvas.TEXT if index else canvas.MUTED, anchor="lm")
                left += width + space
    return sheet


def _at(texts: Sequence[str], index: int) -> str:
    return texts[index] if texts else ""


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step for step in (1.0, 2.0, 5.0) if step * power <= metres) * power


def _to_corners(boxes: ArrayLike, to_image: ArrayLike) -> NDArray[np.float64]:
    u0, v0, u1, v1 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    corners = np.stack([u0, v0, u1, v0, u1, v1, u0, v1], axis=-1).reshape(-1, 4, 2)
    homogeneous = np.concatenate([corners, np.ones((len(corners), 4, 1))], axis=-1) @ np.asarray(to_image, np.float64).T
    return np.asarray(homogeneous[..., :2] / homogeneous[..., 2:])


def _tag(
    image: Picture,
    around: Box,
    label: str,
    caption: str,
    index: int,
    taken: list[Box],
) -> None:
    """Write label and caption beside a box, where they cover least of what is drawn already; remember the place."""
    unit = canvas.unit(image)
    size = round(15 * unit)
    pad = 5 * unit
    first, second = canvas.text_size(label, size)[0], canvas.text_size(caption, size)[0] if caption else 0
    width, height = first + 2 * pad + (second + 2 * pad if caption else 0), size * 1.05 + 1.6 * pad
    u0, v0, u1, v1 = around
    gap = 3 * unit
    places = [
        (u0, v0 - height - gap),
        (u0, v1 + gap),
        (u1 + gap, v0),
        (u0 - width - gap, v0),
        (u1 - width, v0 - height - gap),
        (u1 - width, v1 + gap),
        (u1 + gap, v1 - height),
        (u0 - width - gap, v1 - height),
    ]
    limit_u, limit_v = image.shape[1] - width, image.shape[0] - height
    boxes = []
    for u, v in places:
        u, v = min(max(u, 0.0), max(limit_u, 0.0)), min(max(v, 0.0), max(limit_v, 0.0))
        boxes.append((u, v, u + width, v + height))
    box = min(boxes, key=lambda candidate: sum(_overlap(candidate, other) for other in taken))
    taken.append(box)
    left, top, right, bottom = box
    split = left + first + 2 * pad
    canvas.panel(image, (left, top, right, bottom), 0.85)
    canvas.panel(image, (left, top, split, bottom), 1.0, colour(index))
    canvas.text(image, (left + pad, (top + bottom) / 2), label, size, canvas.INK, anchor="lm")
    canvas.text(image, (split + pad, (top + bottom) / 2), caption, size, canvas.TEXT, anchor="lm")


def _overlap(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
