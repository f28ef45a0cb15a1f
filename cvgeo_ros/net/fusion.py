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
        batch, number = prompts.shape[:2]
        attention = torch.einsum("bnd,bdhw->bnhw", prompts, match)
        channels = torch.cat(
            [
                attention.unsqueeze(2),
                consensus * 0.2,
                attention.unsqueeze(2) * gated.unsqueeze(1),
            ],
            dim=2,
        )
        mixed = self.mix(channels.flatten(0, 1)).reshape(batch, number, *match.shape[-2:])
        prior = (consensus * self.consensus_scale.exp()[:, None, None]).sum(2)
        return attention * self.evidence_scale.exp() + prior + mixed
