"""The close look in place: it is shown the right pixels, and its boxes come back where they belong."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cvgeo_ros.geo import project
from cvgeo_ros.learn.close_look import with_close_look
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.net.close_look import SIDE, ZOOMS
from cvgeo_ros.net.head import Boxes

from .conftest import GSD, Flight

CLICKS = [[300.0, 200.0], [480.0, 270.0], [700.0, 400.0]]


class Witness(nn.Module):
    """In place of a close look: keeps what it is shown, answers with one box."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def forward(self, frame: Tensor, tile: Tensor, gsd: Tensor, lean: Tensor) -> Boxes:
        self.seen.append((frame, tile, gsd, lean))
        number = len(frame)
        trust = frame.new_full((number,), 50.0)  # the other boxes do not count
        return Boxes(
            torch.tensor([4.0, -8.0]).expand(number, 2),
            torch.tensor([40.0, 24.0]).expand(number, 2),
            trust,
        )


@pytest.fixture
def watched(flight: Flight, localizer: Localizer) -> tuple[Localizer, Witness]:
    model = copy.deepcopy(with_close_look(localizer.model))  # others use it too
    witness = Witness()
    model.close_look = witness  # type: ignore[assignment]
    watched = Localizer(model)
    watched.set_tile(flight.store)
    return watched, witness


def likeness(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


@pytest.mark.parametrize("compass, pitch, off", [(0.0, -90.0, 0.0), (137.0, -90.0, 6.0), (250.0, -70.0, 0.0)])
def test_frame_and_tile_are_shown_alike(
    flight: Flight, watched: tuple[Localizer, Witness], compass: float, pitch: float, off: float
) -> None:
    localizer, witness = watched
    frame, prior, _ = flight.shoot((500, 480), compass, pitch)
    assert prior.yaw is not None
    localizer.locate(frame, CLICKS, flight.camera, replace(prior, yaw=prior.yaw + np.radians(off)))
    ((shown, mapped, gsd, _),) = witness.seen
    assert shown.shape == mapped.shape == (3, len(ZOOMS), 3, SIDE, SIDE)
    assert gsd.tolist() == pytest.approx([GSD] * 3, rel=0.01)
    for number in range(3):
        # Nearest view, whole, and the middle of the second, which the frame's rim does not reach.
        assert likeness(shown[number, 0], mapped[number, 0]) > 0.6
        assert likeness(shown[number, 1, :, 12:36, 12:36], mapped[number, 1, :, 12:36, 12:36]) > 0.6
    assert likeness(shown[0, 0], mapped[1, 0]) < 0.5


@pytest.mark.parametrize("compass, off", [(0.0, 0.0), (137.0, 6.0)])
def test_heights_lean_towards_the_point_below_the_camera(
    flight: Flight, watched: tuple[Localizer, Witness], compass: float, off: float
) -> None:
    """On the tile, whatever the heading and its error."""
    localizer, witness = watched
    frame, prior, to_frame = flight.shoot((500, 480), compass, height=80.0)
    assert prior.yaw is not None
    localizer.locate(frame, CLICKS, flight.camera, replace(prior, yaw=prior.yaw + np.radians(off)))
    ((_, _, _, lean),) = witness.seen
    ground = project(np.linalg.inv(to_frame), np.array(CLICKS))
    assert np.abs(lean.numpy() - (np.array([500, 480]) - ground) * GSD / 80.0).max() < 0.02


def test_the_verdict_gives_score_and_sigma(flight: Flight, watched: tuple[Localizer, Witness]) -> None:
    localizer, _ = watched
    frame, prior, _ = flight.shoot((500, 480))
    before = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    verdict = localizer.model.verdict
    assert verdict is not None
    with torch.no_grad():
        verdict.score.weight.zero_()
        verdict.score.bias.fill_(1.5)
        verdict.sigma.weight.copy_(torch.tensor([[0.0, 0.0, 0.0, 1.0]]))  # the size of the witness's box
        verdict.sigma.bias.zero_()
    after = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    assert [target.bbox for target in after] == [target.bbox for target in before]
    assert [target.score for target in after] == pytest.approx([1 / (1 + np.exp(-1.5))] * 3)
    assert [target.position_std for target in after] == pytest.approx([40 * GSD] * 3, rel=0.01)
    # The ground's matches are judged by heat maps alone.
    matches = localizer.locate(frame, [], flight.camera, prior, ground=True).ground
    assert matches is not None and matches.score != pytest.approx(1 / (1 + np.exp(-1.5)))


def test_boxes_are_counted_from_the_place(flight: Flight, watched: tuple[Localizer, Witness]) -> None:
    localizer, _ = watched
    frame, prior, to_frame = flight.shoot((500, 480))
    targets = localizer.locate(frame, CLICKS, flight.camera, prior).targets
    for target, click in zip(targets, CLICKS, strict=True):
        u0, v0, u1, v1 = target.bbox
        assert (u1 - u0, v1 - v0) == pytest.approx((40, 24), rel=0.01)
        place = np.linalg.inv(to_frame) @ [*click, 1.0]
        assert ((u0 + u1) / 2 - 4, (v0 + v1) / 2 + 8) == pytest.approx(tuple(place[:2] / place[2]), abs=10)


def test_places_at_the_rim_of_the_map_are_looked_at_too(flight: Flight, watched: tuple[Localizer, Witness]) -> None:
    localizer, witness = watched
    frame, prior, _ = flight.shoot((120, 110))
    (target,) = localizer.locate(frame, [[300.0, 120.0]], flight.camera, prior).targets
    ((_, mapped, _, _),) = witness.seen
    assert bool(mapped.isfinite().all())
    assert all(0 <= side <= 1024 for side in target.bbox)


def test_only_what_was_clicked_is_looked_at(flight: Flight, watched: tuple[Localizer, Witness]) -> None:
    """The ground's matches take clicks of their own, of which scores alone are used."""
    localizer, witness = watched
    frame, prior, _ = flight.shoot((500, 480))
    answer = localizer.locate(frame, CLICKS[:1], flight.camera, prior, ground=True)
    assert answer.ground is not None
    assert [len(shown) for shown, *_ in witness.seen] == [1]
    localizer.locate(frame, [], flight.camera, prior, ground=True)
    assert len(witness.seen) == 1
