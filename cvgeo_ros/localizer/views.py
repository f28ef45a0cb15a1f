"""Views of an image around a place, at the zooms of the close look."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geo import project
from ..geo.resample import FROM_CV2, TO_CV2
from ..net.close_look import SIDE, ZOOMS


class Views:
    """An image, and how its surroundings of places look from near and far.

    Convention:
        Pixels (u, v), centres at .5; cv2 has them at integers, the half pixel is moved here.
    """

    sparse = 4
    """Every so many rows and columns are enough for a mean colour."""

    def __init__(self, image: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> None:
        """`image`: (h, w, 3) uint8; `valid`: (h, w), what it shows; the rest gets the mean colour of that."""
        mask = None if valid is None or bool(valid.all()) else valid.astype(np.uint8)
        some = None if mask is None else mask[:: self.sparse, :: self.sparse]
        mean = cv2.mean(image[:: self.sparse, :: self.sparse], mask=some if some is not None and some.any() else None)
        self.blank = tuple(round(value) for value in mean[:3])
        if mask is not None:
            image = np.asarray(cv2.copyTo(image, mask, np.full_like(image, self.blank)), np.uint8)
        self._halves = [image]

    def around(self, to_image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """(Z, 48, 48, 3) views of a place.

        Args:
            to_image: (3, 3) raster pixels, the place at (0, 0), to image pixels.
        """
        middle = project(to_image, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        step = math.sqrt(abs(float(np.linalg.det(middle[1:] - middle[0]))))
        return np.stack([self._view(to_image, zoom, step * zoom) for zoom in ZOOMS])

    def _view(self, to_image: NDArray[np.floating[Any]], zoom: float, step: float) -> NDArray[np.uint8]:
        image, factor = self._shrunk(step)
        half = SIDE / 2 * zoom
        to_raster = np.array([[zoom, 0.0, -half], [0.0, zoom, -half], [0.0, 0.0, 1.0]])
        matrix = TO_CV2 @ np.diag([factor, factor, 1.0]) @ to_image @ to_raster @ FROM_CV2
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpPerspective(
            image, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=self.blank
        )
        return np.asarray(view, np.uint8)

    def _shrunk(self, step: float) -> tuple[NDArray[np.uint8], float]:
        """The image halved until its pixels are about as large as a view's, and its size over the whole one's."""
        wanted = max(0, round(math.log2(max(step, 1e-6))))
        while len(self._halves) <= wanted and min(self._halves[-1].shape[:2]) > 1:
            height, width = (side // 2 for side in self._halves[-1].shape[:2])
            even = self._halves[-1][: 2 * height, : 2 * width]
            self._halves.append(np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
        level = min(wanted, len(self._halves) - 1)
        return self._halves[level], 0.5**level
