"""Frames laid on the ground: clicks are covered, resolution is kept before range, roofs lean away from the camera."""

import math

import numpy as np
import pytest

from cvgeo_ros.geo import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.localizer.rectify import Rectified, lay_down

AXES = np.array([[0.3, 0.0], [0.0, -0.3]])
CAMERA = PinholeCamera.from_hfov(960, 720, math.radians(70))
FRAME = np.zeros((720, 960, 3), np.uint8)


def laid(pitch: float, clicks: list[tuple[float, float]], height: float = 120.0, size: int = 832) -> Rectified:
    attitude = Attitude(math.pi / 2, math.radians(pitch))
    return lay_down(FRAME, np.array(clicks).reshape(-1, 2), CAMERA, attitude, height, AXES, size)


@pytest.mark.parametrize("pitch", [-90.0, -75.0, -62.0, -50.0])
def test_an_oblique_frame_keeps_its_resolution(pitch: float) -> None:
    rectified = laid(pitch, [(480.0, 360.0)])
    assert rectified.zoom == 1 and rectified.gsd == pytest.approx(0.3)
    assert max(rectified.image.shape) <= 832 + 32
    (x, y), (h, w) = rectified.cells(np.array([[480.0, 360.0]]))[0], rectified.mask().shape
    assert 0 < x < w and 0 < y < h


def test_a_far_click_costs_resolution_instead_of_being_lost() -> None:
    rectified = laid(-42.0, [(480.0, 20.0), (480.0, 700.0)])
    assert rectified.zoom > 1
    cells, (h, w) = rectified.cells(np.array([[480.0, 20.0], [480.0, 700.0]])), rectified.mask().shape
    assert (cells > 0).all() and (cells < [w, h]).all()


def test_what_stands_high_lies_nearer_to_the_point_below_the_camera() -> None:
    click = np.array([[480.0, 100.0]])
    rectified = laid(-65.0, [(480.0, 100.0)])
    cells = rectified.cells(click)
    ground = frame_to_ground(CAMERA, Attitude(math.pi / 2, math.radians(-65.0)), 120.0, click)[0]
    roof = ground * (120.0 - 15.0) / 120.0  # where the ray passes a height of 15 m
    expected = (roof - ground) * [1, -1] / (0.3 * 8)
    np.testing.assert_allclose(15.0 * rectified.lean(cells)[0], expected, atol=1e-6)
