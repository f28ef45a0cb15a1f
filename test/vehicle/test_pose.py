"""The pose from matches: exact where they are, robust to roofs and strays, honest where they say little."""

import math

import numpy as np
import pytest

from cvgeo_ros.geo import Attitude, GroundMatches, geodetic_to_enu
from cvgeo_ros.vehicle import Known, VehicleFix, estimate_pose, leaning
from cvgeo_ros.vehicle.relief import unlikelihood

from .conftest import CAMERA, ORIGIN, Shoot

DOWN = -math.pi / 2
FREE = Known(yaw=None, height=None, tilt_std=(math.radians(30.0),) * 2)


def position(fix: VehicleFix | None) -> np.ndarray:
    assert fix is not None
    return geodetic_to_enu([fix.latitude, fix.longitude], ORIGIN)


def uneven(ground: np.ndarray) -> np.ndarray:
    """A town on one side: two houses in three, up to 15 m high; a field on the other."""
    block = np.floor(ground / 12.0).astype(int)
    houses = (3 + (block[:, 0] * 7 + block[:, 1] * 13) % 13).astype(float)
    return np.where((ground[:, 0] > 0) & ((block[:, 0] + block[:, 1]) % 3 > 0), houses, 0.0)


@pytest.mark.parametrize("yaw, lean, roll", [(0.4, 0.0, 0.0), (-2.9, 9.0, 0.0), (3.1, 4.0, 5.0)])
def test_position_height_and_heading_are_found_from_the_matches_alone(
    shoot: Shoot, yaw: float, lean: float, roll: float
) -> None:
    matches = shoot(Attitude(yaw, DOWN + math.radians(lean), math.radians(roll) if lean else 0.0))
    fix = estimate_pose(5, matches, CAMERA, FREE)
    assert fix is not None and fix.stamp == 5 and fix.score == 0.9
    assert np.linalg.norm(position(fix) - [12.0, -7.0]) < 1.5
    assert fix.height == pytest.approx(110.0, rel=0.02)
    assert math.hypot(*fix.tilt) == pytest.approx(math.radians(lean), abs=math.radians(0.7))


def test_tilt_is_told_as_ahead_and_to_the_right(shoot: Shoot) -> None:
    ahead = estimate_pose(0, shoot(Attitude(0.4, DOWN + 0.1)), CAMERA, Known(yaw=0.4))
    # Rolled about the optical axis by a quarter turn, what is up in the image lies to the left of where it looks.
    right = estimate_pose(0, shoot(Attitude(0.4, DOWN + 0.1, -math.pi / 2)), CAMERA, Known(yaw=0.4 + math.pi / 2))
    assert ahead is not None and right is not None
    assert ahead.tilt == pytest.approx((0.1, 0.0), abs=0.015)
    assert ahead.yaw == pytest.approx(0.4, abs=0.01)
    assert right.tilt == pytest.approx((0.0, 0.1), abs=0.015)
    assert right.yaw == pytest.approx(0.4 + math.pi / 2, abs=0.01)


def test_pitch_that_is_given_is_where_the_tilt_counts_from(shoot: Shoot) -> None:
    pitch = math.radians(-60.0)
    known = Known(yaw=1.0, height=110.0, pitch=pitch, roll=0.05, tilt_std=(0.03, 0.03))
    fix = estimate_pose(0, shoot(Attitude(1.0, pitch, 0.05), stray=0.0), CAMERA, known)
    assert fix is not None
    assert np.linalg.norm(position(fix) - [12.0, -7.0]) < 1.5
    assert fix.tilt == pytest.approx((0.0, 0.0), abs=0.01)
    assert fix.yaw == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("pitch, roll", [(None, None), (math.radians(-60.0), 0.1)])
def test_a_leaning_camera_sees_what_its_attitude_says(shoot: Shoot, pitch: float | None, roll: float | None) -> None:
    attitude = leaning(0.8, pitch, roll, (0.09, -0.05))
    known = Known(yaw=0.8, height=110.0, pitch=pitch, roll=roll)
    fix = estimate_pose(0, shoot(attitude, noise=0.1, stray=0.0), CAMERA, known)
    assert fix is not None
    assert fix.tilt == pytest.approx((0.09, -0.05), abs=0.01) and fix.yaw == pytest.approx(0.8, abs=0.01)
    straight = leaning(0.8, pitch, roll, (0.0, 0.0)).rotation
    np.testing.assert_allclose(
        straight, Attitude(0.8, DOWN if pitch is None else pitch, roll or 0.0).rotation, atol=1e-9
    )


