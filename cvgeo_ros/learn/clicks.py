"""Clicks as unsteady hands make them.

Convention:
    Noise is Gaussian with standard deviation `sigma` in u and in v independently, px of the frame the click is in; a
    click that would leave the frame is put on its border. One seed gives the same directions for every sigma, so that
    figures of several sigmas compare the same hands.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..scene import Scene, read_image
from .pairsets import PairSample


def disturb(
    clicks: Sequence[tuple[float, float]], width: int, height: int, sigma: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Clicks (N, 2) of a frame of this size with noise."""
    points = np.asarray(clicks, np.float64).reshape(-1, 2) + sigma * rng.standard_normal((len(clicks), 2))
    points = np.clip(points, 0, [width, height])
    return [(float(u), float(v)) for u, v in points]


def disturb_scene(scene: Scene, sigma: float, seed: int | Sequence[int] = 0) -> Scene:
    """The scene with noise on all clicks; the true boxes stay."""
    rng = np.random.default_rng(seed)
    moved: dict[str, tuple[float, float]] = {}
    for record in scene.frames:
        objects = scene.objects_of(record.file)
        if objects:
            height, width = read_image(scene.frames_dir / record.file).shape[:2]
            clicks = disturb([item.click for item in objects], width, height, sigma, rng)
            moved |= {item.id: click for item, click in zip(objects, clicks, strict=True)}
    return replace(scene, objects=[item.model_copy(update={"click": moved[item.id]}) for item in scene.objects])


def disturb_pairs(samples: Sequence[PairSample], sigma: float, seed: int | Sequence[int] = 0) -> list[PairSample]:
    """Samples with noise on all clicks; the true boxes stay."""
    rng = np.random.default_rng(seed)
    disturbed = []
    for sample in samples:
        height, width = read_image(sample.query).shape[:2]
        clicks = disturb([item.click for item in sample.objects], width, height, sigma, rng)
        objects = tuple(replace(item, click=click) for item, click in zip(sample.objects, clicks, strict=True))
        disturbed.append(replace(sample, objects=objects))
    return disturbed
