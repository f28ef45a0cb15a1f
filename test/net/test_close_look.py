"""The close look: reads boxes off pairs of views, whatever the light, and each view counts."""

import pytest
import torch
from torch import Tensor

from cvgeo_ros.net.close_look import SIDE, ZOOMS, CloseLook, weigh
from cvgeo_ros.net.head import Boxes

GSD = torch.tensor([0.3, 0.3])


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
    both, one = look(frame, tile, GSD), look(frame[1:], tile[1:], GSD[1:])
    for whole, part in zip(both, one, strict=True):
        torch.testing.assert_close(whole[1:], part, rtol=1e-4, atol=1e-4)
    assert both.centre.shape == both.size.shape == (2, 2) and both.quality.shape == (2,)
    assert (both.size > 0).all()


@torch.inference_mode()
@pytest.mark.parametrize("zoom", range(len(ZOOMS)))
@pytest.mark.parametrize("which", [0, 1])
def test_every_view_counts(look: CloseLook, zoom: int, which: int) -> None:
    shown = [views(0), views(1)]
    before = look(*shown, GSD)
    shown[which][:, zoom] = views(2)[:, zoom]
    assert (look(*shown, GSD).centre - before.centre).abs().min() > 1e-3


@torch.inference_mode()
def test_a_brighter_day_changes_nothing(look: CloseLook) -> None:
    frame, tile = views(0) * 0.6, views(1) * 0.6
    torch.testing.assert_close(
        look(frame + 0.2, tile + 0.1, GSD).size, look(frame, tile, GSD).size, rtol=1e-3, atol=1e-3
    )


def test_the_box_that_is_trusted_more_counts_more() -> None:
    first = Boxes(torch.tensor([[10.0, 10.0]] * 3), torch.tensor([[4.0, 6.0]] * 3), torch.tensor([-30.0, 0.0, 30.0]))
    closer = Boxes(torch.tensor([[12.0, 9.0]] * 3), torch.tensor([[9.0, 2.0]] * 3), torch.tensor([30.0, 0.0, -30.0]))
    both = weigh(first, closer)
    torch.testing.assert_close(both.corners()[0], closer.corners()[0])
    torch.testing.assert_close(both.corners()[2], first.corners()[2])
    between = (both.corners()[1] - first.corners()[1]) / (closer.corners()[1] - first.corners()[1])
    assert between.min() > 0.1 and between.max() < 0.9 and between.max() - between.min() < 1e-4
    torch.testing.assert_close(both.quality, first.quality)