def test_a_town_on_one_side_is_no_tilt(shoot: Shoot, monkeypatch: pytest.MonkeyPatch) -> None:
    matches = [shoot(Attitude(0.7), roofs=uneven, seed=seed) for seed in range(4)]
    known = Known(yaw=0.7, height=110.0, height_std=5.0)
    aware = [np.linalg.norm(position(estimate_pose(0, m, CAMERA, known)) - [12.0, -7.0]) for m in matches]
    monkeypatch.setattr("cvgeo_ros.vehicle.relief.HEIGHTS", np.array([0.0, 1e-3]))
    flat = [np.linalg.norm(position(estimate_pose(0, m, CAMERA, known)) - [12.0, -7.0]) for m in matches]
    assert np.mean(aware) < 0.5 * np.mean(flat)
    assert np.mean(aware) < 2.5


def test_priors_decide_what_the_matches_leave_open(shoot: Shoot) -> None:
    """A narrow strip in the middle of the frame says nothing of the tilt, and the covariance says so."""
    whole = shoot(Attitude(0.0, DOWN + math.radians(6.0)))
    middle = (np.abs(whole.pixels - [480.0, 270.0]) < 70.0).all(1)
    strip = GroundMatches(
        whole.pixels[middle], whole.ground[middle], whole.origin, whole.weights[middle], whole.std, whole.score
    )
    free = estimate_pose(0, strip, CAMERA, Known(yaw=0.0, height=110.0))
    told = estimate_pose(0, strip, CAMERA, Known(yaw=0.0, height=110.0, tilt=(0.105, 0.0), tilt_std=(0.005, 0.005)))
    full = estimate_pose(0, whole, CAMERA, Known(yaw=0.0, height=110.0))
    assert free is not None and told is not None and full is not None
    assert free.covariance[0, 0] > 10.0**2 > 4.0**2 > full.covariance[0, 0]
    assert np.linalg.norm(position(told) - [12.0, -7.0]) < 2.0 < math.sqrt(free.covariance[0, 0])


def test_errors_are_as_large_as_the_covariance_says_or_smaller(shoot: Shoot) -> None:
    """Noise that is independent from match to match is less than the covariance allows for."""
    squares = []
    for seed in range(20):
        fix = estimate_pose(0, shoot(Attitude(0.2), seed=seed), CAMERA, Known(yaw=0.2, height=110.0))
        error = position(fix) - [12.0, -7.0]
        assert fix is not None
        squares.append(error @ np.linalg.solve(fix.covariance[:2, :2], error))
    assert 0.001 < np.mean(squares) < 2.0


def test_no_pose_from_too_few_or_useless_matches(shoot: Shoot) -> None:
    matches = shoot(Attitude(0.0))
    few = GroundMatches(matches.pixels[:8], matches.ground[:8], ORIGIN, matches.weights[:8], 0.5, 0.9)
    mute = GroundMatches(matches.pixels, matches.ground, ORIGIN, np.zeros(len(matches)), 0.5, 0.9)
    one_place = GroundMatches(matches.pixels, np.zeros_like(matches.ground), ORIGIN, matches.weights, 0.5, 0.9)
    level = Known(yaw=0.0, height=110.0, pitch=math.radians(30.0))
    for found in (few, mute, one_place):
        assert estimate_pose(0, found, CAMERA, Known(yaw=0.0)) is None
    assert estimate_pose(0, matches, CAMERA, level) is None, "a camera that looks up sees no ground"


def test_matches_that_hardly_agree_are_no_fix(shoot: Shoot) -> None:
    """As those of a frame that shows nothing, or another place, however sure the network is."""
    matches = shoot(Attitude(0.0))
    rng = np.random.default_rng(2)
    anywhere = matches.ground + rng.uniform(-14.0, 14.0, matches.ground.shape)
    nonsense = GroundMatches(matches.pixels, anywhere, ORIGIN, matches.weights, 5.0, 0.99)
    fix = estimate_pose(0, nonsense, CAMERA, Known(yaw=0.0, height=110.0))
    assert fix is None or fix.score < 0.3
    half = shoot(Attitude(0.0), stray=0.4)
    fix = estimate_pose(0, half, CAMERA, Known(yaw=0.0, height=110.0))
    assert fix is not None and fix.score == 0.9


def test_gradients_of_the_likelihood_are_exact() -> None:
    rng = np.random.default_rng(3)
    misses, slopes, weights = rng.normal(0, 3, (9, 2)), rng.normal(0, 0.4, (9, 2)), rng.uniform(0.1, 1, 9)
    found = unlikelihood(misses, slopes, weights, 0.8, 0.3)

    def value(**changes: float) -> float:
        at = {"miss": 0.0, "slope": 0.0, "log_std": 0.0, "ground": 0.0} | changes
        m, s = misses.copy(), slopes.copy()
        m[4, 1] += at["miss"]
        s[2, 0] += at["slope"]
        return unlikelihood(m, s, weights, 0.8 * math.exp(at["log_std"]), 0.3 + at["ground"]).value

    gradients = {
        "miss": found.misses[4, 1],
        "slope": found.slopes[2, 0],
        "log_std": found.log_std,
        "ground": found.ground,
    }
    for name, gradient in gradients.items():
        assert gradient == pytest.approx((value(**{name: 1e-5}) - value(**{name: -1e-5})) / 2e-5, abs=1e-6), name
