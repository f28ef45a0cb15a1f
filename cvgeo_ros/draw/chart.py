"""Charts on white: axes with a title, and what is drawn in the axes' units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from cvgeo_ros.draw import canvas

SIZE = (1120, 760)
"""Width and height of a chart, px; shown at half of it."""
WHITE: canvas.Colour = (255, 255, 255)
INK: canvas.Colour = (32, 38, 46)
FAINT: canvas.Colour = (112, 120, 130)
GRID: canvas.Colour = (224, 228, 232)
MEASURED: canvas.Colour = (24, 100, 200)
BARS: canvas.Colour = (196, 214, 240)
IDEAL: canvas.Colour = (214, 96, 20)
_TEXT = 24
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 40, 120, 92


@dataclass(frozen=True)
class Axis:
    """One axis: the values at its ends, those that are marked with their texts, and a label."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str = ""


def shares(label: str = "") -> Axis:
    """An axis of shares in 0..1, marked in per cent."""
    return Axis(0.0, 1.0, [(step / 5, f"{20 * step} %") for step in range(6)], label)


class Chart:
    """Axes with a title; what is drawn is given in the axes' units."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y
        self.image = np.full((SIZE[1], SIZE[0], 3), WHITE, np.uint8)
        self._legend = float(_LEFT)
        canvas.text(self.image, (_LEFT, 34), title, 30, INK, "lm")
        for value, text in x.ticks:
            u = self.at((value, y.low))[0]
            canvas.line(self.image, (u, _TOP), (u, SIZE[1] - _BOTTOM), GRID, 2)
            canvas.text(self.image, (u, SIZE[1] - _BOTTOM + 24), text, _TEXT, FAINT, "mm")
        for value, text in y.ticks:
            v = self.at((x.low, value))[1]
            canvas.line(self.image, (_LEFT, v), (SIZE[0] - _RIGHT, v), GRID, 2)
            canvas.text(self.image, (_LEFT - 12, v), text, _TEXT, FAINT, "rm")
        canvas.text(self.image, (SIZE[0] - _RIGHT, SIZE[1] - 28), x.label, _TEXT, INK, "rm")

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Pixel of a point."""
        right = (point[0] - self.x.low) / (self.x.high - self.x.low)
        up = (point[1] - self.y.low) / (self.y.high - self.y.low)
        return _LEFT + right * (SIZE[0] - _LEFT - _RIGHT), SIZE[1] - _BOTTOM - up * (SIZE[1] - _TOP - _BOTTOM)

    def legend(self, text: str, ink: canvas.Colour) -> None:
        """Name what is drawn in a colour; entries follow each other above the axes."""
        canvas.line(self.image, (self._legend, 82), (self._legend + 34, 82), ink, 7)
        canvas.text(self.image, (self._legend + 46, 82), text, _TEXT, INK, "lm")
        self._legend += 46 + canvas.text_size(text, _TEXT)[0] + 40

    def bar(self, low: float, high: float, value: float) -> None:
        """Fill a bar from the foot of the axes."""
        (left, bottom), (right, top) = self.at((low, self.y.low)), self.at((high, value))
        canvas.panel(self.image, (left + 3, top, right - 3, bottom), 1.0, BARS)

    def curve(self, x: ArrayLike, y: ArrayLike, ink: canvas.Colour) -> None:
        """Join points (N,)."""
        points = [self.at((float(a), float(b))) for a, b in zip(np.asarray(x), np.asarray(y), strict=True)]
        for start, end in pairwise(points):
            canvas.line(self.image, start, end, ink, 5)

    def band(self, low: float, high: float, ink: canvas.Colour) -> None:
        """Tint the axes' whole height between two values of x."""
        (left, bottom), (right, top) = self.at((low, self.y.low)), self.at((high, self.y.high))
        canvas.panel(self.image, (left, top, max(right, left + 2.0), bottom), 0.35, ink)

    def points(self, x: ArrayLike, y: ArrayLike, ink: canvas.Colour, radius: float = 9.0) -> None:
        """Mark points (N,) by discs of this radius, px."""
        for a, b in zip(np.asarray(x), np.asarray(y), strict=True):
            u, v = self.at((float(a), float(b)))
            canvas.disc(self.image, u, v, radius + 3, WHITE)
            canvas.disc(self.image, u, v, radius, ink)

    def note(self, x: float, text: str) -> None:
        """Write at the foot of the axes."""
        u, v = self.at((x, self.y.low))
        canvas.text(self.image, (u, v - 34), text, 20, FAINT, "mm")


def steps(low: float, high: float, label: str = "", count: int = 6) -> Axis:
    """Return an axis from `low` to at least `high`, marked at some `count` round values."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power * count >= span * 0.999)
    ticks = math.ceil((high - low) / step - 1e-9)
    return Axis(
        low,
        low + max(ticks, 1) * step,
        [(low + k * step, f"{low + k * step:g}") for k in range(max(ticks, 1) + 1)],
        label,
    )
