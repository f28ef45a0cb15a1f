"""The image tower: frozen tokens that the experts' heads read."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import PlaceError
from ..net import NANO, View
from ..net._timm import import_timm
from ..net.encoder import ConvBlock, Encoder
from .config import PlaceConfig

VIEWS = {"satellite": View.SATELLITE, "drone": View.DRONE, "ground": View.DRONE}
"""The localizer's encoder never saw ground views: its entry for them is untrained."""


class ConvTower(nn.Module):
    """Maps of the localizer's encoder to tokens: (B, C, 4n, 4n) -> (B, n * n, width)."""

    def __init__(self, channels: int, width: int, cells: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width // 2, 3, stride=2, padding=1)
        self.fine = nn.Sequential(nn.GroupNorm(1, width // 2), nn.GELU(), ConvBlock(width // 2))
        self.down = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(ConvBlock(width), ConvBlock(width))
        self.place = nn.Parameter(torch.zeros(1, cells * cells, width))

    def forward(self, maps: Tensor) -> Tensor:
        x = self.coarse(self.down(self.fine(self.stem(maps))))
        return x.flatten(2).transpose(1, 2) + self.place


class NanoTower(nn.Module):
    """The localizer's frozen encoder, mean colours of its cells, and a convolutional tower on both."""

    def __init__(self, config: PlaceConfig) -> None:
        super().__init__()
        self.size, self.gsd = config.image_size, config.gsd
        self.frozen = Encoder(NANO).requires_grad_(False).eval()
        self.channels = NANO.context_dim + 3
        self.tower = ConvTower(self.channels, config.image_width, config.image_size // (4 * NANO.stride))

    def maps(self, images: Tensor, platform: str, gsd: Tensor) -> Tensor:
        """What the frozen encoder sees; computed once for an image.

        Args:
            images: (B, 3, S, S) RGB in 0..1.
            platform: of all of them.
            gsd: (B,) metres per pixel, NaN where unknown.

        Returns:
            (B, C, S/8, S/8): context features, then mean colours in -1..1.
        """
        features, _ = self.frozen(images, VIEWS[platform], gsd.nan_to_num(self.gsd))
        colours = F.avg_pool2d(images, NANO.stride) * 2 - 1
        return torch.cat([features.context, colours.to(features.context.dtype)], dim=1)

    def tokens(self, images: Tensor, platform: str, gsd: Tensor) -> Tensor:
        """(B, T, image_width); arguments as in `maps`."""
        return self.tower(self.maps(images, platform, gsd))


class TimmTower(nn.Module):
    """A vision transformer of timm from a local folder, as it is."""

    def __init__(self, config: PlaceConfig) -> None:
        """Load it.

        Raises:
            PlaceError: no such model, or one of another width; names the folder and what belongs there.
        """
        super().__init__()
        folder = Path(config.image)
        wanted = "put there config.json and model.safetensors of a timm model, for instance of EVA-CLIP-L"
        self.size, self.gsd = config.image_size, config.gsd
        if not (folder / "config.json").is_file():
            raise PlaceError(f"{folder}: no image model in this folder; {wanted}")
        try:
            model: Any = import_timm().create_model(
                f"local-dir:{folder}", pretrained=True, num_classes=0, img_size=config.image_size
            )
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise PlaceError(f"{folder}: the image model cannot be loaded ({error}); {wanted}") from error
        if model.num_features != config.image_width:
            raise PlaceError(
                f"{folder}: an image model of {model.num_features} channels, {config.image_width} are needed; {wanted}"
            )
        self.frozen = model.requires_grad_(False).eval()
        self.mean: Tensor
        self.std: Tensor
        for name in ("mean", "std"):
            value = torch.tensor(model.pretrained_cfg[name]).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def tokens(self, images: Tensor, platform: str, gsd: Tensor) -> Tensor:
        """(B, T, image_width); arguments as in `NanoTower.maps`, of which platform and gsd do not matter here."""
        return self.frozen.forward_features((images - self.mean) / self.std)


def image_tower(config: PlaceConfig) -> NanoTower | TimmTower:
    """The tower a configuration names."""
    return NanoTower(config) if config.image == "nano" else TimmTower(config)


def to_square(images: NDArray[np.uint8], size: int) -> tuple[Tensor, float]:
    """Bring images to the tower's size.

    Args:
        images: (B, H, W, 3) RGB.
        size: side of the result, pixels.

    Returns:
        (B, 3, size, size) in 0..1, and pixels of the original per pixel of the result.
    """
    height, width = images.shape[1:3]
    if (height, width) != (size, size):
        how = cv2.INTER_AREA if min(height, width) > size else cv2.INTER_LINEAR
        images = np.stack([cv2.resize(image, (size, size), interpolation=how) for image in images])
    shrink = float(np.sqrt(height * width)) / size
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255, shrink
