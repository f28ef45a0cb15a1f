"""How likely matches are over ground with things on it, of which nobody knows where they are.

A camera sees the roof of a house displaced outwards, by the roof's height times the slope of the ray; a map that was
taken aslant displaces it by its own lean. Outward displacement that differs from one side of a frame to the other is
also what a tilt looks like, so a pose fitted to matches as if they all lay on the ground takes an uneven town for a
tilted camera. Here each match lies at an unknown height, drawn from a mixture: the ground, or something on it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEIGHTS = np.array([0.0, 2.5, 5.0, 7.5, 10.0, 13.0, 17.0, 22.0])
"""Heights above ground of what a match may lie on, metres."""
MEAN_HEIGHT = 8.0
"""Of what is not ground, metres; falls off exponentially."""
STRAY = 0.1
"""Share of matches that lie anywhere."""
FIELD = 900.0
"""Square metres in which a stray match may lie."""


AGREEMENT = 3.0
"""Metres within which a match agrees with a pose, at the height that suits it best."""


class Likelihood(NamedTuple):
    """Negative log likelihood of all matches and its gradients.

    Attributes:
        value: summed over the matches.
        misses: (M, 2) gradient by the misses.
        slopes: (M, 2) gradient by the slopes.
        log_std: gradient by the logarithm of the standard deviation.
        ground: gradient by the log odds of the ground.
    """

    value: float
    misses: NDArray[np.float64]
    slopes: NDArray[np.float64]
    log_std: float
    ground: float


def unlikelihood(
    misses: NDArray[np.float64], slopes: NDArray[np.float64], weights: NDArray[np.float64], std: float, ground: float
) -> Likelihood:
    """Negative log likelihood of matches that lie at unknown heights.

    Args:
        misses: (M, 2) where the pose puts each match, were it on the ground, less where it was found; metres.
        slopes: (M, 2) metres by which a metre of height moves it outwards, seen on the map.
        weights: (M,) how many matches each one counts for.
        std: metres per axis, 1 sigma of a match.
        ground: log odds that a match lies on the ground.
    """
    share = 1.0 / (1.0 + np.exp(-ground))
    above = np.exp(-HEIGHTS[1:] / MEAN_HEIGHT)
    prior = np.concatenate([[share], (1.0 - share) * above / above.sum()])
    # Squared misses of each match (M) at each height (K), multiplied out.
    along, steep = (misses * slopes).sum(1)[:, None], (slopes * slopes).sum(1)[:, None]
    squares = (misses * misses).sum(1)[:, None] - 2.0 * along * HEIGHTS + steep * HEIGHTS**2
    density = (1.0 - STRAY) / (2.0 * np.pi * std**2) * np.exp(-0.5 * squares / std**2)
    total = density @ prior + STRAY / FIELD
    belief = density * prior * (weights / total)[:, None]  # (M, K), times the weight
    say, height, height2 = (belief @ np.stack([np.ones_like(HEIGHTS), HEIGHTS, HEIGHTS**2], 1)).T[:, :, None] / std**2
    on_ground = belief[:, 0].sum()
    return Likelihood(
        float(-(weights * np.log(total)).sum()),
        say * misses - height * slopes,
        height2 * slopes - height * misses,
        float(2.0 * belief.sum() - (belief * squares).sum() / std**2),
        float(-(on_ground * (1.0 - share) - (belief.sum() - on_ground) * share)),
    )


def agreement(misses: NDArray[np.float64], slopes: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Share of the matches, by weight, that agree with a pose; arguments as for `unlikelihood`.

    Frames that show nothing, or another place, are matched with the map all the same: here and there, so that hardly
    more agree than would by chance.
    """
    nearest = np.linalg.norm(misses[:, None] - HEIGHTS[:, None] * slopes[:, None], axis=2).min(1)
    return float(weights @ (nearest < AGREEMENT) / weights.sum())
