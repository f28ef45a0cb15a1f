"""Image messages to RGB arrays.

cv_bridge is not needed for the encodings cameras use: the arrays are views of the message's buffer, converted by one
OpenCV call where the channel order differs.

Convention:
    Arrays are RGB, uint8, (H, W, 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import ImageError


@dataclass(frozen=True)
class _Encoding:
    channels: int
    code: int | None


# OpenCV names a Bayer pattern after its second row, ROS after its first: rggb is BayerBG.
_ENCODINGS = {
    "rgb8": _Encoding(3, None),
    "bgr8": _Encoding(3, cv2.COLOR_BGR2RGB),
    "8UC3": _Encoding(3, cv2.COLOR_BGR2RGB),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Encoding(1, cv2.COLOR_GRAY2RGB),
    "rgba8": _Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, cv2.COLOR_BGRA2RGB),
    "uyvy": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": _Encoding(1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Encoding(1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Encoding(1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Encoding(1, cv2.COLOR_BayerGB2RGB),
}

KNOWN = tuple(_ENCODINGS)
"""Encodings of Image that are read."""


def to_rgb(message: Any, other: Callable[[Any], NDArray[np.uint8]] | None = None) -> NDArray[np.uint8]:
    """Return the picture of an Image or CompressedImage as RGB uint8 (H, W, 3).

    An rgb8 image comes back as a view of the message's data, without a copy: do not write to it.

    Args:
        message: The message.
        other: Reads encodings that this module does not know.

    Raises:
        ImageError: Truncated or empty data, or an encoding that cannot be read.
    """
    if not hasattr(message, "encoding"):
        return _decode(message)
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        if other is not None:
            return other(message)
        raise ImageError(f"image: unknown encoding {message.encoding!r}; known are {', '.join(KNOWN)}")
    pixels = _view(message, encoding.channels)
    if encoding.code is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, encoding.code), np.uint8)
    except cv2.error as error:
        raise ImageError(
            f"image: {message.width} x {message.height} pixels cannot be {message.encoding}: {error.err}"
        ) from error


def _view(message: Any, channels: int) -> NDArray[np.uint8]:
    height, width, step = message.height, message.width, message.step
    row = width * channels
    if height == 0 or width == 0:
        raise ImageError(f"image: empty ({width} x {height} pixels, encoding {message.encoding!r})")
    if step < row:
        raise ImageError(f"image: step is {step} bytes, but a row of {width} pixels {message.encoding} takes {row}")
    # The padding after the last row may be missing.
    needed = step * (height - 1) + row
    if len(message.data) < needed:
        raise ImageError(
            f"image: truncated: {len(message.data)} bytes, but {width} x {height} pixels {message.encoding} "
            f"with a step of {step} take {needed}"
        )
    flat = np.frombuffer(message.data, np.uint8)
    shape, strides = ((height, width, channels), (step, channels, 1))
    view = np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False)
    return view[:, :, 0] if channels == 1 else view


def _decode(message: Any) -> NDArray[np.uint8]:
    if len(message.data) == 0:
        raise ImageError(f"compressed image: empty (format {message.format!r})")
    data = np.frombuffer(message.data, np.uint8)
    # OpenCV fills what a truncated JPEG lacks with grey and only logs it: look for the end marker. Some cameras pad
    # their frames with zeros.
    if data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data.tobytes().rstrip(b"\0")[-64:]:
        raise ImageError(f"compressed image: truncated JPEG of {len(data)} bytes: the end marker is missing")
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"compressed image: {len(data)} bytes cannot be decoded: {error.err}") from error
    if picture is None:
        raise ImageError(
            f"compressed image: {len(data)} bytes of format {message.format!r} are not an image or are truncated"
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
