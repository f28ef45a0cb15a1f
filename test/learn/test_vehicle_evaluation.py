"""The figures of the vehicle's pose: what they count, and that a flight over the shipped scene gives them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvgeo_ros.errors import SceneError
from cvgeo_ros.learn.vehicle_evaluation import Conditions, Flown, consistency, fixes, fly, recovery, track
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.scene import Scene
from cvgeo_ros.vehicle import State

DEMO = Path(__file__).parents[2] / "scenes" / "demo"


def test_consistency_of_gaussian_errors() -> None:
    rng = np.random.default_rng(0)
    factor = np.array([[3.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.1]])
    errors = rng.normal(size=(20_000, 3)) @ factor.T
    covariances = np.broadcast_to(factor @ factor.T, (20_000, 3, 3))
    found = consistency(errors, covariances)
    assert found.nees == pytest.approx(2.0, abs=0.05)
    assert found.within == pytest.approx(1 - np.exp(-2.0), abs=0.01)
    assert found.median == pytest.approx(np.median(np.hypot(errors[:, 0], errors[:, 1])))
    twice = consistency(2 * errors, covariances)
    assert twice.nees == pytest.approx(8.0, abs=0.2) and twice.within < 0.45
    errors[0] = np.nan
    assert consistency(errors, covariances).count == 19_999
    with pytest.raises(SceneError, match="no pose"):
        consistency(np.full((3, 3), np.nan), covariances[:3])


def frames(states: str, blank: str) -> list[Flown]:
    """One frame a second: t(racking), c(oasting), l(ost); b(lank)."""
    kinds = {"t": State.TRACKING, "c": State.COASTING, "l": State.LOST}
    near, known = np.zeros(3), np.eye(3)
    return [
        Flown(str(k), float(k), near, known, 0.9, True, near, known, kinds[state], 0, 0.1, dark == "b")
        for k, (state, dark) in enumerate(zip(states, blank, strict=True))
    ]


def test_recovery_counts_from_the_first_frame_that_shows_something() -> None:
    assert recovery(frames("ttcclllttt", "--bbbb----")) == 1.0
    assert recovery(frames("ttccllllll", "--bbbb----")) is None
    assert recovery(frames("tttttttttt", "----------")) is None
    far = [replace(item, estimate=np.full(3, 50.0)) for item in frames("ttcclllttt", "--bbbb----")]
    assert recovery(far) is None, "found somewhere else"


def test_blank_and_doubtful_frames_are_no_fixes() -> None:
    flown = frames("tttt", "-b--")
    flown[2] = replace(flown[2], score=0.1)
    assert fixes(flown, 0.5).count == 2
    assert track(flown).count == 4


@pytest.mark.slow
def test_the_shipped_scene_is_flown() -> None:
    scene = Scene.load(DEMO)
    scene = replace(scene, frames=scene.frames[:3])
    last = scene.frames[-1].stamp
    assert last is not None
    flown = fly(Localizer.load("nano", device="cpu"), scene, Conditions(blank=(last, last + 1.0)))
    assert [item.blank for item in flown] == [False, False, True]
    assert fixes(flown).count == 2 and fixes(flown).p95 < 8.0 and fixes(flown).yaw < 2.0
    assert flown[0].accepted and flown[0].state is State.TRACKING
    assert not flown[2].accepted and flown[2].state is not State.TRACKING
    again = fly(Localizer.load("nano", device="cpu"), replace(scene, frames=scene.frames[:1]))
    np.testing.assert_allclose(again[0].fix, flown[0].fix, atol=1e-3)
