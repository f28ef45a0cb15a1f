"""Resampling with area quality: no aliasing where an image shrinks, no shift, no bleeding from invalid pixels.

Convention:
    Pixels are (u, v) with centres at .5; cv2 has centres at integers, and the half pixel is moved here alone.
    Homographies map pixels of the result to pixels of the source.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import ImageError

MAX_OVERSAMPLE = 4
TO_CV2 = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
"""(3, 3) pixels with centres at .5 to cv2's, which has them at integers."""
FROM_CV2 = np.linalg.inv(TO_CV2)


def project(homography: NDArray[np.floating[Any]], points: NDArray[Any]) -> NDArray[np.float64]:
    """A homography (3, 3) on points (N, 2); behind its horizon they come out mirrored."""
    projected = np.c_[points, np.ones(len(points))] @ homography.T
    return np.asarray(projected[:, :2] / projected[:, 2:], np.float64)


def check_image(image: NDArray[np.uint8], what: str) -> None:
    """ImageError naming `what` unless the image is RGB uint8 (H, W, 3) with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"{what}: expected RGB uint8 (height, width, 3), got {image.dtype} {image.shape}")


def _resize_area(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def shrink(image: NDArray[np.uint8], factor_u: float, factor_v: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The image shrunk by area averaging so that what is left to shrink by is at most 1.3, from about these factors.

    The factors are rounded to whole numbers, for which cv2 is four times as fast; rows and columns that do not fill a
    whole pixel at the right and bottom are left out.

    Returns:
        the image, and the (3, 3) matrix that maps pixels of the original to its pixels.
    """
    height, width = image.shape[:2]
    n_u = min(width, max(1, math.ceil(factor_u - 0.3)))
    n_v = min(height, max(1, math.ceil(factor_v - 0.3)))
    if (n_u, n_v) != (1, 1):
        size = (width // n_u, height // n_v)
        image = _resize_area(image[: size[1] * n_v, : size[0] * n_u], size)
    return image, np.diag([1.0 / n_u, 1.0 / n_v, 1.0])


def warp(
    image: NDArray[np.uint8],
    homography: NDArray[np.float64],
    shape: tuple[int, int],
    samples: tuple[int, int] = (1, 1),
    valid: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bilinear resampling of an image (H, W, 3) onto `shape` (h, w).

    Args:
        homography: (3, 3), pixels of the result to pixels of `image`.
        samples: samples along u and v averaged in each pixel of the result; as many as it spans source pixels.
        valid: bool (H, W), the pixels that count; None = all. Others, and what lies outside, do not bleed in.

    Returns:
        RGB uint8 (h, w, 3), and coverage uint8 (h, w): the share of each pixel that comes from valid ones, of 255.
    """
    (height, width), (n_u, n_v) = shape, samples
    # Alpha carries the coverage along; four channels are also cv2's fast path.
    rgba = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
    if valid is not None:
        rgba[~valid] = 0
    from_cv2 = np.array([[1.0 / n_u, 0.0, 0.5 / n_u], [0.0, 1.0 / n_v, 0.5 / n_v], [0.0, 0.0, 1.0]])
    warped = cv2.warpPerspective(
        rgba,
        TO_CV2 @ homography @ from_cv2,
        (width * n_u, height * n_v),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    rgba = _resize_area(warped, (width, height)) if (n_u, n_v) != (1, 1) else np.asarray(warped, dtype=np.uint8)
    coverage = np.ascontiguousarray(rgba[..., 3])
    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    partial = np.nonzero((coverage > 0) & (coverage < 255))
    rgb[partial] = np.minimum(255, np.rint(rgb[partial] * (255.0 / coverage[partial][:, None])))
    return rgb, coverage


def in_view(homography: NDArray[np.float64], shape: tuple[int, int], source: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of a result of `shape` (h, w) have their centre inside a source of (H, W) and in front of it."""
    height, width = source
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0])[:, None] + 0.5
    inside = np.ones(shape, dtype=bool)
    # Each side of the source is a half-plane of the result, linear in x and y once multiplied by the depth.
    for a, b, c in (
        homography[0],
        homography[1],
        width * homography[2] - homography[0],
        height * homography[2] - homography[1],
    ):
        inside &= a * x > -(b * y + c)
    return inside


def spans(homography: NDArray[np.float64], valid: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Source pixels along u and v that pixels of the result span: two arrays, at up to some 500 of the valid pixels."""
    rows, columns = np.nonzero(valid[:: 1 + valid.shape[0] // 23, :: 1 + valid.shape[1] // 23])
    if rows.size == 0:
        rows, columns = np.nonzero(valid)
    else:
        rows, columns = rows * (1 + valid.shape[0] // 23), columns * (1 + valid.shape[1] // 23)
    points = np.stack([columns + 0.5, rows + 0.5, np.ones(rows.size)])
    u, v, w = homography @ points
    along_u = np.hypot(homography[0, 0] - u / w * homography[2, 0], homography[0, 1] - u / w * homography[2, 1]) / w
    along_v = np.hypot(homography[1, 0] - v / w * homography[2, 0], homography[1, 1] - v / w * homography[2, 1]) / w
    return along_u, along_v


def rectify(
    frame: NDArray[np.uint8],
    ground_to_frame: NDArray[np.float64],
    raster_to_ground: NDArray[np.float64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The frame as seen on a raster on the ground, such as a north-up one at the tile's ground sampling distance.

    Where the frame is finer than the raster it is shrunk by area averaging first; where the view is so oblique that one
    factor does not fit all of the raster, up to 4 x 4 samples are averaged in each pixel.

    Convention:
        ground_to_frame: (3, 3) from `camera.ground_to_frame`; its third row gives the depth, positive in front.
        raster_to_ground: (3, 3) from `camera.raster_to_ground`; raster pixels (centres at .5) to east, north in metres.

    Args:
        frame: RGB uint8 (H, W, 3).
        shape: (h, w) of the raster.

    Returns:
        RGB uint8 (h, w, 3), 0 where invalid, and valid bool (h, w): the pixel's centre lies in the frame, in front of
        the camera.

    Raises:
        ImageError: where the frame is not such an image, the shape is empty or a matrix is not finite.
    """
    check_image(frame, "frame")
    homography = np.asarray(ground_to_frame, dtype=np.float64) @ np.asarray(raster_to_ground, dtype=np.float64)
    if min(shape) < 1:
        raise ImageError(f"raster of {shape} (height, width) pixels: both must be at least 1")
    if not np.isfinite(homography).all():
        raise ImageError(
            "ground_to_frame or raster_to_ground is not finite; check the camera, the attitude and the height"
        )
    valid = in_view(homography, shape, (frame.shape[0], frame.shape[1]))
    if not valid.any():
        return np.zeros((*shape, 3), dtype=np.uint8), valid
    factors, samples = [], []
    for along in spans(homography, valid):
        largest, smallest = float(along.max()), max(1.0, float(along.min()))
        # Half as much again is hardly visible; without this margin every slight tilt would cost four times the samples.
        count = min(MAX_OVERSAMPLE, max(1, math.ceil(largest / smallest / 1.5)))
        samples.append(count)
        factors.append(largest / count)
    small, to_small = shrink(frame, *factors)
    image, coverage = warp(small, to_small @ homography, shape, (samples[0], samples[1]))
    valid &= coverage > 0
    image[~valid] = 0
    return image, valid
