"""Maps of features, moved as if the camera had stood elsewhere: pictures that it has not seen cost a tower most."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ZOOM, SHIFT, TURN = 1.3, 0.1, math.radians(10.0)
"""How far `moved` goes: factor, share of the side, rad."""


def moved(maps: Tensor, rng: np.random.Generator) -> Tensor:
    """Enlarge, shift and turn maps at random, each otherwise, by little enough that captions stay true.

    Features of the frozen encoder are moved where pixels would have to be encoded anew for each step.

    Args:
        maps: (B, C, S, S).
        rng: source of chance.

    Returns:
        (B, C, S, S); what was outside is continued from the edge.
    """
    count = len(maps)
    scale = np.exp(rng.uniform(-math.log(ZOOM), math.log(ZOOM), count))
    turn = rng.uniform(-TURN, TURN, count)
    shift = rng.uniform(-2 * SHIFT, 2 * SHIFT, (2, count))  # a map is 2 wide for affine_grid
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    affine = torch.from_numpy(np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])).permute(2, 0, 1).to(maps)
    grid = F.affine_grid(affine, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
