import numpy as np
import pytest

from cvgeo_ros import draw

GREY = np.full((480, 640, 3), 128, np.uint8)


class Map:
    """A map whose red is u / 4 and green v / 4, 800 x 600 pixels."""

    width, height = 800, 600

    def read(self, u0: float, v0: float, u1: float, v1: float, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        u = u0 + (np.arange(shape[1]) + 0.5) * (u1 - u0) / shape[1]
        v = v0 + (np.arange(shape[0]) + 0.5) * (v1 - v0) / shape[0]
        valid = ((v >= 0) & (v < self.height))[:, None] & ((u >= 0) & (u < self.width))[None]
        red, green = np.broadcast_arrays(u[None] / 4, v[:, None] / 4)
        return np.dstack([red, green, 0 * red]).clip(0, 255).astype(np.uint8), valid


def test_a_click_is_marked_where_it_is() -> None:
    picture = draw.draw_clicks(GREY, [(200.0, 300.0)], [""])
    v, u = np.nonzero((picture[300:, 150:250] == draw.colour(0)).all(axis=-1))
    left, right, below = 200 - (150 + u.min()), 150 + u.max() + 1 - 200, v.max() + 1
    assert left == pytest.approx(right, abs=1) and below == pytest.approx(right, abs=1) and 5 < below < 30
    assert (GREY == 128).all()


def test_targets_have_their_own_colours_in_every_picture() -> None:
    clicks = draw.draw_clicks(GREY, [(100.0, 100.0), (400.0, 300.0)], ["1", "2"])
    boxes = draw.draw_boxes(GREY, np.eye(3), [(50, 50, 150, 150), (300, 200, 500, 400)], ["1", "2"])
    for picture in (clicks, boxes):
        for index in range(2):
            assert (picture == draw.colour(index)).all(axis=-1).any()


def test_boxes_go_through_the_transform() -> None:
    window = (100.0, 50.0, 500.0, 350.0)
    view = draw.map_view(Map(), window, (600, 800))
    np.testing.assert_allclose(view.to_image @ [100.0, 50.0, 1.0], [0.0, 0.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(view.to_image @ [500.0, 350.0, 1.0], [800.0, 600.0, 1.0], atol=1e-9)
    empty = draw.draw_boxes(view.image, view.to_image, np.zeros((0, 4)), [])
    boxed = draw.draw_boxes(view.image, view.to_image, [(250, 150, 350, 250)], [""])
    v, u = np.nonzero((boxed != empty).any(axis=-1))
    assert abs(u.max() - 500) < 6 and abs(v.max() - 400) < 6


@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (790, 590, 900, 700), (10.2, 10.2, 10.4, 10.4)])
def test_boxes_at_the_edges_do_not_fail(box: tuple[float, float, float, float]) -> None:
    view = draw.map_view(Map(), (0.0, 0.0, 800.0, 600.0), (300, 400))
    assert draw.draw_boxes(view.image, view.to_image, [box], ["1"], ["0.9"]).shape == (300, 400, 3)


def test_tags_do_not_cover_each_other() -> None:
    box = (300.0, 200.0, 320.0, 220.0)
    picture = draw.draw_boxes(GREY, np.eye(3), [box, box, box], ["1", "2", "3"], ["aaa"] * 3)
    counts = [int((picture == draw.colour(index)).all(axis=-1).sum()) for index in range(2)]
    alone = draw.draw_boxes(GREY, np.eye(3), [box], ["1"], ["aaa"])
    tag = int((alone == draw.colour(0)).all(axis=-1).sum())
    assert all(count > 0.5 * tag for count in counts)


@pytest.mark.parametrize("boxes", [[(100, 100, 140, 120)], [(0, 0, 30, 30)], [(10, 10, 20, 20), (700, 500, 790, 590)]])
def test_the_window_shows_the_boxes_in_the_shape_of_the_picture(boxes: list[tuple[float, ...]]) -> None:
    u0, v0, u1, v1 = draw.view_window(800, 600, boxes, (300, 400), least=100.0)
    assert (u1 - u0) / (v1 - v0) == pytest.approx(4 / 3)
    assert u1 - u0 >= 100.0 - 1e-9
    for box in boxes:
        assert u0 <= box[0] and v0 <= box[1] and u1 >= box[2] and v1 >= box[3]
    assert u0 >= -1e-9 and v0 >= -1e-9 and u1 <= 800 + 1e-9 and v1 <= 600 + 1e-9


def test_without_boxes_the_whole_map_is_shown() -> None:
    u0, v0, u1, v1 = draw.view_window(800, 600, np.zeros((0, 4)), (400, 400))
    assert (u0, u1) == (0.0, 800.0) and v0 < 0.0 and v1 > 600.0


@pytest.mark.parametrize("metres_per_pixel, metres", [(0.3, 20.0), (2.5, 200.0)])
def test_the_scale_bar_is_as_long_as_it_says(metres_per_pixel: float, metres: float) -> None:
    picture = draw.scale_bar(GREY, metres_per_pixel)
    white = (picture == (236, 239, 243)).all(axis=-1)
    row = white[:, : round(metres / metres_per_pixel) + 60].sum(axis=1).max()
    assert row == pytest.approx(metres / metres_per_pixel, abs=6)


def test_side_by_side_keeps_aspect_ratios_and_lists_the_targets() -> None:
    tall = np.full((900, 300, 3), 90, np.uint8)
    plain = draw.side_by_side(GREY, tall, height=450)
    listed = draw.side_by_side(GREY, tall, ("a", "b"), [("1", "0.9"), ("2", "0.8")], ("target", "score"), height=450)
    assert plain.shape[1] == listed.shape[1] == 600 + 150 + 3 * 9
    assert listed.shape[0] > plain.shape[0]
    for index in range(2):
        np.testing.assert_array_equal((listed == draw.colour(index)).all(axis=-1).any(), True)
