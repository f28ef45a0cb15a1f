"""A folder that tells what a replay found.

- ``replay.json``: all figures, and a record of each frame and each answer to clicks;
- ``index.html``: figures, the track on the map and charts over time, on one page that needs no other file;
- ``report.md``: the figures; ``track.jpg`` and ``charts/``: the same pictures as files.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.draw import Picture, canvas, map_view, scale_bar, view_window
from cvgeo_ros.draw.chart import IDEAL, MEASURED, Axis, Chart, steps
from cvgeo_ros.draw.page import Page
from cvgeo_ros.draw.table import Table
from cvgeo_ros.draw.track import Trace, draw_traces
from cvgeo_ros.geo import TileStore
from cvgeo_ros.replay.record import Pose, Track
from cvgeo_ros.vehicle import State

SHAPE = (1080, 1440)
"""Height and width of the map picture, px."""
STATES: dict[str, canvas.Colour] = {
    State.SEARCHING: (150, 160, 172),
    State.TRACKING: (120, 230, 140),
    State.COASTING: (255, 190, 80),
    State.LOST: (250, 110, 110),
}
TRUE: canvas.Colour = (245, 247, 250)
MEASURED_DOT: canvas.Colour = (90, 200, 250)
OFF: canvas.Colour = (255, 122, 122)
LONGEST_LEG = 5.0
"""Seconds between frames, beyond which the track is not drawn through."""


def write_report(
    folder: Path,
    tile: TileStore,
    told: Mapping[str, Any],
    summary: Mapping[str, Any],
    tracks: Sequence[Track],
    answers: Sequence[Mapping[str, Any]],
) -> None:
    """Write the report; files of an earlier one are replaced.

    Args:
        folder: Made where it is missing.
        tile: The map.
        told: What was replayed: bag, map, model, topics, warnings.
        summary: See :func:`cvgeo_ros.replay.summary.summarize`.
        tracks: Of the frames; at least one.
        answers: Of the clicks.
    """
    (folder / "charts").mkdir(parents=True, exist_ok=True)
    document = {"told": dict(told), "summary": dict(summary)}
    text = json.dumps(document, indent=1)
    parts: list[tuple[str, list[Any]]] = [("frames", [asdict(track) for track in tracks]), ("answers", list(answers))]
    listed = "".join(
        f',\n "{name}": [\n' + ",\n".join(json.dumps(record) for record in records) + "\n ]" for name, records in parts
    )
    (folder / "replay.json").write_text(f"{text[:-2]}{listed}\n}}\n")
    table = figures(summary)
    page = Page(f"Replay of {told['bag']}")
    page.paragraph(f"On the map {told['map']} with the model {told['model']}.")
    for warning in told["warnings"]:
        page.paragraph(f"Note: {warning}.")
    page.table(table)
    picture = track_picture(tile, tracks)
    _write(folder / "track.jpg", picture)
    page.heading("The track on the map")
    page.picture(
        "Estimates coloured by state; what single frames measured, dotted; the truth, white", picture, "track.jpg"
    )
    page.heading("Over time")
    page.paragraph("Tinted: orange coasting, red lost, grey searching.")
    drawn = charts(tracks)
    for name, chart in drawn.items():
        _write(folder / "charts" / f"{name}.png", chart)
    page.charts(list(drawn.values()))
    (folder / "index.html").write_text(page.text())
    (folder / "report.md").write_text(f"# Replay of {told['bag']}\n\n{table.markdown()}")


def figures(summary: Mapping[str, Any]) -> Table:
    """The figures as people read them."""
    states = ", ".join(f"{name} {count}" for name, count in summary["states"].items() if count)
    outages = summary["outages"]
    longest = max(((item["to"] or math.nan) - item["from"] for item in outages), default=0.0)
    rows = [
        [
            "frames",
            f"{summary['frames']}, of these placed {summary['placed']}, believed {summary['accepted']}, "
            f"refused {summary['refused']}",
        ],
        ["states", states],
        ["first fix after", _number(summary["first_fix"], "s")],
        ["outages", f"{len(outages)}" + (f", the longest {_number(longest, 's')}" if outages else "")],
        ["resets", str(summary["resets"])],
        ["position error of the track", _spread(summary["position_error"], "m")],
        ["the same while it is followed", _spread(summary["tracking_error"], "m")],
        ["position error of single frames that were placed", _spread(summary["fix_error"], "m")],
        ["heading error of these", _spread(summary["fix_heading_error"], "deg")],
        ["heading error of the track", _spread(summary["heading_error"], "deg")],
        ["truth within 2 sigma (95 % if honest): track", _share(summary["within_2_sigma"])],
        ["truth within 2 sigma: single frames that were placed", _share(summary["fix_within_2_sigma"])],
        [
            "targets",
            f"{summary['clicks']}" + (f", {summary['clicks_refused']} refused" if summary["clicks_refused"] else ""),
        ],
        ["time of a frame", _spread(summary["latency"], "s")],
    ]
    return Table(["", "median / 95 % / largest where there are three"], [row for row in rows if row[1] != "-"])


def track_picture(tile: TileStore, tracks: Sequence[Track], shape: tuple[int, int] = SHAPE) -> Picture:
    """Estimates, single fixes and truth on the map."""
    fixes = _pixels(tile, [track.fix for track in tracks])
    estimates = _pixels(tile, [track.estimate for track in tracks])
    places = [None if track.truth is None else Pose(track.truth[0], track.truth[1], 0.0, 0.0, 0.0) for track in tracks]
    truths = _pixels(tile, places)
    time = np.array([track.time for track in tracks])
    # Photographs that are no flight are not joined.
    jumps = np.flatnonzero(np.diff(time) > LONGEST_LEG) + 1
    traces = [Trace("truth", np.insert(truths, jumps, np.nan, axis=0), TRUE, 2.2, 1.8)]
    missing = np.full_like(truths, np.nan)
    traces.append(Trace("error of single frames", np.stack([fixes, truths, missing], 1).reshape(-1, 2), OFF, 1.0))
    for state, ink in STATES.items():
        of_state = np.array([track.state == state for track in tracks])
        # A line belongs to the state of the point it leads to.
        joined = of_state | np.append(of_state[1:], False)
        traces.append(Trace(str(state), np.where(joined[:, None], estimates, np.nan), ink, 3.0))
    traces.append(Trace("single frames", fixes, MEASURED_DOT, 0.0, 0.9))
    known = np.concatenate([truths, fixes, estimates])
    known = known[np.isfinite(known).all(axis=1)]
    known = np.clip(known, 0.0, [tile.width, tile.height])
    gsd = math.sqrt(math.prod(tile.transform.gsd((tile.width / 2, tile.height / 2))))
    window = view_window(tile.width, tile.height, np.column_stack([known, known]), shape, 0.2, 150.0 / gsd)
    view = map_view(tile, window, shape)
    return scale_bar(draw_traces(view, traces), gsd * (window[2] - window[0]) / shape[1], tile.attribution)


def charts(tracks: Sequence[Track]) -> dict[str, Picture]:
    """Errors over time where there is a truth, scores and latencies."""
    time = np.array([track.time for track in tracks])
    x = steps(0.0, max(float(time.max()), 1e-3), "time, s")
    drawn: dict[str, Picture] = {}
    if any(track.fix_error is not None or track.error is not None for track in tracks):
        error = _series([track.error for track in tracks])
        sigma = _series([None if t.estimate is None else 2.0 * t.estimate.position_std for t in tracks])
        chart = _timed("Position error, m", x, tracks, error, sigma, [track.fix_error for track in tracks])
        chart.legend("distance from the truth", MEASURED)
        chart.legend("2 sigma of the track", IDEAL)
        single = np.minimum(_series([track.fix_error for track in tracks]), chart.y.high)
        chart.points(time[np.isfinite(single)], single[np.isfinite(single)], MEASURED, 5.0)
        chart.legend("single frames: dots", MEASURED)
        drawn["position_error"] = chart.image
        turn = np.abs(_series([track.heading_error for track in tracks]))
        sigma = _series([None if t.estimate is None else 2.0 * t.estimate.heading_std for t in tracks])
        chart = _timed("Heading error, deg", x, tracks, turn, sigma)
        chart.legend("difference from the truth", MEASURED)
        chart.legend("2 sigma of the track", IDEAL)
        drawn["heading_error"] = chart.image
    score = _series([track.score for track in tracks])
    chart = Chart("Score of the frames", x, Axis(0.0, 1.0, [(k / 5, f"{k / 5:g}") for k in range(6)]))
    _shade(chart, tracks)
    _curve(chart, time, score, MEASURED)
    drawn["score"] = chart.image
    latency = _series([track.latency["total"] for track in tracks])
    drawn["latency"] = _timed("Time of a frame, s", x, tracks, latency, np.full_like(latency, np.nan)).image
    return drawn


def _timed(
    title: str,
    x: Axis,
    tracks: Sequence[Track],
    values: NDArray[np.float64],
    others: NDArray[np.float64],
    dots: Sequence[float | None] = (),
) -> Chart:
    """A chart of values, drawn over others; as high as nearly all values need, what is beyond is cut."""
    time = np.array([track.time for track in tracks])
    known = np.concatenate([values, _series(dots)])
    known = known[np.isfinite(known)]
    top = float(max(np.percentile(known, 99) * 1.15, 1e-3)) if len(known) else 1.0
    chart = Chart(title, x, steps(0.0, top))
    _shade(chart, tracks)
    _curve(chart, time, np.minimum(others, chart.y.high), IDEAL)
    _curve(chart, time, np.minimum(values, chart.y.high), MEASURED)
    return chart


def _shade(chart: Chart, tracks: Sequence[Track]) -> None:
    for track, after in pairwise(tracks):
        if track.state != State.TRACKING:
            chart.band(track.time, after.time, STATES[State(track.state)])


def _curve(chart: Chart, x: NDArray[np.float64], y: NDArray[np.float64], ink: canvas.Colour) -> None:
    known = np.isfinite(y)
    for part in np.split(np.arange(len(y)), np.flatnonzero(np.diff(known)) + 1):
        if known[part[0]]:
            chart.curve(x[part], y[part], ink)


def _pixels(tile: TileStore, poses: Sequence[Pose | None]) -> NDArray[np.float64]:
    """Tile px (N, 2), NaN where there is none."""
    places = np.array([(np.nan, np.nan) if pose is None else (pose.latitude, pose.longitude) for pose in poses])
    result = np.full((len(poses), 2), np.nan)
    known = np.isfinite(places).all(axis=1)
    if known.any():
        result[known] = tile.transform.geodetic_to_pixel(places[known])
    return result


def _series(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _spread(values: Mapping[str, float] | None, unit: str) -> str:
    return "-" if values is None else f"{values['median']:.2f} / {values['p95']:.2f} / {values['max']:.2f} {unit}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"


def _number(value: float | None, unit: str) -> str:
    return "never" if value is None or math.isnan(value) else f"{value:.2f} {unit}"


def _write(path: Path, image: Picture) -> None:
    path.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
