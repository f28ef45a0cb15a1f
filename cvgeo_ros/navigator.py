"""Frames in, targets and the vehicle's own track out: the code that the node and the offline replay both run."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import MapError
from .geo import PinholeCamera, PositionPrior, distance
from .localizer import Localization, Localizer, Prior
from .localizer.localizer import DEFAULT_HFOV
from .vehicle import Estimate, FilterConfig, Known, Mounting, VehicleFilter, VehicleFix, estimate_pose, leaning

YAW_KNOWN = math.radians(10.0)
"""1 sigma of the track's heading, below which it is searched along."""

LEAN_KNOWN = math.radians(4.0)
"""1 sigma of the lean, below which frames are laid on the ground with it."""


@dataclass(frozen=True)
class NavigatorConfig(FilterConfig):
    """All thresholds; the filter's, and how far priors are believed.

    Attributes:
        heading_std: 1 sigma of a given heading, radians.
        height_std: 1 sigma of a given height, as a share of it: it is counted from the place of the take-off.
        pitch_std: 1 sigma of a given pitch, and of the roll, radians.
        tilt_std: 1 sigma by which a camera of unknown pitch looks away from straight down, per axis, radians; what
            stays the same over the flight is found out.
        tilt_wander: 1 sigma of what does not, the vehicle's own attitude, radians; a camera on a gimbal has less.
        window_sigmas: radius of the search window around the prediction, in its sigmas.
        window_min: metres, the least radius.
    """

    heading_std: float = math.radians(5.0)
    height_std: float = 0.05
    pitch_std: float = math.radians(2.0)
    tilt_std: float = math.radians(8.0)
    tilt_wander: float = math.radians(1.0)
    window_sigmas: float = 4.0
    window_min: float = 25.0


@dataclass(frozen=True)
class Step:
    """What a frame gave.

    Attributes:
        localization: targets and ground matches; None where the prediction left the map and there were no clicks.
        fix: the frame's own measurement of the vehicle; None where nothing could be fitted.
        accepted: whether the filter believed it.
        estimate: of the filter, at the frame's stamp.
    """

    localization: Localization | None
    fix: VehicleFix | None
    accepted: bool
    estimate: Estimate


