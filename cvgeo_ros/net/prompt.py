"""Clicks as impulses on the frame's feature grid (MOGeo's multi-object position encoding, arXiv 2603.13843)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sample(features: Tensor, cells: Tensor) -> Tensor:
    """Read feature maps at continuous places, bilinearly.

    Convention:
        Cell coordinates (x, y) = pixels / stride: cell centres at .5, as for pixels. Outside, the border is repeated.

    Args:
        features: (B, C, h, w).
        cells: (B, N, 2).

    Returns:
        (B, N, C).
    """
    height, width = features.shape[-2:]
    size = torch.tensor([width, height], device=cells.device, dtype=cells.dtype)
    grid = (cells / size * 2 - 1).unsqueeze(2)
    values = F.grid_sample(features, grid.to(features.dtype), padding_mode="border", align_corners=False)
    return values.squeeze(3).transpose(1, 2)


class ImpulsePrompt(nn.Module):
    """One descriptor per click from the frame's feature map.

    MOGeo marks the clicked cell by a one-hot mask E, forms Conv1x1([F; E]) * E and pools. With a one-hot gate the
    pooled vector is that cell's column of the 1x1 convolution, so it is computed there alone, for any number of clicks
    at once. The impulse is spread bilinearly over the four cells around the click, which keeps its place in the cell.
    """

    def __init__(self, match_dim: int, context_dim: int) -> None:
        super().__init__()
        self.features = nn.Linear(context_dim, match_dim, bias=False)
        self.impulse = nn.Parameter(torch.zeros(match_dim))  # the convolution's column for E
        nn.init.zeros_(self.features.weight)  # starts as the plain descriptor under the click

    def forward(self, match: Tensor, context: Tensor, clicks: Tensor) -> Tensor:
        """Describe clicks.

        Args:
            match: (B, D, h, w) unit descriptors of the frame.
            context: (B, C, h, w) context features of the frame.
            clicks: (B, N, 2) cell coordinates (x, y).

        Returns:
            (B, N, D) unit prompts.
        """
        column = sample(match, clicks) + self.features(sample(context, clicks)) + self.impulse
        return F.normalize(column.float(), dim=-1)
