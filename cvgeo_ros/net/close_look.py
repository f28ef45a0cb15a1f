"""A close look: the pixels of frame and tile around a place, side by side, and the object's box read off them.

The feature maps have cells of 8 pixels, 2.4 m: a shed is two of them, and the wall that parts it from the house beside
is none. Here the clicked place and the place found are compared at full resolution and at two coarser ones, as trackers
compare a template with where it is searched for (GOTURN, Held et al. 2016, arXiv 1604.01802), so that extents become
sharp and a place that is some metres off is put right. Places are off above all along the line on which heights lean in
an oblique frame, roofs by a storey or three: so that line is shown as well. Or they are the next house of a row, which
looks the same; what surrounds it does not, and is laid on each cell of the map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .head import Boxes

SIDE = 48
"""Pixels a side of a view."""
ZOOMS = (1.0, 2.5, 7.5)
"""Raster pixels a side of a view's pixel, of each view: at 0.3 m a pixel 14, 36 and 108 m across."""
SHARPNESS = 0.5
"""How steeply `weigh` trusts one look more than the other, by the difference of their logits of IoU."""
PREFERENCE = 2.0
"""How much more sure the first one has to be for both to count alike."""
STOREYS = 10.0
"""Metres of height that count as much."""
ASIDE = 3.0
"""Metres off the line of heights that count as far."""


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
    """Boxes from views of frame and tile around a click and the place found for it."""

    dims = (48, 80, 128)
    """Channels of each view at stride 4, and of both together at strides 4 and 8."""
    seen = 24
    """Channels of what the last layers are told of a cell."""
    hidden = 256

    def __init__(self) -> None:
        super().__init__()
        view, both, coarse = self.dims
        self.each = nn.Sequential(nn.Conv2d(3, view, 4, stride=4), ResidualBlock(view))
        self.join = nn.Conv2d(2 * view + 4, both, 1)
        self.zoom = nn.Parameter(torch.zeros(len(ZOOMS), both))
        self.fine = nn.Sequential(ResidualBlock(both), ResidualBlock(both))
        self.coarse = nn.Sequential(
            nn.Conv2d(both, coarse, 2, stride=2),
            ResidualBlock(coarse),
            ResidualBlock(coarse),
            ResidualBlock(coarse),
            nn.GroupNorm(1, coarse),
            nn.Conv2d(coarse, self.seen, 1),
        )
        self.gather = nn.Linear(len(ZOOMS) * self.seen * (SIDE // 8) ** 2 + 3, self.hidden)
        last = nn.Linear(self.hidden, 5)
        self.answer = nn.Sequential(
            nn.LayerNorm(self.hidden), nn.GELU(), nn.Linear(self.hidden, self.hidden), nn.GELU(), last
        )
        nn.init.trunc_normal_(last.weight, std=0.01)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([0.0, 0.0, 3.6, 3.6, 0.0]))  # a box of 37 px, the size of a house

    def forward(self, frame: Tensor, tile: Tensor, gsd: Tensor, lean: Tensor) -> Boxes:
        """Boxes of M objects.

        Args:
            frame: (M, Z, 3, 48, 48) RGB in 0..1: views of the frame, laid on the ground in the tile's axes, around the
                click; one a zoom.
            tile: the same of the tile, around the place found.
            gsd: (M,) metres per raster pixel.
            lean: (M, 2) where a metre of height puts what was clicked, metres along u and v of the tile.

        Returns:
            Boxes in raster pixels, their centres counted from the place found: (M, 2), (M, 2), (M,).
        """
        clicked, found = self._describe(frame), self._describe(tile)
        heights = heights_along(gsd, lean).flatten(0, 1).to(found.dtype)
        x = self.join(torch.cat([clicked, found, _alike(clicked, found), heights, laid_over(clicked, found)], 1))
        x = x.unflatten(0, (frame.shape[0], len(ZOOMS))) + self.zoom[:, :, None, None].to(x.dtype)
        x = self.coarse(self.fine(x.flatten(0, 1))).unflatten(0, (frame.shape[0], len(ZOOMS))).flatten(1)
        x = self.gather(torch.cat([x, (gsd / 0.3).log()[:, None].to(x.dtype), lean.to(x.dtype)], 1))
        offset, log_size, quality = self.answer(x).float().split([2, 2, 1], dim=-1)
        size = log_size.clamp(0.5, 7.0).exp()
        return Boxes(offset * size, size, quality.squeeze(-1))

    def _describe(self, views: Tensor) -> Tensor:
        """(M, Z, 3, 48, 48) -> (M Z, C, 12, 12)."""
        views = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        # Light and haze differ between days; each view is read against its own mean.
        features: Tensor = self.each((views - views.mean((1, 2, 3), keepdim=True)) * 4.0)
        return features


def weigh(first: Boxes, closer: Boxes) -> Boxes:
    """The boxes read off feature maps and off pixels as one: each side their mean, weighed by how far each is trusted.

    The features see what is too large for the views or looks the same all over; the pixels see what is smaller than two
    cells. Both of any shape, alike; the trust given back is the first's.
    """
    share = ((closer.quality - first.quality + PREFERENCE) * SHARPNESS).sigmoid()[..., None]
    return Boxes.of(torch.lerp(first.corners(), closer.corners(), share), first.quality)


def _alike(frame: Tensor, tile: Tensor) -> Tensor:
    """(B, C, h, w) twice -> (B, 1, h, w): how much each cell of the tile is like what was clicked."""
    low, high = frame.shape[2] // 2 - 1, frame.shape[2] // 2 + 1
    clicked = F.normalize(frame[:, :, low:high, low:high].mean((2, 3)).float(), dim=1)
    return torch.einsum("bc,bchw->bhw", clicked, F.normalize(tile.float(), dim=1))[:, None].to(tile.dtype)


def laid_over(frame: Tensor, tile: Tensor) -> Tensor:
    """(B, C, h, w) twice -> (B, 1, h, w): how well what surrounds the click fits when it is laid on each cell.

    One house of a row is like the next; the trees, paths and shadows around it are not.
    """
    h, w = frame.shape[2:]
    low, high = h // 4, h - h // 4
    kernel = (frame - frame.mean((2, 3), keepdim=True))[:, :, low:high, low:high]
    k = high - low
    # Turned by half a turn, what belongs to one displacement lies where the sum of both numbers is the same.
    kernel = F.normalize(kernel.float(), dim=1).flatten(2).flip(2)
    field = F.normalize((tile - tile.mean((2, 3), keepdim=True)).float(), dim=1).flatten(2)
    pairs = (kernel.mT @ field).unflatten(2, (h, w)).unflatten(1, (k, k))  # (B, k, k, h, w)
    along_u = _sum_diagonals(pairs.transpose(2, 3))  # (B, k, h, w + k - 1)
    along = _sum_diagonals(along_u.permute(0, 3, 1, 2)).mT  # (B, h + k - 1, w + k - 1)
    # Between the cells' middles; beyond half a view nothing is asked for.
    cut = k // 2 - 1
    fits = F.avg_pool2d(along[:, None, cut : cut + h + 1, cut : cut + w + 1], 2, 1) / k**2
    return fits.to(tile.dtype)


def _sum_diagonals(x: Tensor) -> Tensor:
    """(..., K, L) -> (..., K + L - 1): sums of the entries (k, l) of equal k + l."""
    count, length = x.shape[-2:]
    rows = F.pad(x, (0, count)).flatten(-2)[..., :-count]  # each row begins one later than the last
    return rows.unflatten(-1, (count, length + count - 1)).sum(-2)


def heights_along(gsd: Tensor, lean: Tensor) -> Tensor:
    """Where in the tile's views a thing would be that is higher or lower than the place found stands for.

    Args:
        gsd: (M,) metres per raster pixel.
        lean: (M, 2) where a metre of height puts what was clicked, metres along u and v.

    Returns:
        (M, Z, 2, 12, 12) for each cell how much higher, in -1..1, and how near it is to the line of heights, in 0..1.
    """
    cells = torch.arange(SIDE // 4, device=gsd.device) * 4.0 + 2.0 - SIDE / 2
    metres = gsd[:, None, None] * torch.tensor(ZOOMS, device=gsd.device)[:, None] * cells  # (M, Z, 12)
    u, v = metres[:, :, None, :], metres[:, :, :, None]
    lean_u, lean_v = lean[:, 0, None, None, None], lean[:, 1, None, None, None]
    # Straight down nothing leans, and no height explains anything.
    height = (u * lean_u + v * lean_v) / (lean_u**2 + lean_v**2 + 0.01)
    aside = (u - height * lean_u) ** 2 + (v - height * lean_v) ** 2
    return torch.stack([(height / STOREYS).tanh(), (-aside / (2 * ASIDE**2)).exp()], 2)
