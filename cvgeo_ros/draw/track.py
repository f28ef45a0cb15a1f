"""Tracks on a map: lines, broken where nothing is known, dots, and a legend.

Convention:
    Images are RGB uint8 (H, W, 3). Points are (u, v) tile px; a row of NaN breaks a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.draw import MapView, canvas


@dataclass(frozen=True)
class Trace:
    """One track of a picture.

    Attributes:
        name: In the legend.
        points: (N, 2).
        ink: Its colour.
        width: Of the line, in units of the picture (see ``canvas.unit``); 0 = dots alone.
        dot: Radius of the dots, likewise; 0 = none.
    """

    name: str
    points: NDArray[np.float64]
    ink: canvas.Colour
    width: float = 3.0
    dot: float = 0.0


def draw_traces(view: MapView, traces: Sequence[Trace]) -> canvas.Picture:
    """Return the map with the traces, the first one lowest, and a legend of those that have points."""
    picture, unit = view.image.copy(), canvas.unit(view.image)
    shown = [trace for trace in traces if np.isfinite(trace.points).all(axis=1).any()]
    for trace in shown:
        points = np.column_stack([trace.points, np.ones(len(trace.points))]) @ view.to_image.T
        places = points[:, :2] / points[:, 2:]
        known = np.asarray(np.isfinite(places).all(axis=1))
        if trace.width:
            for thickness, ink in ((trace.width + 2.0, canvas.INK), (trace.width, trace.ink)):
                for (start, a), (end, b) in pairwise(zip(places, known.tolist(), strict=True)):
                    if a and b:
                        canvas.line(picture, (start[0], start[1]), (end[0], end[1]), ink, thickness * unit)
        if trace.dot:
            for u, v in places[known]:
                canvas.disc(picture, u, v, (trace.dot + 1.0) * unit, canvas.INK)
                canvas.disc(picture, u, v, trace.dot * unit, trace.ink)
    _legend(picture, shown, unit)
    return picture


def _legend(picture: canvas.Picture, traces: Sequence[Trace], unit: float) -> None:
    if not traces:
        return
    size, pad = round(13 * unit), 10 * unit
    line = size * 1.7
    width = max(canvas.text_size(trace.name, size)[0] for trace in traces) + 4 * pad + 2 * size
    canvas.panel(picture, (pad, pad, pad + width, pad * 2 + line * len(traces)), 0.78)
    for index, trace in enumerate(traces):
        y = pad * 1.5 + line * (index + 0.5)
        canvas.line(picture, (2 * pad, y), (2 * pad + 2 * size, y), trace.ink, 4.0 * unit)
        canvas.text(picture, (3 * pad + 2 * size, y), trace.name, size, canvas.TEXT, "lm")
