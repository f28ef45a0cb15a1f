"""Heads on frozen features: rows of texts and images, in batches."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...place.heads import Head, every_token, pool_text
from .corpus import Corpus, Text

Array = NDArray[np.float32]
BATCH = 256


@torch.inference_mode()
def embed_images(heads: Sequence[Head], corpus: Corpus, indices: Sequence[int]) -> Array:
    """(N, K, D) unit rows of K heads, of the images themselves."""
    rows = []
    for start in range(0, len(indices), BATCH):
        tokens = corpus.token_rows([(int(index), 0) for index in indices[start : start + BATCH]])
        tokens = tokens.to(corpus.model.device)
        mask = every_token(tokens)
        rows.append(torch.stack([head(tokens, mask) for head in heads], dim=1))
    return torch.cat(rows).cpu().numpy()


@torch.inference_mode()
def embed_texts(heads: Sequence[Head], corpus: Corpus, texts: Sequence[Text]) -> tuple[Array, Array]:
    """(B, K, D) unit rows of K heads, and (B, C) pooled features for a gate."""
    rows, pooled = [], []
    for start in range(0, len(texts), BATCH):
        states, mask = (part.to(corpus.model.device) for part in corpus.text_rows(texts[start : start + BATCH]))
        rows.append(torch.stack([head(states, mask) for head in heads], dim=1))
        pooled.append(pool_text(states, mask))
    return torch.cat(rows).cpu().numpy(), torch.cat(pooled).cpu().numpy()
