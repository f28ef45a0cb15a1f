"""Made-up matches of a known camera over a town of known heights."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from cvgeo_ros.geo import Attitude, GroundMatches, PinholeCamera, enu_to_geodetic, frame_to_ground
from cvgeo_ros.vehicle import VehicleFix

ORIGIN = (45.6, 9.0)
CAMERA = PinholeCamera.from_hfov(960, 540, math.radians(66.0))

Shoot = Callable[..., GroundMatches]


@pytest.fixture
def shoot() -> Shoot:
    """Matches of what a camera at (east, north) about ORIGIN sees."""

    def matches(
        attitude: Attitude,
        height: float = 110.0,
        place: tuple[float, float] = (12.0, -7.0),
        noise: float = 0.5,
        stray: float = 0.1,
        roofs: Callable[[np.ndarray], np.ndarray] | None = None,
        seed: int = 0,
    ) -> GroundMatches:
        """`roofs`: heights (M,) of what stands at ground places (M, 2)."""
        rng = np.random.default_rng(seed)
        u, v = np.meshgrid(np.arange(20, 960, 30.0), np.arange(15, 540, 30.0))
        pixels = np.stack([u, v], -1).reshape(-1, 2)
        ground = frame_to_ground(CAMERA, attitude, height, pixels)
        if roofs is not None:  # what is seen there is the roof, nearer to the point below the camera
            ground = ground * (1.0 - roofs(ground) / height)[:, None]
        found = ground + place + rng.normal(0.0, noise, ground.shape)
        lost = rng.random(len(found)) < stray
        found[lost] += rng.uniform(-14.0, 14.0, (int(lost.sum()), 2))
        return GroundMatches(pixels, found, ORIGIN, np.full(len(found), 0.6), noise, 0.9)

    return matches


def fix_at(
    seconds: float,
    east: float,
    north: float = 0.0,
    std: float = 2.0,
    score: float = 0.9,
    yaw: float = 0.3,
) -> VehicleFix:
    """A fix at a place about ORIGIN."""
    latitude, longitude = enu_to_geodetic([east, north], ORIGIN).tolist()
    covariance = np.diag([std**2, std**2, 0.01**2])
    return VehicleFix(round(seconds * 1e9), latitude, longitude, 100.0, yaw, covariance, score)
