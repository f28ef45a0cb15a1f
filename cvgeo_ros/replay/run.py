"""One replay from bag to figures."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvgeo_ros.bags.reader import Bag
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.errors import BagError
from cvgeo_ros.geo import open_store
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.navigator import Navigator
from cvgeo_ros.replay.player import Followed, Player
from cvgeo_ros.replay.record import Track, answer_of, track_of
from cvgeo_ros.replay.results import Results
from cvgeo_ros.replay.settings import Settings
from cvgeo_ros.replay.summary import summarize
from cvgeo_ros.replay.topics import assign, namespace
from cvgeo_ros.replay.truth import Truth


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        told: What was replayed.
        summary: Figures.
        tracks: A record a frame.
        answers: A record a message of clicks.
    """

    told: dict[str, Any]
    summary: dict[str, Any]
    tracks: list[Track]
    answers: list[dict[str, Any]]


def replay(
    path: Path,
    map_path: Path,
    load: Callable[[], Localizer],
    settings: Settings,
    out: Path | None,
    topics: Mapping[str, str],
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Play a bag through the navigator.

    Args:
        path: The bag.
        map_path: The map.
        load: Makes the localizer, once bag and map are known to be usable; its tile is set to the map.
        settings: What is believed.
        out: Bag of the results, None: none.
        topics: Topics by role, where their names do not tell.
        progress: Called with the frames done and their number.

    Raises:
        BagError: The bag cannot be read or has no images.
        MapError: The map cannot be opened.
    """
    tracks: list[Track] = []
    answers: list[dict[str, Any]] = []
    with Bag(path) as bag, closing(open_store(map_path)) as tile:
        roles = assign(bag.topics, topics)
        truth = Truth()
        if "truth" in roles:
            for entry in bag.read([roles["truth"]]):
                truth.add(entry.message, entry.time)
        localizer = load()
        localizer.set_tile(tile)
        navigator = Navigator(localizer, settings.navigator)
        mounting = math.radians(settings.priors.camera_yaw)
        total = bag.count(roles["image"])

        def run(results: Results | None) -> None:
            first = 0
            for item in Player(navigator, settings).play(_messages(bag, roles)):
                if not isinstance(item, Followed):
                    answers.append(answer_of(item, first))
                    if results is not None:
                        results.answered(item)
                    continue
                first = first if tracks else item.stamp
                estimate = navigator.at(item.stamp) if item.step is None else item.step.estimate
                tracks.append(track_of(item, estimate, first, truth.at(item.stamp), mounting))
                if results is not None:
                    results.followed(item, estimate)
                if progress is not None:
                    progress(len(tracks), total)

        if out is None:
            run(None)
        else:
            with BagWriter(out) as writer:
                run(Results(writer, namespace(roles["image"]), mounting))
        if not tracks:
            raise BagError(f"{path}: {roles['image']} holds no image that can be read")
        told = {"bag": path.name, "map": map_path.name, "tile_id": tile.tile_id, "topics": roles}
        return Replay(
            {**told, "warnings": bag.warnings},
            summarize(tracks, answers, settings.navigator.min_score),
            tracks,
            answers,
        )


def _messages(bag: Bag, roles: Mapping[str, str]) -> Iterator[tuple[str, int, Any]]:
    """Messages with their roles; a topic that is the truth besides another role is given for that one."""
    by_topic = {topic: role for role, topic in roles.items() if role != "truth"}
    for entry in bag.read(by_topic):
        yield by_topic[entry.topic], entry.time, entry.message
