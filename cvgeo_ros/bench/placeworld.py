"""Vectors of a made-up world: as many windows as one likes, alike where they overlap, and sentences about some of them.

They are made up in the manner of a trained model's: three experts of unit vectors; places of few kinds, some of which
are frequent; neighbours that share half their ground and look alike; sentences that lie beside the pictures they tell
of, for text and pictures never meet in one point.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

EXPERTS = 3
KINDS, PATCH = 300, 8
"""Kinds of places, and how many windows on a side are of one."""
SHARED, OWN = 32, 16
"""Directions in which places differ, for all experts and for one."""
GAP, WANDER, BLUR = 0.8, 1.0, 0.5
"""How far sentences lie off the pictures that they tell of: all in one direction, each towards another picture, since
it tells of more than that, and each anywhere. 1 is the length of a picture's vector."""
SPACING = 60.0 / 111_320.0
"""Degrees between windows, north to south; the world begins at 0, 0, where those of longitude are as long."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """Windows in rows of `side`.

    Attributes:
        vectors: (N, 3 D), as `fused_images` lays them out.
        latitude, longitude: (N,) of the centres, degrees.
        gap: (3, D), from pictures to sentences.
    """

    vectors: Array
    latitude: Array
    longitude: Array
    gap: Array

    def sentences(self, count: int, seed: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Query vectors (count, 3 D), as `fused_query` lays them out, and the windows that they tell of."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, len(self.vectors), count)
        dim = self.gap.shape[1]
        others = rng.integers(0, len(self.vectors), count)
        own, other = (self.vectors[which].reshape(count, EXPERTS, dim) for which in (rows, others))
        text = _unit(own + WANDER * other + GAP * self.gap + BLUR * _unit(rng.standard_normal(own.shape, np.float32)))
        gate = np.exp(rng.standard_normal((count, EXPERTS, 1), np.float32))
        return (gate / gate.sum(axis=1, keepdims=True) * text).reshape(count, -1), rows


def make_world(count: int, dim: int = 128, seed: int = 0) -> World:
    """Make up a world of at least `count` windows, cut to `count`."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    kinds = _kinds(rng, side)
    shared = _features(rng, side, kinds, SHARED)
    vectors = np.empty((count, EXPERTS * dim), np.float32)
    for expert in range(EXPERTS):
        latent = np.concatenate([shared, _features(rng, side, kinds, OWN)], axis=1)[:count]
        basis = np.linalg.qr(rng.standard_normal((dim, SHARED + OWN)))[0].T.astype(np.float32)
        for start in range(0, count, 65_536):
            rows = slice(start, min(start + 65_536, count))
            part = latent[rows] @ basis
            part += 0.05 * rng.standard_normal(part.shape, np.float32)
            vectors[rows, expert * dim : (expert + 1) * dim] = _unit(part)
    v, u = np.divmod(np.arange(count), side)
    gap = _unit(rng.standard_normal((EXPERTS, dim), np.float32))
    return World(vectors, (-v * SPACING).astype(np.float32), (u * SPACING).astype(np.float32), gap)


def _kinds(rng: np.random.Generator, side: int) -> NDArray[np.int64]:
    """Kind of every place, (side, side): patches, the k-th kind as frequent as 1 / k."""
    share = 1.0 / np.arange(1, KINDS + 1)
    patches = -(-side // PATCH)
    drawn = rng.choice(KINDS, (patches, patches), p=share / share.sum())
    return drawn.repeat(PATCH, axis=0).repeat(PATCH, axis=1)[:side, :side]


def _features(rng: np.random.Generator, side: int, kinds: NDArray[np.int64], count: int) -> Array:
    """(side^2, count) features: of the kind, of the surroundings and of the place itself, the first ones strongest."""
    centres = rng.standard_normal((KINDS, count), np.float32)
    features = np.empty((side * side, count), np.float32)
    coarse = max(side // 2, 1)
    for k in range(count):
        field = cv2.resize(rng.standard_normal((coarse, coarse), np.float32), (side, side))
        place = rng.standard_normal((side, side), np.float32)
        strength = 1.0 / np.sqrt(1.0 + k / 8.0)
        features[:, k] = (strength * (centres[kinds, k] + 0.9 * field + 0.4 * place)).ravel()
    return features


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)
