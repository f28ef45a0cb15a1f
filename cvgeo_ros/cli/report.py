"""Answers as people read them: a table, one line, a picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cvgeo_ros import draw
from cvgeo_ros.errors import SceneError
from cvgeo_ros.geo import TileStore, distance
from cvgeo_ros.learn.metrics import iou

Box = tuple[float, float, float, float]
COLUMNS = ("latitude", "longitude", "1 sigma", "score")


class Target(Protocol):
    """A located target, from the localizer itself or over ROS; see cvgeo_ros.localizer.Target."""

    @property
    def click(self) -> tuple[float, float]: ...
    @property
    def score(self) -> float: ...
    @property
    def bbox(self) -> Box: ...
    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...
    @property
    def position_std(self) -> float: ...


@dataclass(frozen=True)
class Result:
    """One click and its answer.

    Attributes:
        frame: File name of the frame.
        name: Of the object.
        number: Of the click in its frame, from 1: what pictures show.
        target: None where no answer came.
        latency: Of the answer, s.
        truth: True box, tile px; None = unknown.
    """

    frame: str
    name: str
    number: int
    target: Target | None
    latency: float = math.nan
    truth: Box | None = None

    def error(self, tile: TileStore) -> float:
        """Return the distance over ground between the centres of answer and truth, m; NaN where either is missing."""
        if self.target is None or self.truth is None:
            return math.nan
        u0, v0, u1, v1 = self.truth
        centre = tile.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
        return float(distance([self.target.latitude, self.target.longitude], centre))

    def iou(self) -> float:
        """Return the IoU of answer and truth; NaN where either is missing."""
        if self.target is None or self.truth is None:
            return math.nan
        return float(iou([self.target.bbox], [self.truth])[0])


def table(results: Sequence[Result], tile: TileStore, title: str) -> Table:
    """Return the table of all clicks, by frames; columns of truth only where some is known."""
    known = any(result.truth is not None for result in results)
    several = len({result.frame for result in results}) > 1
    sheet = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    sheet.add_column("#", justify="right")
    sheet.add_column("target", no_wrap=True)
    for column in (*COLUMNS, "latency", *(("error", "IoU") if known else ())):
        sheet.add_column(column, justify="right", no_wrap=True)
    previous = None
    for result in results:
        if several and result.frame != previous:
            sheet.add_section()
            sheet.add_row("", f"[bold]{result.frame}[/]")
        previous = result.frame
        cells = [str(result.number), result.name]
        if result.target is None:
            cells += ["[red]no answer[/]"]
        else:
            cells += [*texts(result.target), duration(result.latency)]
            if result.truth is not None:
                error, overlap = result.error(tile), result.iou()
                good = "green" if overlap > 0.25 else "yellow" if error <= 10.0 else "red"
                cells += [f"[{good}]{error:.1f} m[/]", f"[{good}]{overlap:.2f}[/]"]
        sheet.add_row(*cells)
    return sheet


def duration(seconds: float) -> str:
    """Return a duration as people read it."""
    return f"{1e3 * seconds:.0f} ms" if seconds < 10.0 else f"{seconds:.0f} s"


def texts(target: Target) -> list[str]:
    """Return latitude, longitude, 1-sigma radius and score as people read them (7 decimals are a centimetre)."""
    place = [f"{target.latitude:.7f}", f"{target.longitude:.7f}"]
    return [*place, f"{target.position_std:.1f} m", f"{target.score:.2f}"]


def summary(results: Sequence[Result], tile: TileStore) -> str:
    """Return one line: targets received, and how good and how fast they were."""
    answered = [result for result in results if result.target is not None]
    line = f"{len(answered)} of {len(results)} targets received over DDS"
    judged = [result for result in results if result.truth is not None]
    errors = [error for error in (result.error(tile) for result in judged) if math.isfinite(error)]
    if errors:
        # A click without an answer counts as a miss.
        hits = sum(result.iou() > 0.25 for result in judged) / len(judged)
        near = sum(error <= 10.0 for error in errors) / len(judged)
        line += f", median error {np.median(errors):.1f} m, within 10 m {near:.0%}, acc@0.25 {hits:.0%}"
    latency = {result.frame: result.latency for result in answered}
    if latency:
        line += f", median latency {duration(float(np.median(list(latency.values()))))} a frame"
    return line


def best_filled(results: Sequence[Result]) -> list[Result]:
    """Return the results of the frame with most answers; of equals, of that with the highest scores."""
    frames: dict[str, list[Result]] = {}
    for result in results:
        if result.target is not None:
            frames.setdefault(result.frame, []).append(result)
    return max(frames.values(), key=lambda group: (len(group), sum(r.target.score for r in group if r.target)))


def picture(frame: draw.Picture, results: Sequence[Result], tile: TileStore, titles: tuple[str, str]) -> draw.Picture:
    """Return the frame with its clicks beside the map with its boxes, numbered alike, above a table of the targets.

    Args:
        frame: RGB uint8 (H, W, 3).
        results: Of this frame, answered.
        tile: The map.
        titles: Above frame and map.
    """
    answered = [(result, result.target) for result in results if result.target is not None]
    boxes = np.array([target.bbox for _, target in answered]).reshape(-1, 4)
    truth = np.array([result.truth or (math.nan,) * 4 for result, _ in answered]).reshape(-1, 4)
    shape = (900, 1100)
    shown = np.concatenate([boxes, truth[np.isfinite(truth).all(axis=1)]])
    gsd = max(tile.transform.gsd(boxes.reshape(-1, 2, 2).mean(axis=(0, 1))))
    window = draw.view_window(tile.width, tile.height, shown, shape, margin=0.15, least=120.0 / gsd)
    view = draw.map_view(tile, window, shape)
    labels = [str(result.number) for result, _ in answered]
    captions = [f"{target.score:.2f}  ±{target.position_std:.1f} m" for _, target in answered]
    left = draw.draw_clicks(frame, [target.click for _, target in answered], labels)
    right = draw.draw_boxes(
        view.image, view.to_image, boxes, labels, captions, truth if len(shown) > len(boxes) else None
    )
    right = draw.scale_bar(right, gsd * (window[2] - window[0]) / shape[1], tile.attribution)
    known = any(result.truth is not None for result, _ in answered)
    header = ["target", *COLUMNS, *(["error", "IoU"] if known else [])]
    rows = []
    for result, target in answered:
        judged = [f"{result.error(tile):.1f} m", f"{result.iou():.2f}"] if result.truth is not None else ["", ""]
        rows.append([f"{result.number}  {result.name}", *texts(target), *(judged if known else [])])
    return draw.side_by_side(left, right, titles, rows, header, shape[0])


def write_picture(path: Path, image: draw.Picture) -> None:
    """Write RGB uint8 as PNG or JPEG by the name's ending. Raises SceneError where that cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # OpenCV returns False for a place it cannot write to and raises for an ending it does not know.
    try:
        written = cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise SceneError(f"{path}: OpenCV writes no such format: {error.err}") from error
    if not written:
        raise SceneError(f"{path}: cannot be written")
