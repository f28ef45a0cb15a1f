"""Evaluation of the vehicle's own pose: errors, whether they are as large as the covariance says, and recovery.

The navigator sees the frames, what the protocol grants and nothing else; truth reaches the scorer only. A frame has two
answers: its fix, the frame's own measurement (with what earlier frames told of the camera's lean), and the track's
estimate at its stamp.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..errors import MapError, SceneError
from ..geo import PinholeCamera, geodetic_to_enu, open_store, yaw_to_compass
from ..localizer import Localizer
from ..navigator import Navigator, NavigatorConfig, Step
from ..scene import FrameRecord, Scene, read_image
from ..vehicle import State
from .evaluation import Protocol, make_prior

SECOND = 1_000_000_000
BLANK = 5
"""Grey level of frames that show nothing."""


@dataclass(frozen=True)
class Conditions:
    """What the navigator is told.

    Attributes:
        protocol: of the priors' errors.
        pitch: whether recorded pitches are told.
        known_until: seconds of the frames' stamps up to which positions are told; None = always.
        blank: (from, to) seconds in which frames show nothing.
    """

    protocol: Protocol = Protocol.PRIOR
    pitch: bool = False
    known_until: float | None = None
    blank: tuple[float, float] | None = None


@dataclass(frozen=True)
class Flown:
    """One frame's answers beside the truth.

    Attributes:
        frame, seconds: which.
        fix: (3,) error of the frame's own measurement: east, north (m), yaw (rad); NaN where there is none.
        fix_covariance: (3, 3) that it was given.
        score: of the fix, 0 where there is none.
        accepted: whether the track took it.
        estimate: (3,) error of the track; NaN where it knows nothing.
        estimate_covariance: (3, 3) that it was given.
        state: of the track.
        resets: its counter.
        latency: of the frame, s.
        blank: whether the frame showed nothing.
    """

    frame: str
    seconds: float
    fix: NDArray[np.float64]
    fix_covariance: NDArray[np.float64]
    score: float
    accepted: bool
    estimate: NDArray[np.float64]
    estimate_covariance: NDArray[np.float64]
    state: State
    resets: int
    latency: float
    blank: bool


@dataclass(frozen=True)
class Consistency:
    """Errors against their covariances.

    Attributes:
        count: errors.
        median, p95: of the position errors, metres.
        nees: mean normalised estimation error squared of the position; 2 for an honest Gaussian.
        within: share of position errors inside the 2-sigma ellipse (0.86 for a Gaussian of just that covariance).
        yaw: median yaw error, degrees.
    """

    count: int
    median: float
    p95: float
    nees: float
    within: float
    yaw: float


def fly(
    localizer: Localizer,
    scene: Scene,
    conditions: Conditions = Conditions(),
    seed: int | Sequence[int] = 0,
    config: NavigatorConfig = NavigatorConfig(),  # noqa: B008  frozen
    progress: Callable[[int, int], None] | None = None,
) -> list[Flown]:
    """Play a scene's frames through a new navigator, in the order of their stamps.

    Args:
        localizer: its tile is set to the scene's map.
        scene: its frames need positions and stamps.
        conditions: what the navigator is told.
        seed: of the priors' errors.
        config: of the navigator.
        progress: called with frames done and their number.

    Raises:
        SceneError: a frame without position or stamp, or one that cannot be read.
        MapError: as `Localizer.set_tile`.
    """
    localizer.set_tile(open_store(scene.map))
    navigator = Navigator(localizer, config)
    rng = np.random.default_rng(seed)
    flown = []
    for number, record in enumerate(sorted(scene.frames, key=lambda item: item.stamp or 0.0)):
        flown.append(_fly_over(navigator, scene, record, conditions, rng))
        if progress is not None:
            progress(number + 1, len(scene.frames))
    return flown


def consistency(errors: NDArray[np.float64], covariances: NDArray[np.float64]) -> Consistency:
    """Figures of errors (N, 3) against covariances (N, 3, 3); NaN rows are left out.

    Raises:
        SceneError: nothing is left.
    """
    known = np.isfinite(errors[:, :2]).all(1)
    if not known.any():
        raise SceneError("no pose was found in any frame: check map, scale and hfov")
    errors, covariances = errors[known], covariances[known]
    distances = np.hypot(errors[:, 0], errors[:, 1])
    squares = np.einsum("ni,ni->n", errors[:, :2], np.linalg.solve(covariances[:, :2, :2], errors[:, :2, None])[..., 0])
    yaw = np.degrees(np.abs(errors[:, 2]))
    return Consistency(
        len(errors),
        float(np.median(distances)),
        float(np.percentile(distances, 95)),
        float(squares.mean()),
        float((squares <= 4.0).mean()),
        float(np.nanmedian(yaw)) if np.isfinite(yaw).any() else math.nan,
    )


def fixes(flown: Sequence[Flown], least: float = 0.0) -> Consistency:
    """Consistency of the frames' own measurements with at least that score."""
    chosen = [item for item in flown if item.score >= least and not item.blank]
    return consistency(
        np.array([item.fix for item in chosen]).reshape(-1, 3),
        np.array([item.fix_covariance for item in chosen]).reshape(-1, 3, 3),
    )


