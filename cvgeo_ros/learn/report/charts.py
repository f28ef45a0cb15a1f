"""Charts of a report: how far scores and sigmas can be trusted, and the distribution of errors."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...draw import canvas
from ...draw.chart import IDEAL, MEASURED, Axis, Chart, shares
from ..calibration import calibration_error, coverage, honest_coverage, reliability


def reliability_diagram(scores: ArrayLike, hits: ArrayLike) -> canvas.Picture:
    """Share of right answers by score, with the number of answers of each bin; the diagonal is an honest score."""
    bins = reliability(scores, hits)
    chart = Chart(
        f"Score against share of right answers, expected calibration error {100 * calibration_error(bins):.1f} %",
        shares("score"),
        shares(),
    )
    for item in bins:
        chart.bar(item.low, item.high, item.right)
    chart.curve([0, 1], [0, 1], IDEAL)
    chart.points([item.score for item in bins], [item.right for item in bins], MEASURED)
    for item in bins:
        chart.note((item.low + item.high) / 2, str(item.count))
    chart.legend("right (within 5 m); below, the number of answers", MEASURED)
    chart.legend("honest", IDEAL)
    return chart.image


def sigma_plot(errors: ArrayLike, sigmas: ArrayLike) -> canvas.Picture:
    """Share of truths within k sigma of the answer, beside that of an honest sigma."""
    chart = Chart(
        "Share of truths within k sigma of the answer",
        Axis(0.0, 4.0, [(float(k), str(k)) for k in range(5)], "k"),
        shares(),
    )
    k = np.linspace(0, 4, 161)
    chart.curve(k, honest_coverage(k), IDEAL)
    chart.curve(k, coverage(errors, sigmas, k), MEASURED)
    marked = np.array([1.0, 2.0, 3.0])
    chart.points(marked, coverage(errors, sigmas, marked), MEASURED)
    chart.legend("measured", MEASURED)
    chart.legend("honest (Rayleigh: 39, 86, 99 %)", IDEAL)
    return chart.image


def error_plot(errors: ArrayLike) -> canvas.Picture:
    """Share of answers within a distance of the truth, on a logarithmic axis from 0.2 m to 500 m."""
    e = np.sort(np.asarray(errors, np.float64))
    low, high = math.log10(0.2), math.log10(500)
    marks = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
    chart = Chart(
        "Share of answers within a distance of the truth",
        Axis(low, high, [(math.log10(mark), f"{mark:g}") for mark in marks], "distance, m"),
        shares(),
    )
    x, y = _steps(np.log10(np.clip(e, 0.2, None)), low, high)
    chart.curve(x, y, MEASURED)
    for limit in (5.0, 10.0):
        chart.points([math.log10(limit)], [(e <= limit).mean()], MEASURED)
    median = float(np.median(e))
    chart.legend(f"median {median:.2f} m" if math.isfinite(median) else "median: no answer", MEASURED)
    return chart.image


def _steps(values: NDArray[np.float64], low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the cumulative distribution of sorted values between two ends."""
    inside = values[values <= high]
    x = np.concatenate([[low], np.repeat(inside, 2), [high]])
    share = np.arange(len(inside) + 1) / len(values)
    return x, np.repeat(share, 2)
