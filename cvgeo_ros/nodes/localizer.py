"""The localizer node: clicks in camera images to targets on Earth.

A lifecycle node. configure loads weights and map, activate subscribes, deactivate stops and keeps both, cleanup frees
them; with the parameter ``autostart`` it does the first two by itself. Inference runs in one worker thread, so that
images keep arriving; nothing that arrives can end the node: errors go to /diagnostics, the log and service answers.
"""

import sys
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import Point, PointStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image

from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.msg import GeoTargetArray, TargetClickArray, TileInfo
from cvgeo_ros.nodes import conversions, frames, priors
from cvgeo_ros.nodes.clock import on_time_jump
from cvgeo_ros.nodes.engine import Engine
from cvgeo_ros.nodes.frames import Frame, FrameHistory
from cvgeo_ros.nodes.health import Diagnostics, Health, Report
from cvgeo_ros.nodes.localizer_parameters import SPECS as SPECS
from cvgeo_ros.nodes.parameters import Parameters
from cvgeo_ros.nodes.places import MapSearch, PlaceFinding, Search
from cvgeo_ros.nodes.publishers import RESULTS, TargetPublishers
from cvgeo_ros.nodes.run import run
from cvgeo_ros.nodes.vehicle import Vehicle
from cvgeo_ros.nodes.worker import BusyError
from cvgeo_ros.srv import FindPlace, LoadMap, LocateTargets


