"""Sentences to the localizer node over DDS: candidates, the window they open, and what cannot be answered."""

import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import NavSatFix
from std_msgs.msg import Header, String

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.geo import distance, geodetic_to_enu, open_store
from cvgeo_ros.geo.identity import places_path
from cvgeo_ros.msg import PlaceCandidateArray
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.publishers import LATCHED
from cvgeo_ros.place.experts import PlaceModel, load_place_model, save_place_model
from cvgeo_ros.place.finder import PlaceFinder
from cvgeo_ros.place.index import build_index
from cvgeo_ros.srv import FindPlace, LoadMap

pytestmark = pytest.mark.ros

WINDOWS = ((40.0, 30.0, 160.0, 150.0), (200.0, 100.0, 320.0, 220.0))
"""Of the map of the tests, 120 px = 60 m wide; the best first."""


@dataclass(frozen=True)
class Candidate:
    latitude: float
    longitude: float
    bounds: tuple[float, float, float, float]
    score: float
    expert_scores: np.ndarray
    window: tuple[float, float, float, float]


@dataclass(frozen=True)
class Places:
    query: str
    note: str
    gate: np.ndarray
    candidates: list[Candidate]


class Gazetteer:
    """Finds the same two places for any sentence, remembers what it was asked and waits at its gate."""

    def __init__(self, model: str, location: str) -> None:
        self.named = (model, location)
        self.maps: list[str] = []
        self.asked: list[tuple[Any, ...]] = []
        self.loads = 0
        self.broken: Exception | None = None
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def use_map(self, path: str) -> None:
        self.maps.append(path)

    def load(self) -> None:
        self.loads += 1
        if self.broken is not None:
            raise self.broken

    def find(self, text: str, count: int, near: Any, radius: Any) -> tuple[Places, str]:
        self.asked.append((text, count, near, radius))
        self.gate.wait(15.0)
        if self.broken is not None:
            raise self.broken
        tile = open_store(self.maps[-1])
        found = []
        for rank, window in enumerate(WINDOWS[:count]):
            latitude, longitude = tile.transform.pixel_to_geodetic(np.reshape(window, (2, 2)).mean(axis=0)).tolist()
            scores = np.array([0.5, 0.25, 0.125]) - 0.1 * rank
            bounds = tile.transform.bounds(*window)
            found.append(Candidate(latitude, longitude, bounds, 0.5 - 0.1 * rank, scores, window))
        return Places(text.strip(), "a note", np.array([0.5, 0.25, 0.25]), found), tile.tile_id

    def close(self) -> None:
        self.closed = True


@dataclass
class Asker:
    """An operator who also asks for places."""

    operator: Any
    searches: list[Gazetteer]

    @property
    def search(self) -> Gazetteer:
        return self.searches[-1]

    def connect(self) -> "Asker":
        self.operator.connect()
        self.sentences = self.operator.graph.publisher(String, "query_text")
        self.candidates = self.operator.graph.listen(PlaceCandidateArray, "place_candidates", LATCHED)
        return self

    def say(self, text: str) -> None:
        self.sentences.publish(String(data=text))

    def answer(self, query: str) -> PlaceCandidateArray:
        return self.candidates.get(lambda message: message.query == query)

    def call(self, query: str, **options: Any) -> Any:
        return self.operator.graph.call(FindPlace, "find_place", FindPlace.Request(query=query, **options))

    def set(self, name: str, value: Any) -> None:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        response = self.operator.graph.call(SetParameters, "localizer/set_parameters", request)
        assert response.results[0].successful

    def prior_of_a_click(self, stamp: int) -> Any:
        self.operator.proves_alive(stamp)
        return self.operator.cores[0].priors[-1]

    def told(self, wanted: Callable[[dict[str, str]], bool]) -> tuple[DiagnosticStatus, dict[str, str]]:
        """The first diagnostics entry whose values are wanted."""

        def values(array: Any) -> dict[str, str]:
            return {pair.key: pair.value for pair in array.status[0].values}

        array = self.operator.health.get(lambda array: wanted(values(array)))
        return array.status[0], values(array)


@pytest.fixture
def start(operate: Callable[..., Any], map_path: Path) -> Callable[..., Asker]:
    def start(**parameters: Any) -> Asker:
        searches: list[Gazetteer] = []

        def search(model: str, location: str) -> Gazetteer:
            searches.append(Gazetteer(model, location))
            return searches[-1]

        return Asker(operate(search, map=str(map_path), **parameters), searches)

    return start


