"""Image messages to RGB arrays and back.

Convention:
    Arrays are RGB, uint8, (H, W, 3).
"""

import array
import sys

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cvgeo_ros.errors import ImageError
from cvgeo_ros.nodes import _optional
from cvgeo_ros.telemetry import images


def to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Return the picture of a message as :func:`cvgeo_ros.telemetry.images.to_rgb`, with cv_bridge where installed."""
    return images.to_rgb(message, _through_cv_bridge)


def _through_cv_bridge(message: Image) -> NDArray[np.uint8]:
    module = _optional.cv_bridge()
    if module is None:
        raise ImageError(
            f"image: unknown encoding {message.encoding!r}; known are {', '.join(images.KNOWN)}, and more where "
            "cv_bridge is installed"
        )
    try:
        return np.asarray(module.CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except Exception as error:  # cv_bridge raises its own error class and bare TypeErrors alike
        raise ImageError(f"image: cv_bridge cannot convert encoding {message.encoding!r}: {error}") from error


def to_image(pixels: NDArray[np.uint8], header: Header, encoding: str = "rgb8") -> Image:
    """Return an Image of pixels (H, W, 3) that are already in the given encoding (rgb8 or bgr8), copied once."""
    message = Image(header=header, encoding=encoding, is_bigendian=int(sys.byteorder == "big"))
    message.height, message.width = pixels.shape[:2]
    message.step = message.width * 3
    # Assigning bytes makes rclpy check every element; an array of unsigned bytes is taken as it is.
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).data)
    message.data = data
    return message


def to_compressed(jpeg: bytes | NDArray[np.uint8], header: Header, kind: str = "jpeg") -> CompressedImage:
    """Return a CompressedImage of bytes that are already encoded; kind is "jpeg" or "png"."""
    data = array.array("B")
    data.frombytes(bytes(jpeg))
    return CompressedImage(header=header, format=f"bgr8; {kind} compressed bgr8", data=data)