class LocalizerNode(LifecycleNode):
    """See the module.

    Args:
        load: Makes the core from model, device and cache bytes; another one than :meth:`Localizer.load` for tests.
        search: Makes what finds places from model and location of the index, likewise.
        options: Of rclpy's node.
    """

    def __init__(
        self,
        load: Callable[[str, str, int], Localizer] = Localizer.load,
        search: Callable[[str, str], Search] = MapSearch,
        **options: Any,
    ) -> None:
        super().__init__("localizer", **options)
        self._load, self._search = load, search
        self._settings = Parameters(self, SPECS, self._held)
        self._engine: Engine | None = None
        self._outputs: TargetPublishers | None = None
        self._vehicle: Vehicle | None = None
        self._places: PlaceFinding | None = None
        self._own_subscriptions: list[Any] = []
        self._history = FrameHistory(self._settings.count("history_bytes"))
        self._priors = priors.Priors()
        self._health = Health()
        self._diagnostics = Diagnostics(self, self._report)
        # For the node's whole life: destroying a service while it answers would end the executor.
        for kind, name, answer in (
            (LocateTargets, "locate", self._on_locate),
            (LoadMap, "load_map", self._on_load_map),
            (FindPlace, "find_place", self._on_find_place),
        ):
            self.create_service(kind, name, answer, callback_group=MutuallyExclusiveCallbackGroup())
        self._jumps = on_time_jump(self, self._on_time_jump)
        if self._settings.flag("autostart"):
            self._start_timer = self.create_timer(0.0, self._autostart)

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _held(self) -> str | None:
        if self._engine is None:
            return None
        return "is read when the node configures: clean the node up first, or call load_map for another map"

    @property
    def _state(self) -> str:
        return str(self._state_machine.current_state[1])

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _report(self) -> Report:
        parts, now = (self._vehicle, self._places), self._now()
        tile = None if self._engine is None else self._engine.tile
        timeout = self._settings.number("image_timeout")
        level, message, values = self._health.report(self._state, None if tile is None else tile.tile_id, now, timeout)
        for part in parts:
            values |= {} if part is None else part.report(now)
        return level, message, values

    def _failed(self, what: str, error: Exception) -> str:
        """Make an error known and return it as a sentence for service answers."""
        known = isinstance(error, CvgeoError)
        reason = str(error) if known else f"{what}: {type(error).__name__}: {error}"
        if not self.context.ok():  # interrupted: there is nobody to tell
            return reason
        self._health.failed(reason, {"vehicle": "vehicle_errors", "place": "place_errors"}.get(what, "errors"))
        self.get_logger().error(reason, throttle_duration_sec=2.0)
        self._diagnostics.publish()
        return reason

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load weights and map; fails, and can be tried again, where either cannot be loaded."""
        get = self._settings
        try:
            core = self._load(get.text("model"), get.text("device"), get.count("cache_bytes"))
            core.tune(get.flag("half_precision"), get.text("compile") or None)
            self._engine = Engine(core, get)
            self._outputs = TargetPublishers(self)
            self._vehicle = Vehicle(self, get, self._engine, self._priors, self._failed)
            search = self._search(get.text("place_model"), get.text("place_index"))
            self._places = PlaceFinding(self, get, search, self._priors, self._failed)
            if get.text("map"):
                self._use_map(self._engine, get.text("map"))
        except Exception as error:
            self._free()
            self._failed("configure", error)
            return TransitionCallbackReturn.FAILURE
        self._health.recovered()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe."""
        result = super().on_activate(state)
        self._history = FrameHistory(self._settings.count("history_bytes"))
        self._forget()
        self._subscribe()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; weights and map stay loaded."""
        self._unsubscribe()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free weights, map and images."""
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self._free()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Free everything; requests that wait are dropped."""
        self._jumps.unregister()
        self._free()
        super().destroy_node()

    def _free(self) -> None:
        self._unsubscribe()
        if self._engine is not None:
            self._engine.close()
        if self._outputs is not None:
            self._outputs.destroy()
        if self._vehicle is not None:
            self._vehicle.destroy()
        if self._places is not None:
            self._places.destroy()
        self._engine = self._outputs = self._vehicle = self._places = None
        self._forget()

    def _forget(self) -> None:
        """Forget what arrived so far: images, priors, the vehicle's track."""
        self._history.clear()
        self._priors.forget()
        if self._vehicle is not None:
            self._vehicle.restart()

    def _on_time_jump(self) -> None:
        self.get_logger().warning("time was set back: images, priors and the vehicle's track so far are forgotten")
        self._forget()

    def _subscribe(self) -> None:
        assert self._places is not None
        images, clicks, vehicle, sentences = (MutuallyExclusiveCallbackGroup() for _ in range(4))
        # One after the other: who sees the first may already ask, though the node is not called active yet.
        self._own_subscriptions = [frames.subscribe(self, self._settings, self._on_image, images)]
        self._own_subscriptions += [
            self.create_subscription(kind, topic, self._on_click, RESULTS, callback_group=clicks)
            for kind, topic in ((Point, "click"), (PointStamped, "click_stamped"), (TargetClickArray, "clicks"))
        ]
        self._own_subscriptions += self._priors.subscribe(self, vehicle)
        self._own_subscriptions += self._places.subscribe(sentences)

    def _unsubscribe(self) -> None:
        for subscription in self._own_subscriptions:
            self.destroy_subscription(subscription)
        self._own_subscriptions = []

    # Topics

    def _on_image(self, message: Image | CompressedImage) -> None:
        frame = Frame(message, self._now())
        self._history.add(frame)
        self._health.image(frame.stamp, frame.received)
        if self._vehicle is not None:
            self._vehicle.see(frame)

    def _on_click(self, message: Point | PointStamped | TargetClickArray) -> None:
        received, engine = self._now(), self._engine
        if engine is None:
            return

        def answer() -> None:
            try:
                self._locate(engine, conversions.clicks_from(message), None, received)
            except Exception as error:
                self._failed("click", error)

        try:
            engine.submit(answer)
        except CvgeoError as error:
            if isinstance(error, BusyError):
                self._health.dropped()
            self._failed("click", error)

    # Services

    def _on_locate(self, request: LocateTargets.Request, response: LocateTargets.Response) -> LocateTargets.Response:
        received, engine = self._now(), self._engine
        frame = Frame(request.image, received) if len(request.image.data) else None
        try:
            if engine is None or not self._own_subscriptions:
                raise CvgeoError(f"the node is {self._state}: activate it first")
            clicks = conversions.clicks_from(request.clicks)
            response.targets = engine.run(lambda: self._locate(engine, clicks, frame, received))
            response.success = True
        except Exception as error:
            response.message = self._failed("locate", error)
        return response

    def _on_load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        engine = self._engine
        try:
            if engine is None:
                raise CvgeoError(f"the node is {self._state}: configure it first")
            response.tile = engine.run(lambda: self._use_map(engine, request.path))
            response.success = True
            self._health.recovered()
            self._diagnostics.publish()
        except Exception as error:
            response.message = self._failed("load_map", error)
        return response

    def _on_find_place(self, request: FindPlace.Request, response: FindPlace.Response) -> FindPlace.Response:
        finding = self._places
        try:
            if finding is None or not self._own_subscriptions:
                raise CvgeoError(f"the node is {self._state}: activate it first")
            response.places = finding.ask(request)
            response.success = True
        except Exception as error:
            response.message = self._failed("place", error)
        return response

    # Work, in the engine's thread once the node is configured

    def _use_map(self, engine: Engine, path: str) -> TileInfo:
        assert self._outputs is not None
        tile = engine.use_map(path, self._now())
        if engine.notice:
            self.get_logger().warning(engine.notice)
        self._outputs.publish_tile(tile)
        if self._vehicle is not None:
            self._vehicle.restart()
        if self._places is not None:
            self._places.use_map(path)
        return tile

    def _locate(self, engine: Engine, clicks: conversions.Clicks, frame: Frame | None, received: int) -> GeoTargetArray:
        """Locate clicks that were received (ns) in a frame, None: one of the history, and publish the answer."""
        assert self._outputs is not None and self._vehicle is not None
        get = self._settings
        if frame is None:
            frame = self._history.find(clicks.stamp, get.nanoseconds("stamp_slop"), get.number("frame_timeout"))
        started = self._now()
        answer = self._vehicle.serve(clicks, frame)
        located = self._now()
        latency = max(located - max(frame.stamp, received), 0)
        answer.targets.latency = conversions.to_duration(latency)
        self._outputs.publish(answer.targets)
        seconds = {
            "latency": latency * 1e-9,
            "transport": (frame.received - frame.stamp) * 1e-9,
            "wait": (started - max(frame.received, received)) * 1e-9,
            **answer.seconds,
            "publish": (self._now() - located) * 1e-9,
        }
        scores = " ".join(f"{target.score:.3f}" for target in answer.targets.targets[:8])
        values = {f"{part}_ms": f"{value * 1e3:.3f}" for part, value in seconds.items()}
        window = " ".join(f"{edge:.0f}" for edge in answer.window or ())
        told = {"answer_stamp": str(frame.stamp), "last_score": scores, "search_window": window}
        self._health.answered({**told, **values})
        self._diagnostics.publish()
        return answer.targets


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    return run(LocalizerNode, args)


if __name__ == "__main__":
    sys.exit(main())
