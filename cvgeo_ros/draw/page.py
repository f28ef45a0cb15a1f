"""One HTML page that holds everything it shows."""

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np

from cvgeo_ros.draw import canvas
from cvgeo_ros.draw.canvas import Picture
from cvgeo_ros.draw.table import Table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #20262e; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p { color: #707882; } img { max-width: 100%; } figure { margin: 1.2rem 0; }
figcaption { font-weight: 600; margin-bottom: .3rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; } .charts img { width: 35rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e0e4e8; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
""".strip()
SHOWN_WIDTH = 1400
"""Pictures on the page are as wide, px; their files are as large as they were drawn."""


class Page:
    """A page in the making; `text` returns it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>\n"]

    def heading(self, text: str) -> None:
        """Start a part."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>\n")

    def paragraph(self, text: str) -> None:
        """Say something."""
        self._parts.append(f"<p>{html.escape(text)}</p>\n")

    def table(self, table: Table) -> None:
        """Show a table."""
        self._parts.append(table.html())

    def charts(self, charts: Sequence[Picture]) -> None:
        """Show charts beside each other as far as there is room."""
        images = "\n".join(f'<img alt="" src="{_embedded(chart, ".png")}">' for chart in charts)
        self._parts.append(f'<div class="charts">\n{images}\n</div>\n')

    def picture(self, caption: str, picture: Picture, link: str) -> None:
        """Show a picture, a link to its file behind it."""
        height = round(picture.shape[0] * SHOWN_WIDTH / picture.shape[1])
        source = _embedded(canvas.resize(picture, height) if height < picture.shape[0] else picture, ".jpg")
        self._parts.append(
            f"<figure><figcaption>{html.escape(caption)}</figcaption>\n"
            f'<a href="{html.escape(link)}"><img alt="{html.escape(caption)}" src="{source}"></a></figure>\n'
        )

    def text(self) -> str:
        """The page."""
        head = f'<meta charset="utf-8">\n<title>{html.escape(self.title)}</title>\n<style>\n{_STYLE}\n</style>\n'
        return f'<!doctype html>\n<html lang="en">\n{head}{"".join(self._parts)}</html>\n'


def _embedded(picture: Picture, ending: str) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, 82] if ending == ".jpg" else []
    data: np.ndarray = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1]
    kind = "jpeg" if ending == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"
