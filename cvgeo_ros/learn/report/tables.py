"""Figures as tables."""

import math
from collections.abc import Callable, Mapping

from ...draw.table import Table
from ..bootstrap import Interval
from ..harness import DetGeoFigures
from ..metrics import Figures


def share(value: float) -> str:
    """A share in 0..1 as people read it."""
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def metres(value: float) -> str:
    """A length as people read it; infinite where there is no answer."""
    return "-" if math.isnan(value) else f"{value:.2f} m" if math.isfinite(value) else "no answer"


ROWS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("acc@0.25", "acc_25", share),
    ("acc@0.5", "acc_50", share),
    ("mIoU", "miou", share),
    ("median error", "error_median", metres),
    ("within 5 m", "within_5m", share),
    ("within 10 m", "within_10m", share),
    ("accI@0.25", "acci_25", share),
    ("accI@0.5", "acci_50", share),
    ("within 1 sigma (39 % if honest)", "within_1_sigma", share),
    ("within 2 sigma (86 % if honest)", "within_2_sigma", share),
    ("median latency of a frame", "latency_median", lambda seconds: f"{1e3 * seconds:.0f} ms"),
)
"""Label, field of `Figures`, and how it is written."""


def figures_table(figures: Mapping[str, Figures], bounds: Mapping[str, Mapping[str, Interval]] | None = None) -> Table:
    """Figures side by side, a column each.

    Args:
        figures: by the heading of their column.
        bounds: 95 % intervals by heading and field, written behind the figures.
    """
    rows = [["objects in frames", *(f"{item.objects} in {item.frames}" for item in figures.values())]]
    for label, field, text in ROWS:
        values = {heading: getattr(item, field) for heading, item in figures.items()}
        # Where nothing is known in metres, these rows only take room.
        if all(math.isnan(value) for value in values.values()):
            continue
        row = [label]
        for heading, value in values.items():
            interval = (bounds or {}).get(heading, {}).get(field)
            behind = "" if interval is None else f" ({text(interval[0])} to {text(interval[1])})"
            row.append(text(value) + behind)
        rows.append(row)
    return Table(["", *figures], rows)


def brief_table(figures: Mapping[str, Figures], title: str) -> Table:
    """The main figures of several groups, a row each; `title` names what the groups are."""
    # As many as a terminal of 80 columns shows.
    fields = ("acc_25", "acc_50", "error_median", "within_5m", "acci_25", "acci_50")
    texts = {field: (label, text) for label, field, text in ROWS}
    used = [field for field in fields if not all(math.isnan(getattr(item, field)) for item in figures.values())]
    header = [title, "objects", *(texts[field][0] for field in used)]
    rows = [
        [name, f"{item.objects} in {item.frames}", *(texts[field][1](getattr(item, field)) for field in used)]
        for name, item in figures.items()
    ]
    return Table(header, rows)


def detgeo_table(figures: DetGeoFigures) -> Table:
    """Figures of DetGeo's protocol, and those that SMGeo's released evaluation would print, as what they are."""
    return Table(
        [f"DetGeo's protocol, {figures.samples} samples", "acc@0.25", "acc@0.5", "mIoU", "cell accuracy"],
        [
            ["accuracy", *map(share, (figures.acc_25, figures.acc_50, figures.miou, figures.acc_cell))],
            [
                "blind to location (diagnostic)",
                *map(share, (figures.blind_acc_25, figures.blind_acc_50, figures.blind_miou)),
                "-",
            ],
        ],
    )
