"""Where on its tile lies what a frame's raster shows, roofs included."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geo import project
from .warping import Homography

Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Relation:
    """Where on the piece lies what the raster shows: (N, 2) raster px -> (N, 2) piece px, NaN where it does not show.

    Attributes:
        raster: raster px -> piece px of the ground.
        to_frame, to_piece, ground: raster px -> frame px, tile px -> piece px, frame px of the ground -> piece px.
        matches: true correspondences of the frame's cells, tile px; None: a photograph warped onto itself.
        shift: the displacement that was put on it, raster px.
    """

    raster: Homography
    to_frame: Homography | None = None
    to_piece: Homography | None = None
    ground: Homography | None = None
    matches: NDArray[np.float32] | None = None
    shift: NDArray[np.float32] | None = None

    def __call__(self, points: Points) -> Points:
        if self.matches is None or self.to_frame is None or self.to_piece is None or self.ground is None:
            return project(self.raster, points + self._shifts(points))
        height, width = self.matches.shape[:2]
        seen = project(self.to_frame, points)
        column, row = np.floor(seen / 8).astype(int).T
        shown = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        column, row = np.where(shown, column, 0), np.where(shown, row, 0)
        # What stands on the ground is displaced alike within a cell; the cell's own tilt is the ground's.
        centres = np.stack([column, row], -1) * 8 + 4.0
        displaced = project(self.to_piece, self.matches[row, column].astype(np.float64)) - project(self.ground, centres)
        return np.where(shown[:, None], project(self.raster, points) + displaced, np.nan)

    def shown_at(self, point: Points) -> Points:
        """The raster shows at p what lies at p + shift: a point of the ground appears against the shift."""
        inside = self.shift is not None and (point >= 0).all() and (point < len(self.shift)).all()
        return point - self._shifts(point[None])[0] if inside else point

    def _shifts(self, points: Points) -> Points:
        if self.shift is None:
            return np.zeros_like(points)
        column, row = points.astype(int).T
        return self.shift[row, column].astype(np.float64)
