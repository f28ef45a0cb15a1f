"""Maximum a posteriori pose of a pinhole camera over flat ground, from ground matches and what else is known.

Convention:
    heading frame: x ahead (where yaw points), y to the left, z up, at the camera.
    tilt: (forward, right) radians: the camera, mounted as pitch and roll say, is turned so that it looks this much
        further ahead and to the right. For a camera that looks straight down it is the lean of the optical axis; unlike
        pitch, roll and yaw it is not singular there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from cvgeo_ros.geo import Attitude, GroundMatches, PinholeCamera, enu_to_geodetic
from cvgeo_ros.vehicle.types import VehicleFix

FEWEST = 12
"""Matches below which there is no pose."""
INDEPENDENT = 0.05
"""Share of the matches that count as independent: neighbours see the same roof and the same stretch of map."""


@dataclass(frozen=True)
class Known:
    """What is known of the camera besides the matches, with 1 sigma each; None = unknown.

    Attributes:
        yaw, yaw_std: radians.
        height, height_std: metres above ground.
        pitch, roll: of the mounting or as measured, radians; None: straight down, and unrolled.
        tilt_std: radians per axis by which the camera may look elsewhere than pitch and roll say.
    """

    yaw: float | None = None
    yaw_std: float = math.radians(5.0)
    height: float | None = None
    height_std: float = 6.0
    pitch: float | None = None
    roll: float | None = None
    tilt_std: float = math.radians(8.0)


def estimate_pose(stamp: int, matches: GroundMatches, camera: PinholeCamera, known: Known) -> VehicleFix | None:
    """Pose of the camera that explains the matches best.

    Minimises robust (Cauchy) residuals on the ground plus the priors over position, height, yaw and tilt. The
    covariance is the inverse Hessian there, with the matches counted as `INDEPENDENT` says.

    Args:
        stamp: of the frame, ns.
        matches: pixels of the frame and their places on the ground.
        camera: intrinsics, for the frame's size.
        known: priors.

    Returns:
        The fix, or None where there are too few matches, or none that a view from above explains.
    """
    if len(matches) < FEWEST or not matches.weights.sum() > 0:
        return None
    mount = Attitude(0.0, -math.pi / 2 if known.pitch is None else known.pitch, known.roll or 0.0).rotation
    pixels = np.column_stack([matches.pixels, np.ones(len(matches))])
    rays = pixels @ np.linalg.inv(camera.matrix).T
    level = rays @ mount  # in the heading frame, untilted
    seen = level[:, 2] < -0.05 * np.linalg.norm(level, axis=1)
    if seen.sum() < FEWEST:
        return None
    level, ground, weights = level[seen], matches.ground[seen], matches.weights[seen]
    start = _start(level, ground, weights, known)
    if start is None:
        return None
    prior = np.array([start[2], start[3], 0.0, 0.0])
    strength = np.array([0.0, 0.0, 1.0 / known.tilt_std, 1.0 / known.tilt_std])
    if known.height is not None:
        prior[0], strength[0] = known.height, 1.0 / known.height_std
    if known.yaw is not None:
        start[3] = known.yaw + math.remainder(start[3] - known.yaw, 2 * math.pi)
        prior[1], strength[1] = known.yaw, 1.0 / known.yaw_std
    scale = np.sqrt(weights)[:, None] / max(matches.std, 1e-3)

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        misses = (_ground(p, level) - ground) * scale
        return np.concatenate([misses.ravel(), (p[2:] - prior) * strength])

    solution = least_squares(residuals, start, loss=_loss(4), x_scale=[1.0, 1.0, 1.0, 0.01, 0.01, 0.01], max_nfev=50)
    p = solution.x
    hessian = solution.jac.T @ solution.jac
    if not np.isfinite(p).all() or p[2] <= 0 or np.linalg.cond(hessian) > 1e12:
        return None
    covariance = np.linalg.inv(hessian)[np.ix_([0, 1, 3], [0, 1, 3])]
    latitude, longitude = enu_to_geodetic(p[:2], matches.origin).tolist()
    yaw = math.remainder(p[3], 2 * math.pi)
    return VehicleFix(
        stamp, latitude, longitude, float(p[2]), yaw, covariance, matches.score, (float(p[4]), float(p[5]))
    )


def _ground(p: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where rays (M, 3) of the untilted heading frame meet the ground, (M, 2); p: east, north, height, yaw, tilt."""
    turn = Rotation.from_euler("z", p[3]) * Rotation.from_rotvec([-p[5], -p[4], 0.0])
    world = turn.apply(level)
    down = np.maximum(-world[:, 2], 0.05 * np.abs(world[:, :2]).max(1))
    return np.asarray(p[:2] + p[2] * world[:, :2] / down[:, None])


def _start(
    level: NDArray[np.float64], ground: NDArray[np.float64], weights: NDArray[np.float64], known: Known
) -> NDArray[np.float64] | None:
    """East, north, height, yaw and no tilt: the similarity that fits best (Umeyama 1991), with outliers let go."""
    flat = (level[:, 0] - 1j * level[:, 1]).conj() / -level[:, 2]
    place = ground[:, 0] + 1j * ground[:, 1]
    say = weights.copy()
    for _ in range(10):
        total = say.sum()
        middle, target = (say @ flat) / total, (say @ place) / total
        spread = say @ np.abs(flat - middle) ** 2
        if not spread > 1e-9 * total:
            return None
        turn = (say @ ((flat - middle).conj() * (place - target))) / spread
        residual = np.abs(place - target - turn * (flat - middle))
        say = weights / (1.0 + (residual / max(float(np.median(residual)), 1e-3)) ** 2)
    origin = target - turn * middle
    if not abs(turn) > 0:
        return None
    return np.array([origin.real, origin.imag, abs(turn), np.angle(turn), 0.0, 0.0])


def _loss(priors: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Cauchy's loss at 2 sigma for matches, discounted for what they share; the last `priors` terms count in full."""

    def rho(z: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = 1.0 + z / 4.0
        values = INDEPENDENT * np.stack([4.0 * np.log(scaled), 1.0 / scaled, -0.25 / scaled**2])
        values[:, -priors:] = [z[-priors:], np.ones(priors), np.zeros(priors)]
        return values

    return rho
