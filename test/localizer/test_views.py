"""Views of an image around a place, near and far."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvgeo_ros.localizer.views import Views
from cvgeo_ros.net.close_look import SIDE, ZOOMS

from .conftest import texture


def at(u: float, v: float, scale: float = 1.0, turn: float = 0.0) -> NDArray[np.float64]:
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[cosine, -sine, u], [sine, cosine, v], [0.0, 0.0, 1.0]])


def test_the_nearest_view_is_the_image_itself() -> None:
    image, half = texture(700, 0), SIDE // 2
    (near, *_) = Views(image).around(at(300, 200))
    assert np.array_equal(near, image[200 - half : 200 + half, 300 - half : 300 + half])


@pytest.mark.parametrize("zoom", range(len(ZOOMS)))
def test_each_view_reaches_as_far_as_its_zoom(zoom: int) -> None:
    image = np.zeros((900, 900, 3), np.uint8)
    reach = SIDE / 2 * ZOOMS[zoom]
    # A frame of 6 view pixels just inside the view's rim, and nothing inside it.
    low, high = round(450 - reach), round(450 + reach)
    image[low:high, low:high] = 200
    inner = round(6 * ZOOMS[zoom])
    image[low + inner : high - inner, low + inner : high - inner] = 0
    view = Views(image).around(at(450, 450))[zoom].astype(int)
    assert min(view[1:4].min(), view[-4:-1].min(), view[:, 1:4].min(), view[:, -4:-1].min()) > 130
    assert view[9:-9, 9:-9].max() < 50


def test_far_views_average_instead_of_picking() -> None:
    image = np.zeros((900, 900, 3), np.uint8)
    image[::2] = 200  # stripes of one pixel: their mean is 100
    for view in Views(image).around(at(450, 450))[1:]:
        assert abs(view.astype(float) - 100).max() < 25


def test_a_turned_and_stretched_place_shows_the_same_patch() -> None:
    image = texture(700, 1)
    turn, scale = np.radians(30), 1.3
    matrix = at(350, 340, scale, turn)
    view = Views(image).around(matrix)[0]
    cv2_matrix = at(-0.5, -0.5) @ matrix @ at(-SIDE / 2 + 0.5, -SIDE / 2 + 0.5)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    assert np.array_equal(view, cv2.warpPerspective(image, cv2_matrix, (SIDE, SIDE), flags=flags))


def test_what_is_not_shown_has_the_mean_colour_of_the_rest() -> None:
    image = np.full((200, 200, 3), (40, 80, 120), np.uint8)
    image[:, 100:] = 255
    valid = np.ones((200, 200), bool)
    valid[:, 100:] = False
    for view in Views(image, valid).around(at(100, 100)):
        assert np.abs(view.astype(int) - (40, 80, 120)).max() <= 1
    assert image[0, 150, 0] == 255  # the caller's own is left as it was


def test_a_place_beyond_the_image_shows_its_mean_colour() -> None:
    image = np.full((100, 100, 3), (10, 20, 30), np.uint8)
    assert np.array_equal(Views(image).around(at(5000, 5000))[0], np.full((SIDE, SIDE, 3), (10, 20, 30), np.uint8))


def test_a_tiny_image_is_no_trouble() -> None:
    assert Views(np.full((1, 3, 3), 9, np.uint8)).around(at(1, 0, 40.0)).shape == (len(ZOOMS), SIDE, SIDE, 3)
