"""The core behind one worker thread: requests wait in a short queue, images keep arriving meanwhile."""

import threading
import time
from dataclasses import dataclass

from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.msg import GeoTargetArray, TileInfo
from cvgeo_ros.navigator import Navigator, Step
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.parameters import Parameters
from cvgeo_ros.nodes.priors import Priors
from cvgeo_ros.nodes.vehicle_parameters import config_from
from cvgeo_ros.nodes.worker import ClosedError, Worker
from cvgeo_ros.vehicle import Estimate

Window = tuple[float, float, float, float]
PIXEL_BYTES = 256 << 20
"""Memory for the map's decoded pixels, at most."""


@dataclass(frozen=True)
class Answer:
    """Located targets and how long each part took.

    Attributes:
        targets: The message, without its latency.
        seconds: Parts by name; "inference/..." are parts of "inference".
        window: What was searched, tile px (u_min, v_min, u_max, v_max); None where nothing was.
        step: What the frame gave for the vehicle, None where it was not followed.
    """

    targets: GeoTargetArray
    seconds: dict[str, float]
    window: Window | None
    step: Step | None


class Engine(Worker):
    """Owns core, map and track.

    Other threads may call the methods of the worker, :meth:`forget` and :meth:`close` alone.
    """

    def __init__(self, core: Localizer, parameters: Parameters) -> None:
        super().__init__("inference", lambda: parameters.count("queue_size"))
        self._core = core
        self._parameters = parameters
        self._navigator = Navigator(core, config_from(parameters))
        self._forget = threading.Event()
        self.tile: TileStore | None = None

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
        area = priors.area(frame.received) if self._parameters.flag("place_window") else None
        converted = time.perf_counter()
        if self._forget.is_set():
            self._forget.clear()
            self._navigator.reset()
        step: Step | None = None
        if follow:
            step = self._navigator.process(frame.stamp, rgb, clicks.points, camera, prior, area)
            found = step.localization
        else:
            found = self._navigator.locate(frame.stamp, rgb, clicks.points, camera, prior, area)
        seconds = {"conversion": converted - started, "inference": time.perf_counter() - converted}
        window: Window | None = None
        message = GeoTargetArray(header=frame.message.header)
        if found is not None:
            seconds |= {f"inference/{part}": value for part, value in found.timings.items()}
            message.tile_id = found.tile_id
            window = found.window
            located = zip(clicks.ids, found.targets, strict=True)
            message.targets = [conversions.to_target(item, name) for name, item in located]
        return Answer(message, seconds, window, step)

    def close(self) -> None:
        """Finish the job under way, drop those waiting and close the map."""
        super().close()
        if self.tile is not None:
            self.tile.close()
