"""Strokes of a picture: anti-aliased lines, boxes, panels and text at sub-pixel places, drawn in place.

Convention:
    Images are RGB uint8 (H, W, 3). Pixels are (u, v) from the top-left corner of the top-left pixel, centres at .5.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Bright and far apart in hue, ordered so that neighbours differ most; all readable on imagery and under dark text.
_COLOURS: tuple[Colour, ...] = (
    (255, 209, 71),
    (90, 200, 250),
    (255, 122, 122),
    (120, 230, 140),
    (214, 150, 255),
    (255, 165, 80),
    (110, 235, 220),
    (255, 140, 205),
    (190, 225, 90),
    (150, 175, 255),
)
INK: Colour = (18, 22, 28)
PAPER: Colour = (24, 28, 34)
TEXT: Colour = (236, 239, 243)
MUTED: Colour = (154, 163, 175)
# cv2 draws in fixed point: 4 binary digits of a pixel.
_SHIFT = 4


def colour(index: int) -> Colour:
    """Return the RGB colour of target ``index``."""
    return _COLOURS[index % len(_COLOURS)]


def unit(image: Picture) -> float:
    """Return the length, px, that marks and text are measured in; pictures resized to one height look alike."""
    return max(min(image.shape[:2]) / 600.0, 0.35)


def resize(picture: Picture, height: int) -> Picture:
    """Return the picture at this height, px, and its own aspect ratio."""
    width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
    shrink = height < picture.shape[0]
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC), np.uint8
    )


# cv2 puts pixel centres at integers.
def _fixed(points: ArrayLike) -> NDArray[np.int32]:
    return np.round((np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _thick(thickness: float) -> int:
    return max(round(thickness), 1)


def line(image: Picture, start: tuple[float, float], end: tuple[float, float], ink: Colour, thickness: float) -> None:
    """Draw a line."""
    a, b = _fixed([start, end]).tolist()
    cv2.line(image, a, b, ink, _thick(thickness), cv2.LINE_AA, _SHIFT)


def circle(image: Picture, u: float, v: float, radius: float, ink: Colour, thickness: float) -> None:
    """Draw a circle."""
    centre = _fixed([u, v]).tolist()
    cv2.circle(image, centre, round(radius * (1 << _SHIFT)), ink, _thick(thickness), cv2.LINE_AA, _SHIFT)


def disc(image: Picture, u: float, v: float, radius: float, ink: Colour) -> None:
    """Draw a filled circle."""
    cv2.circle(image, _fixed([u, v]).tolist(), round(radius * (1 << _SHIFT)), ink, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def polygon(image: Picture, corners: NDArray[np.float64], ink: Colour, thickness: float) -> None:
    """Draw a closed polygon, corners (N, 2)."""
    cv2.polylines(image, [_fixed(corners)], True, ink, _thick(thickness), cv2.LINE_AA, _SHIFT)


def dashed(image: Picture, corners: NDArray[np.float64], ink: Colour, thickness: float, dash: float) -> None:
    """Draw a closed polygon, corners (N, 2), in dashes of about this length, px; every corner is drawn."""
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        pieces = max(2 * round(float(np.linalg.norm(end - start)) / (2 * dash)), 2) + 1
        stops = [start + (end - start) * step / pieces for step in range(pieces + 1)]
        for a, b in zip(stops[::2], stops[1::2], strict=True):
            line(image, (a[0], a[1]), (b[0], b[1]), ink, thickness)


def fill(image: Picture, corners: NDArray[np.float64], ink: Colour, opacity: float) -> None:
    """Tint a polygon, corners (N, 2); opacity 0..1."""
    u0, v0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    u1, v1 = np.maximum(np.ceil(corners.max(axis=0)).astype(int), 0)
    part = image[v0:v1, u0:u1]
    if part.size:
        layer = part.copy()
        cv2.fillPoly(layer, [_fixed(corners - [u0, v0])], ink, cv2.LINE_AA, _SHIFT)
        part[:] = cv2.addWeighted(layer, opacity, part, 1.0 - opacity, 0.0)


def panel(image: Picture, box: tuple[float, float, float, float], opacity: float, ink: Colour = PAPER) -> None:
    """Tint a box (u_min, v_min, u_max, v_max); opacity 0..1."""
    u0, v0, u1, v1 = (max(round(value), 0) for value in box)
    part = image[v0:v1, u0:u1]
    if part.size:
        part[:] = cv2.addWeighted(np.full_like(part, ink), opacity, part, 1.0 - opacity, 0.0)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(size, 6))


def text_size(text: str, size: int) -> tuple[int, int]:
    """Return width and height of a text of this size, px."""
    left, top, right, bottom = _font(size).getbbox(text or " ")
    return math.ceil(right - left), math.ceil(bottom - top)


def text(image: Picture, at: tuple[float, float], text: str, size: int, ink: Colour, anchor: str) -> None:
    """Write a line of text, size in px, with its anchor (as in Pillow) at (u, v); Pillow's font has Latin-1 only."""
    if not text:
        return
    width, height = text_size(text, size)
    left = at[0] - {"l": 0.0, "m": width / 2, "r": float(width)}[anchor[0]]
    # Only the pixels around it are copied to Pillow and back.
    u0, v0 = math.floor(left) - size, math.floor(at[1] - height) - size
    u1, v1 = u0 + width + 3 * size, v0 + 2 * height + 2 * size
    u0, v0, u1, v1 = max(u0, 0), max(v0, 0), min(u1, image.shape[1]), min(v1, image.shape[0])
    if u1 <= u0 or v1 <= v0:
        return
    part = Image.fromarray(np.ascontiguousarray(image[v0:v1, u0:u1]))
    ImageDraw.Draw(part).text((at[0] - u0, at[1] - v0), text, ink, _font(size), anchor=anchor)
    image[v0:v1, u0:u1] = np.asarray(part)
