"""The network with one idea taken out, and its published peers, built from the same modules.

What they are for: the same data, budget and scorer, so that a difference in figures is the idea's own.

- DetGeo-style (Sun et al. 2023): the click as a smooth map over the frame, one pooled query vector, its cosine map on
  the tile scales the tile's features, a convolutional head; no consensus, no contrastive terms.
- MOGeo-style (arXiv 2603.13843): impulse position encoding, cross-view fusion, inter-object loss; no consensus.
"""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..net import CrossViewLocator, NetConfig, consensus
from ..net.gmoe import ExpertPool, Routing
from .losses import LossWeights


class SmoothPrompt(nn.Module):
    """DetGeo's click: features of the whole frame, weighted by (1 - distance / diagonal)^2 and pooled."""

    def __init__(self, match_dim: int, context_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(match_dim + context_dim, match_dim)

    def forward(self, match: Tensor, context: Tensor, clicks: Tensor) -> Tensor:
        """As `ImpulsePrompt.forward`: (B, N, 2) clicks -> (B, N, D) unit prompts."""
        height, width = match.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=match.device), torch.arange(width, device=match.device), indexing="ij"
        )
        cells = torch.stack([x, y], -1).flatten(0, 1).float() + 0.5
        distance = (cells - clicks[:, :, None]).norm(dim=-1) / (height**2 + width**2) ** 0.5
        weight = (1 - distance).square()
        features = torch.cat([match.float(), context.float()], 1).flatten(2)
        pooled = torch.einsum("bnc,bdc->bnd", weight / weight.sum(-1, keepdim=True), features)
        return F.normalize(self.project(pooled).float(), dim=-1)


class PlainFusion(nn.Module):
    """No fusion: a weighted sum of the click's attention map and the consensus; tile features play no part."""

    gated = 1

    def __init__(self) -> None:
        super().__init__()
        self.evidence_scale = nn.Parameter(torch.tensor(2.5))
        self.consensus_scale = nn.Parameter(torch.tensor([-0.7, -0.7]))

    def prepare(self, context: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 1, h, w): nothing to prepare."""
        return context[:, :1]

    def forward(self, prompts: Tensor, match: Tensor, gated: Tensor, consensus: Tensor) -> Tensor:
        """As `CrossViewFusion.forward`."""
        attention = torch.einsum("bnd,bdhw->bnhw", prompts, match)
        prior = (consensus * self.consensus_scale.exp()[:, None, None]).sum(2)
        return attention * self.evidence_scale.exp() + prior


class CosineFusion(nn.Module):
    """DetGeo's fusion: the cosine map, stretched to 0..1, scales the tile's features before a convolutional head."""

    gated = 16

    def __init__(self, context_dim: int) -> None:
        super().__init__()
        self.evidence_scale = nn.Parameter(torch.tensor(2.5), requires_grad=False)  # read by the inter-object term only
        self.gate = nn.Conv2d(context_dim, self.gated, 1)
        self.head = nn.Sequential(
            nn.Conv2d(self.gated, 32, 3, padding=1), nn.GELU(), nn.Conv2d(32, 1, 3, padding=1, bias=False)
        )

    def prepare(self, context: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 16, h, w)."""
        return self.gate(context)

    def forward(self, prompts: Tensor, match: Tensor, gated: Tensor, consensus: Tensor) -> Tensor:
        """As `CrossViewFusion.forward`; the consensus is not looked at."""
        attention = torch.einsum("bnd,bdhw->bnhw", prompts, match)
        low, high = attention.amin((-2, -1), keepdim=True), attention.amax((-2, -1), keepdim=True)
        stretched = (attention - low) / (high - low + 1e-6)
        scaled = stretched.unsqueeze(2) * gated.unsqueeze(1)
        return self.head(scaled.flatten(0, 1)).reshape(attention.shape)


class DenseLayer(nn.Module):
    """One feed-forward layer with as many active weights per cell as the `top_k` experts, in place of a GMoE."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor, condition: Tensor, pool: ExpertPool) -> tuple[Tensor, Routing]:
        """As `GMoE.forward`; condition and pool are not looked at."""
        zero = x.new_zeros((), dtype=torch.float32)
        return self.layers(x), Routing(zero, zero)


class Variant(CrossViewLocator):
    """A `CrossViewLocator` with other modules; `silent` keeps the consensus out of the answers."""

    def __init__(self, config: NetConfig, plan: "Plan") -> None:
        super().__init__(config)
        self.silent = plan.silent
        if plan.smooth:
            self.add_module("prompt", SmoothPrompt(config.match_dim, config.context_dim))
        if plan.fusion == "plain":
            self.add_module("fusion", PlainFusion())
        elif plan.fusion == "cosine":
            self.add_module("fusion", CosineFusion(config.context_dim))
        if plan.dense:
            for name in list(self.encoder.moe):
                dim = config.embed_dim * 2 ** int(name.split("_")[0])
                self.encoder.moe[name] = DenseLayer(dim, int(dim * config.expert_ratio) * config.top_k)
            for pool in self.encoder.pools.values():
                pool.requires_grad_(False)

    def prior(self, votes: consensus.Votes, clicks: Tensor, lean: Tensor | None, size: tuple[int, int]) -> Tensor:
        """As `CrossViewLocator.prior`, or zeros."""
        if not self.silent:
            return super().prior(votes, clicks, lean, size)
        return clicks.new_zeros(*clicks.shape[:2], 2, *size)


@dataclass(frozen=True)
class Plan:
    """What a variant leaves out.

    Attributes:
        title: as figures name it.
        smooth: the click is a smooth map instead of an impulse.
        fusion: ours, plain or cosine.
        dense: feed-forward layers of equal active size instead of GMoE.
        silent: no consensus.
        weights: of the losses.
    """

    title: str
    smooth: bool = False
    fusion: str = "ours"
    dense: bool = False
    silent: bool = False
    weights: LossWeights = field(default_factory=LossWeights)

    def build(self, config: NetConfig) -> CrossViewLocator:
        """A fresh network."""
        return Variant(config, self)


_PUBLISHED = LossWeights(dense=0.0, batch=0.0, vote=0.0)

VARIANTS: dict[str, Plan] = {
    "full": Plan("full"),
    "no-impulse": Plan("without impulse encoding", smooth=True),
    "no-fusion": Plan("without cross-view fusion", fusion="plain"),
    "no-apart": Plan("without inter-object loss", weights=replace(LossWeights(), apart=0.0)),
    "dense": Plan("without GMoE (dense, equal active size)", dense=True),
    "no-consensus": Plan("without consensus", silent=True, weights=replace(LossWeights(), vote=0.0)),
    "detgeo": Plan(
        "DetGeo-style", smooth=True, fusion="cosine", dense=True, silent=True, weights=replace(_PUBLISHED, apart=0.0)
    ),
    "mogeo": Plan("MOGeo-style", dense=True, silent=True, weights=_PUBLISHED),
}