class Navigator:
    """Locates frames one after the other and follows the vehicle. Not thread-safe."""

    def __init__(self, localizer: Localizer, config: NavigatorConfig = NavigatorConfig()) -> None:
        self.localizer, self.config = localizer, config
        self._filter = VehicleFilter(config)
        self._leans: dict[bool, Mounting] = {}
        self._used: tuple[float, float] | None = None
        self._height: float | None = None

    def process(
        self,
        stamp: int,
        frame: NDArray[np.uint8],
        clicks: ArrayLike,
        camera: PinholeCamera | None = None,
        prior: Prior = Prior(),  # noqa: B008  frozen
        area: PositionPrior | None = None,
    ) -> Step:
        """Locate a frame and its clicks, and take it into the track.

        Args:
            stamp: of the frame, ns; frames may come late.
            frame, clicks, camera: as `Localizer.locate`; there may be no clicks.
            prior: what is told of this moment. Where it lacks a position or a heading and the track has them, the track
                is searched along.
            area: where to look when the prior has no position and the vehicle is not tracked; it vouches for nothing
                that is found there.

        Raises:
            As `Localizer.locate`.
        """
        try:
            localization = self.localizer.locate(frame, clicks, camera, self._completed(stamp, prior, area), True)
        except MapError:
            self._filter.miss(stamp)
            raise
        height, width = frame.shape[:2]
        if camera is None:
            camera = PinholeCamera.from_hfov(width, height, DEFAULT_HFOV)
        lean = self._lean(prior)
        ground, camera = localization.ground, camera.scaled(width, height)
        alone = None if ground is None else estimate_pose(stamp, ground, camera, self._known(prior, lean))
        if ground is None or alone is None:
            self._filter.miss(stamp)
            return Step(localization, None, False, self._filter.at(stamp))
        fix = estimate_pose(stamp, ground, camera, self._known(prior, lean, alone)) or alone
        vouched = _inside(prior, fix)
        accepted = self._filter.update(fix, vouched and not self._tracked(stamp, prior))
        if accepted or (vouched and fix.score >= self.config.min_score):
            lean.learn(alone, self._news(fix))
            self._height = fix.height
        return Step(localization, fix, accepted, self._filter.at(stamp))

    def locate(
        self,
        stamp: int,
        frame: NDArray[np.uint8],
        clicks: ArrayLike,
        camera: PinholeCamera | None = None,
        prior: Prior = Prior(),  # noqa: B008  frozen
        area: PositionPrior | None = None,
    ) -> Localization:
        """Locate clicks in a frame that was processed before: the track tells where to look, and stays as it is."""
        return self.localizer.locate(frame, clicks, camera, self._completed(stamp, prior, area))

    def at(self, stamp: int) -> Estimate:
        """The track at a moment."""
        return self._filter.at(stamp)

    def reset(self) -> None:
        """Forget the track, and how the camera leans."""
        self._filter.reset()
        self._leans = {}
        self._used = self._height = None

    def _completed(self, stamp: int, prior: Prior, area: PositionPrior | None) -> Prior:
        """The prior with what the track, or else the area, knows better than nothing."""
        estimate = self._filter.at(stamp)
        if prior.latitude is None or prior.longitude is None:
            around = self._filter.around(stamp, self.config.window_sigmas)
            if area is not None and estimate.latitude is None:
                prior = replace(prior, latitude=area.latitude, longitude=area.longitude, position_radius=area.radius)
            elif around is not None:
                radius = max(around[2], self.config.window_min)
                prior = replace(prior, latitude=around[0], longitude=around[1], position_radius=radius)
        if prior.yaw is None and estimate.yaw is not None and math.sqrt(estimate.covariance[2, 2]) < YAW_KNOWN:
            prior = replace(prior, yaw=estimate.yaw)
        if prior.height is None and estimate.latitude is not None and self._height is not None:
            prior = replace(prior, height=self._height)
        if prior.yaw is not None:
            # A frame that is laid on the ground as it was taken looks more like the map.
            tilt, deviation = self._lean(prior).known(stamp)
            if deviation < LEAN_KNOWN:
                seen = leaning(prior.yaw, prior.pitch, prior.roll, tilt)
                prior = replace(prior, yaw=seen.yaw, pitch=seen.pitch, roll=seen.roll)
        return prior

    def _lean(self, prior: Prior) -> Mounting:
        """What is known of the lean against a pitch that is given, or against straight down."""
        given = prior.pitch is not None
        if given not in self._leans:
            self._leans[given] = Mounting(
                self.config.pitch_std if given else self.config.tilt_std, self.config.tilt_wander
            )
        return self._leans[given]

    def _known(self, prior: Prior, lean: Mounting, alone: VehicleFix | None = None) -> Known:
        """What to estimate a pose with: for the first time, or after the frame has been estimated alone."""
        tilt, tilt_std = ((0.0, 0.0), lean.std) if alone is None else lean.expected(alone)
        return Known(
            yaw=prior.yaw,
            yaw_std=self.config.heading_std,
            height=prior.height,
            height_std=self.config.height_std * (prior.height or 0.0),
            pitch=prior.pitch,
            roll=prior.roll,
            tilt=tilt,
            tilt_std=tilt_std,
        )

    def _tracked(self, stamp: int, prior: Prior) -> bool:
        """Whether the track is where the position prior has the vehicle."""
        estimate = self._filter.at(stamp)
        if estimate.latitude is None or estimate.longitude is None:
            return False
        return _within(prior, estimate.latitude, estimate.longitude)

    def _news(self, fix: VehicleFix) -> float:
        """Share of the ground in view that no frame that was learned from has shown; grows as the vehicle moves on."""
        here, size = (fix.latitude, fix.longitude), max(fix.height or 0.0, 1.0)
        if self._used is None:
            self._used = here
            return 1.0
        share = min(float(distance(here, self._used)) / size, 1.0)
        self._used = here
        return share


def _inside(prior: Prior, fix: VehicleFix) -> bool:
    """Whether there is a position prior, and the fix agrees with it."""
    return _within(prior, fix.latitude, fix.longitude, 3.0 * math.sqrt(float(np.trace(fix.covariance[:2, :2]))))


def _within(prior: Prior, latitude: float, longitude: float, doubt: float = 0.0) -> bool:
    """Whether there is a position prior and a place lies within its radius, or `doubt` metres beyond."""
    if prior.latitude is None or prior.longitude is None:
        return False
    away = distance([latitude, longitude], [prior.latitude, prior.longitude])
    return bool(away <= prior.position_radius + doubt)
