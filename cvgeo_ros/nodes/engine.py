"""The core behind one worker thread: requests wait in a short queue, images keep arriving meanwhile."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.msg import GeoTargetArray, TileInfo
from cvgeo_ros.navigator import Navigator, Step
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.parameters import Parameters
from cvgeo_ros.nodes.priors import Priors
from cvgeo_ros.nodes.vehicle_parameters import config_from
from cvgeo_ros.vehicle import Estimate

T = TypeVar("T")
PIXEL_BYTES = 256 << 20
"""Memory for the map's decoded pixels, at most."""


class BusyError(CvgeoError):
    """A request that was turned away because too many are waiting."""


class ClosedError(CvgeoError):
    """A request that found the node stopping."""

    def __init__(self) -> None:
        super().__init__("the node is being stopped: the request was dropped")


@dataclass(frozen=True)
class Answer:
    """Located targets and how long each part took.

    Attributes:
        targets: The message, without its latency.
        seconds: Parts by name; "inference/..." are parts of "inference".
        step: What the frame gave for the vehicle, None where it was not followed.
    """

    targets: GeoTargetArray
    seconds: dict[str, float]
    step: Step | None


class Engine:
    """Owns core, map, track and worker thread.

    Other threads may call :meth:`submit`, :meth:`run`, :meth:`offer`, :meth:`aside`, :meth:`forget` and :meth:`close`
    alone.
    """

    def __init__(self, core: Localizer, parameters: Parameters) -> None:
        self._core = core
        self._parameters = parameters
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._navigator = Navigator(core, config_from(parameters))
        self._forget = threading.Event()
        self._waiting = 0
        self._offered: Callable[[], None] | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.tile: TileStore | None = None

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Queue a job for the worker thread.

        Raises:
            BusyError: As many jobs as the parameter ``queue_size`` are waiting.
            ClosedError: The engine was closed.
        """
        limit = self._parameters.count("queue_size")
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._waiting >= limit:
                raise BusyError(f"busy: {limit} requests are waiting (parameter queue_size): turned away")
            future = self._worker.submit(job)
            self._waiting += 1
        future.add_done_callback(self._on_done)
        return future

    def run(self, job: Callable[[], T]) -> T:
        """Queue a job and wait for its result; raises what :meth:`submit` and the job raise."""
        try:
            return self.submit(job).result()
        except CancelledError as error:
            raise ClosedError from error

    def aside(self, job: Callable[[], None]) -> None:
        """Have a job done that takes no time, and no place among those that wait."""
        with self._lock:
            if not self._closed:
                self._worker.submit(job)

    def offer(self, job: Callable[[], None]) -> None:
        """Have a job done when no other waits; one that was offered before and has not begun is dropped for it."""
        with self._lock:
            self._offered = job
            self._start_offered()

    def _on_done(self, _: "Future[Any]") -> None:
        with self._lock:
            self._waiting -= 1
            self._start_offered()

    def _start_offered(self) -> None:
        if self._offered is not None and not self._waiting and not self._closed:
            self._worker.submit(self._run_offered)

    def _run_offered(self) -> None:
        with self._lock:
            if self._waiting:  # it came in the meantime, and starts this again
                return
            job, self._offered = self._offered, None
        if job is not None:
            job()

    def forget(self) -> None:
        """Forget the vehicle's track before the next frame."""
        self._forget.set()

    def estimate(self, stamp: int) -> Estimate:
        """Return the vehicle's track at a moment, ns."""
        return self._navigator.at(stamp)

    @property
    def notice(self) -> str:
        """What the operator should know about the map in use; empty: nothing."""
        return self._core.notice

    def use_map(self, path: str, now: int) -> TileInfo:
        """Open a map at a time (ns) and search in it from now on; on an error the former one stays.

        Raises:
            MapError: The map cannot be opened or used.
            ClosedError: The engine was closed meanwhile.
        """
        # Pixels are needed where no features are prepared: they take less than the features, out of the same allowance.
        pixels = min(PIXEL_BYTES, self._parameters.count("cache_bytes") // 2)
        former, tile = self.tile, open_store(path, pixels)
        try:
            info = conversions.to_tile_info(tile, conversions.to_time(now))
            self._core.set_tile(tile)
            if self._parameters.flag("prepare_map"):
                self._core.prepare(self._on_prepared)
        except Exception:
            self._core.set_tile(former)
            tile.close()
            raise
        self.tile = tile
        self._navigator.reset()
        if former is not None:
            former.close()
        return info

    def _on_prepared(self, _: float) -> None:
        # A large map takes minutes, which an interrupted node must not.
        if self._closed:
            raise ClosedError

    def locate(self, clicks: conversions.Clicks, frame: Frame, priors: Priors, follow: bool) -> Answer:
        """Locate clicks in a frame, and follow the vehicle by it in the same pass if asked to. Raises CvgeoError."""
        started = time.perf_counter()
        rgb = frame.rgb()
        height, width = rgb.shape[:2]
        camera = priors.camera(frame, width, height)
        prior = priors.at(frame, self._parameters)
        converted = time.perf_counter()
        if self._forget.is_set():
            self._forget.clear()
            self._navigator.reset()
        step: Step | None = None
        if follow:
            step = self._navigator.process(frame.stamp, rgb, clicks.points, camera, prior)
            found = step.localization
        else:
            found = self._navigator.locate(frame.stamp, rgb, clicks.points, camera, prior)
        seconds = {"conversion": converted - started, "inference": time.perf_counter() - converted}
        message = GeoTargetArray(header=frame.message.header)
        if found is not None:
            seconds |= {f"inference/{part}": value for part, value in found.timings.items()}
            message.tile_id = found.tile_id
            located = zip(clicks.ids, found.targets, strict=True)
            message.targets = [conversions.to_target(item, name) for name, item in located]
        return Answer(message, seconds, step)

    def close(self) -> None:
        """Finish the job under way, drop those waiting and close the map."""
        with self._lock:
            self._closed = True
            self._offered = None
        self._worker.shutdown(wait=True, cancel_futures=True)
        if self.tile is not None:
            self.tile.close()
