"""The filter over time: states, gates, outages, resets, late fixes, and errors that last."""

import math

import numpy as np
import pytest

from cvgeo_ros.geo import geodetic_to_enu
from cvgeo_ros.vehicle import Estimate, FilterConfig, State, VehicleFilter

from .conftest import ORIGIN, fix_at

SPEED = 8.0


def seconds(value: float) -> int:
    return round(value * 1e9)


def place(estimate: Estimate) -> np.ndarray:
    assert estimate.latitude is not None and estimate.longitude is not None
    return geodetic_to_enu([estimate.latitude, estimate.longitude], ORIGIN)


def flown(until: float, step: float = 0.5, start: float = 0.0) -> VehicleFilter:
    """A vehicle that flies east."""
    track = VehicleFilter()
    for t in np.arange(start, until + 1e-9, step):
        track.update(fix_at(t, SPEED * t))
    return track


def test_an_unknown_place_is_believed_when_fixes_agree() -> None:
    track = VehicleFilter()
    assert track.at(0).state is State.SEARCHING
    assert not track.update(fix_at(0.0, 0.0))
    assert track.at(seconds(0.1)).state is State.SEARCHING and track.at(seconds(0.1)).latitude is None
    assert not track.update(fix_at(0.5, 900.0)), "no vehicle gets there in half a second"
    assert track.update(fix_at(1.0, 905.0))
    assert track.at(seconds(1.0)).state is State.TRACKING
    assert track.at(seconds(1.0)).reset_counter == 0
    assert place(track.at(seconds(1.0))) == pytest.approx([905.0, 0.0], abs=1.0)


def test_one_fix_is_enough_where_something_vouches_for_it() -> None:
    track = VehicleFilter()
    assert track.update(fix_at(0.0, 0.0), trusted=True)
    assert track.at(0).state is State.TRACKING


def test_velocity_and_heading_are_followed_through_their_wrap() -> None:
    track = VehicleFilter()
    for t in np.arange(0.0, 12.0, 0.5):
        track.update(fix_at(t, SPEED * t, yaw=math.remainder(3.0 + 0.05 * t, 2 * math.pi)))
    estimate = track.at(seconds(11.5))
    assert estimate.velocity == pytest.approx((SPEED, 0.0), abs=0.5)
    assert estimate.yaw == pytest.approx(math.remainder(3.0 + 0.05 * 11.5, 2 * math.pi), abs=0.02)
    assert estimate.reset_counter == 0
    ahead = track.at(seconds(12.5))
    assert place(ahead) == pytest.approx([SPEED * 12.5, 0.0], abs=1.0)
    assert ahead.covariance[0, 0] > estimate.covariance[0, 0]


def test_frames_that_are_not_placed_make_it_coast_then_lose_and_find_it_again() -> None:
    track = flown(10.0)
    track.miss(seconds(10.5))
    assert track.at(seconds(10.5)).state is State.COASTING
    assert place(track.at(seconds(10.5))) == pytest.approx([SPEED * 10.5, 0.0], abs=1.0)
    for t in np.arange(11.0, 40.0, 0.5):
        assert not track.update(fix_at(t, 0.0, score=0.2)), "a score that low is a miss"
    lost = track.at(seconds(39.5))
    assert lost.state is State.LOST and lost.latitude is None and np.isnan(lost.covariance).all()
    assert not track.update(fix_at(40.0, SPEED * 40.0))
    assert track.update(fix_at(40.5, SPEED * 40.5))
    again = track.at(seconds(40.5))
    assert again.state is State.TRACKING and again.reset_counter == 1
    assert place(again) == pytest.approx([SPEED * 40.5, 0.0], abs=1.0)


def test_silence_coasts_and_loses_as_misses_do() -> None:
    track = flown(10.0)
    assert [track.at(seconds(t)).state for t in (11.0, 12.0, 31.0)] == [State.TRACKING, State.COASTING, State.LOST]


def test_a_single_outlier_is_refused_and_three_that_agree_move_the_track() -> None:
    track = flown(10.0)
    assert not track.update(fix_at(10.5, -300.0))
    assert place(track.at(seconds(10.5))) == pytest.approx([SPEED * 10.5, 0.0], abs=1.0)
    assert track.at(seconds(10.5)).state is State.COASTING
    assert track.update(fix_at(11.0, SPEED * 11.0))
    assert track.at(seconds(11.0)).state is State.TRACKING and track.at(seconds(11.0)).reset_counter == 0
    assert [track.update(fix_at(t, 500.0)) for t in (11.5, 12.0, 12.5)] == [False, False, True]
    assert track.at(seconds(12.5)).reset_counter == 1
    assert place(track.at(seconds(12.5))) == pytest.approx([500.0, 0.0], abs=1.0)


def test_outliers_that_agree_on_nothing_never_move_it() -> None:
    track = flown(10.0)
    for number, t in enumerate(np.arange(10.5, 16.0, 0.5)):
        assert not track.update(fix_at(t, (-1) ** number * 2000.0))
    assert track.at(seconds(15.5)).reset_counter == 0


