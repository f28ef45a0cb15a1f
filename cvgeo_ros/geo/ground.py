"""Where pixels of a frame lie on Earth: what a matcher knows, and all that a pose is estimated from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import CalibrationError


@dataclass(frozen=True)
class GroundMatches:
    """Places of a frame found on the ground.

    Attributes:
        pixels: (M, 2) frame pixels (u, v), pixel centres at .5.
        ground: (M, 2) east, north in metres about `origin`.
        origin: (latitude, longitude) degrees, WGS-84.
        weights: (M,) 0..1, trust in each match.
        std: metres per axis, 1 sigma of one match.
        score: 0..1, probability that the frame is placed right.

    Raises:
        CalibrationError: where the shapes do not agree.
    """

    pixels: NDArray[np.float64]
    ground: NDArray[np.float64]
    origin: tuple[float, float]
    weights: NDArray[np.float64]
    std: float
    score: float

    def __post_init__(self) -> None:
        number = len(self.weights)
        if self.pixels.shape != (number, 2) or self.ground.shape != (number, 2):
            raise CalibrationError(
                f"ground matches: pixels {self.pixels.shape}, ground {self.ground.shape} and weights "
                f"{self.weights.shape} must be (M, 2), (M, 2) and (M,)"
            )

    def __len__(self) -> int:
        return len(self.weights)
