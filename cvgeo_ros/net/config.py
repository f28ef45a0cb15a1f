"""Sizes of the network. The same code builds every size."""

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

STRIDE = 8
"""Pixels a side of one cell of the feature maps; fixed by the neck."""


class View(IntEnum):
    """Platform an image was taken from: the source that the expert gate sees."""

    DRONE = 0
    SATELLITE = 1
    GROUND = 2


@dataclass(frozen=True)
class NetConfig:
    """Size of a `CrossViewLocator`.

    Attributes:
        name: name of the size, also of its weights file.
        embed_dim: channels of the first Swin stage; each further stage doubles them.
        depths: Swin blocks in each stage; the first stage has stride 4, each further one doubles it.
        num_heads: attention heads in each stage.
        window_size: side of the attention windows, cells.
        conv_stem: overlapping convolutions instead of the 4x4 patch embedding (Xiao et al. 2021, arXiv 2106.14881):
            they train far quicker from scratch. Off where ImageNet weights of Swin are to be loaded.
        moe_blocks: for each stage the indices of the blocks whose feed-forward layer is a GMoE.
        num_experts: experts in each stage's pool (SMGeo: 6).
        top_k: experts a grid cell is sent to (SMGeo: 2).
        expert_ratio: hidden width of one expert over its input width.
        mlp_ratio: hidden width of the plain feed-forward layers over their input width.
        match_dim: length of the unit descriptors that frame and tile are compared by.
        context_dim: channels of the features that boxes are read from.
        gsd: ground sampling distance the network is meant to work at, metres per pixel; a coarser tile is searched at
            its own.
        query_size: side of the rectified frame, pixels.
        close_look: whether boxes are read off pixels in the end; that part is taught apart, on a trained network.
    """

    name: str
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_size: int = 8
    conv_stem: bool = False
    moe_blocks: tuple[tuple[int, ...], ...] = ()
    num_experts: int = 6
    top_k: int = 2
    expert_ratio: float = 4.0
    mlp_ratio: float = 4.0
    match_dim: int = 128
    context_dim: int = 128
    gsd: float = 0.3
    query_size: int = 512
    close_look: bool = False

    stride: int = STRIDE  # recorded with the weights

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetConfig":
        """Rebuild a configuration from `to_dict` after a trip through JSON (lists become tuples again)."""

        def freeze(value: Any) -> Any:
            return tuple(freeze(v) for v in value) if isinstance(value, list) else value

        return cls(**{key: freeze(value) for key, value in values.items()})


NANO = NetConfig(
    name="nano",
    embed_dim=32,
    depths=(2, 2, 4),
    num_heads=(2, 4, 8),
    conv_stem=True,
    moe_blocks=((), (1,), (1, 3)),
    expert_ratio=2.0,
    mlp_ratio=3.0,
    match_dim=96,
    context_dim=96,
    query_size=512,
)
"""Runs on two CPU cores or a small Jetson."""

TINY = NetConfig(
    name="tiny",
    embed_dim=96,
    depths=(2, 2, 6, 2),
    num_heads=(3, 6, 12, 24),
    moe_blocks=((), (0, 1), (0, 2, 4), (0, 1)),
    expert_ratio=4.0,
    mlp_ratio=4.0,
    match_dim=128,
    context_dim=128,
    query_size=256,
)
"""SMGeo's published size (Swin-T trunk, GMoE 2 of 6 in stages 2 to 4), for a GPU."""

CONFIGS = {config.name: config for config in (NANO, TINY)}
