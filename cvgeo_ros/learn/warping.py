"""Homographies on boxes and images, for training material.

Convention:
    Pixels (u, v) with centres at .5; cv2 has them at integers, the half pixel is moved here.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..geo import project
from ..geo.resample import FROM_CV2, TO_CV2

Homography = NDArray[np.floating[Any]]


def warp(image: NDArray[Any], to_image: Homography, size: int, shift: NDArray[np.float32] | None = None) -> Any:
    """Resample `image` to a square raster; `to_image` maps raster px to image px, centres at .5; no aliasing."""
    middle = project(to_image, np.array([[size / 2, size / 2], [size / 2 + 1, size / 2], [size / 2, size / 2 + 1]]))
    step = np.sqrt(abs(np.linalg.det(np.stack([middle[1] - middle[0], middle[2] - middle[0]]))))
    if step > 1.4 and image.ndim == 3:
        factor = 1 / step
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        to_image = np.diag([factor, factor, 1.0]) @ to_image
    flags = cv2.INTER_LINEAR if image.ndim == 3 else cv2.INTER_NEAREST
    border = cv2.BORDER_REFLECT_101 if image.ndim == 3 else cv2.BORDER_CONSTANT
    matrix = TO_CV2 @ to_image @ FROM_CV2
    if shift is None:
        return cv2.warpPerspective(image, matrix, (size, size), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border)
    v, u = np.mgrid[0:size, 0:size]
    points = np.stack([u + shift[..., 0], v + shift[..., 1]], -1).reshape(-1, 2).astype(np.float64)
    mapped = project(matrix, points).reshape(size, size, 2).astype(np.float32)
    return cv2.remap(image, mapped[..., 0], mapped[..., 1], flags, borderMode=border)


def box_through(matrix: Homography, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis-aligned box around a transformed one."""
    u0, v0, u1, v1 = box
    corners = project(matrix, np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]))
    return np.concatenate([corners.min(0), corners.max(0)])
