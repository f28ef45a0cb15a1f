"""Retrieval judged: ranks from score blocks of bounded memory, text to image and image to text named as such."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from ...place.config import PLATFORMS
from ...place.experts import PlaceModel, fused_images, fused_query
from .data import PlaceImage

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
BLOCK = 1024
"""Rows and columns of the scores that are in memory at once."""


def ranks_of(queries: Array, gallery: Array, wanted: Labels, labels: Labels, block: int = BLOCK) -> Labels:
    """Rank, from 0, of the best relevant item of each query; of equal scores the relevant one comes last.

    Args:
        queries: (Q, F) rows whose inner product with the gallery's is the score.
        gallery: (N, F).
        wanted: (Q,) what is relevant to a query.
        labels: (N,) what the items are.
        block: queries and items at a time.

    Raises:
        DatasetError: a query to which nothing in the gallery is relevant.
    """
    lost = ~np.isin(wanted, labels)
    if lost.any():
        raise DatasetError(f"query {int(np.flatnonzero(lost)[0])}: nothing in the gallery is relevant to it")
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), block):
        rows, own = queries[start : start + block], wanted[start : start + block]
        best = np.full(len(rows), -np.inf, np.float32)
        for scores, relevant in _blocks(rows, gallery, own, labels, block):
            best = np.maximum(best, np.where(relevant, scores, -np.inf).max(axis=1))
        ahead = np.zeros(len(rows), np.int64)
        for scores, relevant in _blocks(rows, gallery, own, labels, block):
            ahead += ((scores >= best[:, None]) & ~relevant).sum(axis=1)
        ranks[start : start + block] = ahead
    return ranks


def _blocks(rows: Array, gallery: Array, own: Labels, labels: Labels, block: int) -> Any:
    for start in range(0, len(gallery), block):
        part = slice(start, start + block)
        yield rows @ gallery[part].T, own[:, None] == labels[None, part]


@dataclass(frozen=True)
class Recall:
    """Shares of queries whose first relevant item is among the first 1, 5, 10.

    Attributes:
        queries: their number.
        candidates: size of the gallery.
    """

    r1: float
    r5: float
    r10: float
    queries: int
    candidates: int

    @property
    def score(self) -> float:
        """(R@1 + R@10) / 2, the score of the RoboSense 2025 challenge."""
        return (self.r1 + self.r10) / 2

    @classmethod
    def of(cls, ranks: Labels, candidates: int) -> "Recall":
        r1, r5, r10 = (float((ranks < k).mean()) if len(ranks) else float("nan") for k in (1, 5, 10))
        return cls(r1, r5, r10, len(ranks), candidates)

    def to_dict(self) -> dict[str, float]:
        return {"r1": self.r1, "r5": self.r5, "r10": self.r10, "score": self.score, "queries": self.queries} | {
            "candidates": self.candidates
        }


@dataclass(frozen=True)
class Retrieval:
    """What an evaluation found.

    Attributes:
        text_to_image: each caption against all images.
        image_to_text: each image against all captions.
        by_platform: `text_to_image` of one platform's captions, still against all images.
        gate: mean weights of the experts by platform of the captions.
    """

    text_to_image: Recall
    image_to_text: Recall
    by_platform: dict[str, Recall]
    gate: dict[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "text_to_image": self.text_to_image.to_dict(),
            "image_to_text": self.image_to_text.to_dict(),
            "by_platform": {name: recall.to_dict() for name, recall in self.by_platform.items()},
            "gate": {name: list(weights) for name, weights in self.gate.items()},
        }


@dataclass(frozen=True)
class Embedded:
    """A data set as rows whose inner product is the score.

    Attributes:
        texts: (T, F).
        images: (N, F).
        owner: (T,) image that each text describes.
        gate: (T, K) weights of the experts.
    """

    texts: Array
    images: Array
    owner: Labels
    gate: Array


def judge(rows: Embedded, platforms: Labels, image_labels: Labels | None = None) -> Retrieval:
    """Retrieval both ways.

    Args:
        rows: of the data set.
        platforms: (N,) of the images, indices into PLATFORMS.
        image_labels: (N,) what images count as the same answer, such as the building; None: each stands for itself.
    """
    labels = np.arange(len(rows.images)) if image_labels is None else image_labels
    text_labels = labels[rows.owner]
    text_to_image = ranks_of(rows.texts, rows.images, text_labels, labels)
    described = np.isin(labels, text_labels)
    image_to_text = ranks_of(rows.images[described], rows.texts, labels[described], text_labels)
    of_text = platforms[rows.owner]
    present = [number for number in range(len(PLATFORMS)) if (of_text == number).any()]
    return Retrieval(
        Recall.of(text_to_image, len(rows.images)),
        Recall.of(image_to_text, len(rows.texts)),
        {PLATFORMS[k]: Recall.of(text_to_image[of_text == k], len(rows.images)) for k in present},
        {PLATFORMS[k]: tuple(float(w) for w in rows.gate[of_text == k].mean(axis=0)) for k in present},
    )


def embed(
    model: PlaceModel,
    images: Sequence[PlaceImage],
    progress: Callable[[str, int, int], None] | None = None,
    batch: int = 32,
) -> Embedded:
    """Embed a data set as a robot would: images from their files, captions as they were written.

    Raises:
        DatasetError: an image that cannot be read.
        PlaceError: the text tower is not there.
    """
    captions = [caption for image in images for caption in image.captions]
    owner = np.array([index for index, image in enumerate(images) for _ in image.captions], np.int64)
    texts, gates = [], []
    for start in range(0, len(captions), batch):
        text = model.embed_texts(captions[start : start + batch])
        texts.append(fused_query(text))
        gates.append(text.gate)
        if progress:
            progress("captions", min(start + batch, len(captions)), len(captions))
    rows = np.empty((len(images), texts[0].shape[1]), np.float32)
    done = 0
    for platform in PLATFORMS:
        own = [index for index, image in enumerate(images) if image.platform == platform]
        for start in range(0, len(own), batch):
            part = own[start : start + batch]
            for index in part:  # files may differ in size
                rows[index] = fused_images(_embed_file(model, images[index]))[0]
            done += len(part)
            if progress:
                progress("images", done, len(images))
    return Embedded(np.concatenate(texts), rows, owner, np.concatenate(gates))


def _embed_file(model: PlaceModel, image: PlaceImage) -> Array:
    pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise DatasetError(f"{image.path}: cannot be read as an image")
    gsd = np.array([np.nan if image.gsd is None else image.gsd])
    return model.embed_images(np.asarray(pixels, np.uint8)[None], gsd, image.platform)


def platforms_of(images: Sequence[PlaceImage]) -> Labels:
    """(N,) indices into PLATFORMS."""
    return np.array([PLATFORMS.index(image.platform) for image in images], np.int64)
