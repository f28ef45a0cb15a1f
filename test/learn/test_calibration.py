"""Reliability and coverage by hand; fits against answers of known dishonesty."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn.calibration import (
    Calibration,
    calibration_error,
    columns,
    coverage,
    fit,
    honest_coverage,
    main,
    quality,
    read_records,
    reliability,
)
from cvgeo_ros.learn.metrics import Located
from cvgeo_ros.learn.report.document import records

BASE = Located("f", "a", (0, 0, 10, 10), (0, 0, 10, 10), 1.0, 0.9, 2.0, 50.0, 8.0, "A", 0.2)


def dishonest(count: int, slope: float, offset: float, scale: float) -> tuple[np.ndarray, ...]:
    """Answers whose scores and sigmas are honest only after this calibration."""
    rng = np.random.default_rng(0)
    logits = rng.normal(1.0, 2.0, count)
    hits = rng.random(count) < 1 / (1 + np.exp(-(slope * logits + offset)))
    sigmas = rng.uniform(0.5, 3.0, count)
    return 1 / (1 + np.exp(-logits)), hits, rng.rayleigh(scale * sigmas), sigmas


def test_bins_and_their_error_by_hand() -> None:
    bins = reliability([0.05, 0.15, 0.15, 0.9, 1.0], [False, False, True, True, True])
    assert [(b.low, b.count, b.right) for b in bins] == [(0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 2, 1.0)]
    assert [b.score for b in bins] == pytest.approx([0.05, 0.15, 0.95])
    assert calibration_error(bins) == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.05) / 5)


def test_honest_errors_have_honest_coverage() -> None:
    sigmas = np.random.default_rng(1).uniform(1, 5, 20_000)
    errors = np.random.default_rng(0).rayleigh(sigmas)
    k = [1.0, 2.0, 3.0]
    assert honest_coverage(k) == pytest.approx([0.393, 0.865, 0.989], abs=1e-3)
    assert coverage(errors, sigmas, k) == pytest.approx(honest_coverage(k), abs=0.01)


def test_the_fit_finds_what_is_wrong_and_mends_it() -> None:
    answers = dishonest(8000, 0.5, -1.0, 2.5)
    found = fit(*answers)
    assert (found.slope, found.offset, found.sigma_scale) == pytest.approx((0.5, -1.0, 2.5), rel=0.1)
    scores, hits, errors, sigmas = answers
    before = quality(*answers)
    after = quality(found.score(scores), hits, errors, found.sigma(sigmas))
    assert after["ece"] < 0.03 < before["ece"] and after["nll"] < before["nll"]
    assert after["within_1_sigma"] == pytest.approx(0.393, abs=0.02)
    assert fit(*dishonest(8000, 0.5, 0.0, 1.0), affine=False).slope == pytest.approx(0.5, rel=0.1)


def test_answers_far_off_do_not_pull_the_scale() -> None:
    scores, hits, errors, sigmas = dishonest(2000, 1.0, 0.0, 1.0)
    errors[:100] = 500.0
    errors[100:200] = math.inf
    assert fit(scores, hits, errors, sigmas).sigma_scale == pytest.approx(1.0, abs=0.1)


def test_scores_that_never_err_stay_finite_and_no_answer_stays_none() -> None:
    scores, hits = np.array([0.2, 0.3, 0.7, 0.8, 0.0]), np.array([False, False, True, True, False])
    found = fit(scores, hits, np.full(5, math.nan), np.ones(5))
    assert 0.5 < found.slope < 2.0 and found.sigma_scale == 1.0
    assert found.score([0.0, 0.5])[0] == 0.0
    assert Calibration().score([0.25]) == pytest.approx([0.25])
    with pytest.raises(DatasetError, match="4 right and 0 wrong"):
        fit(scores[:4], np.ones(4, bool), np.ones(4), np.ones(4))


def test_records_of_a_report_say_the_same_as_its_answers(tmp_path: Path) -> None:
    located = [
        BASE,
        replace(BASE, id="far", error=12.0, score=0.3),
        replace(BASE, id="unknown", error=math.nan),
        replace(BASE, id="lost", error=math.inf, truth=(math.nan,) * 4, score=0.1, position_std=40.0),
    ]
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"records": records(located)}, allow_nan=False))
    for read, known in zip(read_records([path]), columns(located), strict=True):
        assert read.tolist() == known.tolist()
    assert read_records([path])[1].tolist() == [True, False, False]


def test_the_command_fits_and_checks(tmp_path: Path) -> None:
    answers = zip(*dishonest(1000, 0.5, -1.0, 2.5), strict=True)
    rows = [{"right": bool(hit), "score": p, "error": error, "position_std": sigma} for p, hit, error, sigma in answers]
    for name, part in (("fit", rows[:500]), ("check", rows[500:])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"records": part}))
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, [str(tmp_path / "fit.json"), "--check", str(tmp_path / "check.json")])
    told = json.loads(result.stdout)
    assert told["calibration"] == asdict(fit(*read_records([tmp_path / "fit.json"])))
    assert told["check"]["answers"] == 500
    assert told["check"]["after"]["ece"] < told["check"]["before"]["ece"]
    (tmp_path / "fit.json").write_text("[]")
    result = CliRunner().invoke(app, [str(tmp_path / "fit.json")])
    assert isinstance(result.exception, DatasetError) and "not a report.json" in str(result.exception)
