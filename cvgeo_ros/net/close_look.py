"""A close look: the pixels of frame and tile around a place, side by side, and the object's box read off them.

The feature maps have cells of 8 pixels, 2.4 m: a shed is two of them, and the wall that parts it from the house beside
is none. Here the clicked place and the place found are compared at full resolution and at two coarser ones, as trackers
compare a template with where it is searched for (GOTURN, Held et al. 2016, arXiv 1604.01802), so that extents become
sharp and a place that is some metres off is put right.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .head import Boxes

SIDE = 64
"""Pixels a side of a view."""
ZOOMS = (1.0, 2.5, 6.0)
"""Raster pixels a side of a view's pixel, of each view: at 0.3 m a pixel 19, 48 and 115 m across."""


class ResidualBlock(nn.Module):
    """3x3 and pointwise convolution beside the identity, (B, C, h, w) -> same."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, dim)
        self.around = nn.Conv2d(dim, dim, 3, padding=1)
        self.mix = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.gelu(self.around(self.norm(x))))


class CloseLook(nn.Module):
    """Corrects boxes by views of frame and tile around a click and the place found for it."""

    dims = (48, 72, 96)
    """Channels of each view at stride 4, and of both together at strides 4 and 8."""
    seen = 24
    """Channels of what the last layers are told of a cell."""
    hidden = 256

    def __init__(self) -> None:
        super().__init__()
        view, both, coarse = self.dims
        self.each = nn.Conv2d(3, view, 4, stride=4)
        self.rough = nn.Conv2d(1, view, 4, stride=4)
        self.join = nn.Conv2d(2 * view + 1, both, 1)
        self.zoom = nn.Parameter(torch.zeros(len(ZOOMS), both))
        self.fine = ResidualBlock(both)
        self.coarse = nn.Sequential(
            nn.Conv2d(both, coarse, 2, stride=2),
            ResidualBlock(coarse),
            ResidualBlock(coarse),
            ResidualBlock(coarse),
            nn.GroupNorm(1, coarse),
            nn.Conv2d(coarse, self.seen, 1),
        )
        self.gather = nn.Linear(len(ZOOMS) * self.seen * (SIDE // 8) ** 2 + 5, self.hidden)
        last = nn.Linear(self.hidden, 5)
        self.answer = nn.Sequential(
            nn.LayerNorm(self.hidden), nn.GELU(), nn.Linear(self.hidden, self.hidden), nn.GELU(), last
        )
        nn.init.trunc_normal_(last.weight, std=0.01)  # boxes start as they came
        nn.init.zeros_(last.bias)

    def forward(self, frame: Tensor, tile: Tensor, gsd: Tensor, rough: Tensor) -> Boxes:
        """Boxes of M objects.

        Args:
            frame: (M, Z, 3, 64, 64) RGB in 0..1: views of the frame, laid on the ground in the tile's axes, around the
                click; one a zoom.
            tile: the same of the tile, around the place found.
            gsd: (M,) metres per raster pixel.
            rough: (M, 4) boxes as they are known so far, corner form, raster pixels from the place found.

        Returns:
            Boxes in raster pixels, their centres counted from the place found: (M, 2), (M, 2), (M,).
        """
        number = frame.shape[0]
        views = torch.cat([frame, tile]).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        # Light and haze differ between days; each view is read against its own mean and contrast.
        mean, spread = views.mean((1, 2, 3), keepdim=True), views.std((1, 2, 3), keepdim=True)
        left, right = self.each((views - mean) / (spread + 0.05)).chunk(2)
        outlines = draw_boxes(rough).flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        x = self.join(torch.cat([left, right + self.rough(outlines), _alike(left, right)], 1))
        x = x + self.zoom.repeat(number, 1)[:, :, None, None].to(x.dtype)
        x = self.coarse(self.fine(x)).reshape(number, -1)
        centre, size = (rough[:, :2] + rough[:, 2:]) / 2, (rough[:, 2:] - rough[:, :2]).clamp(min=1.0)
        told = torch.cat([(gsd / 0.3).log()[:, None], centre / size, size.log() - 3.6], 1)
        shift, stretch, quality = (
            self.answer(self.gather(torch.cat([x, told.to(x.dtype)], 1))).float().split([2, 2, 1], 1)
        )
        return Boxes(centre + shift * size, size * stretch.clamp(-4.0, 4.0).exp(), quality.squeeze(-1))


def draw_boxes(boxes: Tensor) -> Tensor:
    """(M, 4) boxes, raster pixels from the views' middle -> (M, Z, 64, 64): the share of each pixel that is inside."""
    zooms = torch.tensor(ZOOMS, device=boxes.device)
    edges = torch.arange(SIDE, device=boxes.device) - SIDE / 2
    scaled = boxes[:, None] / zooms[:, None]
    inside = [
        (torch.minimum(scaled[..., k + 2, None], edges + 1) - torch.maximum(scaled[..., k, None], edges)).clamp(min=0)
        for k in (0, 1)
    ]
    return inside[1][..., :, None] * inside[0][..., None, :]


def _alike(frame: Tensor, tile: Tensor) -> Tensor:
    """(B, C, h, w) twice -> (B, 1, h, w): how much each cell of the tile is like what was clicked."""
    low, high = frame.shape[2] // 2 - 1, frame.shape[2] // 2 + 1
    clicked = F.normalize(frame[:, :, low:high, low:high].mean((2, 3)).float(), dim=1)
    return torch.einsum("bc,bchw->bhw", clicked, F.normalize(tile.float(), dim=1))[:, None].to(tile.dtype)