@pytest.mark.parametrize("late", [1, 5, 12])
def test_a_late_fix_counts_as_if_it_had_come_in_time(late: int) -> None:
    fixes = [fix_at(0.5 * k, SPEED * 0.5 * k + (-1) ** k * 1.5, k % 3 - 1.0) for k in range(20)]
    in_time, delayed = VehicleFilter(), VehicleFilter()
    for fix in fixes:
        in_time.update(fix)
    for fix in [*fixes[:late], *fixes[late + 1 :], fixes[late]]:
        delayed.update(fix)
    a, b = in_time.at(seconds(9.5)), delayed.at(seconds(9.5))
    assert place(a) == pytest.approx(place(b), abs=1e-6)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-9)
    assert a.reset_counter == b.reset_counter == 0


def test_estimates_are_of_their_moment_not_of_the_newest() -> None:
    track = flown(10.0)
    assert place(track.at(seconds(5.2))) == pytest.approx([SPEED * 5.2, 0.0], abs=1.0)


def test_fixes_older_than_the_history_are_refused() -> None:
    track = flown(30.0)
    before = track.at(seconds(30.0))
    assert not track.update(fix_at(5.0, SPEED * 5.0))
    assert track.at(seconds(30.0)).covariance.tolist() == before.covariance.tolist()
    assert len(track._past) < 50, "what is older than the history is let go"


def test_a_late_fix_that_turns_the_track_over_counts_as_a_reset() -> None:
    """Three fixes at a wrong place moved the track; a late one speaks for where it was."""
    config = FilterConfig(reacquire=2)
    track = VehicleFilter(config)
    for t in np.arange(0.0, 5.1, 0.5):
        track.update(fix_at(t, SPEED * t))
    track.update(fix_at(5.5, 400.0))
    assert track.update(fix_at(6.5, 400.0)) and track.at(seconds(6.5)).reset_counter == 1
    assert track.update(fix_at(6.0, SPEED * 6.0))
    moved = track.at(seconds(6.5))
    assert moved.reset_counter == 2 and place(moved) == pytest.approx([SPEED * 6.5, 0.0], abs=2.0)


def test_reset_forgets_and_counts() -> None:
    track = VehicleFilter()
    track.reset()
    assert track.at(0).reset_counter == 0, "there was nothing to reset"
    track = flown(5.0)
    track.reset()
    assert track.at(seconds(5.0)).state is State.SEARCHING
    assert track.at(seconds(5.0)).reset_counter == 1
    assert track.update(fix_at(1.0, 0.0), trusted=True), "time may start anew"


def test_where_to_look_grows_while_it_is_lost() -> None:
    assert VehicleFilter().around(0, 4.0) is None
    track = flown(10.0)
    radii = [track.around(seconds(t), 4.0)[2] for t in (10.0, 12.0, 40.0, 70.0)]  # type: ignore[index]
    assert radii == sorted(radii) and radii[0] < 20.0
    assert radii[2] >= 30.0 * 30.0, "thirty seconds at full speed"
    track.miss(seconds(69.0))  # events do not hide when it was last known
    latitude, longitude, radius = track.around(seconds(70.0), 4.0) or (0.0, 0.0, 0.0)
    assert geodetic_to_enu([latitude, longitude], ORIGIN) == pytest.approx([80.0, 0.0], abs=2.0)
    assert radius == pytest.approx(radii[3], rel=0.05)


def test_a_long_way_keeps_its_metres() -> None:
    track = VehicleFilter(FilterConfig(max_speed=200.0))
    for t in np.arange(0.0, 120.0, 1.0):
        track.update(fix_at(t, 100.0 * t))
    assert track.at(seconds(119.0)).reset_counter == 0
    assert place(track.at(seconds(119.0))) == pytest.approx([11_900.0, 0.0], abs=1.0)
    assert track._past[-1].origin != track._past[0].origin or np.hypot(*track._past[-1].belief.mean[:2]) < 5_100.0


@pytest.mark.parametrize("lasting", [0.0, 0.9])
def test_covariance_holds_for_errors_that_last(lasting: float) -> None:
    """Fixes whose errors are mostly those of the fix before; the covariance has to cover them, and independent ones."""
    rng = np.random.default_rng(4)
    std, squares = 3.0, []
    for _ in range(12):
        track, error = VehicleFilter(), rng.normal(0, std, 2)
        for t in np.arange(0.0, 30.0, 0.5):
            fade = math.exp(-0.5 / 12.0)
            error = fade * error + math.sqrt(1 - fade**2) * rng.normal(0, std, 2)
            total = math.sqrt(lasting) * error + math.sqrt(1 - lasting) * rng.normal(0, std, 2)
            track.update(fix_at(t, SPEED * t + total[0], total[1], std))
            if t >= 5.0:
                estimate = track.at(seconds(t))
                miss = place(estimate) - [SPEED * t, 0.0]
                squares.append(miss @ np.linalg.solve(estimate.covariance[:2, :2], miss))
    within = np.mean(np.array(squares) <= 4.0)
    assert within > 0.8 and (lasting == 0.0 or within < 0.97)
