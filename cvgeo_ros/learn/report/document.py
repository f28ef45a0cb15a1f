"""All that an evaluation found, as JSON says it."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..bootstrap import intervals
from ..calibration import calibration_error, columns, coverage, honest_coverage, reliability
from ..harness import detgeo_figures
from ..metrics import RIGHT, THRESHOLD, Figures, Located, by_count, iou, right, summarize


def groups(located: Sequence[Located]) -> dict[str, list[Located]]:
    """All objects, and those of quality A where not all are."""
    best = [item for item in located if item.quality == "A"]
    return {"all": list(located)} | ({"A": best} if best else {})


def counts(located: Sequence[Located]) -> dict[str, Figures]:
    """Figures by the frames' number of targets, where some frames have several."""
    found = by_count(located)
    several = len({item.key for item in located}) < len(located)
    return {name: summarize(members) for name, members in found.items()} if several else {}


def scenes(located: Sequence[Located]) -> dict[str, Figures]:
    """Figures by scene, where there are several."""
    names = dict.fromkeys(item.scene for item in located)
    if len(names) < 2:
        return {}
    return {name: summarize([item for item in located if item.scene == name]) for name in names}


def accepted(located: Sequence[Located], threshold: float) -> tuple[float, float]:
    """Share of answers with a score above the threshold, and share of these that is right; NaN = unknown."""
    above = [item for item in located if item.score > threshold]
    known = [item for item in above if not math.isnan(item.error)]
    return len(above) / len(located), float(right(known).mean()) if known else math.nan


def document(told: dict[str, Any], located: Sequence[Located], threshold: float = THRESHOLD) -> dict[str, Any]:
    """Figures over all objects, over those of quality A (None without any), by number of targets, and by scene.

    Those of CVOGL (`told["dataset"]`) by DetGeo's protocol as well.

    Args:
        told: what was evaluated: goes before the figures.
        located: at least one object.
        threshold: of the score; see `accepted`.
    """
    figures: dict[str, Any] = {"all": None, "A": None}
    figures |= {name: summarize(members).to_dict() for name, members in groups(located).items()}
    for key, parts in (("counts", counts(located)), ("scenes", scenes(located))):
        if parts:
            figures[key] = {name: part.to_dict() for name, part in parts.items()}
    if told.get("dataset") == "cvogl":
        figures["detgeo"] = detgeo_figures(located).to_dict()
    above, good = accepted(located, threshold)
    return {**told, **figures, "threshold": threshold, "above": above, "right_above": finite(good)}


def lost_document(told: dict[str, Any], located: Sequence[Located], threshold: float) -> dict[str, Any]:
    """How many answers on the map of another place are taken for answers.

    Args:
        told: what was evaluated: goes before the figures.
        located: at least one object.
        threshold: answers with a score above it are.
    """
    scores = sorted(item.score for item in located)
    return {
        **told,
        "threshold": threshold,
        "answers": len(scores),
        "frames": len({item.key for item in located}),
        "above": accepted(located, threshold)[0],
        "score_median": scores[len(scores) // 2],
        "score_max": scores[-1],
    }


def trust(located: Sequence[Located]) -> dict[str, Any]:
    """How far score and sigma can be trusted: see `learn.calibration`. Empty where nothing is known in metres."""
    scores, hits, errors, sigmas = columns(located)
    if not len(scores):
        return {}
    bins = reliability(scores, hits)
    told: dict[str, Any] = {"right_within": RIGHT, "ece": calibration_error(bins), "bins": [asdict(b) for b in bins]}
    judged = [not math.isnan(sigma) for sigma in sigmas]
    if any(judged):
        k = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
        told["sigma"] = {
            "k": k,
            "within": coverage(errors[judged], sigmas[judged], k).tolist(),
            "honest": honest_coverage(k).tolist(),
        }
    return told


def records(located: Sequence[Located]) -> list[dict[str, Any]]:
    """All that is known of each object; `right` is None where it is not known whether the answer is."""
    overlap = iou([item.bbox for item in located], [item.truth for item in located])
    return [
        finite(asdict(item) | {"iou": float(value), "right": None if math.isnan(item.error) else item.error <= RIGHT})
        for item, value in zip(located, overlap, strict=True)
    ]


def bounds(located: Sequence[Located]) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % intervals of the main figures, of all groups."""
    return {name: intervals(members) for name, members in groups(located).items()}


def finite(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
