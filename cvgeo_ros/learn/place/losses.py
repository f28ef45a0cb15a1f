"""Contrastive losses in which what describes the same is no negative of each other."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Temperature(nn.Module):
    """Learned scale of cosines, as in CLIP (arXiv 2103.00020): starts at 1 / 0.07, 100 at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self) -> Tensor:
        return self.log.clamp(max=math.log(100.0)).exp()


def contrastive(
    text: Tensor,
    image: Tensor,
    scale: Tensor,
    texts: Tensor,
    groups: Tensor,
    hard: Tensor | None = None,
    hard_groups: Tensor | None = None,
) -> Tensor:
    """InfoNCE both ways, with mined images as further negatives of the texts.

    Args:
        text: (B, D); row i belongs to image row i.
        image: (B, D).
        scale: of the inner products.
        texts: (B,) numbers of the texts; equal ones are no negatives of each other's images.
        groups: (B,) what the images show; those of one group are no negatives of each other's texts.
        hard: (M, D) images that texts of the batch were mistaken for.
        hard_groups: (M,).

    Returns:
        Scalar.
    """
    own = torch.eye(len(text), dtype=torch.bool, device=text.device)
    alike = (groups[:, None] == groups[None]) | (texts[:, None] == texts[None])
    inside = (scale * text @ image.T).masked_fill(alike & ~own, float("-inf"))
    target = torch.arange(len(text), device=text.device)
    forward = inside
    if hard is not None and hard_groups is not None:
        outside = (scale * text @ hard.T).masked_fill(groups[:, None] == hard_groups[None], float("-inf"))
        forward = torch.cat([inside, outside], dim=1)
    return (F.cross_entropy(forward, target) + F.cross_entropy(inside.T, target)) / 2


def word_loss(logits: Tensor, present: Tensor, rarity: Tensor) -> Tensor:
    """Which words describe an image, as one classification (SuperClass, arXiv 2411.03313).

    Args:
        logits: (B, V).
        present: (B, V) bool, whether the image's descriptions hold the word.
        rarity: (V,) weight of each word, larger for rarer ones.

    Returns:
        Cross-entropy with the words present, weighed by their rarity.
    """
    target = present * rarity
    target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
    return -(target * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()