def track(flown: Sequence[Flown], states: Sequence[State] = (State.TRACKING,)) -> Consistency:
    """Consistency of the track while it is in one of some states."""
    chosen = [item for item in flown if item.state in states]
    return consistency(
        np.array([item.estimate for item in chosen]).reshape(-1, 3),
        np.array([item.estimate_covariance for item in chosen]).reshape(-1, 3, 3),
    )


def recovery(flown: Sequence[Flown], near: float = 15.0) -> float | None:
    """Seconds from the first frame that shows something after a blank to a track within `near` metres of the truth.

    None where it is not found again, or no frame was blank.
    """
    blanks = [item.seconds for item in flown if item.blank]
    after = [item for item in flown if blanks and item.seconds > blanks[-1]]
    for item in after:
        if item.state is State.TRACKING and np.hypot(*item.estimate[:2]) <= near:
            return item.seconds - after[0].seconds
    return None


def _fly_over(
    navigator: Navigator, scene: Scene, record: FrameRecord, conditions: Conditions, rng: np.random.Generator
) -> Flown:
    if record.lat is None or record.lon is None or record.stamp is None:
        raise SceneError(f"{record.file}: needs stamp, lat and lon in frames.csv to be scored")
    prior = make_prior(record, conditions.protocol, rng)
    if not conditions.pitch:
        prior = replace(prior, pitch=None)
    if conditions.known_until is not None and record.stamp > conditions.known_until:
        prior = replace(prior, latitude=None, longitude=None)
    image = read_image(scene.frames_dir / record.file)
    blank = conditions.blank is not None and conditions.blank[0] <= record.stamp < conditions.blank[1]
    if blank:
        image = np.full_like(image, BLANK)
    camera = None
    if record.hfov is not None:
        camera = PinholeCamera.from_hfov(image.shape[1], image.shape[0], math.radians(record.hfov))
    stamp, started = round(record.stamp * SECOND), perf_counter()
    try:
        step: Step | None = navigator.process(stamp, image, [], camera, prior)
    except MapError:  # what the frame would need to be searched in is not there; the track has taken note
        step = None
    latency = perf_counter() - started
    fix, estimate = (None if step is None else step.fix), navigator.at(stamp)
    nothing = np.full((3, 3), np.nan)
    return Flown(
        record.file,
        record.stamp,
        _error(record, *((None, None, None) if fix is None else (fix.latitude, fix.longitude, fix.yaw))),
        nothing if fix is None else fix.covariance,
        0.0 if fix is None else fix.score,
        step is not None and step.accepted,
        _error(record, estimate.latitude, estimate.longitude, estimate.yaw),
        estimate.covariance,
        estimate.state,
        estimate.reset_counter,
        latency,
        blank,
    )


def _error(
    record: FrameRecord, latitude: float | None, longitude: float | None, yaw: float | None
) -> NDArray[np.float64]:
    """East, north (m) and yaw (rad) from the truth; NaN where one of them is unknown."""
    error = np.full(3, np.nan)
    assert record.lat is not None and record.lon is not None
    if latitude is not None and longitude is not None:
        error[:2] = geodetic_to_enu([latitude, longitude], (record.lat, record.lon))
    if yaw is not None and record.yaw is not None:
        error[2] = math.radians(math.remainder(record.yaw - yaw_to_compass(yaw), 360.0))
    return error
