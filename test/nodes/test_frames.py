import threading

import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import Image

from cvgeo_ros.errors import ImageError
from cvgeo_ros.nodes.conversions import to_time
from cvgeo_ros.nodes.frames import MAX_FRAMES, Frame, FrameHistory


def frame(stamp: int, size: int = 100) -> Frame:
    image = Image(data=[0] * size)
    image.header.stamp = to_time(stamp)
    return Frame(image, received=stamp + 5)


def test_frames_are_found_by_stamp_and_newest() -> None:
    history = FrameHistory(10_000)
    for stamp in (100, 200, 300):
        history.add(frame(stamp))
    assert history.find(0, 0, 0.0).stamp == 300
    assert history.find(210, 20, 0.0).stamp == 200
    with pytest.raises(ImageError, match="3 images"):
        history.find(250, 20, 0.0)


def test_memory_is_bounded_but_the_newest_frame_stays() -> None:
    history = FrameHistory(250)
    for stamp in (100, 200, 300):
        history.add(frame(stamp))
    assert len(history) == 2
    history.add(frame(400, size=1000))
    assert len(history) == 1
    assert history.find(0, 0, 0.0).stamp == 400


def test_messages_without_a_picture_are_not_kept_without_end() -> None:
    history = FrameHistory(10_000)
    for stamp in range(1, MAX_FRAMES + 10):
        history.add(frame(stamp, size=0))
    assert len(history) == MAX_FRAMES and history.find(0, 0, 0.0).stamp == MAX_FRAMES + 9


def test_a_click_that_overtakes_its_frame_waits_for_it() -> None:
    history = FrameHistory(10_000)
    history.add(frame(100))
    timer = threading.Timer(0.05, lambda: history.add(frame(200)))
    timer.start()
    assert history.find(200, 0, 5.0).stamp == 200
    timer.join()


def test_a_frame_that_never_comes_is_an_error() -> None:
    history = FrameHistory(10_000)
    with pytest.raises(ImageError, match="no image received yet"):
        history.find(0, 0, 5.0)
    history.add(frame(100))
    with pytest.raises(ImageError, match="stamp"):
        history.find(200, 0, 0.01)


def test_images_without_stamp_count_by_receipt() -> None:
    assert frame(0).stamp == 5
