"""Addresses of tiles: XYZ, TMS and WMTS templates."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import MapError

NAMES = {"z": "z", "x": "x", "y": "y", "-y": "-y", "tilematrix": "z", "tilecol": "x", "tilerow": "y"}
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Template:
    """A URL with {z}, {x} and {y} in it, or {-y} where rows count from the south (TMS), or WMTS' {TileMatrix},
    {TileCol} and {TileRow}, in a path or in key-value pairs.

    Raises:
        MapError: another placeholder, one missing, or no http(s) URL.
    """

    text: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MapError(f"{self.text!r} is no http:// or https:// address")
        found = [name.lower() for name in PLACEHOLDER.findall(self.text)]
        unknown = [name for name in found if name not in NAMES]
        if unknown:
            raise MapError(
                f"{self.text!r}: {{{unknown[0]}}} is not known; use {{z}}/{{x}}/{{y}}, {{-y}} for rows from the south, "
                "or {TileMatrix}, {TileCol} and {TileRow}; write anything else out"
            )
        given = {NAMES[name] for name in found}
        if not ({"z", "x"} <= given and len(given & {"y", "-y"}) == 1):
            raise MapError(
                f"{self.text!r}: give the places of zoom, column and row: {{z}}/{{x}}/{{y}}, {{-y}} for rows from the "
                "south, or {TileMatrix}, {TileCol} and {TileRow}"
            )

    @property
    def host(self) -> str:
        """Of the server."""
        return urlsplit(self.text).hostname or ""

    def url(self, zoom: int, x: int, y: int) -> str:
        """Of a tile, row 0 in the north."""
        values = {"z": zoom, "x": x, "y": y, "-y": (1 << zoom) - 1 - y}
        return PLACEHOLDER.sub(lambda found: str(values[NAMES[found[1].lower()]]), self.text)
