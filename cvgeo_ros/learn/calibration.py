"""How far score and sigma can be trusted, and what would make them honest.

A score is honest if of the answers with score p a share of p is right (`metrics.RIGHT`); a sigma is, if the distances
to the truth follow a Rayleigh distribution with it: 39 % within 1 sigma, 86 % within 2.

    python -m cvgeo_ros.learn.calibration out/report/report.json --check out/other/report.json

fits both on the records of reports of ``cvgeo evaluate --report`` and says what that changes there and in the others.
Fit on scenes that neither the network was trained on nor figures are published of.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import ArrayLike, NDArray

from ..errors import DatasetError
from .metrics import Located, right

_LEAST = 1e-6
"""Scores are kept this far from 0 and 1, where logits end."""
_SCALES = np.exp(np.linspace(np.log(0.05), np.log(20.0), 1201))


@dataclass(frozen=True)
class Bin:
    """Answers with scores in [low, high): their number, mean score and the share that is right."""

    low: float
    high: float
    count: int
    score: float
    right: float


def reliability(scores: ArrayLike, hits: ArrayLike, bins: int = 10) -> list[Bin]:
    """Bins of equal width over scores (N,) in 0..1 and whether the answers are right (N,); empty ones are left out."""
    p, hit = np.asarray(scores, np.float64), np.asarray(hits, np.float64)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    return [
        Bin(k / bins, (k + 1) / bins, int(here.sum()), float(p[here].mean()), float(hit[here].mean()))
        for k in range(bins)
        if (here := place == k).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error, 0..1: how far score and share of right answers are apart, mean over all answers.

    As in Guo et al. 2017, On Calibration of Modern Neural Networks (arXiv 1706.04599).
    """
    total = sum(item.count for item in bins)
    return sum(item.count * abs(item.score - item.right) for item in bins) / total if total else math.nan


def coverage(errors: ArrayLike, sigmas: ArrayLike, k: ArrayLike) -> NDArray[np.float64]:
    """Share of errors (N,) within k (M,) of their own sigmas (N,) -> (M,)."""
    e, s, multiples = (np.asarray(values, np.float64) for values in (errors, sigmas, k))
    return np.asarray((e <= multiples[:, None] * s).mean(axis=1))


def honest_coverage(k: ArrayLike) -> NDArray[np.float64]:
    """The same share for Gaussian errors in the plane, sigma an axis: the Rayleigh distribution."""
    return np.asarray(-np.expm1(-(np.asarray(k, np.float64) ** 2) / 2))


