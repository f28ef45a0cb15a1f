"""Layers written anew for graphs: the same sums, in an order and of sizes that other runtimes do well with."""

import copy
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..net import CrossViewLocator


def traceable(model: CrossViewLocator, parts: Sequence[str]) -> CrossViewLocator:
    """A copy of some parts of a network, of the same weights, with layers to be traced."""
    part = copy.copy(model)
    part._modules = {name: copy.deepcopy(child) for name, child in model._modules.items() if name in parts}
    if "encoder" in parts:
        for stage in part.encoder.trunk.layers:
            for block in stage.blocks:
                block._attn = MethodType(_attend, block)
    for norm in part.modules():
        if isinstance(norm, nn.GroupNorm):
            norm.forward = MethodType(_normalise, norm)  # type: ignore[method-assign]
    return part.eval()


def _attend(block: Any, x: Tensor) -> Tensor:
    """(B, H, W, C) -> same: attention within windows, shifted ones where the block shifts.

    timm pads to whole windows by nested remainders, which symbolic sizes carry through all that follows, and tracing
    takes hours. Here sizes are whole numbers of windows from the start, and the mask is arithmetic.
    """
    batch, height, width, channels = x.shape
    (tall, wide), shift, layer = block.window_size, block.shift_size, block.attn
    rows, columns = (height + tall - 1) // tall, (width + wide - 1) // wide
    if any(shift):
        x = x.roll((-shift[0], -shift[1]), (1, 2))
    x = F.pad(x, (0, 0, 0, columns * wide - width, 0, rows * tall - height))
    x = x.reshape(batch, rows, tall, columns, wide, channels).transpose(2, 3)
    count, area, heads = rows * columns, tall * wide, layer.num_heads
    windows = x.reshape(batch, count, area, channels)
    parts = layer.qkv(windows).reshape(batch, count, area, 3, heads, channels // heads).permute(3, 0, 1, 4, 2, 5)
    query, key, value = parts[0], parts[1], parts[2]
    similarity = (query * layer.scale) @ key.transpose(-2, -1) + layer._get_rel_pos_bias()
    if any(shift):
        vertical = _regions(rows, tall, shift[0], x.device)[:, None]
        horizontal = _regions(columns, wide, shift[1], x.device)[None, :]
        regions = (3 * vertical + horizontal).reshape(rows, tall, columns, wide).transpose(1, 2)
        regions = regions.reshape(count, 1, area)
        apart = regions[:, :, :, None] != regions[:, :, None, :]
        similarity = similarity + apart.to(x.dtype) * -100.0
    seen = (similarity.softmax(-1) @ value).transpose(2, 3).reshape(batch, count, area, channels)
    x = layer.proj(seen).reshape(batch, rows, columns, tall, wide, channels).transpose(2, 3)
    x = x.reshape(batch, rows * tall, columns * wide, channels)[:, :height, :width]
    return x.roll(shift, (1, 2)) if any(shift) else x


def _normalise(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """(B, C, H, W) -> same: normalised over all but the batch.

    Runtimes add up millions of numbers one by one. That costs digits, and where experts suit a cell alike another is
    chosen; so means are taken of rows, then of columns, then of channels.
    """
    assert norm.num_groups == 1
    x = x - x.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
    variance = x.square().mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
    x = x * (variance + norm.eps).rsqrt()
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]


def _regions(count: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(count * side,) which of three regions a row belongs to, between which a shifted window must not look."""
    index = torch.arange(count * side, device=device)
    return (index >= (count - 1) * side).long() + (index >= count * side - shift).long()
