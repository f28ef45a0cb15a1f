"""The place part of the localizer node: a sentence comes in, ranked places of the map go out.

Model and index are loaded in a thread of their own when the first sentence comes, or at activation with
``place_preload``; frames and clicks go on meanwhile.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header, String

from cvgeo_ros.errors import CvgeoError, PlaceError
from cvgeo_ros.geo.geodesy import check_place, distance
from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.geo.window import PositionPrior
from cvgeo_ros.msg import PlaceCandidateArray
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.nodes.priors import Priors
from cvgeo_ros.nodes.publishers import LATCHED, RESULTS
from cvgeo_ros.nodes.worker import Worker
from cvgeo_ros.place.config import PLATFORMS
from cvgeo_ros.place.query import check_query
from cvgeo_ros.srv import FindPlace

if TYPE_CHECKING:
    from cvgeo_ros.place.experts import PlaceModel
    from cvgeo_ros.place.finder import Candidate, PlaceFinder, Places

MAX_COUNT = 1000
"""Candidates of an answer, at most."""
MAX_ECHO = 2000
"""Characters of a refused sentence that are sent back."""
PIXEL_BYTES = 1 << 20
"""Memory for pixels of the map: none are read."""

SPECS = (
    Spec("place_model", "place", "Model of sentences: a name of those in models/, or a .safetensors file", held=True),
    Spec(
        "place_index",
        "",
        "Index of the map's windows: its file, or the URI of a Milvus; empty: beside the map",
        held=True,
    ),
    Spec("place_preload", False, "Load model and index at activation instead of at the first sentence"),
    Spec("place_count", 10, "Places in an answer, at most", 1, MAX_COUNT),
    Spec("place_window", False, "Search where the best place is while neither prior nor track has a position"),
    Spec("place_window_timeout", 300.0, "How long that holds, s; 0 = until the next sentence", 0.0, 86400.0),
)
"""Parameters of the localizer node."""


class Search(Protocol):
    """What finds places; used by one thread."""

    def use_map(self, path: str) -> None:
        """Search in another map from now on."""

    def load(self) -> None:
        """Load what is needed, unless it is loaded. Raises CvgeoError."""

    def find(
        self, text: str, count: int, near: tuple[float, float] | None, radius: float | None
    ) -> tuple["Places", str]:
        """Return the places that fit a sentence, best first, and the tile's id. Raises CvgeoError."""

    def close(self) -> None:
        """Free everything."""


class MapSearch:
    """Model, map and index.

    Args:
        model, location: The parameters place_model and place_index.
    """

    def __init__(self, model: str, location: str) -> None:
        self._name, self._location = model, location
        self._path = ""
        self._model: PlaceModel | None = None
        self._tile: TileStore | None = None
        self._finder: PlaceFinder | None = None

    def use_map(self, path: str) -> None:
        """See Search; the index is opened when it is needed."""
        self._forget_map()
        self._path = path

    def load(self) -> None:
        """See Search."""
        if self._finder is not None:
            return
        if not self._path:
            raise PlaceError("no map loaded: set the parameter map or call load_map")
        # The libraries take seconds to import, and only those who ask need them.
        from cvgeo_ros.place.experts import load_place_model
        from cvgeo_ros.place.finder import PlaceFinder
        from cvgeo_ros.place.index import PlaceIndex

        if self._model is None:
            model = load_place_model(self._name)
            model.embed_texts(["a place"])  # the text tower is loaded at the first sentence
            self._model = model
        self._tile = open_store(self._path, PIXEL_BYTES)
        try:
            index = PlaceIndex.open(self._tile, self._model, self._location or None)
            self._finder = PlaceFinder(self._model, index)
        except Exception:
            self._forget_map()
            raise

    def find(
        self, text: str, count: int, near: tuple[float, float] | None, radius: float | None
    ) -> tuple["Places", str]:
        """See Search."""
        check_query(text)
        self.load()
        assert self._finder is not None and self._tile is not None
        try:
            return self._finder.find(text, count, near, radius), self._tile.tile_id
        except Exception:
            # An index that is damaged, or a server that was away, may be there again for the next sentence.
            self._forget_map()
            raise

    def _forget_map(self) -> None:
        if self._finder is not None:
            self._finder.index.close()
        if self._tile is not None:
            self._tile.close()
        self._finder = self._tile = None

    def close(self) -> None:
        """See Search."""
        self._forget_map()
        self._model = None


