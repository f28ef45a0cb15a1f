"""A folder that tells what an evaluation found: figures, charts, and pictures of single frames.

- ``report.json``: all figures, and a record of each object (`learn.calibration` reads these);
- ``report.md``: the tables;
- ``index.html``: tables, charts and pictures on one page that needs no other file;
- ``charts/`` and ``cases/``: the same charts and pictures as files.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...draw import Picture
from ...draw.page import Page
from ...draw.table import Table
from ..calibration import columns
from ..harness import detgeo_figures
from ..metrics import THRESHOLD, Located, by_frame, summarize
from . import charts
from .cases import Shot, Shots, choose, pair_shots, picture, scene_shots
from .document import accepted, bounds, counts, document, finite, groups, lost_document, records, scenes, trust
from .tables import brief_table, detgeo_table, figures_table, share

__all__ = [
    "Shot",
    "Shots",
    "Table",
    "document",
    "finite",
    "lost_document",
    "lost_table",
    "pair_shots",
    "scene_shots",
    "tables_of",
    "write_lost_report",
    "write_report",
]

HEADINGS = {"all": "all objects", "A": "quality A"}
_INTERVALS = "In brackets: 95 % intervals by bootstrap over frames."


def write_report(
    folder: Path,
    title: str,
    told: dict[str, Any],
    located: Sequence[Located],
    shots: Shots,
    threshold: float = THRESHOLD,
) -> None:
    """Write the report of an evaluation with truth.

    Args:
        folder: made where it is missing; files of an earlier report are replaced.
        title: of the page.
        told: what was evaluated, for the JSON.
        located: at least one object.
        shots: frame, tile and clicks of every frame.
        threshold: of the score, for the share of answers above it.
    """
    intervals = bounds(located)
    found = {"intervals": intervals, "trust": trust(located), "records": records(located)}
    _write_json(folder, document(told, located, threshold) | found)
    tables = tables_of(told, located, threshold, intervals)
    drawn = _charts(located)
    page = Page(title)
    for table in tables:
        page.table(table)
    page.paragraph(_INTERVALS)
    _write_charts(folder, page, drawn)
    page.heading("Best, median and worst frames by mean IoU")
    page.paragraph("Frame with clicks; map with answers, numbered alike, and true boxes, dashed.")
    _write_cases(folder, page, choose(located), shots)
    _write_page(folder, title, page, tables, _INTERVALS)


def tables_of(
    told: dict[str, Any],
    located: Sequence[Located],
    threshold: float = THRESHOLD,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> list[Table]:
    """Figures over all objects and those of quality A, by number of targets, and by scene; of CVOGL, DetGeo's as well.

    Args:
        told: what was evaluated, as for the JSON.
        located: at least one object.
        threshold: of the score, for the share of answers above it.
        intervals: of the first table's figures, by group and field.
    """
    parted = groups(located)
    figures = {HEADINGS[name]: summarize(members) for name, members in parted.items()}
    table = figures_table(figures, {HEADINGS[name]: bounds for name, bounds in (intervals or {}).items()})
    above = list(zip(*(accepted(members, threshold) for members in parted.values()), strict=True))
    labels = (f"score above {threshold:g}", "of these within 5 m")
    extra = [[label, *map(share, shares)] for label, shares in zip(labels, above, strict=True)]
    tables = [Table(table.header, [*table.rows, *extra])]
    parts = (("targets", counts(located)), ("scene", scenes(located)))
    tables += [brief_table(found, name) for name, found in parts if found]
    return tables + ([detgeo_table(detgeo_figures(located))] if told.get("dataset") == "cvogl" else [])


def write_lost_report(
    folder: Path,
    title: str,
    told: dict[str, Any],
    located: Sequence[Located],
    shots: Shots,
    threshold: float = THRESHOLD,
) -> None:
    """Write the report of frames held against the map of another place; arguments as for `write_report`.

    Args:
        threshold: answers with a score above it are taken for answers.
    """
    found = lost_document(told, located, threshold)
    _write_json(folder, found | {"records": records(located)})
    table = lost_table(found)
    page = Page(title)
    page.table(table)
    page.heading("Frames with the highest scores")
    frames = sorted(by_frame(located), key=lambda indices: -max(located[index].score for index in indices))[:3]
    cases = [(f"highest {k + 1}", [located[i] for i in indices]) for k, indices in enumerate(frames)]
    _write_cases(folder, page, cases, shots)
    _write_page(folder, title, page, [table])


def lost_table(found: dict[str, Any]) -> Table:
    """What `lost_document` says, as a table."""
    rows = [
        ["answers in frames", f"{found['answers']} in {found['frames']}"],
        [f"score above {found['threshold']:g}", share(found["above"])],
        ["median score", f"{found['score_median']:.3f}"],
        ["highest score", f"{found['score_max']:.3f}"],
    ]
    return Table(["", "on the map of another place"], rows)


def _charts(located: Sequence[Located]) -> dict[str, Picture]:
    scores, hits, errors, sigmas = columns(located)
    if not len(scores):
        return {}
    drawn = {"reliability": charts.reliability_diagram(scores, hits)}
    judged = ~np.isnan(sigmas)
    if judged.any():
        drawn["sigma"] = charts.sigma_plot(errors[judged], sigmas[judged])
    return drawn | {"errors": charts.error_plot(errors)}


def _write_charts(folder: Path, page: Page, drawn: dict[str, Picture]) -> None:
    if not drawn:
        return
    page.heading("Score, sigma and errors")
    page.charts(list(drawn.values()))
    for name, chart in drawn.items():
        _write_image(folder / "charts" / f"{name}.png", chart)


def _write_cases(folder: Path, page: Page, cases: Sequence[tuple[str, list[Located]]], shots: Shots) -> None:
    for name, objects in cases:
        image = picture(objects, shots[objects[0].key])
        path = Path("cases", f"{name.replace(' ', '_')}.jpg")
        _write_image(folder / path, image)
        page.picture(f"{name}: {' / '.join(filter(None, objects[0].key))}", image, path.as_posix())


def _write_image(path: Path, image: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())


def _write_json(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = dict(content)
    listed = ",\n".join(json.dumps(record) for record in found.pop("records"))
    head = json.dumps(finite(found), indent=1)
    (folder / "report.json").write_text(f'{head[:-2]},\n "records": [\n{listed}\n]\n}}\n')


def _write_page(folder: Path, title: str, page: Page, tables: Sequence[Table], note: str = "") -> None:
    (folder / "index.html").write_text(page.text())
    parts = [f"# {title}\n", *(table.markdown() for table in tables), *([note + "\n"] if note else [])]
    (folder / "report.md").write_text("\n".join(parts))
