"""What both looks at an object say together of the answer: the chance that it is right, and how far it is off."""

import torch
from torch import Tensor, nn

from .head import Boxes

NEAR = 0.5
"""Metres by which two looks may differ before it says anything."""
ASTRAY = 1e-3
"""Share of the heat that may lie elsewhere before it says anything."""


def deviation(spread: Tensor, scatter: Tensor, score: Tensor) -> Tensor:
    """1 sigma per axis of places in a heat map, cells: the peak's own width, and how far the rest of the heat lies, as
    far as the answer is in doubt. `spread` and `scatter` of `head.Peak`, `score` a logit; all of one shape."""
    return (spread.square() + ((-score).sigmoid() * scatter).square()).sqrt()


class Verdict(nn.Module):
    """Score and sigma of answers whose pixels have been looked at.

    Nine numbers, fitted on answers with known truth and on frames of other places (`learn.verdict`): two lines through
    what the heat map says, how much of its heat lies elsewhere, how sure the close look is of its box, how far it put
    it from the other one, and its size. A fresh one changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(3, 1)
        self.sigma = nn.Linear(4, 1)
        with torch.no_grad():
            for line in (self.score, self.sigma):
                line.bias.zero_()
                line.weight.copy_(torch.eye(1, line.in_features))

    def forward(
        self, score: Tensor, sigma: Tensor, mass: Tensor, first: Boxes, closer: Boxes, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logit of being right, and 1 sigma per axis, metres.

        Args:
            score: (M,) the heat map's logit.
            sigma: (M,) the heat map's sigma, metres.
            mass: (M,) the share of the heat that lies around its peak.
            first, closer: boxes of both looks, cells.
            cell: (M,) metres a cell.
        """
        apart = (NEAR + torch.linalg.vector_norm(closer.centre - first.centre, dim=-1) * cell).log()
        size = (closer.size.amax(-1) * cell).log()
        astray = (1.0 - mass).clamp(min=0.0).add(ASTRAY).log()
        right = self.score(torch.stack([score, closer.quality, astray], -1)).squeeze(-1)
        off = self.sigma(torch.stack([sigma.clamp(min=1e-3).log(), closer.quality, apart, size], -1)).squeeze(-1)
        return right, off.exp()
