"""The navigator: what is searched where, what is believed, and what it remembers. The localizer is a made-up one."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo import (
    Attitude,
    GroundMatches,
    PinholeCamera,
    PositionPrior,
    enu_to_geodetic,
    frame_to_ground,
    geodetic_to_enu,
)
from cvgeo_ros.localizer import Prior
from cvgeo_ros.navigator import Navigator, NavigatorConfig, Step
from cvgeo_ros.vehicle import State

ORIGIN = (45.6, 9.0)
CAMERA = PinholeCamera.from_hfov(960, 540, math.radians(66.0))
FRAME = np.zeros((540, 960, 3), np.uint8)
HEIGHT, YAW, SPEED = 110.0, 0.4, 8.0


class Sky:
    """A localizer that sees the truth with noise, wherever it is told to look, and notes where that was."""

    def __init__(self) -> None:
        self.asked: list[Prior] = []
        self.east, self.lean, self.score, self.blind, self.off_map = 0.0, 6.0, 0.95, False, False
        self.noise = 1.0
        self._rng = np.random.default_rng(0)

    def locate(self, frame: Any, clicks: Any, camera: Any, prior: Prior, ground: bool = False) -> Any:
        self.asked.append(prior)
        if self.off_map:
            raise MapError("the search window lies outside the map")
        if self.blind or not ground:
            return SimpleNamespace(ground=None)
        u, v = np.meshgrid(np.arange(24, 960, 48.0), np.arange(18, 540, 36.0))
        pixels = np.stack([u, v], -1).reshape(-1, 2)
        attitude = Attitude(YAW, -math.pi / 2 + math.radians(self.lean))
        places = frame_to_ground(CAMERA, attitude, HEIGHT, pixels) + np.array([self.east, 0.0])
        places += self._rng.normal(0, self.noise, places.shape)
        weights = np.full(len(places), 0.6)
        return SimpleNamespace(ground=GroundMatches(pixels, places, ORIGIN, weights, 1.0, self.score))


class Flight:
    """A navigator flown east over a `Sky`."""

    def __init__(self, config: NavigatorConfig | None = None) -> None:
        self.sky = Sky()
        self.navigator = Navigator(self.sky, config or NavigatorConfig())  # type: ignore[arg-type]
        self.seconds = 0.0

    def step(self, told: bool = False, seconds: float = 0.5, **prior: float) -> Step:
        """The next frame; `told`: with a position that is 40 m off."""
        self.seconds += seconds
        self.sky.east = SPEED * self.seconds
        if told:
            latitude, longitude = enu_to_geodetic([self.sky.east, 40.0], ORIGIN).tolist()
            prior |= {"latitude": latitude, "longitude": longitude}
        known = {"yaw": YAW, "height": HEIGHT} | prior
        return self.navigator.process(self.stamp, FRAME, [], CAMERA, Prior(**known))

    @property
    def stamp(self) -> int:
        return round(self.seconds * 1e9)

    def error(self, step: Step) -> float:
        assert step.estimate.latitude is not None and step.estimate.longitude is not None
        found = geodetic_to_enu([step.estimate.latitude, step.estimate.longitude], ORIGIN)
        return float(np.linalg.norm(found - [self.sky.east, 0.0]))


def test_a_position_prior_starts_the_track_which_then_finds_itself() -> None:
    flight = Flight()
    first = flight.step(told=True)
    assert first.accepted and first.estimate.state is State.TRACKING
    assert flight.sky.asked[0].position_radius == 75.0
    steps = [flight.step() for _ in range(12)]
    assert all(step.accepted and step.estimate.state is State.TRACKING for step in steps)
    assert flight.error(steps[-1]) < 4.0
    window = flight.sky.asked[-1]
    searched = geodetic_to_enu([window.latitude, window.longitude], ORIGIN)
    assert searched == pytest.approx([flight.sky.east, 0.0], abs=8.0)
    assert window.position_radius < 75.0


def test_without_a_prior_everything_is_searched_until_two_frames_agree() -> None:
    flight = Flight()
    assert not flight.step().accepted
    assert flight.sky.asked[0].latitude is None
    assert flight.step().accepted
    assert flight.step().estimate.state is State.TRACKING
    assert flight.sky.asked[2].latitude is not None


def test_frames_of_another_place_are_never_taken() -> None:
    flight = Flight()
    flight.sky.score = 0.05
    for _ in range(6):
        step = flight.step(told=True)
        assert not step.accepted and step.fix is not None and step.estimate.state is State.SEARCHING


def test_after_thirty_seconds_of_nothing_it_is_found_where_it_can_have_got_to() -> None:
    flight = Flight()
    flight.step(told=True)
    for _ in range(10):
        flight.step()
    flight.sky.blind = True
    states = [flight.step().estimate.state for _ in range(60)]
    assert states[0] is State.COASTING and states[-1] is State.LOST
    window = flight.sky.asked[-1]
    assert window.latitude is not None and 60.0 < window.position_radius < 1500.0
    flight.sky.blind = False
    assert not flight.step().accepted
    found = flight.step()
    assert found.accepted and found.estimate.state is State.TRACKING and found.estimate.reset_counter == 1
    assert flight.error(found) < 10.0


def test_a_prior_that_excludes_the_track_moves_it_at_once() -> None:
    flight = Flight()
    flight.step(told=True)
    flight.step()
    flight.seconds += 60.0 / SPEED  # time does not pass, the aircraft is elsewhere
    flight.sky.east = 900.0
    latitude, longitude = enu_to_geodetic([900.0, 40.0], ORIGIN).tolist()
    prior = Prior(latitude, longitude, yaw=YAW, height=HEIGHT)
    step = flight.navigator.process(flight.stamp, FRAME, [], CAMERA, prior)
    assert step.accepted and step.estimate.reset_counter == 1 and flight.error(step) < 12.0


def test_the_lean_is_learned_and_narrows_the_position() -> None:
    flight = Flight()
    flight.sky.noise = 3.0
    first = flight.step(told=True)
    for _ in range(20):
        last = flight.step(seconds=4.0)
    assert first.fix is not None and last.fix is not None
    assert last.fix.tilt == pytest.approx((math.radians(6.0), 0.0), abs=math.radians(1.2))
    assert last.fix.covariance[0, 0] < 0.7 * first.fix.covariance[0, 0]


def test_frames_are_laid_on_the_ground_with_the_lean_once_it_is_known() -> None:
    flight = Flight()
    flight.step(told=True)
    assert flight.sky.asked[0].pitch is None, "nothing is known of it yet"
    for _ in range(20):
        flight.step(seconds=4.0)
    asked = flight.sky.asked[-1]
    assert asked.pitch == pytest.approx(-math.pi / 2 + math.radians(6.0), abs=math.radians(1.5))
    assert asked.yaw == pytest.approx(YAW, abs=0.3)


def test_heading_and_height_that_fall_silent_are_taken_from_the_track() -> None:
    flight = Flight()
    flight.step(told=True)
    for _ in range(6):
        flight.step()
    latitude, longitude = enu_to_geodetic([SPEED * (flight.seconds + 0.5), 0.0], ORIGIN).tolist()
    flight.navigator.process(flight.stamp + 500_000_000, FRAME, [], CAMERA, Prior(latitude, longitude))
    asked = flight.sky.asked[-1]
    assert asked.yaw is not None and asked.pitch is not None and asked.roll is not None
    top = Attitude(asked.yaw, asked.pitch, asked.roll).rotation[1]  # what is up in the image, but for its sign
    assert math.atan2(-top[1], -top[0]) == pytest.approx(YAW, abs=0.05)
    assert asked.height == pytest.approx(HEIGHT, rel=0.05)


def test_leaving_the_map_is_a_miss_and_told() -> None:
    flight = Flight()
    flight.step(told=True)
    flight.sky.off_map = True
    with pytest.raises(MapError):
        flight.step()
    assert flight.navigator.at(flight.stamp).state is State.COASTING


def test_cameras_of_another_size_are_scaled_and_none_has_a_field_of_view_of_66_degrees() -> None:
    flight = Flight()
    flight.sky.east = 0.0
    small = PinholeCamera.from_hfov(480, 270, math.radians(66.0))
    latitude, longitude = ORIGIN
    for camera in (small, None):
        flight.navigator.reset()
        step = flight.navigator.process(0, FRAME, [], camera, Prior(latitude, longitude, yaw=YAW, height=HEIGHT))
        assert step.accepted and flight.error(step) < 12.0
        assert step.fix is not None and step.fix.height == pytest.approx(HEIGHT, rel=0.04)


def test_reset_forgets_track_and_lean() -> None:
    flight = Flight()
    flight.step(told=True)
    flight.step()
    flight.navigator.reset()
    assert flight.navigator.at(flight.stamp).state is State.SEARCHING
    flight.step()
    assert flight.sky.asked[-1].latitude is None


def test_an_area_is_searched_where_neither_prior_nor_track_tells_the_position() -> None:
    flight = Flight(NavigatorConfig(lost_after=5.0))
    area = PositionPrior(*ORIGIN, 85.0)

    def asked(seconds: float, prior: Prior) -> tuple[float | None, float]:
        flight.navigator.locate(flight.stamp + round(seconds * 1e9), FRAME, [], CAMERA, prior, area)
        told = flight.sky.asked[-1]
        return told.latitude, told.position_radius

    assert asked(0.0, Prior()) == (ORIGIN[0], 85.0)
    assert asked(0.0, Prior(45.5, 8.0, 10.0)) == (45.5, 10.0)
    flight.step(told=True)
    for _ in range(4):
        flight.step()
    latitude, radius = asked(0.5, Prior())
    assert latitude != ORIGIN[0] and radius < 85.0
    assert asked(60.0, Prior()) == (ORIGIN[0], 85.0), "a lost track could be anywhere; the area is something"


def test_an_area_vouches_for_nothing() -> None:
    flight = Flight()
    area = PositionPrior(*ORIGIN, 85.0)
    step = flight.navigator.process(0, FRAME, [], CAMERA, Prior(yaw=YAW, height=HEIGHT), area)
    assert step.fix is not None and not step.accepted, "one frame by itself may look like any place"
