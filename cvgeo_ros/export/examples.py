"""Inputs that a branch is traced and compared with: pieces of an imagined map, and frames cut out of it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..net import STRIDE, CrossViewLocator
from ..net.close_look import SIDE, ZOOMS
from ..net.consensus import correlate

Inputs = tuple[Tensor, ...]


def pattern(batch: int, height: int, width: int, seed: int) -> Tensor:
    """(batch, 3, height, width) in 0..1: noise of all scales, so that every place differs from every other."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(batch, 3, height, width)
    for cell in (4, 8, 16, 32, 64):
        coarse = torch.rand(batch, 3, height // cell + 2, width // cell + 2, generator=generator)
        total += F.interpolate(coarse, size=(height, width), mode="bilinear")
    return ((total / 5 - 0.5) * 2 + 0.5).clamp(0, 1)


def _images(model: CrossViewLocator) -> list[Inputs]:
    gsd = model.config.gsd
    return [
        (pattern(2, 160, 224, 1), torch.tensor([gsd, 1.5 * gsd])),
        (pattern(1, 96, 416, 2), torch.tensor([2.0 * gsd])),
        (pattern(1, 640, 640, 3), torch.tensor([gsd])),
    ]


def _clicks(model: CrossViewLocator) -> list[Inputs]:
    return [_located(model, (512, 672), (128, 192), 3, 4), _located(model, (640, 480), (224, 160), 2, 5)]


def _located(model: CrossViewLocator, tile: tuple[int, int], frame: tuple[int, int], number: int, seed: int) -> Inputs:
    """Inputs of the click branch for `number` clicks in a frame that is a piece of the tile; sizes in pixels."""
    generator = torch.Generator().manual_seed(seed)
    gsd = torch.tensor([model.config.gsd])
    image = pattern(1, *tile, seed)
    top, left = (tile[0] - frame[0]) // 2, (tile[1] - frame[1]) // 3
    features, _ = model.encode_frame(image[:, :, top : top + frame[0], left : left + frame[1]], gsd)
    window, _ = model.encode_tile(image, gsd)
    void = torch.zeros(1, *window.match.shape[-2:], dtype=torch.bool)
    void[:, :, -3:] = True
    match = window.match.masked_fill(void[:, None], 0)
    size = torch.tensor([frame[1], frame[0]]) / STRIDE
    votes = correlate(features.match, torch.ones(1, *features.match.shape[-2:]), match)
    clicks = torch.rand(1, number, 2, generator=generator) * size
    return (
        features.match,
        features.context,
        clicks,
        clicks + 0.3,
        (size / 2 - clicks) / 80,
        match,
        window.context,
        window.gated,
        void,
        votes.z,
        torch.tensor(votes.origin),
        model.surroundings(image, gsd).context,
        torch.tensor([0.25, 0.0]),
    )


def _views(model: CrossViewLocator) -> list[Inputs]:
    return [_seen(model, number, seed) for number, seed in ((5, 6), (2, 7))]


def _seen(model: CrossViewLocator, number: int, seed: int) -> Inputs:
    """Inputs of the close branch for `number` objects."""
    generator = torch.Generator().manual_seed(seed)
    views = [pattern(number * len(ZOOMS), SIDE, SIDE, seed + k).unflatten(0, (1, number, -1)) for k in (0, 1)]
    place = torch.rand(1, number, 2, generator=generator) * 60
    size = torch.rand(1, number, 2, generator=generator) * 6 + 2
    boxes = torch.cat([place - size / 2, place + size / 2], -1)
    return (
        *views,
        torch.full((1, number), model.config.gsd),
        torch.rand(1, number, 2, generator=generator) - 0.5,
        place,
        boxes,
        torch.randn(1, number, generator=generator),
        *torch.rand(4, 1, number, generator=generator),
    )


_EXAMPLES: dict[str, Callable[[CrossViewLocator], list[Inputs]]] = {
    "frame": _images,
    "tile": _images,
    "clicks": _clicks,
    "close": _views,
}


@torch.no_grad()
def examples(model: CrossViewLocator, branch: str) -> list[Inputs]:
    """Inputs of several sizes, the first ones such as `branches.trace` asks for."""
    return _EXAMPLES[branch](model)
