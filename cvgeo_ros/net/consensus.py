"""Whole-frame consensus: every cell of the frame votes for where the frame lies on the tile.

The rectified frame and the tile share axes and scale up to the errors of the priors, so what is left is, first, a
translation, found for all cells at once by correlation (FFT), and then a small similarity (`alignment`).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

HEIGHTS = (4.0, 8.0, 13.0, 20.0)
"""Heights that a clicked point may have above the ground, metres; the votes' own width bridges the gaps."""


class Votes(NamedTuple):
    """Agreement of the frame with the tile for every translation.

    Attributes:
        z: (B, H, W) standard scores of the mean similarity; entry (i, j) belongs to the translation
            (j - origin, i - origin) in cells, that the frame's cell (0, 0) lies at on the tile.
        origin: (x, y) index of the zero translation.
    """

    z: Tensor
    origin: tuple[int, int]


class Correlator:
    """Correlates frames with one tile; the tile's spectrum is computed once."""

    def __init__(self, reference: Tensor, reach: tuple[int, int]) -> None:
        """Prepare a tile.

        Args:
            reference: (B, D, h, w) unit descriptors of the tile, zero where it is void.
            reach: largest (hq, wq) of the frames to come.
        """
        self.size = (reference.shape[-2], reference.shape[-1])
        # FFTs of awkward lengths are several times slower.
        self.padded = tuple(-(-(s + r - 1) // 16) * 16 for s, r in zip(self.size, reach, strict=True))
        # Kept conjugated: taking it of each frame's spectrum instead would cost as much as the transform.
        self.spectrum = torch.fft.rfft2(reference.float(), s=self.padded).conj_physical()
        shown = (reference.float().square().sum(1, keepdim=True) > 0.5).float()
        self.shown = torch.fft.rfft2(shown, s=self.padded).conj_physical()

    def __call__(self, query: Tensor, mask: Tensor, allowed: Tensor | None = None) -> Votes:
        """Votes for all translations of a frame that overlap the tile.

        The mean similarity at a translation is noisier the fewer cells overlap, so its difference to the overall mean
        is weighted by the root of their number: scores compare at the border and inside, on small and large tiles.

        Args:
            query: (B, D, hq, wq) unit descriptors of the frame.
            mask: (B, hq, wq) weights in 0..1, 0 where the raster shows nothing of the frame.
            allowed: (H, W) or (B, H, W) bool, translations to consider, H = h + hq - 1 and W = w + wq - 1; others
                get -inf.
        """
        mask = mask[:, None].float()
        total = self._correlate(self.spectrum, query.float() * mask)
        overlap = self._correlate(self.shown, mask).clamp(min=0.0)
        some = overlap > 0.5
        mean = total.sum((-2, -1), keepdim=True) / overlap.sum((-2, -1), keepdim=True).clamp(min=1.0)
        excess = ((total - mean * overlap) / overlap.clamp(min=1.0).sqrt()).where(some, 0.0)
        count = some.sum((-2, -1), keepdim=True).clamp(min=1)
        std = (excess.square().sum((-2, -1), keepdim=True) / count).sqrt()
        z = excess / (std + 1e-6)
        if allowed is not None:
            z = z.masked_fill(~allowed, -torch.inf)
        return Votes(z, (query.shape[-1] - 1, query.shape[-2] - 1))

    def _correlate(self, spectrum: Tensor, kernel: Tensor) -> Tensor:
        """Sum over channels of the correlations with (B, ., hq, wq) -> (B, h + hq - 1, w + wq - 1)."""
        hq, wq = kernel.shape[-2:]
        product = torch.fft.rfft2(kernel, s=self.padded)
        product = product * spectrum if torch.is_grad_enabled() else product.mul_(spectrum)
        scores = torch.fft.irfft2(product.sum(1).conj(), s=self.padded).roll((hq - 1, wq - 1), dims=(-2, -1))
        return scores[..., : self.size[0] + hq - 1, : self.size[1] + wq - 1]


def correlate(query: Tensor, mask: Tensor, reference: Tensor, allowed: Tensor | None = None) -> Votes:
    """Correlate a frame with a tile once; shapes as in `Correlator`."""
    return Correlator(reference, (query.shape[-2], query.shape[-1]))(query, mask, allowed)


def peaks(votes: Votes, count: int, radius: int) -> tuple[Tensor, Tensor]:
    """Best translations at least `radius` cells apart.

    Returns:
        (B, count, 2) translations (x, y) in cells and (B, count) standard scores, best first; the score of a missing
        peak is -inf.
    """
    z = votes.z.unsqueeze(1)
    side = 2 * radius + 1  # of a square, along its sides in turn: a sixth of the work
    local = F.max_pool2d(F.max_pool2d(z, (side, 1), 1, (radius, 0)), (1, side), 1, (0, radius))
    best = z.masked_fill(z < local, -torch.inf).flatten(1)
    count = min(count, best.shape[1])
    score, index = best.topk(count, dim=1)
    width = votes.z.shape[-1]
    origin = torch.as_tensor(votes.origin, device=z.device)
    row = index // width  # ONNX has no remainder by a size that is not fixed
    translation = torch.stack([index - row * width, row], dim=-1) - origin
    return translation.float(), score


def spread(votes: Votes, clicks: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn the votes for translations into a map of each click's place on the tile.

    Args:
        votes: votes over translations.
        clicks: (B, N, 2) places in the frame, cells; their whole part may be moved by a fitted correction.
        size: (h, w) of the tile's feature map.

    Returns:
        (B, N, h, w): entry (i, j) is the vote that the click lies at the centre of tile cell (i, j).
    """
    height, width = votes.z.shape[-2:]
    # Translation t takes the click p to the cell centre c: t = c - p; its index is t + origin. From cell to cell that
    # grows by one, so that all cells of a click share one bilinear weight.
    first = 0.5 - clicks + torch.as_tensor(votes.origin, device=clicks.device)
    part = (first - first.floor())[..., None, None]
    x = first[..., 0].floor().long()[..., None] + torch.arange(size[1] + 1, device=clicks.device)
    y = first[..., 1].floor().long()[..., None] + torch.arange(size[0] + 1, device=clicks.device)
    batch = torch.arange(clicks.shape[0], device=clicks.device)[:, None, None, None]
    z = votes.z.clamp(min=-10.0)
    corners = z[batch, y.clamp(0, height - 1)[..., :, None], x.clamp(0, width - 1)[..., None, :]]
    rows = torch.lerp(corners[..., :-1, :], corners[..., 1:, :], part[:, :, 1])
    return torch.lerp(rows[..., :-1], rows[..., 1:], part[:, :, 0])


def spread_raised(votes: Votes, clicks: Tensor, lean: Tensor, size: tuple[int, int]) -> Tensor:
    """As `spread`, for clicks on top of something: the best vote over `HEIGHTS`.

    A frame laid on the ground shows what stands h metres high displaced away from the point below the camera, by h
    times its distance from there over the camera's height.

    Args:
        votes, clicks, size: as for `spread`.
        lean: (B, N, 2) where a metre of height puts the click's true place, cells: towards the point below the camera,
            by its distance over the camera's height. Zero where it is unknown.
    """
    maps = [spread(votes, clicks + height * lean, size) for height in HEIGHTS]
    return torch.stack(maps).amax(0)
