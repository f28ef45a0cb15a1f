"""Figures of merit of located objects, as the field defines them.

acc@t is the share of objects whose box overlaps the true one with an IoU strictly above t, in tile pixels (DetGeo's
protocol); accI@t the share of frames of which all objects do, box j answering click j (MOGeo, arXiv 2603.13843).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Box = tuple[float, float, float, float]

RIGHT = 5.0
"""An answer is right whose centre lies within this distance of the truth's, m; what `Target.score` is the chance of."""
THRESHOLD = 0.5
"""An answer with a score above it is taken for an answer; at or below it the frame counts as lost."""
COUNTS = {"N <= 3": (1, 3), "4 to 6": (4, 6), "> 6": (7, None)}
"""Groups of frames by their number of targets, least and most (MOGeo, arXiv 2603.13843)."""


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
        bbox, truth: boxes in tile px; the truth is NaN on the map of another place.
        error: distance between the boxes' centres over ground, m; infinite for no answer, NaN where metres are unknown.
        score: 0..1.
        position_std: 1 sigma per axis, m; NaN = not given.
        latitude, longitude: of the answer, deg; NaN where the tile has no place on Earth.
        quality: "A" or "B".
        latency: of the frame's `locate`, s.
        scene: scene or set the frame belongs to: frames of several may share a name.
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
    scene: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Scene and frame: what tells one frame from all others."""
        return self.scene, self.frame


@dataclass(frozen=True)
class Figures:
    """Figures over a set of objects; shares in 0..1, lengths in metres, latency in seconds; NaN = unknown."""

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

    def to_dict(self) -> dict[str, float | None]:
        """Figures by name, None = unknown."""
        return {key: value if math.isfinite(value) else None for key, value in asdict(self).items()}


def summarize(located: Sequence[Located]) -> Figures:
    """Figures of at least one object.

    Those in metres are over the objects whose error in metres is known, those in sigmas over those with a sigma as
    well. The shares within 1 and 2 sigma are of the distance in the plane: 39 % and 86 % for an honest Gaussian.
    """
    overlap = iou([item.bbox for item in located], [item.truth for item in located])
    error = np.array([item.error for item in located])
    sigma = np.array([item.position_std for item in located])
    worst = np.array([overlap[indices].min() for indices in by_frame(located)])
    latency = {item.key: item.latency for item in located}
    known = ~np.isnan(error)
    judged = known & ~np.isnan(sigma)
    return Figures(
        objects=len(located),
        frames=len(worst),
        acc_25=float((overlap > 0.25).mean()),
        acc_50=float((overlap > 0.5).mean()),
        miou=float(overlap.mean()),
        error_median=float(np.median(error[known])) if known.any() else math.nan,
        within_5m=_share((error <= 5)[known]),
        within_10m=_share((error <= 10)[known]),
        acci_25=float((worst > 0.25).mean()),
        acci_50=float((worst > 0.5).mean()),
        within_1_sigma=_share((error <= sigma)[judged]),
        within_2_sigma=_share((error <= 2 * sigma)[judged]),
        latency_median=float(np.median(list(latency.values()))),
    )


def by_frame(located: Sequence[Located]) -> list[list[int]]:
    """Indices of the objects of each frame, frames in the order of their first objects."""
    frames: dict[tuple[str, str], list[int]] = {}
    for index, item in enumerate(located):
        frames.setdefault(item.key, []).append(index)
    return list(frames.values())


def by_count(located: Sequence[Located]) -> dict[str, list[Located]]:
    """Objects by the number of targets of their frame, as `COUNTS` groups them; groups without a frame are left out."""
    groups: dict[str, list[Located]] = {}
    for name, (least, most) in COUNTS.items():
        members = [indices for indices in by_frame(located) if least <= len(indices) <= (most or len(indices))]
        if members:
            groups[name] = [located[index] for indices in members for index in indices]
    return groups


def right(located: Sequence[Located]) -> NDArray[np.bool_]:
    """Whether each answer is right (see `RIGHT`); one on the map of another place never is -> (N,)."""
    return np.array([item.error <= RIGHT for item in located], bool)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else math.nan
