import numpy as np

from cvgeo_ros import draw
from cvgeo_ros.draw.places import places_sheet

MAP = np.full((450, 600, 3), 100, np.uint8)


def crop(index: int) -> np.ndarray:
    return np.full((64, 64, 3), 30 + 20 * index, np.uint8)


def test_windows_stand_beside_the_map_in_their_order_and_colours() -> None:
    sheet = places_sheet(MAP, [crop(k) for k in range(10)], ["0.1"] * 10, "a hall", 900)
    assert (sheet[60:900, 30:1200] == 100).mean() > 0.99
    beside = sheet[:, 1230:]
    firsts = []
    for index in range(10):
        rows, columns = np.nonzero((beside == 30 + 20 * index).all(axis=-1))
        if index >= 8:
            assert len(rows) < 100  # there is no room
            continue
        assert len(rows) > 20_000
        firsts.append((round(rows.mean() / 100), columns.mean()))
        top, left = max(rows.min() - 60, 0), max(columns.min() - 9, 0)
        edge = beside[top : rows.max() + 9, left : columns.max() + 9] == draw.colour(index)
        assert edge.all(axis=-1).sum() > 500
    assert firsts == sorted(firsts)


def test_one_place_and_a_sentence_that_is_too_long() -> None:
    short = places_sheet(MAP, [crop(0)], ["0.1"], "a hall", 900)
    long = places_sheet(MAP, [crop(0)], ["0.1"], "a hall " * 300, 900)
    assert short.shape == long.shape
    written = np.nonzero((long[:50] != long[0, 0]).any(axis=(0, 2)))[0]
    assert 0.9 * long.shape[1] < written.max() < long.shape[1] - 5