@dataclass(frozen=True)
class Calibration:
    """What makes scores and sigmas honest: logit(score) becomes slope * logit + offset, sigma is multiplied.

    ``1 / slope`` is the temperature of Guo et al.
    """

    slope: float = 1.0
    offset: float = 0.0
    sigma_scale: float = 1.0

    def score(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Honest scores; 0, which is given without an answer, stays 0."""
        p = np.asarray(scores, np.float64)
        return np.where(p > 0, _sigmoid(self.slope * _logit(p) + self.offset), 0.0)

    def sigma(self, sigmas: ArrayLike) -> NDArray[np.float64]:
        """Honest sigmas, m."""
        return np.asarray(np.asarray(sigmas, np.float64) * self.sigma_scale)


def fit(scores: ArrayLike, hits: ArrayLike, errors: ArrayLike, sigmas: ArrayLike, affine: bool = True) -> Calibration:
    """Calibration of answers with known truth.

    The score's part has the greatest likelihood (Platt 1999, with his smoothed targets, so that it stays finite where
    scores tell right from wrong without fault). The sigma's is the scale with the least Cramer-von Mises distance to
    the Rayleigh distribution, which answers far off cannot pull as they would a mean of squares.

    Args:
        scores: (N,) 0..1.
        hits: (N,) whether the answers are right.
        errors: (N,) m; infinite ones, of which there is no truth to measure from, say nothing of sigma.
        sigmas: (N,) m; NaN = not given.
        affine: False fits the temperature alone.

    Raises:
        DatasetError: all answers are right, or none is: that says nothing of scores.
    """
    p, hit = np.asarray(scores, np.float64), np.asarray(hits, bool)
    answered = p > 0
    slope, offset = _fit_logits(_logit(p[answered]), hit[answered], affine)
    return Calibration(slope, offset, _fit_scale(np.asarray(errors, np.float64), np.asarray(sigmas, np.float64)))


def _fit_logits(logits: NDArray[np.float64], hit: NDArray[np.bool_], affine: bool) -> tuple[float, float]:
    good, bad = int(hit.sum()), int((~hit).sum())
    if not good or not bad:
        raise DatasetError(f"{good} right and {bad} wrong answers: a calibration of scores needs both")
    target = np.where(hit, (good + 1) / (good + 2), 1 / (bad + 2))
    design = np.stack([logits, np.ones_like(logits)], axis=1)[:, : 1 + affine]
    weights = np.array([1.0, 0.0])[: 1 + affine]

    def loss(w: NDArray[np.float64]) -> float:
        z = design @ w
        return float(np.sum(np.logaddexp(0, z) - target * z))

    for _ in range(100):
        q = _sigmoid(design @ weights)
        gradient = design.T @ (q - target)
        curvature = (design * (q * (1 - q))[:, None]).T @ design + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return float(weights[0]), float(weights[1]) if affine else 0.0


def _fit_scale(errors: NDArray[np.float64], sigmas: NDArray[np.float64]) -> float:
    known = np.isfinite(errors) & (sigmas > 0)
    if not known.any():
        return 1.0
    ratio = np.sort(errors[known] / sigmas[known])
    ranks = (np.arange(len(ratio)) + 0.5) / len(ratio)
    distances = [np.mean((honest_coverage(ratio / scale) - ranks) ** 2) for scale in _SCALES]
    return float(_SCALES[int(np.argmin(distances))])


def quality(scores: ArrayLike, hits: ArrayLike, errors: ArrayLike, sigmas: ArrayLike) -> dict[str, float]:
    """What a calibration is judged by.

    Returns:
        "ece", "nll" (mean negative log likelihood of right or wrong, nats) and the shares "within_1_sigma" and
        "within_2_sigma".
    """
    p, hit = np.asarray(scores, np.float64), np.asarray(hits, bool)
    e, s = np.asarray(errors, np.float64), np.asarray(sigmas, np.float64)
    known = np.isfinite(e) & ~np.isnan(s)
    inside = coverage(e[known], s[known], [1.0, 2.0]) if known.any() else (math.nan, math.nan)
    likely = np.clip(np.where(hit, p, 1 - p), _LEAST, 1)
    return {
        "ece": calibration_error(reliability(p, hit)),
        "nll": float(-np.log(likely).mean()),
        "within_1_sigma": float(inside[0]),
        "within_2_sigma": float(inside[1]),
    }


def columns(located: Sequence[Located]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Scores, whether right, errors and sigmas of the answers of which it is known whether they are right."""
    known = [item for item in located if not math.isnan(item.error)]
    score, error, sigma = np.array([(item.score, item.error, item.position_std) for item in known]).reshape(-1, 3).T
    return score, right(known), error, sigma


def read_records(paths: Sequence[Path]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """The same of the records of reports."""
    rows: list[tuple[float, bool, float, float]] = []
    for path in paths:
        try:
            records: list[dict[str, Any]] = json.loads(path.read_text())["records"]
            for record in records:
                if record["right"] is not None:
                    error, sigma = (
                        math.nan if record[key] is None else record[key] for key in ("error", "position_std")
                    )
                    # JSON knows no infinity: an answer that is known to be wrong and has no error is infinitely wrong.
                    rows.append((record["score"], record["right"], math.inf if math.isnan(error) else error, sigma))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise DatasetError(f"{path}: not a report.json of `cvgeo evaluate --report` ({problem!r})") from problem
    if not rows:
        raise DatasetError(f"{', '.join(map(str, paths))}: no record says whether its answer is right")
    score, hit, error, sigma = np.array(rows, np.float64).T
    return score, hit.astype(bool), error, sigma


def main(
    reports: Annotated[list[Path], typer.Argument(help="Files report.json to fit on.")],
    check: Annotated[list[Path] | None, typer.Option(help="Files report.json to try the fit on.")] = None,
    temperature: Annotated[bool, typer.Option(help="Fit a temperature alone, no offset.")] = False,
) -> None:
    """Fit score and sigma on reports; print JSON."""
    fitted_on = read_records(reports)
    calibration = fit(*fitted_on, affine=not temperature)
    told: dict[str, Any] = {"calibration": asdict(calibration)}
    for name, paths in (("fit", reports), ("check", check)):
        if paths:
            scores, hits, errors, sigmas = read_records(paths)
            after = quality(calibration.score(scores), hits, errors, calibration.sigma(sigmas))
            told[name] = {"answers": len(scores), "before": quality(scores, hits, errors, sigmas), "after": after}
    typer.echo(json.dumps(told, indent=1))


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(p, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except DatasetError as problem:
        raise SystemExit(f"error: {problem}") from problem
