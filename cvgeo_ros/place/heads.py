"""What an expert owns: a head for text, a head for images, and the gate that weighs the experts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PLATFORMS, PlaceConfig


class Layer(nn.Module):
    """Transformer layer with normalisation first: (B, T, C) -> same."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.reduce = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Args: x: (B, T, C); mask: (B, T) bool, True where there is a token."""
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.reduce(F.gelu(self.expand(self.norm2(x)))))


class Head(nn.Module):
    """Tokens of a frozen tower to one unit vector: own layers, attention pooling, linear projection."""

    def __init__(self, token_width: int, layers: int, config: PlaceConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_in = nn.LayerNorm(token_width)
        self.project = nn.Linear(token_width, width)
        self.layers = nn.ModuleList(Layer(width, config.heads, config.dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, config.heads)
        self.out = nn.Linear(width, config.dim)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, T, token_width) and (B, T) bool -> (B, dim) unit rows, float32."""
        x = self.project(self.norm_in(tokens))
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x)
        # Each attention head pools its own share of the channels.
        weights = self.attend(x).float().masked_fill(~mask[:, :, None], float("-inf")).softmax(dim=1)
        parts = x.unflatten(2, (self.heads, -1))
        pooled = (weights[..., None].to(x.dtype) * parts).sum(dim=1).flatten(1)
        return F.normalize(self.out(pooled).float(), dim=-1)


class Expert(nn.Module):
    """Text and image of one platform in one space; S_k is the cosine of the two."""

    def __init__(self, config: PlaceConfig) -> None:
        super().__init__()
        self.text = Head(config.text_width, config.text_layers, config)
        self.image = Head(config.image_width, config.image_layers, config)


class Gate(nn.Module):
    """Two-layer perceptron on the pooled text feature, softmax over the experts."""

    def __init__(self, config: PlaceConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.text_width, config.gate_hidden)
        self.out = nn.Linear(config.gate_hidden, len(PLATFORMS))

    def forward(self, feature: Tensor) -> Tensor:
        """(B, text_width) unit rows -> (B, 3) weights that sum to one."""
        return torch.softmax(self.out(F.gelu(self.hidden(feature))).float(), dim=-1)


def every_token(tokens: Tensor) -> Tensor:
    """The mask of (B, T, C) tokens of which none is left out: (B, T) bool."""
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


def pool_text(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens, as unit rows: what the gate looks at. (B, T, C), (B, T) -> (B, C)."""
    weights = mask.to(states.dtype)[:, :, None]
    return F.normalize((states * weights).sum(dim=1), dim=-1)
