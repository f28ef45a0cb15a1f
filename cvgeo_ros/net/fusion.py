"""Cross-view fusion: the click's own evidence and the frame's consensus become one heat map over the tile."""

import torch
from torch import Tensor, nn


class CrossViewFusion(nn.Module):
    """Fuse each click's attention over the tile (MOGeo's CVMF) with the consensus of the whole frame.

    MOGeo correlates prompt and tile into an attention map F_a, forms F'_r = F_a * F_r and hands [F_a, F'_r] to the
    head. A 1x1 convolution of F'_r equals F_a * (W F_r), so W F_r is computed once per tile and each further click
    costs a product and two small convolutions. The consensus enters twice, as it is for points on the ground and for
    points of any height: soft priors beside the hard prompt. All keep a direct, learned weight in the sum, so that each
    can win where the others are flat.
    """

    gated = 8
    hidden = 16
    patch = 56
    """Side of the part of a large tile, cells, that is looked at closely: around the best of evidence and consensus."""

    def __init__(self, match_dim: int, context_dim: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(context_dim, self.gated, 1)
        self.evidence_scale = nn.Parameter(torch.tensor(2.5))  # log
        self.consensus_scale = nn.Parameter(torch.tensor([-0.7, -0.7]))  # log: on the ground, at any height
        last = nn.Conv2d(self.hidden, 1, 3, padding=1, bias=False)
        nn.init.zeros_(last.weight)  # starts as the weighted sum of evidence and consensus
        self.mix = nn.Sequential(nn.Conv2d(3 + self.gated, self.hidden, 3, padding=1), nn.GELU(), last)

    def prepare(self, context: Tensor) -> Tensor:
        """(B, C, h, w) context of the tile -> (B, 8, h, w), the click-independent half of the fusion."""
        return self.gate(context)

    def forward(self, prompts: Tensor, match: Tensor, gated: Tensor, consensus: Tensor) -> Tensor:
        """Heat-map logits of every click.

        Args:
            prompts: (B, N, D) unit prompts.
            match: (B, D, h, w) unit descriptors of the tile.
            gated: (B, 8, h, w) from `prepare`.
            consensus: (B, N, 2, h, w) standard scores from `consensus.spread`, and the best of it and
                `consensus.spread_raised`.

        Returns:
            (B, N, h, w) logits; their softmax over the tile is the distribution of the click's place.
        """
        attention = torch.einsum("bnd,bdhw->bnhw", prompts, match)
        plain = attention * self.evidence_scale.exp() + (consensus * self.consensus_scale.exp()[:, None, None]).sum(2)
        if self.training or any(side <= self.patch for side in plain.shape[-2:]):
            return plain + self._mixed(attention, gated.unsqueeze(1), consensus)
        return self._patched(plain, attention, gated, consensus)

    def _mixed(self, attention: Tensor, gated: Tensor, consensus: Tensor) -> Tensor:
        """(B, N, h, w), (B, 1 or N, 8, h, w), (B, N, 2, h, w) -> (B, N, h, w)."""
        channels = torch.cat([attention.unsqueeze(2), consensus * 0.2, attention.unsqueeze(2) * gated], dim=2)
        return self.mix(channels.flatten(0, 1)).reshape(attention.shape)

    def _patched(self, plain: Tensor, attention: Tensor, gated: Tensor, consensus: Tensor) -> Tensor:
        """The convolutions on a patch around each click's best cell; all else is given the level of the patch's rim."""
        number, height, width = plain.shape[1:]
        best = plain.flatten(2).argmax(-1)
        step = torch.arange(self.patch, device=plain.device)
        row = best // width
        rows = (row - self.patch // 2).clamp(0, height - self.patch)[..., None] + step
        columns = (best - row * width - self.patch // 2).clamp(0, width - self.patch)[..., None] + step
        index = (rows[..., :, None] * width + columns[..., None, :]).flatten(2)

        def cut(maps: Tensor) -> Tensor:  # (B, N, C, h, w) -> (B, N, C, patch, patch)
            chosen = index[:, :, None].expand(-1, -1, maps.shape[2], -1)
            return maps.flatten(3).gather(3, chosen).unflatten(3, (self.patch, self.patch))

        shared = gated.unsqueeze(1).expand(-1, number, -1, -1, -1)
        mixed = self._mixed(
            cut(attention.unsqueeze(2)).squeeze(2),
            cut(shared),
            cut(consensus),
        )
        rim = torch.cat([mixed[..., 1, :], mixed[..., -2, :], mixed[..., 1], mixed[..., -2]], -1).mean(-1)
        level = rim[..., None].expand(-1, -1, height * width).scatter(2, index, mixed.flatten(2))
        return plain + level.reshape(plain.shape)
