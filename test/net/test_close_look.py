"""The close look: reads boxes off pairs of views, whatever the light, and each view counts."""

import pytest
import torch
from torch import Tensor

from cvgeo_ros.net.close_look import PREFERENCE, SIDE, ZOOMS, CloseLook, heights_along, laid_over, weigh
from cvgeo_ros.net.head import Boxes

GSD = torch.tensor([0.3, 0.3])
LEAN = torch.tensor([[0.4, -0.1], [0.0, 0.7]])


@pytest.fixture(scope="module")
def look() -> CloseLook:
    torch.manual_seed(0)
    look = CloseLook()
    torch.nn.init.normal_(look.answer[-1].weight, std=0.3)  # type: ignore[arg-type]  # a fresh one says the same of all
    return look.eval()


def views(seed: int) -> Tensor:
    return torch.rand(2, len(ZOOMS), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_each_object_stands_alone(look: CloseLook) -> None:
    frame, tile = views(0), views(1)
    both, one = look(frame, tile, GSD, LEAN), look(frame[1:], tile[1:], GSD[1:], LEAN[1:])
    for whole, part in zip(both, one, strict=True):
        torch.testing.assert_close(whole[1:], part, rtol=1e-4, atol=1e-4)
    assert both.centre.shape == both.size.shape == (2, 2) and both.quality.shape == (2,)
    assert (both.size > 0).all()


@torch.inference_mode()
@pytest.mark.parametrize("zoom", range(len(ZOOMS)))
@pytest.mark.parametrize("which", [0, 1])
def test_every_view_counts(look: CloseLook, zoom: int, which: int) -> None:
    shown = [views(0), views(1)]
    before = look(*shown, GSD, LEAN)
    shown[which][:, zoom] = views(2)[:, zoom]
    assert (look(*shown, GSD, LEAN).centre - before.centre).abs().min() > 1e-3


@torch.inference_mode()
def test_a_brighter_day_changes_nothing(look: CloseLook) -> None:
    frame, tile = views(0) * 0.6, views(1) * 0.6
    torch.testing.assert_close(
        look(frame + 0.2, tile + 0.1, GSD, LEAN).size, look(frame, tile, GSD, LEAN).size, rtol=1e-3, atol=1e-3
    )


@torch.inference_mode()
def test_the_lean_counts(look: CloseLook) -> None:
    shown = views(0), views(1)
    assert (look(*shown, GSD, LEAN).centre - look(*shown, GSD, -LEAN).centre).abs().min() > 1e-3


def test_heights_lie_along_the_lean() -> None:
    """A roof three metres higher than thought lies three times the lean away, in each view."""
    lean = torch.tensor([[0.8, 0.0], [0.0, -2.0], [0.0, 0.0]])
    higher, near = heights_along(torch.tensor([0.5, 0.25, 0.3]), lean).unbind(2)
    assert higher.shape == near.shape == (3, len(ZOOMS), SIDE // 4, SIDE // 4)
    for zoom, factor in enumerate(ZOOMS):
        metres = (torch.arange(SIDE // 4) * 4 + 2 - SIDE / 2) * factor
        along_u, along_v = 0.5 * metres / 0.8, -0.25 * metres / 2.0
        torch.testing.assert_close(higher[0, zoom, 5], (along_u / 10).tanh(), rtol=0.05, atol=0.0)
        torch.testing.assert_close(higher[1, zoom, :, 5], (along_v / 10).tanh(), rtol=0.05, atol=0.0)
    assert (higher[0] - higher[0, :, :1]).abs().max() == 0  # alike on either side of the line
    assert near[0, 0, 5].min() > 0.9 and near[0, 1, 0].max() < 0.02
    # Seen from straight above, heights are nowhere, and near is what is near.
    assert higher[2].abs().max() == 0
    assert near[2, 0, 5:7, 5:7].min() > 0.9 and near[2, 1, 0, 0] < 0.02


def test_surroundings_tell_equal_things_apart() -> None:
    """A row of equal houses: what is clicked looks like each of them, what surrounds it fits at one alone."""
    around = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(3))
    house = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(4))
    around[0, :, 5:7, 1::4], around[0, :, 5:7, 2::4] = house, house  # at 1, 5 and 9
    for shift in ((0, 0), (1, -4), (-3, 2), (0, 4)):
        moved = around.roll(shift, (2, 3))
        fits = laid_over(around, moved)[0, 0]
        v, u = divmod(int(fits.argmax()), 12)
        assert v - 5.5 - shift[0] in (-0.5, 0.5) and u - 5.5 - shift[1] in (-0.5, 0.5)
        near = fits[v - 1 : v + 2, u - 1 : u + 2].max()
        beside = fits[:, [(u - 4) % 12, (u + 4) % 12]].max()
        assert near > 0.2 and beside < near - 0.1


def test_surroundings_are_laid_on_each_cell() -> None:
    """The same sums as those of loops, between the middles of cells; what is beyond the view fits nothing."""
    frame, tile = (torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(k)) for k in (5, 6))
    unit = lambda x: torch.nn.functional.normalize(x - x.mean((2, 3), keepdim=True), dim=1)  # noqa: E731
    a, b = unit(frame)[:, :, 3:9, 3:9], torch.nn.functional.pad(unit(tile), (3, 3, 3, 3))
    at = torch.stack([(a * b[:, :, v : v + 6, u : u + 6]).sum((1, 2, 3)) for v in range(13) for u in range(13)], 1)
    at = at.unflatten(1, (13, 13)) / 36
    want = (at[:, 1:, 1:] + at[:, 1:, :-1] + at[:, :-1, 1:] + at[:, :-1, :-1]) / 4
    torch.testing.assert_close(laid_over(frame, tile)[:, 0], want)


def test_the_box_that_is_trusted_more_counts_more() -> None:
    first = Boxes(
        torch.tensor([[10.0, 10.0]] * 3), torch.tensor([[4.0, 6.0]] * 3), torch.tensor([-30.0, PREFERENCE, 30.0])
    )
    closer = Boxes(torch.tensor([[12.0, 9.0]] * 3), torch.tensor([[9.0, 2.0]] * 3), torch.tensor([30.0, 0.0, -30.0]))
    both = weigh(first, closer)
    torch.testing.assert_close(both.corners()[0], closer.corners()[0])
    torch.testing.assert_close(both.corners()[2], first.corners()[2])
    between = (both.corners()[1] - first.corners()[1]) / (closer.corners()[1] - first.corners()[1])
    torch.testing.assert_close(between, torch.full_like(between, 0.5))
    torch.testing.assert_close(both.quality, first.quality)
