"""What a configuration trains on: photographs and rendered worlds, or image pairs with boxes."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.data import IterableDataset

from ..errors import TrainingError
from .cvogl import FOLDERS, read_cvogl
from .pairs import Pairs
from .pairsets import PairSample, read_folder
from .pairstream import PairStream
from .sources import real_sources, rendered_sources

if TYPE_CHECKING:
    from .training import TrainConfig

Stream = IterableDataset[dict[str, torch.Tensor]]


def open_stream(config: "TrainConfig", seed: int) -> tuple[Stream, str]:
    """The endless stream of pairs that a configuration asks for, and what it is made of.

    Raises:
        TrainingError: nothing to train on, or things that cannot be trained on together.
        DatasetError: samples that cannot be read.
    """
    folders = [str(folder) for folder in (config.real, config.rendered) if folder]
    if config.samples:
        if folders:
            raise TrainingError(f"{config.samples} cannot be mixed with {' and '.join(folders)}: give one or the other")
        samples = read_samples(config.samples)
        return PairStream(samples, config.stream, seed), f"{len(samples)} pairs of images"
    real = real_sources(config.real) if config.real else []
    rendered = rendered_sources(config.rendered) if config.rendered else []
    if not real and not rendered:
        raise TrainingError(f"no training images under {' or '.join(folders)}")
    pairs = Pairs(real, rendered, config.rendered_share if real else 1.0, config.pairs, seed)
    return pairs, f"{len(real)} photographs, {len(rendered)} rendered worlds"


def read_samples(root: Path) -> list[PairSample]:
    """A folder with a pairs.json, or the training split of CVOGL_DroneAerial or CVOGL_SVI.

    Raises:
        DatasetError: samples that cannot be read.
        TrainingError: samples of more than one platform; a batch is told one.
    """
    subsets = [subset for subset, name in FOLDERS.items() if name == root.name]
    samples = read_cvogl(root.parent, subsets[0], "train") if subsets else read_folder(root)
    views = sorted({sample.view.name.lower() for sample in samples})
    if len(views) > 1:
        raise TrainingError(f"{root}: pairs of {' and '.join(views)} views; train on one folder of each, in turn")
    return samples