def test_a_sentence_is_answered_with_ranked_places(start: Callable[..., Asker], map_path: Path) -> None:
    asker = start(place_model="large", place_index="http://fleet:19530", place_count=7).connect()
    asker.say(" the hall ")
    message = asker.answer("the hall")
    tile = open_store(map_path)
    assert (asker.search.named, asker.search.maps) == (("large", "http://fleet:19530"), [str(map_path)])
    assert asker.search.asked == [(" the hall ", 7, None, None)]
    assert (message.tile_id, message.note) == (tile.tile_id, "a note")
    assert list(message.experts) == ["satellite", "drone", "ground"]
    assert list(message.expert_weights) == [0.5, 0.25, 0.25]
    assert conversions.to_nanoseconds(message.header.stamp) > 0 and conversions.to_nanoseconds(message.latency) > 0
    best, second = message.candidates
    assert best.score == 0.5 > second.score and list(best.expert_scores) == [0.5, 0.25, 0.125]
    assert tuple(best.window) == WINDOWS[0] and tuple(second.window) == WINDOWS[1]
    expected = tile.transform.pixel_to_geodetic([100.0, 90.0])
    np.testing.assert_allclose([best.position.latitude, best.position.longitude], expected, atol=1e-12)
    corners = [(point.latitude, point.longitude) for point in (best.bounds.min_pt, best.bounds.max_pt)]
    size = geodetic_to_enu(corners[1], corners[0])
    np.testing.assert_allclose(size, [60.0, 60.0], atol=2.5)
    late = asker.operator.graph.listen(PlaceCandidateArray, "place_candidates", LATCHED).get()
    assert str(late) == str(message), "NaN is not equal to NaN"


def test_the_service_asks_for_some_places_in_a_part_of_the_map(start: Callable[..., Asker]) -> None:
    asker = start().connect()
    request = {"count": 1, "radius": 250.0}
    near = conversions.GeoPoint(latitude=24.25, longitude=120.7)
    response = asker.call("the hall", near=near, **request)
    assert response.success and response.message == ""
    assert asker.search.asked == [("the hall", 1, (24.25, 120.7), 250.0)]
    assert len(response.places.candidates) == 1 and str(response.places) == str(asker.answer("the hall"))
    for wrong, words in (
        ({"radius": -1.0}, "radius is -1"),
        ({"radius": float("nan")}, "radius is nan"),
        ({"radius": 5.0, "near": conversions.GeoPoint(latitude=91.0)}, "latitude 91"),
        ({"count": 1001}, "at most 1000"),
    ):
        response = asker.call("the hall", **wrong)
        assert not response.success and words in response.message
    assert len(asker.search.asked) == 1


def test_clicks_are_answered_while_a_sentence_is_looked_for(start: Callable[..., Asker]) -> None:
    asker = start().connect()
    asker.search.gate.clear()
    asker.say("the hall")
    asker.operator.graph.wait_until(lambda: len(asker.search.asked) == 1)
    for stamp in (7, 8, 9):
        asker.operator.proves_alive(stamp)
    assert asker.candidates.messages == []
    asker.search.gate.set()
    asker.answer("the hall")


def test_the_best_place_is_where_clicks_are_searched(start: Callable[..., Asker], map_path: Path) -> None:
    asker = start(place_window=True).connect()
    assert asker.prior_of_a_click(1).latitude is None
    asker.say("the hall")
    best = asker.answer("the hall").candidates[0]
    prior = asker.prior_of_a_click(2)
    assert (prior.latitude, prior.longitude) == (best.position.latitude, best.position.longitude)
    corner = [best.bounds.min_pt.latitude, best.bounds.min_pt.longitude]
    assert prior.position_radius == pytest.approx(distance([prior.latitude, prior.longitude], corner))
    _, values = asker.told(lambda values: bool(values.get("place_window")))
    assert values["place_window"].startswith(f"{best.position.latitude:.6f} {best.position.longitude:.6f}")
    assert values["place_query"] == "the hall" and values["place_score"] == "0.500"
    assert values["place_weights"] == "satellite 0.50 drone 0.25 ground 0.25"
    assert values["search_window"] == "0 0 400 300"
    # A fix of the moment tells more.
    fixes, stamp = asker.operator.graph.publisher(NavSatFix, "fix"), asker.operator.node.get_clock().now().nanoseconds
    fixes.publish(NavSatFix(header=Header(stamp=conversions.to_time(stamp)), latitude=24.25, longitude=120.7))
    asker.operator.graph.wait_until(lambda: asker.operator.node._priors._fix.nearest(stamp, 0) is not None)
    assert asker.prior_of_a_click(stamp).latitude == 24.25
    asker.set("place_window", False)
    assert asker.prior_of_a_click(4).latitude is None
    asker.set("place_window", True)
    assert asker.prior_of_a_click(5).latitude == best.position.latitude
    # A sentence that cannot be answered is no reason to search where the one before it led.
    asker.search.broken = PlaceError("the query is empty")
    asker.say("")
    asker.candidates.get(lambda message: message.note == "the query is empty")
    assert asker.prior_of_a_click(3).latitude is None


