"""How the camera leans is learned over a flight, forgotten at a jump, and not learned twice from one place."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cvgeo_ros.vehicle import Mounting, VehicleFix

from .conftest import fix_at

STD, WANDER = math.radians(8.0), math.radians(1.0)


def seen(seconds: float, lean: tuple[float, float], noise: float) -> VehicleFix:
    """A frame that says `lean` (deg) with `noise` (deg, 1 sigma), estimated with the fresh prior."""
    prior, own = STD**2 + WANDER**2, math.radians(noise) ** 2
    posterior = 1.0 / (1.0 / prior + 1.0 / own)
    tilt = tuple(math.radians(value) * posterior / own for value in lean)
    return replace(fix_at(seconds, 0.0), tilt=tilt, tilt_covariance=np.diag([posterior, posterior]))


def learned(lean: tuple[float, float] = (9.0, -2.0), frames: int = 12, news: float = 1.0) -> Mounting:
    mounting, rng = Mounting(STD, WANDER), np.random.default_rng(1)
    for k in range(frames):
        shaken = rng.normal(lean, 3.0)
        mounting.learn(seen(float(k), (shaken[0], shaken[1]), 3.0), news)
    return mounting


def test_nothing_is_known_at_first() -> None:
    mounting = Mounting(STD, WANDER)
    mean, std = mounting.expected(seen(0.0, (9.0, 0.0), 3.0))
    assert mean == (0.0, 0.0)
    assert std == pytest.approx(mounting.std)
    assert std == pytest.approx((math.hypot(STD, WANDER),) * 2)


def test_many_frames_tell_what_one_cannot() -> None:
    mean, std = learned().expected(seen(12.0, (9.0, -2.0), 3.0))
    assert np.degrees(mean) == pytest.approx([9.0, -2.0], abs=1.5)
    assert math.degrees(std[0]) < 2.0
    assert std[0] > WANDER, "the vehicle's own attitude stays unknown"
    tilt, deviation = learned().known(round(12e9))
    assert tilt == pytest.approx(mean, abs=math.radians(0.5)) and deviation == pytest.approx(max(std), rel=0.1)


def test_a_frame_that_does_not_fit_is_doubted_and_one_more_that_agrees_starts_anew() -> None:
    mounting = learned()
    jumped = [seen(13.0 + k, (-16.0, 0.0), 3.0) for k in range(3)]
    _, std = mounting.expected(jumped[0])
    assert math.degrees(std[0]) > 3.0
    for frame in jumped[:2]:
        mounting.learn(frame, 1.0)
    mean, _ = mounting.expected(jumped[2])
    assert math.degrees(mean[0]) == pytest.approx(-16.0, abs=3.0)


def test_looking_at_the_same_ground_teaches_nothing() -> None:
    once, hovering = learned(frames=1), learned(frames=1)
    for k in range(1, 30):
        hovering.learn(seen(0.0 + 1e-3 * k, (12.0, 0.0), 3.0), 0.0)
    frame = seen(0.1, (9.0, -2.0), 3.0)
    assert hovering.expected(frame)[1] == pytest.approx(once.expected(frame)[1], rel=0.05)


def test_what_is_learned_fades() -> None:
    mounting = learned()
    soon, late = (mounting.expected(seen(t, (9.0, -2.0), 3.0))[1][0] for t in (12.0, 600.0))
    assert late > 2.0 * soon and late <= mounting.std[0]


def test_a_frame_that_says_nothing_teaches_nothing() -> None:
    mounting = learned()
    before = mounting.expected(seen(12.0, (9.0, -2.0), 3.0))
    mounting.learn(seen(11.0, (0.0, 0.0), 60.0), 1.0)
    after = mounting.expected(seen(12.0, (9.0, -2.0), 3.0))
    assert np.degrees(after[0]) == pytest.approx(np.degrees(before[0]), abs=0.5)
