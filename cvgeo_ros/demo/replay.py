"""A scene through the real graph: camera, localizer and visualizer as processes, and an operator who clicks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.demo.operator import Operator, spinning_node
from cvgeo_ros.demo.processes import NAMESPACE, Processes
from cvgeo_ros.demo.recorder import Recorder
from cvgeo_ros.msg import GeoTargetArray, PlaceCandidate, PlaceCandidateArray
from cvgeo_ros.nodes.conversions import to_nanoseconds
from cvgeo_ros.scene import Scene

PICTURES = tuple(f"/{NAMESPACE}/{topic}" for topic in ("image_annotated", "tile_annotated"))
PLACES = f"/{NAMESPACE}/places_annotated"
# The images' subscribers: the localizer, the visualizer whose pictures are recorded, and the bag.
SUBSCRIBERS = 3
# The sentence's: the localizer and the bag.
LISTENERS = 2
# Frames wait here for their answers, if the localizer is slower than the camera.
HISTORY_BYTES = 512 << 20


@dataclass(frozen=True)
class Clicks:
    """Clicks in one frame: (N, 2) px and their names."""

    points: NDArray[np.float64]
    ids: list[str]


@dataclass(frozen=True)
class Sentence:
    """What tells the localizer where to search, instead of the camera's position.

    Attributes:
        text: A description of a place.
        choose: Returns the clicks of the scene, as `replay` takes them, that are made once the best place is known.
    """

    text: str
    choose: Callable[[PlaceCandidate], "Mapping[str, Clicks]"]


@dataclass(frozen=True)
class Played:
    """What became of a scene.

    Attributes:
        answers: By frame: the targets, or why there are none.
        bag_failure: Why the bag is incomplete; empty where it is whole.
        places: That the sentence may mean, best first.
        windows: By frame: where it was searched, tile px (u_min, v_min, u_max, v_max).
    """

    answers: dict[str, GeoTargetArray | str]
    bag_failure: str
    places: PlaceCandidateArray | None = None
    windows: dict[str, tuple[float, ...]] = field(default_factory=dict)


def replay(
    scene: Scene,
    clicks: Mapping[str, Clicks],
    out: Path,
    localizer: Mapping[str, str],
    rate: float,
    say: Callable[[str], None],
    sentence: Sentence | None = None,
) -> Played:
    """Play a scene's frames, click in them and return the answers.

    One request at a time is under way; the camera's pace does not depend on it.
    A disk that fills up ends the bag alone.

    Args:
        scene: With its map.
        clicks: By the frame's file name; frames without clicks are shown only.
        out: Receives bag/ and log/.
        localizer: Parameters of the localizer besides its map.
        rate: Frames a second.
        say: Told what is going on.
        sentence: Asked first; its best place is where the localizer searches, which is told no position then.

    Raises:
        NodeError: A node ended or cannot do its work.
    """
    answers: dict[str, GeoTargetArray | str] = {}
    windows: dict[str, tuple[float, ...]] = {}
    places: PlaceCandidateArray | None = None
    pictures = PICTURES if sentence is None else (*PICTURES, PLACES)
    guided = {} if sentence is None else {"place_window": True, "use_position": False, "place_window_timeout": 0.0}
    tile = str(scene.map.resolve())
    with Processes(out / "log") as processes, spinning_node("operator") as node:
        say("starting the localizer and the visualizer")
        own = {"map": tile, "prepare_map": True, "history_bytes": HISTORY_BYTES, **guided}
        processes.start("localizer", {**own, **localizer})
        processes.start("visualizer", {"map": tile})
        operator = Operator(node, processes.check)
        operator.wait_for_localizer()
        with Recorder(node, out / "bag", pictures) as bag:
            if sentence is not None:
                say(f"asking for the place: {sentence.text}")
                places = operator.ask(sentence.text, LISTENERS)
                clicks = sentence.choose(places.candidates[0]) if places.candidates else {}
            if clicks:
                say("starting the camera")
                processes.start(
                    "camera",
                    {
                        "source": str(scene.root.resolve()),
                        "rate": rate,
                        "wait_for_subscribers": SUBSCRIBERS,
                        "start_delay": 0.5,
                    },
                )
            while len(answers) < len(clicks) and (frame := operator.next_frame()) is not None:
                name, stamp = frame.frame_id, to_nanoseconds(frame.stamp)
                if name in clicks:
                    say(f"{name}: {len(clicks[name].ids)} clicks")
                    answers[name] = operator.locate(clicks[name].points, clicks[name].ids, stamp)
                    if sentence is not None and not isinstance(answers[name], str):
                        windows[name] = operator.searched(stamp)
            say("finishing the bag")
            drawn = dict.fromkeys(PICTURES, sum(not isinstance(answer, str) for answer in answers.values()))
            if places is not None and places.candidates:
                drawn[PLACES] = 1
            operator.wait(
                lambda: bool(bag.failure) or all(bag.count(f"{topic}/compressed") >= drawn[topic] for topic in drawn),
                3.0,
            )
    return Played(answers, bag.failure, places, windows)
