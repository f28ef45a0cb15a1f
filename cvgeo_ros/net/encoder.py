"""The encoder that drone and satellite views share: a Swin trunk with GMoE layers and a pyramid neck."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._timm import SwinTransformer
from .config import NetConfig, View
from .gmoe import Condition, ExpertPool, GMoE, Routing


class Features(NamedTuple):
    """Feature maps of stride 8; cell (i, j) covers pixels [8j, 8j + 8) x [8i, 8i + 8).

    Attributes:
        match: (B, D, h, w) unit descriptors, compared across views by their inner product.
        context: (B, C, h, w) what is at a place, from which boxes are read.
    """

    match: Tensor
    context: Tensor


class ConvStem(nn.Module):
    """Two overlapping stride-2 convolutions in place of a 4x4 patch embedding: (B, 3, H, W) -> (B, H/4, W/4, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, dim, 5, stride=2, padding=2)
        self.norm1 = nn.GroupNorm(1, dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(F.gelu(self.norm1(self.conv1(x))))
        return self.norm(x.permute(0, 2, 3, 1))


class ConvBlock(nn.Module):
    """Depthwise 5x5 and pointwise residual block, (B, C, h, w) -> same."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm = nn.GroupNorm(1, dim)
        self.expand = nn.Conv2d(dim, 2 * dim, 1)
        self.reduce = nn.Conv2d(2 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.reduce(F.gelu(self.expand(self.norm(self.depthwise(x)))))


def _build_trunk(config: NetConfig) -> SwinTransformer:
    trunk = SwinTransformer(
        img_size=config.query_size,
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.num_heads,
        window_size=config.window_size,
        mlp_ratio=config.mlp_ratio,
        num_classes=0,
        global_pool="",
        drop_path_rate=0.0,
        strict_img_size=False,  # frames, tiles and blocks of tiles have their own sizes
        always_partition=True,
    )
    if config.conv_stem:
        trunk.patch_embed = ConvStem(config.embed_dim)
    trunk.norm = nn.Identity()  # each level is normalised by the neck instead
    return trunk


class Encoder(nn.Module):
    """Image -> `Features`, for any view and any size that is a multiple of 8."""

    reduced: torch.dtype | None = None
    """Type that products are computed in where it is not float32, see `reduce`; training sets autocast by itself."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = _build_trunk(config)
        self.condition = Condition()
        dims = [config.embed_dim * 2**i for i in range(len(config.depths))]
        self.pools = nn.ModuleDict()
        self.moe = nn.ModuleDict()
        for s, blocks in enumerate(config.moe_blocks):
            if not blocks:
                continue
            self.pools[str(s)] = ExpertPool(dims[s], int(dims[s] * config.expert_ratio), config.num_experts)
            for b in blocks:
                self.moe[f"{s}_{b}"] = GMoE(dims[s], config.num_experts, config.top_k)
                self.trunk.layers[s].blocks[b].mlp = nn.Identity()  # replaced, so not paid for
        width = config.context_dim
        self.level_norms = nn.ModuleList(nn.LayerNorm(d) for d in dims)
        self.lateral = nn.ModuleList(nn.Conv2d(d, width, 1) for d in dims)
        self.smooth = ConvBlock(width)
        self.match = nn.Conv2d(width, config.match_dim, 3, padding=1)
        self.context = nn.Sequential(ConvBlock(width), ConvBlock(width))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, view: View, gsd: Tensor) -> tuple[Features, Routing]:
        """Encode images of one view.

        Args:
            image: (B, 3, H, W) RGB in 0..1, H and W multiples of 8.
            view: the platform.
            gsd: (B,) metres per pixel.

        Returns:
            Features of stride 8, and the mean routing losses of all GMoE layers.
        """
        if self.reduced is None:
            return self._encode(image, view, gsd)
        with torch.autocast(image.device.type, self.reduced):
            features, routing = self._encode(image, view, gsd)
        return Features(features.match, features.context.float()), routing

    def reduce(self, kind: torch.dtype = torch.bfloat16) -> None:
        """Compute in half precision from now on, for inference; features are float32 still."""
        self.reduced = kind
        for pool in self.pools.values():
            assert isinstance(pool, ExpertPool)
            pool.reduce(kind)

    def _encode(self, image: Tensor, view: View, gsd: Tensor) -> tuple[Features, Routing]:
        condition = self.condition(view, gsd)
        x = self.trunk.patch_embed((image - self.mean) / self.std)
        levels: list[Tensor] = []
        routings: list[Routing] = []
        for s, stage in enumerate(self.trunk.layers):
            x = stage.downsample(x)
            for b, block in enumerate(stage.blocks):
                if f"{s}_{b}" not in self.moe:
                    x = block(x)
                    continue
                x = x + block._attn(block.norm1(x))
                y, routing = self.moe[f"{s}_{b}"](block.norm2(x), condition, self.pools[str(s)])
                x = x + y
                routings.append(routing)
            levels.append(x)
        features = self._neck(levels)
        zero = image.new_zeros((), dtype=torch.float32)
        mean = Routing(*(torch.stack(losses).mean() for losses in zip(*routings, strict=True))) if routings else None
        return features, mean or Routing(zero, zero)

    def _neck(self, levels: list[Tensor]) -> Features:
        """Sum all levels at stride 8: coarser ones are enlarged, the finest is averaged."""
        size = levels[1].shape[1:3]
        total: Tensor | None = None
        for norm, lateral, level in zip(self.level_norms, self.lateral, levels, strict=True):
            y = lateral(norm(level).permute(0, 3, 1, 2))
            if y.shape[2] > size[0]:
                y = F.avg_pool2d(y, 2)
            elif y.shape[2] < size[0]:
                # Odd levels were padded at the far side before merging: enlarge by the exact factor, then cut.
                factor = -(-size[0] // y.shape[2])
                y = F.interpolate(y, scale_factor=float(factor), mode="bilinear")[:, :, : size[0], : size[1]]
            total = y if total is None else total + y
        assert total is not None
        smooth = self.smooth(total)
        match = F.normalize(self.match(F.gelu(smooth)).float(), dim=1)
        return Features(match, self.context(smooth))