class PlaceFinding:
    """Answers sentences; any thread may call its methods.

    Args:
        node: Publishes and subscribes.
        parameters: Of ``SPECS``, and queue_size.
        search: Finds; in a thread of its own.
        priors: Given the best place's window where the parameter place_window says so.
        failed: Told what went wrong with a sentence, and why.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Parameters,
        search: Search,
        priors: Priors,
        failed: Callable[[str, Exception], object],
    ) -> None:
        self._node, self._parameters, self._search, self._priors = node, parameters, search, priors
        self._failed = failed
        self._worker = Worker("places", lambda: parameters.count("queue_size"))
        self._out = node.create_lifecycle_publisher(PlaceCandidateArray, "place_candidates", LATCHED)
        self._lock = threading.Lock()
        self._asked = 0
        self._values: dict[str, str] = {}

    def subscribe(self, group: CallbackGroup) -> list[Any]:
        """Subscribe to the sentences and return the subscription; load what they need if that is to be done early."""
        if self._parameters.flag("place_preload"):
            self._worker.aside(self._preload)
        return [self._node.create_subscription(String, "query_text", self._on_text, RESULTS, callback_group=group)]

    def use_map(self, path: str) -> None:
        """Search in another map from the next sentence on."""
        self._begin()
        self._worker.aside(lambda: self._search.use_map(path))

    def _preload(self) -> None:
        try:
            self._search.load()
        except Exception as error:
            self._failed("place", error)

    def _on_text(self, message: String) -> None:
        request = FindPlace.Request(query=message.data)
        received, number = self._now(), self._begin()

        def answer() -> None:
            try:
                self._answer(request, received, number)
            except Exception as error:
                self._failed("place", error)

        try:
            self._worker.submit(answer)
        except CvgeoError as error:
            self._failed("place", error)

    def ask(self, request: FindPlace.Request) -> PlaceCandidateArray:
        """Wait for the places of a request, which are published as well. Raises CvgeoError."""
        received, number = self._now(), self._begin()
        return self._worker.run(lambda: self._answer(request, received, number))

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _begin(self) -> int:
        """Give up the window of the last answer, which is not meant any more; return the number of the next one."""
        with self._lock:
            self._priors.assume(None)
            self._asked += 1
            return self._asked

    def _answer(self, request: FindPlace.Request, received: int, number: int) -> PlaceCandidateArray:
        """Answer a sentence that was received at a time, ns. In the worker's thread."""
        stamp = conversions.to_time(received)
        try:
            near, radius = _around(request)
            count = request.count or self._parameters.count("place_count")
            if count > MAX_COUNT:
                raise PlaceError(f"count is {count}: at most {MAX_COUNT} places can be asked for")
            places, tile_id = self._search.find(request.query, count, near, radius)
        except Exception as error:
            reason = str(error) if isinstance(error, CvgeoError) else f"{type(error).__name__}: {error}"
            self._out.publish(
                PlaceCandidateArray(header=Header(stamp=stamp), query=request.query[:MAX_ECHO], note=reason)
            )
            raise
        # Before anybody can know of it: a click that the answer leads to must find it.
        self._assume(places.candidates, number)
        message = conversions.to_place_candidates(places, PLATFORMS, tile_id, stamp)
        latency = max(self._now() - received, 0)
        message.latency = conversions.to_duration(latency)
        weights = zip(message.experts, message.expert_weights, strict=True)
        with self._lock:
            self._values = {
                "place_query": message.query,
                "place_note": message.note,
                "place_candidates": str(len(message.candidates)),
                "place_score": f"{message.candidates[0].score:.3f}" if message.candidates else "",
                "place_weights": " ".join(f"{name} {weight:.2f}" for name, weight in weights),
                "place_ms": f"{latency * 1e-6:.3f}",
            }
        self._out.publish(message)
        return message

    def _assume(self, candidates: "list[Candidate]", number: int) -> None:
        if not candidates or not self._parameters.flag("place_window"):
            return
        timeout = self._parameters.nanoseconds("place_window_timeout")
        with self._lock:
            if number == self._asked:  # neither another sentence nor another map has come since
                self._priors.assume(_area(candidates[0]), self._now() + timeout if timeout else None)

    def report(self, now: int) -> dict[str, str]:
        """Return what diagnostics tell at a time (ns) on the node's clock; nothing before the first sentence."""
        area = self._priors.area(now) if self._parameters.flag("place_window") else None
        with self._lock:
            if not self._values:
                return {}
            window = "" if area is None else f"{area.latitude:.6f} {area.longitude:.6f} {area.radius:.0f} m"
            return {**self._values, "place_window": window}

    def destroy(self) -> None:
        """Finish the sentence under way, drop those that wait, and free everything."""
        self._worker.close()
        self._search.close()
        self._node.destroy_lifecycle_publisher(self._out)


def _around(request: FindPlace.Request) -> tuple[tuple[float, float] | None, float | None]:
    """Return where to search: a place (deg) and metres around it, or nothing for the whole map."""
    radius = float(request.radius)
    if radius == 0.0:
        return None, None
    if not 0.0 < radius < 1e8:
        raise PlaceError(f"radius is {radius:g}: give metres above 0, or 0 for the whole map")
    near = (request.near.latitude, request.near.longitude)
    check_place(*near, "near")
    return near, radius


def _area(candidate: "Candidate") -> PositionPrior:
    """Return the circle around a candidate's window."""
    centre, (south, west, _, _) = (candidate.latitude, candidate.longitude), candidate.bounds
    return PositionPrior(*centre, float(distance(centre, (south, west))))
