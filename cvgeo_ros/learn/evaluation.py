"""Evaluation on scenes by the protocols `prior`, `wide` and `blind`, and on the map of another place.

The localizer sees the frame, the clicks, the map and what the protocol grants; truth reaches the scorer only.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from time import perf_counter

import numpy as np

from ..errors import SceneError
from ..geo import PinholeCamera, TileStore, compass_to_yaw, distance, enu_to_geodetic, open_store
from ..localizer import Localizer, Prior, Target
from ..scene import SCENE_FILE, FrameRecord, Scene, read_image
from .asking import ask_apart
from .metrics import Located

POSITION_ERROR = 75.0
"""Radius of the disc that the position prior's error is drawn from, m."""
HEADING_ERROR = math.radians(5.0)
"""Standard deviation of the heading prior's error."""


class Protocol(StrEnum):
    """What the localizer is told of a frame."""

    PRIOR = "prior"
    """Camera position within 75 m; heading (5 degrees noise), height and pitch where recorded."""
    WIDE = "wide"
    """No position; heading, height and pitch as above."""
    BLIND = "blind"
    """Nothing but the field of view."""


def make_prior(
    record: FrameRecord, protocol: Protocol, rng: np.random.Generator, position_error: float = POSITION_ERROR
) -> Prior:
    """The prior that `protocol` grants for a frame.

    Noise is drawn in every protocol alike, so that one seed gives one heading error in `prior` and `wide`.

    Raises:
        SceneError: `prior` without a position in the record.
    """
    heading_error = rng.normal(0.0, HEADING_ERROR)
    radius, bearing = position_error * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
    if protocol is Protocol.BLIND:
        return Prior()
    latitude = longitude = None
    if protocol is Protocol.PRIOR:
        if record.lat is None or record.lon is None:
            raise SceneError(f"{record.file}: protocol 'prior' needs lat and lon in frames.csv; use 'wide'")
        offset = [radius * math.cos(bearing), radius * math.sin(bearing)]
        latitude, longitude = enu_to_geodetic(offset, (record.lat, record.lon)).tolist()
    return Prior(
        latitude=latitude,
        longitude=longitude,
        position_radius=position_error,
        yaw=None if record.yaw is None else compass_to_yaw(record.yaw) + heading_error,
        pitch=None if record.pitch is None else math.radians(record.pitch),
        height=record.rel_alt,
    )


def find_scenes(path: str | Path) -> list[Scene]:
    """Scene at `path`, or those in the folders right below it, named by their folders and in the order of these names.

    Raises:
        SceneError: no scene, or one that cannot be read.
    """
    path = Path(path)
    folders = [] if (path / SCENE_FILE).exists() else sorted(file.parent for file in path.glob(f"*/{SCENE_FILE}"))
    if not folders:
        return [Scene.load(path)]
    return [replace(Scene.load(folder), name=folder.name) for folder in folders]


def evaluate_scene(
    localizer: Localizer,
    scene: Scene,
    protocol: Protocol,
    seed: int | Sequence[int] = 0,
    progress: Callable[[int, int], None] | None = None,
    elsewhere: str | Path | None = None,
) -> list[Located]:
    """Locate all objects of a scene, a frame at a time.

    Args:
        localizer: its tile is set to the scene's map, or to that of elsewhere.
        scene: with objects.
        protocol: what the localizer is told.
        seed: of the priors' errors.
        progress: called with frames done and their number.
        elsewhere: map of another place, which the frames are held against instead: no answer is right then, their
            errors are infinite and their truths NaN. Not with the protocol `prior`: the position lies outside it.

    Raises:
        SceneError: no objects, a frame that cannot be read, or no position where the protocol needs it.
        ClickError, MapError, CalibrationError: as `Localizer.locate`, where it refuses every object; where it refuses
            some, these are misses: the middle of the map with a score of 0.
    """
    if not scene.objects:
        raise SceneError(f"{scene.root}: no objects to evaluate on; objects.json is missing or empty")
    if elsewhere is not None and Path(elsewhere).resolve() == scene.map.resolve():
        raise SceneError(f"{elsewhere}: this is the map of the scene itself; give that of another place")
    refusals: list[ValueError] = []
    rng = np.random.default_rng(seed)
    located: list[Located] = []
    with closing(open_store(scene.map if elsewhere is None else elsewhere)) as store:
        localizer.set_tile(store)
        for index, record in enumerate(scene.frames):
            prior = make_prior(record, protocol, rng)
            located += _evaluate_frame(localizer, store, scene, record, prior, refusals, elsewhere is None)
            if progress is not None:
                progress(index + 1, len(scene.frames))
    if len(refusals) == len(located):
        raise refusals[-1]
    return located


def _evaluate_frame(
    localizer: Localizer,
    store: TileStore,
    scene: Scene,
    record: FrameRecord,
    prior: Prior,
    refusals: list[ValueError],
    at_home: bool,
) -> list[Located]:
    objects = scene.objects_of(record.file)
    if not objects:
        return []
    frame = read_image(scene.frames_dir / record.file)
    camera = None
    if record.hfov is not None:
        camera = PinholeCamera.from_hfov(frame.shape[1], frame.shape[0], math.radians(record.hfov))
    started = perf_counter()
    targets = ask_apart(
        lambda clicks: list(localizer.locate(frame, clicks, camera, prior).targets),
        [item.click for item in objects],
        lambda click: _refused(store, click),
        refusals,
    )
    latency = perf_counter() - started
    located = []
    for item, target in zip(objects, targets, strict=True):
        u0, v0, u1, v1 = item.bbox
        truth = store.transform.pixel_to_geodetic([(u0 + u1) / 2, (v0 + v1) / 2])
        error = float(distance([target.latitude, target.longitude], truth))
        located.append(
            Located(
                frame=item.frame,
                id=item.id,
                bbox=target.bbox,
                truth=item.bbox if at_home else (math.nan,) * 4,
                error=error if at_home else math.inf,
                score=target.score,
                position_std=target.position_std,
                latitude=target.latitude,
                longitude=target.longitude,
                quality=item.quality,
                latency=latency,
                scene=scene.name,
            )
        )
    return located


def _refused(store: TileStore, click: tuple[float, float]) -> Target:
    """What stands for the answer to a click that was refused: the middle of the map with a score of 0."""
    u, v = store.width / 2, store.height / 2
    bounds = store.transform.bounds(0, 0, store.width, store.height)
    latitude, longitude = store.transform.pixel_to_geodetic([u, v]).tolist()
    std = float(distance([latitude, longitude], bounds[:2]))
    return Target(click, 0.0, (u, v, u, v), latitude, longitude, std, bounds)
