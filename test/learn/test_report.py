"""Reports: what their files say, against answers worked out by hand."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.draw.chart import IDEAL, MEASURED
from cvgeo_ros.learn.metrics import Located
from cvgeo_ros.learn.report import Shot, document, lost_document, tables_of, write_lost_report, write_report
from cvgeo_ros.learn.report.cases import choose, picture
from cvgeo_ros.learn.report.charts import error_plot, reliability_diagram, sigma_plot
from cvgeo_ros.learn.report.document import finite

BOX = (100.0, 100.0, 140.0, 140.0)
BASE = Located("f0", "a", BOX, BOX, 1.0, 0.9, 2.0, 50.0, 8.0, "A", 0.2, "s")
TOLD = {"scene": "s", "protocol": "wide"}


def shifted(by: float, **changes: object) -> Located:
    return replace(BASE, bbox=(100 + by, 100.0, 140 + by, 140.0), error=by / 4, **changes)  # type: ignore[arg-type]


@pytest.fixture
def located() -> list[Located]:
    """Nine frames of two objects, better to worse."""
    return [shifted(5.0 * frame, frame=f"f{frame}", id=f"{frame}{k}") for frame in range(9) for k in "ab"]


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    for name in ("frame", "tile"):
        image = cv2.resize(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8), (400, 300))
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    return Shot(tmp_path / "frame.png", tmp_path / "tile.png", {}, georeferenced=False)


def shots_of(located: list[Located], shot: Shot) -> dict[tuple[str, str], Shot]:
    clicks = {item.id: (200.0, 150.0) for item in located}
    return {item.key: replace(shot, clicks=clicks) for item in located}


def test_best_median_and_worst_frames(located: list[Located]) -> None:
    chosen = {name: objects[0].frame for name, objects in choose(located)}
    assert chosen == {
        "best 1": "f0", "best 2": "f1", "best 3": "f2", "median 1": "f3", "median 2": "f4", "median 3": "f5",
        "worst 1": "f8", "worst 2": "f7", "worst 3": "f6",
    }  # fmt: skip
    assert all(len(objects) == 2 for _, objects in choose(located))
    assert [name for name, _ in choose(located[:2])] == ["best 1"]
    # All overlaps are 0: the distance decides.
    missed = [replace(item, bbox=(0.0, 0.0, 1.0, 1.0)) for item in located]
    assert choose(missed)[0][1][0].frame == "f0" and choose(missed)[6][1][0].frame == "f8"


def test_groups_of_the_document(located: list[Located]) -> None:
    mixed = [replace(item, quality="B", scene="t" if item.frame == "f8" else "s") for item in located]
    mixed[0] = replace(mixed[0], quality="A")
    told = document(TOLD, mixed)
    assert list(told)[:2] == list(TOLD)
    assert (told["all"]["objects"], told["A"]["objects"]) == (18, 1)
    assert told["counts"].keys() == {"N <= 3"}
    assert {name: part["frames"] for name, part in told["scenes"].items()} == {"s": 8, "t": 1}
    alone = document(TOLD, [replace(item, quality="") for item in located[::2]])
    assert alone["A"] is None and not {"counts", "scenes", "detgeo"} & alone.keys()


def test_share_of_answers_above_a_score_and_of_these_right(located: list[Located]) -> None:
    scored = [replace(item, score=0.05 * k) for k, item in enumerate(located)]
    told = document(TOLD, scored, 0.5)
    assert told["above"] == pytest.approx(7 / 18), "0.55 to 0.85"
    assert told["right_above"] == 0.0 and document(TOLD, scored, 0.0)["right_above"] == pytest.approx(9 / 17)
    assert ["score above 0.5", "38.9 %", "38.9 %"] in tables_of(TOLD, scored, 0.5)[0].rows


def test_cvogl_comes_with_detgeos_figures(located: list[Located]) -> None:
    told = {"set": "x", "dataset": "cvogl"}
    assert document(told, located)["detgeo"]["acc_25"] == document(told, located)["all"]["acc_25"]
    assert "DetGeo" in tables_of(told, located)[-1].header[0]


def test_how_many_answers_on_the_map_of_another_place_score_high(located: list[Located]) -> None:
    lost = [
        replace(item, score=0.05 * k, error=math.inf, truth=(math.nan,) * 4) for k, item in enumerate(located)
    ]  # 0 to 0.85
    told = lost_document(TOLD, lost, 0.5)
    assert (told["answers"], told["frames"], told["above"]) == (18, 9, pytest.approx(7 / 18))
    assert told["score_max"] == pytest.approx(0.85)


def test_the_folder_holds_figures_records_tables_charts_and_pictures(
    tmp_path: Path, located: list[Located], shot: Shot
) -> None:
    folder = tmp_path / "out"
    located[0] = replace(located[0], error=math.nan)
    write_report(folder, "A <title>", TOLD, located, shots_of(located, shot))
    told = json.loads((folder / "report.json").read_text())
    assert told["all"] == document(TOLD, located)["all"]
    low, high = told["intervals"]["all"]["acc_25"]
    assert low <= told["all"]["acc_25"] <= high
    assert sum(part["count"] for part in told["trust"]["bins"]) == 17
    first, second = told["records"][:2]
    assert (first["right"], first["error"], first["iou"]) == (None, None, 1.0)
    assert (second["right"], second["frame"], second["bbox"]) == (True, "f0", list(BOX))

    assert {path.name for path in (folder / "charts").iterdir()} == {"reliability.png", "sigma.png", "errors.png"}
    assert len(list((folder / "cases").glob("*.jpg"))) == 9
    page, text = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    assert "A &lt;title&gt;" in page and "A <title>" not in page
    assert page.count("data:image/png") == 3 and page.count("data:image/jpeg") == 9
    assert not re.findall(r'src="(?!data:)', page), "nothing to load from elsewhere"
    for link in re.findall(r'href="([^"]*)"', page):
        assert (folder / link).is_file()
    row = next(line for line in text.splitlines() if line.startswith("| acc@0.25"))
    assert re.match(
        rf"\| acc@0.25 \| {100 * told['all']['acc_25']:.1f} % \({100 * low:.1f} % to {100 * high:.1f} %\)", row
    )


def test_the_folder_of_lost_frames_shows_the_highest_scores(tmp_path: Path, located: list[Located], shot: Shot) -> None:
    lost = [replace(item, score=0.05 * k, error=math.inf, truth=(math.nan,) * 4) for k, item in enumerate(located)]
    write_lost_report(tmp_path / "out", "title", TOLD, lost, shots_of(lost, shot), 0.5)
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert all(record["right"] is False and record["error"] is None for record in told["records"])
    assert "highest 1: s / f8" in (tmp_path / "out" / "index.html").read_text()


def test_a_picture_shows_answer_and_truth_where_they_are(tmp_path: Path, shot: Shot) -> None:
    item = shifted(60.0)
    both = picture([item], shots_of([item], shot)[item.key])
    lost = replace(item, truth=(math.nan,) * 4, error=math.inf)
    alone = picture([lost], shots_of([lost], shot)[lost.key])
    assert both.shape[0] == alone.shape[0]
    whiter = (both[:, both.shape[1] // 2 :].min(axis=-1) > 225).sum()
    assert whiter > 500 + (alone[:, alone.shape[1] // 2 :].min(axis=-1) > 225).sum(), "the true box, dashed"


def curve_heights(chart: np.ndarray, ink: tuple[int, int, int], column: int) -> np.ndarray:
    return np.nonzero((np.abs(chart[120:668, column].astype(int) - ink) < 30).all(axis=-1))[0] + 120


def test_charts_put_shares_where_they_belong() -> None:
    """Axes reach from (90, 668) to (1080, 120) px."""
    errors, sigmas = np.full(100, 1.5), np.ones(100)
    chart = sigma_plot(errors, sigmas)
    at = lambda k: 90 + round(990 * k / 4)  # noqa: E731
    assert curve_heights(chart, MEASURED, at(1.2)).mean() == pytest.approx(668, abs=4)
    assert curve_heights(chart, MEASURED, at(1.8)).mean() == pytest.approx(120, abs=4)
    assert curve_heights(chart, IDEAL, at(1.2)).mean() == pytest.approx(668 - 548 * (1 - math.exp(-0.72)), abs=4)

    chart = error_plot([1.0, 1.0, 20.0, math.inf])
    at = lambda metres: 90 + round(990 * math.log10(metres / 0.2) / math.log10(2500))  # noqa: E731
    for metres, share in ((0.5, 0.0), (3.0, 0.5), (100.0, 0.75)):
        assert curve_heights(chart, MEASURED, at(metres)).mean() == pytest.approx(668 - 548 * share, abs=4)

    chart = reliability_diagram([0.25] * 4, [True, False, False, False])
    assert curve_heights(chart, MEASURED, 90 + round(990 * 0.25)).mean() == pytest.approx(668 - 548 * 0.25, abs=4)


def test_json_knows_neither_nan_nor_infinity() -> None:
    assert finite({"a": [1.0, math.nan, (math.inf, "x")], "b": 3}) == {"a": [1.0, None, [None, "x"]], "b": 3}