def test_the_window_is_given_up_after_a_while(start: Callable[..., Asker]) -> None:
    asker = start(place_window=True, place_window_timeout=0.001).connect()
    asker.say("the hall")
    asker.answer("the hall")
    asker.told(lambda values: values.get("place_window") == "")
    assert asker.prior_of_a_click(1).latitude is None


def test_without_place_window_the_answer_is_only_told(start: Callable[..., Asker]) -> None:
    asker = start().connect()
    asker.say("the hall")
    asker.answer("the hall")
    assert asker.prior_of_a_click(1).latitude is None


def test_another_map_is_followed(start: Callable[..., Asker], tmp_path: Path, make_map: Any) -> None:
    asker = start(place_window=True).connect()
    asker.say("the hall")
    first = asker.answer("the hall")
    asker.search.gate.clear()
    asker.say("of the former map")
    asker.operator.graph.wait_until(lambda: len(asker.search.asked) == 2)
    path = make_map(tmp_path / "other.tif")
    response = asker.operator.graph.call(LoadMap, "load_map", LoadMap.Request(path=str(path)))
    assert response.success, "the map is exchanged while a sentence is looked for"
    asker.search.gate.set()
    asker.answer("of the former map")
    assert asker.prior_of_a_click(1).latitude is None, "a place of the former map is none of this one"
    asker.say("of the new map")
    message = asker.answer("of the new map")
    assert message.tile_id == response.tile.tile_id != first.tile_id
    assert asker.search.maps[-1] == str(path)
    assert asker.prior_of_a_click(2).latitude is not None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PlaceError("map.tif: no index of places: make one by `cvgeo place index`"), "no index of places"),
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
    ],
    ids=["known", "unknown"],
)
def test_what_goes_wrong_is_told_and_the_node_lives_on(
    start: Callable[..., Asker], error: Exception, words: str
) -> None:
    asker = start().connect()
    asker.search.broken = error
    asker.say("the hall")
    message = asker.candidates.get()
    assert message.query == "the hall" and words in message.note and not message.candidates
    response = asker.call("x" * 10_000)
    assert not response.success and words in response.message
    status, values = asker.told(lambda values: values["place_errors"] == "2")
    assert words in status.message and status.level == DiagnosticStatus.WARN
    assert values["errors"] == "0" and words in values["last_error"]
    asker.operator.proves_alive()
    asker.search.broken = None
    asker.say("the hall")
    assert asker.candidates.get(lambda message: bool(message.candidates))


def test_sentences_wait_in_a_queue_that_ends(start: Callable[..., Asker]) -> None:
    asker = start(queue_size=1).connect()
    asker.search.gate.clear()
    asker.say("the hall")
    asker.operator.graph.wait_until(lambda: len(asker.search.asked) == 1)
    asker.say("the church")
    asker.operator.entry("busy")
    asker.operator.proves_alive()
    asker.search.gate.set()
    asker.answer("the hall")


def test_model_and_index_are_loaded_at_activation_if_wanted(start: Callable[..., Asker]) -> None:
    lazy = start().connect()
    lazy.operator.proves_alive()
    assert lazy.search.loads == 0


