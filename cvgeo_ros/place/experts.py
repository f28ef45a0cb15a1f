"""The mixture of platform experts: sentences and images in one space, searched by one exact inner product.

PE-MoE (arXiv 2510.20291): three experts on frozen towers, a gate that looks at the text alone, and the fused score
S(q, i) = sum_k g_k(q) cos(t_k(q), v_k(i)).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import WeightsError
from ..net.weights import find_weights, read_weights
from .config import PLATFORMS, PlaceConfig
from .heads import Expert, Gate, Head, every_token, pool_text
from .text import TextTower, text_tower
from .vision import image_tower, to_square

Array = NDArray[np.float32]
BATCH = 32


@dataclass(frozen=True)
class TextEmbedding:
    """Texts as the experts see them.

    Attributes:
        experts: (B, 3, D) unit rows, one for each of `PLATFORMS`.
        gate: (B, 3) weights of the experts, which sum to one.
    """

    experts: Array
    gate: Array


def fused_query(text: TextEmbedding) -> Array:
    """(B, 3D) queries whose inner product with `fused_images` is the fused score."""
    return (text.gate[:, :, None] * text.experts).reshape(len(text.gate), -1)


def fused_images(images: Array) -> Array:
    """(N, 3, D) -> (N, 3D): what an index holds."""
    return images.reshape(len(images), -1)


class PlaceModel(nn.Module):
    """Frozen towers, three experts and a gate."""

    def __init__(self, config: PlaceConfig | None = None, text: TextTower | None = None) -> None:
        """Build it with random heads.

        Args:
            config: its size.
            text: the text tower; None: the one that `config` names, loaded at the first text.

        Raises:
            PlaceError: the folder that `config` names for images holds no such model.
        """
        super().__init__()
        self.config = config or PlaceConfig()
        self.text = text or text_tower(self.config)
        self.image = image_tower(self.config)
        self.experts = nn.ModuleList(Expert(self.config) for _ in PLATFORMS)
        self.gate = Gate(self.config)
        self.eval()

    def own_experts(self) -> list[Expert]:
        return [expert for expert in self.experts if isinstance(expert, Expert)]

    def text_heads(self) -> list[Head]:
        return [expert.text for expert in self.own_experts()]

    def image_heads(self) -> list[Head]:
        return [expert.image for expert in self.own_experts()]

    @property
    def device(self) -> torch.device:
        return self.gate.out.weight.device

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding:
        """Encode sentences; check what people typed with `check_query` before.

        Raises:
            PlaceError: the text tower is not there.
        """
        states, mask = (part.to(self.device) for part in self.text.tokens(texts))
        rows = torch.stack([head(states, mask) for head in self.text_heads()], dim=1)
        return TextEmbedding(rows.cpu().numpy(), self.gate(pool_text(states, mask)).cpu().numpy())

    @torch.inference_mode()
    def embed_images(
        self, images: NDArray[np.uint8], gsd: NDArray[np.floating] | None = None, platform: str = "satellite"
    ) -> Array:
        """Encode images of one size.

        Args:
            images: (B, H, W, 3) RGB.
            gsd: (B,) metres per pixel, NaN where unknown; None: of none of them.
            platform: one of `PLATFORMS`.

        Returns:
            (B, 3, D) unit rows, one for each expert.
        """
        scale = np.full(len(images), np.nan) if gsd is None else np.asarray(gsd, np.float64)
        rows = []
        for start in range(0, len(images), BATCH):
            square, shrink = to_square(images[start : start + BATCH], self.config.image_size)
            metres = torch.from_numpy(scale[start : start + BATCH] * shrink).float()
            rows.append(self._heads(self.image.tokens(square.to(self.device), platform, metres.to(self.device))))
        return torch.cat(rows).cpu().numpy() if rows else np.zeros((0, len(PLATFORMS), self.config.dim), np.float32)

    def _heads(self, tokens: Tensor) -> Tensor:
        """(B, T, C) -> (B, 3, D)."""
        mask = every_token(tokens)
        return torch.stack([head(tokens, mask) for head in self.image_heads()], dim=1)

    def own_state(self) -> dict[str, Tensor]:
        """All weights but those of frozen towers that lie in a folder of the user's."""
        theirs = "image.frozen." if self.config.image != "nano" else None
        return {name: value for name, value in self.state_dict().items() if not theirs or not name.startswith(theirs)}

    def digest(self) -> str:
        """Digest of configuration and weights: an index made with another model is stale. Folders may be moved."""
        config = self.config.to_dict()
        config |= {"text": Path(self.config.text).name, "image": Path(self.config.image).name}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).data)
        return digest.hexdigest()


def save_place_model(model: PlaceModel, path: Path, **about: str) -> None:
    """Write all that inference needs besides the text tower, in float16, with the configuration in the header."""
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in model.own_state().items()}
    save_file(tensors, path, metadata={"config": json.dumps(model.config.to_dict()), **about})


def load_place_model(model: str | Path = "place", text: TextTower | None = None, device: str = "cpu") -> PlaceModel:
    """Read a model, ready to infer.

    Args:
        model: name of a shipped model, or a .safetensors file.
        text: a text tower that is loaded already.
        device: of the computation.

    Raises:
        WeightsError: no such file, damaged, or of another architecture.
        PlaceError: the towers that the file names are not in their folders.
    """
    path = find_weights(model)
    tensors, about = read_weights(path)
    try:
        config = PlaceConfig(**json.loads(about["config"]))
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: weights of another program or version ({error}); train or fetch anew") from error
    place = PlaceModel(config, text)
    try:
        place.load_state_dict({**place.state_dict(), **tensors})
    except RuntimeError as error:
        raise WeightsError(f"{path}: weights of another version of the model ({error}); train or fetch anew") from error
    missing = place.own_state().keys() - tensors.keys()
    if missing:
        raise WeightsError(f"{path}: damaged weights file, it lacks {min(missing)}; copy it again")
    return place.to(device).eval()
