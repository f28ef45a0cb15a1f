"""Figures of merit of located objects, as the field defines them.

acc@t is the share of objects whose box overlaps the true one with an IoU strictly above t, in tile pixels (DetGeo's
protocol); accI@t the share of frames of which all objects do, box j answering click j (MOGeo, arXiv 2603.13843).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Box = tuple[float, float, float, float]


def iou(boxes: ArrayLike, truths: ArrayLike) -> NDArray[np.float64]:
    """IoU of (N, 4) boxes with (N, 4) true ones, corner form -> (N,)."""
    a, b = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(truths, np.float64).reshape(-1, 4)
    overlap = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - overlap
    return np.asarray(overlap / np.maximum(union, 1e-16))


@dataclass(frozen=True)
class Located:
    """One object's answer beside its truth.

    Attributes:
        frame, id: which click.
        bbox, truth: boxes in tile px.
        error: distance between the boxes' centres over ground, m.
        score: 0..1.
        position_std: 1 sigma per axis, m.
        latitude, longitude: of the answer, deg.
        quality: "A" or "B".
        latency: of the frame's `locate`, s.
    """

    frame: str
    id: str
    bbox: Box
    truth: Box
    error: float
    score: float
    position_std: float
    latitude: float
    longitude: float
    quality: str
    latency: float


@dataclass(frozen=True)
class Figures:
    """Figures over a set of objects; shares in 0..1, lengths in metres, latency in seconds."""

    objects: int
    frames: int
    acc_25: float
    acc_50: float
    miou: float
    error_median: float
    within_5m: float
    within_10m: float
    acci_25: float
    acci_50: float
    within_1_sigma: float
    within_2_sigma: float
    latency_median: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def summarize(located: Sequence[Located]) -> Figures:
    """Figures of at least one object.

    The shares within 1 and 2 sigma are of the distance in the plane: 39 % and 86 % for an honest Gaussian.
    """
    overlap = iou([item.bbox for item in located], [item.truth for item in located])
    error = np.array([item.error for item in located])
    sigma = np.array([item.position_std for item in located])
    frames: dict[str, list[float]] = {}
    for item, value in zip(located, overlap, strict=True):
        frames.setdefault(item.frame, []).append(float(value))
    worst = np.array([min(values) for values in frames.values()])
    latency = {item.frame: item.latency for item in located}
    return Figures(
        objects=len(located),
        frames=len(frames),
        acc_25=float((overlap > 0.25).mean()),
        acc_50=float((overlap > 0.5).mean()),
        miou=float(overlap.mean()),
        error_median=float(np.median(error)),
        within_5m=float((error <= 5).mean()),
        within_10m=float((error <= 10).mean()),
        acci_25=float((worst > 0.25).mean()),
        acci_50=float((worst > 0.5).mean()),
        within_1_sigma=float((error <= sigma).mean()),
        within_2_sigma=float((error <= 2 * sigma).mean()),
        latency_median=float(np.median(list(latency.values()))),
    )