def test_what_goes_wrong_at_activation_is_told(start: Callable[..., Asker]) -> None:
    asker = start(place_preload=True)
    asker.operator.graph.wait_until(lambda: bool(asker.searches) and asker.search.loads == 1)
    change = ChangeState.Request()
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        asker.search.broken = PlaceError("no index of places")
        change.transition.id = transition
        assert asker.operator.graph.call(ChangeState, "localizer/change_state", change).success
    asker.operator.entry("no index of places")
    asker.connect().operator.proves_alive()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was never trained, its libraries imported: a busy machine takes longer than a service may."""
    torch.manual_seed(0)
    path, model = tmp_path_factory.mktemp("weights") / "fresh.safetensors", PlaceModel()
    model.embed_texts(["a place"])
    save_place_model(model, path)
    return path


def test_the_index_beside_the_map_is_used_once_it_is_there(
    operate: Callable[..., Any], make_map: Any, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = make_map(tmp_path / "map.tif"), make_map(tmp_path / "other.tif", "EPSG:32652")
    asker = Asker(operate(map=str(path), place_model=str(weights), place_window=True), []).connect()
    response = asker.call("a hall beside a pond")
    assert not response.success and "cvgeo place index" in response.message
    model = load_place_model(weights)
    build_index(model, open_store(path))
    message = asker.call("a hall beside a pond").places
    assert message.query == "a hall beside a pond" and sum(message.expert_weights) == pytest.approx(1.0)
    scores = [candidate.score for candidate in message.candidates]
    assert scores and scores == sorted(scores, reverse=True)
    fused = np.dot(message.expert_weights, message.candidates[0].expert_scores)
    assert scores[0] == pytest.approx(fused, abs=1e-3)
    assert asker.prior_of_a_click(1).latitude == message.candidates[0].position.latitude
    # What people type is answered or refused with a reason.
    assert "script" in asker.call("池の隣の赤い屋根").places.note
    for text, words in (("", "empty"), ("x" * 10_000, "10000 characters"), ("?!", "no letters")):
        response = asker.call(text)
        assert not response.success and words in response.message
    asker.say("")
    assert "empty" in asker.candidates.get(lambda message: bool(message.note) and not message.query).note
    # The file is opened anew after an error, whatever has become of it.
    places_path(path, model.config.name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(PlaceFinder, "find", Mock(side_effect=PlaceError("the index is damaged")))
        assert "damaged" in asker.call("a hall").message
    assert "cvgeo place index" in asker.call("a hall").message
    build_index(model, open_store(path))
    assert asker.call("a hall").success
    # The other map has no index yet, then one of this map, and at last its own.
    load = LoadMap.Request(path=str(other))
    assert asker.operator.graph.call(LoadMap, "load_map", load).success
    assert "cvgeo place index" in asker.call("a hall").message
    index = places_path(other, model.config.name)
    shutil.copy(places_path(path, model.config.name), index)
    assert "cannot be used" in asker.call("a hall").message
    build_index(model, open_store(other))
    assert asker.call("a hall").places.tile_id == open_store(other).tile_id
    asker.operator.proves_alive(2)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("sentence_transformers", "sentence"), (None, "nowhere.safetensors")],
    ids=["packages", "weights"],
)
def test_what_is_not_installed_is_named(
    operate: Callable[..., Any],
    map_path: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str | None,
    words: str,
) -> None:
    if missing is not None:
        monkeypatch.setitem(sys.modules, missing, None)
    model = weights if missing is not None else map_path.with_name("nowhere.safetensors")
    asker = Asker(operate(map=str(map_path), place_model=str(model)), []).connect()
    asker.say("a hall")
    assert words in asker.candidates.get().note
    asker.operator.entry(words)
    asker.operator.proves_alive()


def test_a_node_that_is_not_active_says_so(start: Callable[..., Asker]) -> None:
    response = start(autostart=False).call("the hall")
    assert not response.success and "unconfigured" in response.message


def test_a_sentence_under_way_survives_the_cleanup(start: Callable[..., Asker]) -> None:
    asker = start().connect()
    search, answers = asker.search, []
    search.gate.clear()
    client = asker.operator.graph.tester.create_client(FindPlace, "find_place")
    client.call_async(FindPlace.Request(query="a")).add_done_callback(lambda future: answers.append(future.result()))
    asker.operator.graph.wait_until(lambda: len(search.asked) == 1)
    node = asker.operator.node
    cleanup = threading.Thread(target=lambda: (node.trigger_deactivate(), node.trigger_cleanup()))
    cleanup.start()
    search.gate.set()
    cleanup.join(15.0)
    asker.operator.graph.wait_until(lambda: len(answers) == 1)
    assert answers[0].success and search.closed
    node.trigger_configure()
    node.trigger_activate()
    asker.connect().say("the church")
    asker.answer("the church")
    assert len(asker.searches) == 2
