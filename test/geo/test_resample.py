"""Rectification: exact to a fiftieth of a pixel, without aliasing, and honest about what is in view."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from cvgeo_ros.errors import ImageError
from cvgeo_ros.geo.camera import Attitude, PinholeCamera, ground_to_frame, raster_to_ground, rectify

CAMERA = PinholeCamera.from_hfov(640, 480, math.radians(66))
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]


def centres(shape: tuple[int, int]) -> np.ndarray:
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    return np.stack([u, v, np.ones(shape)], axis=-1)


def waves(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """A smooth pattern without symmetry, 127 +- 120, wavelengths of 17 and 23 m."""
    return 127.0 + 60.0 * np.sin(east / 17.0 * 2 * np.pi + 0.3) + 60.0 * np.cos(north / 23.0 * 2 * np.pi + 1.1)


def photograph(homography: np.ndarray, pattern: Pattern) -> np.ndarray:
    """The frame a camera takes of a pattern on the ground, point-sampled at its pixel centres."""
    ground = centres((CAMERA.height, CAMERA.width)) @ np.linalg.inv(homography).T
    grey = pattern(ground[..., 0] / ground[..., 2], ground[..., 1] / ground[..., 2])
    return np.repeat(np.rint(np.clip(grey, 0, 255)).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "pitch, height, gsd",
    [(-90, 100.0, 0.2), (-90, 100.0, 0.41), (-90, 250.0, 2.1), (-70, 100.0, 0.6), (-45, 60.0, 0.9)],
)
def test_rectified_pattern_is_exact_to_a_fiftieth_of_a_pixel(pitch: float, height: float, gsd: float) -> None:
    homography = ground_to_frame(CAMERA, Attitude(math.radians(70), math.radians(pitch), 0.1), height)
    axis = np.linalg.inv(homography) @ [320.0, 240.0, 1.0]
    raster = raster_to_ground((96, 128), gsd, (axis[0] / axis[2], axis[1] / axis[2]))
    image, valid = rectify(photograph(homography, waves), homography, raster, (96, 128))
    assert valid.sum() > 3000
    east, north, _ = np.moveaxis(centres((96, 128)) @ raster.T, -1, 0)
    error = image[..., 1] - waves(east, north)
    # The shift that explains the error best, by least squares over the pattern's slope along both axes.
    step = gsd / 100
    slope_u = (waves(east + step, north) - waves(east - step, north)) / 0.02
    slope_v = -(waves(east, north + step) - waves(east, north - step)) / 0.02
    inner = valid & np.roll(valid, 3, 0) & np.roll(valid, -3, 0) & np.roll(valid, 3, 1) & np.roll(valid, -3, 1)
    design = np.stack([slope_u[inner], slope_v[inner]], axis=-1)
    shift, *_ = np.linalg.lstsq(design, error[inner], rcond=None)
    assert np.abs(shift).max() < 0.02


def test_fine_stripes_average_instead_of_aliasing() -> None:
    stripes = np.zeros((1080, 1920, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    camera = PinholeCamera.from_hfov(1920, 1080, math.radians(66))
    homography = ground_to_frame(camera, Attitude(math.pi / 2), 120.0)
    image, valid = rectify(stripes, homography, raster_to_ground((256, 256), 0.3), (256, 256))
    assert valid.all()
    assert np.abs(image.astype(float) - 127.5).max() < 20


def test_fine_stripes_average_where_the_view_is_oblique() -> None:
    checks = ((np.add.outer(np.arange(1080), np.arange(1920)) % 2) * 255).astype(np.uint8)
    camera = PinholeCamera.from_hfov(1920, 1080, math.radians(66))
    homography = ground_to_frame(camera, Attitude(math.pi / 2, math.radians(-50)), 120.0)
    raster = raster_to_ground((512, 512), 0.4, (0.0, 120.0))
    image, valid = rectify(np.repeat(checks[..., None], 3, axis=2), homography, raster, (512, 512))
    assert valid.mean() > 0.5
    assert np.abs(image[valid].astype(float) - 127.5).max() < 40


def test_only_what_is_in_view_is_valid() -> None:
    frame = np.full((480, 640, 3), 200, dtype=np.uint8)
    # Looking north 20 degrees down: the raster reaches behind the camera, where the homography alone would see sky.
    homography = ground_to_frame(CAMERA, Attitude(math.pi / 2, math.radians(-20)), 50.0)
    raster = raster_to_ground((200, 200), 2.0)
    image, valid = rectify(frame, homography, raster, (200, 200))
    u, v, depth = np.moveaxis(centres((200, 200)) @ (homography @ raster).T, -1, 0)
    expected = (depth > 0) & (u > 0) & (v > 0) & (u < 640 * depth) & (v < 480 * depth)
    assert expected.any()
    np.testing.assert_array_equal(valid, expected)
    assert not valid[100:].any()
    np.testing.assert_allclose(image[valid], 200, atol=12)  # pixels barely covered round coarsely
    assert (image[~valid] == 0).all()


def test_odd_frame_sizes_keep_their_border() -> None:
    frame = np.full((103, 107, 3), 90, dtype=np.uint8)
    image, valid = rectify(frame, np.eye(3), np.diag([4.0, 4.0, 1.0]), (26, 27))
    np.testing.assert_allclose(image[valid], 90, atol=2)
    assert valid[:25, :26].all()


def test_magnified_frames_are_interpolated() -> None:
    frame = np.zeros((4, 4, 3), dtype=np.uint8)
    frame[:, 2:] = 100
    image, valid = rectify(frame, np.eye(3), np.diag([0.25, 0.25, 1.0]), (16, 16))
    assert valid.all()
    np.testing.assert_allclose(image[8, 4:12, 0], [0, 0, 12.5, 37.5, 62.5, 87.5, 100, 100], atol=0.5)


def test_nothing_in_view() -> None:
    away = np.array([[1.0, 0, 1000.0], [0, 1.0, 0], [0, 0, 1.0]])
    image, valid = rectify(np.ones((8, 8, 3), dtype=np.uint8), np.eye(3), away, (5, 6))
    assert image.shape == (5, 6, 3)
    assert not valid.any()
    assert not image.any()


@pytest.mark.parametrize(
    "frame, matrix, shape, say",
    [
        (np.zeros((8, 8), np.uint8), np.eye(3), (4, 4), "RGB uint8"),
        (np.zeros((8, 8, 3), np.float32), np.eye(3), (4, 4), "RGB uint8"),
        (np.zeros((0, 8, 3), np.uint8), np.eye(3), (4, 4), "RGB uint8"),
        (np.zeros((8, 8, 3), np.uint8), np.eye(3), (0, 4), "at least 1"),
        (np.zeros((8, 8, 3), np.uint8), np.full((3, 3), np.nan), (4, 4), "not finite"),
    ],
)
def test_unusable_input(frame: np.ndarray, matrix: np.ndarray, shape: tuple[int, int], say: str) -> None:
    with pytest.raises(ImageError, match=say):
        rectify(frame, matrix, np.eye(3), shape)
