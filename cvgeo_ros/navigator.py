"""Frames in, targets and the vehicle's own track out: the code that the node and the offline replay both run."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import MapError
from .geo import PinholeCamera
from .localizer import Localization, Localizer, Prior
from .localizer.localizer import DEFAULT_HFOV
from .vehicle import Estimate, FilterConfig, Known, State, VehicleFilter, VehicleFix, estimate_pose


@dataclass(frozen=True)
class NavigatorConfig(FilterConfig):
    """All thresholds; the filter's, and how far priors are believed.

    Attributes:
        heading_std: 1 sigma of a given heading, radians.
        height_std: 1 sigma of a given height, as a share of it: it is counted from the place of the take-off.
        pitch_std: 1 sigma of a given pitch, and of the roll, radians.
        tilt_std: 1 sigma by which a camera of unknown pitch looks away from straight down, per axis, radians.
        window_sigmas: radius of the search window around the prediction, in its sigmas.
        window_min: metres, the least radius.
    """

    heading_std: float = math.radians(5.0)
    height_std: float = 0.05
    pitch_std: float = math.radians(2.0)
    tilt_std: float = math.radians(8.0)
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

    def process(
        self,
        stamp: int,
        frame: NDArray[np.uint8],
        clicks: ArrayLike,
        camera: PinholeCamera | None = None,
        prior: Prior = Prior(),  # noqa: B008  frozen
    ) -> Step:
        """Locate a frame and its clicks, and take it into the track.

        Args:
            stamp: of the frame, ns; frames may come late.
            frame, clicks, camera: as `Localizer.locate`; there may be no clicks.
            prior: what is told of this moment. Where it lacks a position or a heading and the track has them, the track
                is searched along.

        Raises:
            As `Localizer.locate`.
        """
        try:
            localization = self.localizer.locate(frame, clicks, camera, self._completed(stamp, prior))
        except MapError:
            self._filter.miss(stamp)
            raise
        height, width = frame.shape[:2]
        if camera is None:
            camera = PinholeCamera.from_hfov(width, height, DEFAULT_HFOV)
        fix = None
        if localization.ground is not None:
            fix = estimate_pose(stamp, localization.ground, camera.scaled(width, height), self._known(prior))
        accepted = False
        if fix is None:
            self._filter.miss(stamp)
        else:
            accepted = self._filter.update(fix)
        return Step(localization, fix, accepted, self._filter.at(stamp))

    def locate(
        self,
        stamp: int,
        frame: NDArray[np.uint8],
        clicks: ArrayLike,
        camera: PinholeCamera | None = None,
        prior: Prior = Prior(),  # noqa: B008  frozen
    ) -> Localization:
        """Locate clicks in a frame that was processed before: the track tells where to look, and stays as it is."""
        return self.localizer.locate(frame, clicks, camera, self._completed(stamp, prior))

    def at(self, stamp: int) -> Estimate:
        """The track at a moment."""
        return self._filter.at(stamp)

    def reset(self) -> None:
        """Forget the track."""
        self._filter.reset()

    def _completed(self, stamp: int, prior: Prior) -> Prior:
        estimate = self._filter.at(stamp)
        if estimate.state not in (State.TRACKING, State.COASTING):
            return prior
        if prior.latitude is None or prior.longitude is None:
            deviation = math.sqrt(float(np.linalg.eigvalsh(estimate.covariance[:2, :2])[-1]))
            radius = max(self.config.window_min, self.config.window_sigmas * deviation)
            prior = replace(prior, latitude=estimate.latitude, longitude=estimate.longitude, position_radius=radius)
        if prior.yaw is None and math.sqrt(estimate.covariance[2, 2]) < math.radians(10.0):
            prior = replace(prior, yaw=estimate.yaw)
        return prior

    def _known(self, prior: Prior) -> Known:
        config = self.config
        return Known(
            yaw=prior.yaw,
            yaw_std=config.heading_std,
            height=prior.height,
            height_std=config.height_std * (prior.height or 0.0),
            pitch=prior.pitch,
            roll=prior.roll,
            tilt_std=config.tilt_std if prior.pitch is None else config.pitch_std,
        )
