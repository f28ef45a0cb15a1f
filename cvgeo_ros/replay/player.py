"""The messages of a bag, in the order of their receipt, through the code that the localizer node runs.

Convention:
    Times are nanoseconds. A frame is followed as soon as it was received, with the priors received before it; clicks
    are answered on the frame they name as soon as they were received.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import CvgeoError, ImageError
from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.localizer import Localization, Prior
from cvgeo_ros.navigator import Navigator, Step
from cvgeo_ros.replay.settings import Settings
from cvgeo_ros.telemetry.images import to_rgb
from cvgeo_ros.telemetry.messages import NANOSECONDS, Clicks, clicks_from, to_nanoseconds
from cvgeo_ros.telemetry.priors import Priors

HISTORY_BYTES = 256 << 20
"""Memory for recent images, which clicks look up, as of the node's parameter history_bytes."""


@dataclass(frozen=True)
class Followed:
    """What a frame gave.

    Attributes:
        stamp: Capture, ns.
        received: ns.
        step: Of the navigator, None where it refused the frame.
        error: Why it did.
        seconds: How long it took, by part.
    """

    stamp: int
    received: int
    step: Step | None
    error: str
    seconds: dict[str, float]


@dataclass(frozen=True)
class Answered:
    """What clicks gave.

    Attributes:
        stamp: Of the frame, ns; 0 where there was none.
        frame_id: Of the frame.
        received: When the clicks were received, ns.
        clicks: The clicks, None where the message holds none.
        localization: With their targets, None where they were refused.
        error: Why they were.
        seconds: How long it took.
    """

    stamp: int
    frame_id: str
    received: int
    clicks: Clicks | None
    localization: Localization | None
    error: str
    seconds: float


@dataclass(frozen=True)
class _Frame:
    stamp: int
    received: int
    message: Any


class Player:
    """Plays one bag.

    Args:
        navigator: With its map; new, or reset.
        settings: What is believed.
    """

    def __init__(self, navigator: Navigator, settings: Settings) -> None:
        self._navigator = navigator
        self._settings = settings
        self._priors = Priors()
        self._frames: deque[_Frame] = deque()
        self._bytes = 0

    def play(self, messages: Iterable[tuple[str, int, Any]]) -> Iterator[Followed | Answered]:
        """Yield what frames and clicks give.

        Args:
            messages: (role as in :mod:`cvgeo_ros.replay.topics`, time of receipt, message) in the order of receipt.
        """
        told = {
            "fix": self._priors.on_fix,
            "compass_hdg": self._priors.on_heading,
            "rel_alt": self._priors.on_height,
            "camera_pitch": self._priors.on_pitch,
            "vehicle_prior": self._priors.on_pose,
            "camera_info": self._priors.on_camera_info,
        }
        for role, received, message in messages:
            if role in told:
                told[role](message, received)
            elif role == "image":
                frame = _Frame(to_nanoseconds(message.header.stamp) or received, received, message)
                self._keep(frame)
                yield self._follow(frame)
            elif role in ("clicks", "click_stamped", "click"):
                yield self._answer(message, received)

    def _follow(self, frame: _Frame) -> Followed:
        started = time.perf_counter()
        seconds: dict[str, float] = {}
        step, error = None, ""
        try:
            rgb = to_rgb(frame.message)
            seconds["conversion"] = time.perf_counter() - started
            step = self._navigator.process(frame.stamp, rgb, np.zeros((0, 2)), *self._told(frame, rgb))
        except CvgeoError as refusal:
            error = str(refusal)
        if step is not None and step.localization is not None:
            seconds |= step.localization.timings
        seconds["total"] = time.perf_counter() - started
        return Followed(frame.stamp, frame.received, step, error, seconds)

    def _answer(self, message: Any, received: int) -> Answered:
        started = time.perf_counter()
        clicks, found, frame, error = None, None, None, ""
        try:
            clicks = clicks_from(message)
            frame = self._find(clicks.stamp)
            rgb = to_rgb(frame.message)
            found = self._navigator.locate(frame.stamp, rgb, clicks.points, *self._told(frame, rgb))
        except CvgeoError as refusal:
            error = str(refusal)
        stamp = 0 if frame is None else frame.stamp
        frame_id = "" if frame is None else frame.message.header.frame_id
        return Answered(stamp, frame_id, received, clicks, found, error, time.perf_counter() - started)

    def _told(self, frame: _Frame, rgb: NDArray[np.uint8]) -> tuple[PinholeCamera | None, Prior]:
        """What the messages received before tell of a frame."""
        camera = self._priors.camera_of(frame.stamp, rgb.shape[1], rgb.shape[0])
        return camera, self._priors.pair(frame.stamp, frame.received, self._settings.priors)

    def _keep(self, frame: _Frame) -> None:
        self._frames.append(frame)
        self._bytes += len(frame.message.data)
        while self._bytes > HISTORY_BYTES and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft().message.data)

    def _find(self, stamp: int) -> _Frame:
        """The frame of a stamp, 0: the newest."""
        if not self._frames:
            raise ImageError("clicks came before the first image")
        if stamp == 0:
            return self._frames[-1]
        nearest = min(reversed(self._frames), key=lambda frame: abs(frame.stamp - stamp))
        if abs(nearest.stamp - stamp) > self._settings.stamp_slop * NANOSECONDS:
            raise ImageError(f"clicks name an image of {stamp / NANOSECONDS:.3f} s, which is not among the recent ones")
        return nearest
