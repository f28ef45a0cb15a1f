import array

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cvgeo_ros.errors import ImageError
from cvgeo_ros.nodes.images import to_compressed, to_image, to_rgb

RGB = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    rows = pixels.reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    data = array.array("B", rows.tobytes())
    return Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1], data=data)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    "encoding, pixels",
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, RGB[..., 0]])),
        ("bgra8", np.dstack([RGB[..., ::-1], RGB[..., 0]])),
    ],
)
def test_colour_encodings_with_padded_rows(encoding: str, pixels: np.ndarray, padding: int) -> None:
    np.testing.assert_array_equal(to_rgb(message(pixels, encoding, padding)), RGB)


def test_mono_becomes_grey() -> None:
    np.testing.assert_array_equal(to_rgb(message(RGB[..., 0], "mono8")), np.repeat(RGB[..., :1], 3, axis=2))


def test_rgb8_is_not_copied() -> None:
    image = message(RGB, "rgb8")
    assert np.shares_memory(to_rgb(image), np.frombuffer(image.data, np.uint8))


@pytest.mark.parametrize("encoding, first_row", [("bayer_rggb8", [255, 0]), ("bayer_grbg8", [0, 255])])
def test_bayer_patterns_find_red(encoding: str, first_row: list[int]) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2] = np.tile(first_row, 4)
    rgb = to_rgb(message(mosaic, encoding))
    assert tuple(rgb[4, 4]) == (255, 0, 0)


@pytest.mark.parametrize("encoding, order", [("yuv422_yuy2", (0, 1)), ("uyvy", (1, 0))])
def test_yuv_of_usb_cameras(encoding: str, order: tuple[int, int]) -> None:
    luma_chroma = np.zeros((4, 4, 2), np.uint8)
    luma_chroma[..., order[0]], luma_chroma[..., order[1]] = 235, 128
    assert to_rgb(message(luma_chroma, encoding)).min() >= 254


def test_an_image_of_our_own_comes_back() -> None:
    header = Header(frame_id="camera_optical")
    image = to_image(RGB[..., ::-1], header, "bgr8")
    assert (image.width, image.height, image.step, image.header) == (8, 6, 24, header)
    np.testing.assert_array_equal(to_rgb(image), RGB)


def test_compressed_is_decoded() -> None:
    _, png = cv2.imencode(".png", RGB[..., ::-1])
    np.testing.assert_array_equal(to_rgb(to_compressed(png.tobytes(), Header(), "png")), RGB)


@pytest.mark.parametrize(
    "image, words",
    [
        (Image(height=6, width=8, encoding="rgb8", step=24, data=[0] * 100), ["truncated", "100 bytes", "144"]),
        (Image(height=6, width=8, encoding="rgb8", step=20, data=[0] * 144), ["step is 20", "24"]),
        (Image(height=0, width=8, encoding="rgb8", step=24), ["empty"]),
        (Image(height=5, width=8, encoding="yuyv", step=15, data=[0] * 99), ["step is 15"]),
    ],
)
def test_truncated_images_are_named(image: Image, words: list[str]) -> None:
    with pytest.raises(ImageError) as caught:
        to_rgb(image)
    assert all(word in str(caught.value) for word in words)


def test_unknown_encoding_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvgeo_ros.nodes._optional.cv_bridge", lambda: None)
    with pytest.raises(ImageError, match=r"unknown encoding 'rgb565'.*bgr8.*cv_bridge"):
        to_rgb(message(RGB[..., :2], "rgb565"))


def test_cv_bridge_reads_other_encodings_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bridge:
        class CvBridge:
            def imgmsg_to_cv2(self, image: Image, encoding: str) -> np.ndarray:
                assert (image.encoding, encoding) == ("rgb16", "rgb8")
                return RGB

    monkeypatch.setattr("cvgeo_ros.nodes._optional.cv_bridge", lambda: Bridge)
    np.testing.assert_array_equal(to_rgb(message(RGB, "rgb16")), RGB)


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_truncated_jpeg_is_refused(cut: int) -> None:
    _, jpeg = cv2.imencode(".jpg", cv2.resize(RGB, (320, 240)))
    compressed = CompressedImage(format="jpeg", data=array.array("B", jpeg.tobytes()[:cut]))
    with pytest.raises(ImageError):
        to_rgb(compressed)


def test_padded_jpeg_is_read() -> None:
    _, jpeg = cv2.imencode(".jpg", cv2.resize(RGB, (320, 240)))
    assert to_rgb(to_compressed(jpeg.tobytes() + bytes(500), Header())).shape == (240, 320, 3)
