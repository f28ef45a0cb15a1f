"""Batches of texts and images of a data set, drawn by the number of the step: a resumed run draws what an unbroken
one would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .corpus import Corpus, Draw, Text

Indices = NDArray[np.int64]


class Preparation(StrEnum):
    """What of PE-MoE's data preparation a batch has.

    Attributes:
        NONE: whole captions as they were written, with the images themselves.
        MIXED: prepared captions and such as they were written half and half, whole or a few of their sentences, with
            images and their turned and mirrored copies, all moved a little.
        FULL: prepared captions, otherwise the same.
    """

    NONE = "none"
    MIXED = "mixed"
    FULL = "full"


_PREPARED = {Preparation.NONE: 0.0, Preparation.MIXED: 0.5, Preparation.FULL: 1.0}


@dataclass(frozen=True)
class Batch:
    """Texts and images that go together, on the device of the corpus' model.

    Attributes:
        indices: (B,) images.
        draws: of each.
        states: (B, T, C) of the texts' tokens or sentences.
        mask: (B, T) bool, those that are to be looked at.
        texts: (B,) equal numbers for equal texts.
        groups: (B,) equal numbers for images that show the same.
        rng: source of chance for the rest of the step.
        preparation: of texts and images.
    """

    indices: Indices
    draws: list[Draw]
    states: Tensor
    mask: Tensor
    texts: Tensor
    groups: Tensor
    rng: np.random.Generator
    preparation: Preparation

    @property
    def moving(self) -> np.random.Generator | None:
        """Source of chance for moving the images' features; None where they stay."""
        return None if self.preparation is Preparation.NONE else self.rng

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(image, copy) of each."""
        return [(draw.image, draw.copy) for draw in self.draws]


def draw_batch(
    corpus: Corpus, pool: Indices, size: int, preparation: Preparation, entropy: tuple[int, int, int]
) -> Batch:
    """Draw a batch.

    Args:
        corpus: the data set.
        pool: images to draw from, none twice.
        size: of the batch; all of the pool where that is smaller.
        preparation: of texts and images.
        entropy: seed of the run, number of the step, number of the stage.
    """
    rng = np.random.default_rng(entropy)
    indices = rng.choice(pool, min(size, len(pool)), replace=False)
    share, whole = _PREPARED[preparation], preparation is Preparation.NONE
    draws = [corpus.draw(int(index), rng, bool(rng.random() < share), whole=whole) for index in indices]
    texts, device = [draw.text for draw in draws], corpus.model.device
    states, mask = corpus.text_rows(texts)
    return Batch(
        indices,
        draws,
        states.to(device),
        thinned(mask, rng).to(device),
        numbers_of(texts).to(device),
        torch.from_numpy(corpus.groups[indices]).to(device),
        rng,
        preparation,
    )


def batch_pools(corpus: Corpus) -> list[Indices]:
    """Images that batches are drawn from, one after the other: all platforms and a single one in turn.

    Telling platforms apart is easy, telling places apart is hard.
    """
    everything = np.arange(len(corpus.images))
    own = [np.flatnonzero(corpus.platforms == platform) for platform in np.unique(corpus.platforms)]
    return [pool for platform in own for pool in (everything, platform)]


def thinned(mask: Tensor, rng: np.random.Generator, share: float = 0.1) -> Tensor:
    """Leave out a share of the tokens, so that none is learnt by heart. (B, T) bool -> same."""
    kept = mask & torch.from_numpy(rng.random(mask.shape) >= share).to(mask.device)
    return torch.where(kept.any(dim=1, keepdim=True), kept, mask)


def numbers_of(texts: Sequence[Text]) -> Tensor:
    """Equal numbers for equal texts, in whatever order their sentences stand. (B,)"""
    seen: dict[Text, int] = {}
    return torch.tensor([seen.setdefault(tuple(sorted(text)), len(seen)) for text in texts])
