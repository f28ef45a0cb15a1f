"""Maximum a posteriori pose of a pinhole camera over level ground, from ground matches and what else is known.

Convention:
    heading frame: x ahead (where yaw points), y to the left, z up, at the camera.
    tilt: (forward, right) radians: the camera, mounted as pitch and roll say, is turned so that it looks this much
        further ahead and to the right. For a camera that looks straight down it is the lean of the optical axis; unlike
        pitch, roll and yaw it is not singular there.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo import Attitude, GroundMatches, PinholeCamera, enu_to_geodetic
from cvgeo_ros.vehicle.relief import agreement, unlikelihood
from cvgeo_ros.vehicle.types import VehicleFix

FEWEST = 12
"""Matches below which there is no pose."""
PATCH = 200.0
"""Square metres of ground whose matches count as one: neighbours see the same roof and the same stretch of map."""
DISAGREE, AGREE = 0.25, 0.5
"""Shares of agreeing matches up to which a fix is not believed at all, and from which it is as much as the frame."""
LEVELLEST = 0.05
"""Sine of the least angle below the horizon at which a match counts."""
LEAN = 0.1
"""1 sigma, per axis, by which the map shows a metre of height displaced: satellites look some degrees aslant."""
GROUND_ODDS = (0.0, 1.0)
"""Log odds that a match lies on the ground rather than on something, and their 1 sigma."""
MATCH_STD = (0.7, 0.5)
"""1 sigma of a match, metres per axis, and of its logarithm: some imagery is sharper than other."""
SCALES = np.array([1.0, 1.0, 1.0, 0.01, 0.01, 0.01, 0.05, 0.05, 0.2, 0.5])
"""Steps of east, north, height, yaw, tilt (2), lean (2), log std and ground odds that matter about as much."""


@dataclass(frozen=True)
class Known:
    """What is known of the camera besides the matches, with 1 sigma each; None = unknown.

    Attributes:
        yaw, yaw_std: radians.
        height, height_std: metres above ground.
        pitch, roll: of the mounting or as measured, radians; None: straight down, and unrolled.
        tilt: (forward, right) radians by which the camera is believed to look elsewhere than pitch and roll say.
        tilt_std: of tilt, radians.
    """

    yaw: float | None = None
    yaw_std: float = math.radians(5.0)
    height: float | None = None
    height_std: float = 6.0
    pitch: float | None = None
    roll: float | None = None
    tilt: tuple[float, float] = (0.0, 0.0)
    tilt_std: tuple[float, float] = (math.radians(8.0), math.radians(8.0))


def estimate_pose(stamp: int, matches: GroundMatches, camera: PinholeCamera, known: Known) -> VehicleFix | None:
    """Pose of the camera that explains the matches best.

    A robust least squares fit to level ground is the start; then position, height, yaw, tilt, the map's lean, the
    matches' deviation and the share of them on the ground are found together, see `relief`. The covariance is the
    inverse Hessian there, with the matches of each `PATCH` counted as one.

    Args:
        stamp: of the frame, ns.
        matches: pixels of the frame and their places on the ground.
        camera: intrinsics, for the frame's size.
        known: priors.

    Returns:
        The fix, or None where there are too few matches, or none that a view from above explains.
    """
    if len(matches) < FEWEST:
        return None
    mount = Attitude(0.0, -math.pi / 2 if known.pitch is None else known.pitch, known.roll or 0.0).rotation
    pixels = np.column_stack([matches.pixels, np.ones(len(matches))])
    rays = pixels @ np.linalg.inv(camera.matrix).T @ mount  # in the heading frame, untilted
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    seen = (rays[:, 2] < -LEVELLEST) & (matches.weights > 0)
    if seen.sum() < FEWEST:
        return None
    rays, ground, weights = rays[seen], matches.ground[seen], matches.weights[seen]
    start = _similarity(rays, ground, weights)
    if start is None:
        return None
    flat = np.ascontiguousarray(start[2] * rays[:, :2] / -rays[:, 2:], np.float32)
    area = cv2.contourArea(cv2.convexHull(flat))
    weights = weights * min(area / PATCH / len(weights), 1.0)
    mean = np.array([0.0, 0.0, 0.0, 0.0, *known.tilt, 0.0, 0.0, math.log(MATCH_STD[0]), GROUND_ODDS[0]])
    tightness = 1.0 / np.array(
        [np.inf, np.inf, np.inf, np.inf, *known.tilt_std, LEAN, LEAN, MATCH_STD[1], GROUND_ODDS[1]]
    )
    if known.height is not None:
        mean[2], tightness[2] = known.height, 1.0 / known.height_std
    if known.yaw is not None:
        start[3] = known.yaw + math.remainder(start[3] - known.yaw, 2 * math.pi)
        mean[3], tightness[3] = known.yaw, 1.0 / known.yaw_std
    posterior = _Posterior(rays, ground, weights, mean, tightness)
    found = posterior.solve(posterior.level(start))
    if found is None:
        return None
    p, covariance = found
    slopes = slopes_of(rays, p[3], p[4:6])
    agreeing = agreement(p[:2] + p[2] * slopes - ground, slopes - p[6:8], weights)
    believed = min(max((agreeing - DISAGREE) / (AGREE - DISAGREE), 0.0), 1.0)
    latitude, longitude = enu_to_geodetic(p[:2], matches.origin).tolist()
    return VehicleFix(
        stamp,
        latitude,
        longitude,
        float(p[2]),
        math.remainder(p[3], 2 * math.pi),
        covariance[np.ix_([0, 1, 3], [0, 1, 3])],
        matches.score * believed,
        (float(p[4]), float(p[5])),
        covariance[4:6, 4:6],
    )


@dataclass(frozen=True)
class _Posterior:
    """Of p: east, north, height, yaw, tilt (2), lean (2), log std, log odds of the ground.

    Attributes:
        rays: (M, 3) unit rays in the untilted heading frame.
        ground: (M, 2) where the map shows what they see.
        weights: (M,) how many independent matches each one counts for.
        mean, tightness: of the Gaussian priors, the latter 1 / sigma, 0 where there is none.
    """

    rays: NDArray[np.float64]
    ground: NDArray[np.float64]
    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    tightness: NDArray[np.float64]

    @property
    def scales(self) -> NDArray[np.float64]:
        """Steps of p that matter about as much: no longer than the priors' own widths."""
        return 1.0 / np.maximum(1.0 / SCALES, self.tightness)

    def level(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """p by robust (Cauchy) least squares, as if all lay on the ground."""
        scale = np.sqrt(self.weights)[:, None] / MATCH_STD[0]

        def residuals(q: NDArray[np.float64]) -> NDArray[np.float64]:
            misses = (q[:2] + q[2] * slopes_of(self.rays, q[3], q[4:6]) - self.ground) * scale
            return np.concatenate([misses.ravel(), (q - self.mean[:6])[2:] * self.tightness[2:6]])

        bend = 4.0 * np.concatenate([np.repeat(self.weights, 2), np.ones(4)])  # 2 sigma of a match

        def loss(z: NDArray[np.float64]) -> NDArray[np.float64]:
            strain = 1.0 + z / bend
            value = np.stack([bend * np.log(strain), 1.0 / strain, -1.0 / (bend * strain**2)])
            value[:, -4:] = [z[-4:], np.ones(4), np.zeros(4)]  # priors count in full
            return value

        from scipy.optimize import least_squares  # half a second that a node need not wait for at its start

        solution = least_squares(residuals, start, loss=loss, x_scale=self.scales[:6], max_nfev=30)
        return np.concatenate([solution.x, self.mean[6:]])

    def solve(self, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """p where the posterior peaks and its covariance (10, 10), None where it has no peak with a height above 0."""
        scales = self.scales
        from scipy.optimize import minimize

        result = minimize(
            lambda y: self._value(start + y * scales),
            np.zeros(len(start)),
            jac=True,
            method="BFGS",
            options={"maxiter": 80, "gtol": 0.01},
        )
        p = start + result.x * scales
        if not np.isfinite(p).all() or p[2] <= 0:
            return None
        # The Hessian by differences of the exact gradient, over steps that bridge the ripples of the mixture.
        steps = 0.3 * np.diag(scales)
        rows = [(self._value(p + step)[1] - self._value(p - step)[1]) / 0.6 for step in steps]
        values, vectors = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
        covariance = (vectors / np.maximum(values, 1e-3)) @ vectors.T * np.outer(scales, scales)
        return p, covariance

    def _value(self, p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Negative logarithm at p, and its gradient by p / scales."""
        height, yaw, tilt, lean = p[2], p[3], p[4:6], p[6:8]
        slopes = slopes_of(self.rays, yaw, tilt)
        found = unlikelihood(p[:2] + height * slopes - self.ground, slopes - lean, self.weights, math.exp(p[8]), p[9])
        by_slopes = height * found.misses + found.slopes
        gradient = np.empty(10)
        gradient[:2] = found.misses.sum(0)
        gradient[2] = (found.misses * slopes).sum()
        gradient[3] = (by_slopes[:, 1] * slopes[:, 0] - by_slopes[:, 0] * slopes[:, 1]).sum()
        for axis, step in enumerate(1e-5 * np.eye(2)):
            change = slopes_of(self.rays, yaw, tilt + step) - slopes_of(self.rays, yaw, tilt - step)
            gradient[4 + axis] = (by_slopes * change).sum() / 2e-5
        gradient[6:8] = -found.slopes.sum(0)
        gradient[8], gradient[9] = found.log_std, found.ground
        strain = (p - self.mean) * self.tightness
        return found.value + 0.5 * float(strain @ strain), (gradient + strain * self.tightness) * self.scales


def leaning(yaw: float, pitch: float | None, roll: float | None, tilt: tuple[float, float]) -> Attitude:
    """Attitude of a camera mounted as pitch and roll say (None: straight down) that leans by `tilt`."""
    mount = Attitude(0.0, -math.pi / 2 if pitch is None else pitch, roll or 0.0).rotation
    right, _, ahead = mount @ _turned(yaw, np.asarray(tilt)).T
    heading = math.atan2(ahead[1], ahead[0])
    level = np.array([math.sin(heading), -math.cos(heading), 0.0])
    rolled = math.atan2(float(right @ np.cross(ahead, level)), float(right @ level))
    return Attitude(heading, math.asin(min(max(float(ahead[2]), -1.0), 1.0)), rolled)


def _turned(yaw: float, tilt: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) from the untilted heading frame to ENU."""
    lean, _ = cv2.Rodrigues(np.array([-tilt[1], -tilt[0], 0.0]))
    turn, _ = cv2.Rodrigues(np.array([0.0, 0.0, yaw]))
    return np.asarray(turn @ lean)


def slopes_of(rays: NDArray[np.float64], yaw: float, tilt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres east and north (M, 2) per metre of descent along rays (M, 3) of the untilted heading frame."""
    world = rays @ _turned(yaw, tilt).T
    return world[:, :2] / np.maximum(-world[:, 2:], LEVELLEST / 2)


def _similarity(
    rays: NDArray[np.float64], ground: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """East, north, height, yaw and no tilt: the similarity that fits best (Umeyama 1991), with outliers let go."""
    flat = (rays[:, 0] + 1j * rays[:, 1]) / -rays[:, 2]
    place = ground[:, 0] + 1j * ground[:, 1]
    say = weights.copy()
    for _ in range(10):
        total = say.sum()
        middle, target = (say @ flat) / total, (say @ place) / total
        spread = say @ np.abs(flat - middle) ** 2
        turn = (say @ ((flat - middle).conj() * (place - target))) / max(spread, 1e-12)
        if not (spread > 1e-9 * total and abs(turn) > 0):
            return None
        residual = np.abs(place - target - turn * (flat - middle))
        say = weights / (1.0 + (residual / max(float(np.median(residual)), 1e-3)) ** 2)
    origin = target - turn * middle
    return np.array([origin.real, origin.imag, abs(turn), np.angle(turn), 0.0, 0.0])
