"""Grid-level mixture of experts: every grid cell picks its own experts (SMGeo, arXiv 2511.14093)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import View
from .dispatch import Experts, choose, dense


class Routing(NamedTuple):
    """Auxiliary losses of one or more GMoE layers, scalars that carry gradients to the gates."""

    balance: Tensor
    z: Tensor


class Condition(nn.Module):
    """Which platform and which scale an image has, as a vector for the gates."""

    dim = len(View) + 1

    def forward(self, view: View, gsd: Tensor) -> Tensor:
        """(B,) metres per pixel -> (B, dim): one-hot view and octaves from 0.3 m/px."""
        one_hot = torch.zeros(gsd.shape[0], len(View), device=gsd.device)
        one_hot[:, int(view)] = 1.0
        return torch.cat([one_hot, torch.log2(gsd.float() / 0.3)[:, None]], dim=1)


class ExpertPool(nn.Module):
    """Feed-forward experts, stored stacked; one pool serves all GMoE layers of a stage, as in SMGeo."""

    def __init__(self, dim: int, hidden: int, num_experts: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.w1 = nn.Parameter(torch.empty(num_experts, dim, hidden))
        self.b1 = nn.Parameter(torch.zeros(num_experts, hidden))
        self.w2 = nn.Parameter(torch.empty(num_experts, hidden, dim))
        self.b2 = nn.Parameter(torch.zeros(num_experts, dim))
        for weight in (self.w1, self.w2):
            nn.init.trunc_normal_(weight, std=0.02)

        self._reduced: Experts | None = None

    @property
    def experts(self) -> Experts:
        return self._reduced or Experts(self.w1, self.b1, self.w2, self.b2)

    def reduce(self, kind: torch.dtype) -> None:
        """Compute with a copy in half precision: no pass has to convert them. The parameters stay as they are."""
        self._reduced = Experts(*(part.detach().to(kind) for part in self.experts))

    def sparse(self, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        """Run each token through its chosen experts only, in the form that suits the device.

        Args:
            x: (N, C) tokens.
            weights: (N, k) gate weights.
            choice: (N, k) expert indices, long.

        Returns:
            (N, C) weighted sum of the chosen experts' outputs.
        """
        form = choose(x, self.experts)
        return form(self.experts, x, weights, choice)

    def dense(self, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        """The same sum, running every expert on every token."""
        return dense(self.experts, x, weights, choice)


class GMoE(nn.Module):
    """Sparse mixture of experts with a gate per grid cell.

    The gate sees the cell's content and the image's view and scale; the `top_k` best experts are run and summed with
    their softmax weights over the chosen logits. Balance loss after Switch Transformers (arXiv 2101.03961, its top-k
    form; 1 when the load is even), z-loss after ST-MoE (arXiv 2202.08906).
    """

    def __init__(self, dim: int, num_experts: int, top_k: int, noise: float = 0.1) -> None:
        super().__init__()
        self.num_experts, self.top_k, self.noise = num_experts, top_k, noise
        self.content_gate = nn.Linear(dim, num_experts, bias=False)
        self.condition_gate = nn.Linear(Condition.dim, num_experts)
        nn.init.trunc_normal_(self.content_gate.weight, std=0.02)

    def forward(self, x: Tensor, condition: Tensor, pool: ExpertPool) -> tuple[Tensor, Routing]:
        """(B, H, W, C) cells, (B, Condition.dim) and the stage's experts -> (B, H, W, C), routing losses."""
        batch, height, width, dim = x.shape
        tokens = x.reshape(-1, dim)
        with torch.autocast(x.device.type, enabled=False):  # routing in half precision flips near-ties
            content = F.linear(tokens.float(), self.content_gate.weight.float())
            bias = self.condition_gate(condition.float())
            logits = (content.unflatten(0, (batch, height * width)) + bias[:, None]).flatten(0, 1)
            noisy = logits + torch.randn_like(logits) * self.noise if self.training and self.noise > 0 else logits
            chosen, choice = noisy.topk(self.top_k, dim=1)
            weights = chosen.softmax(dim=1)
            share = F.one_hot(choice, self.num_experts).float().sum(1).mean(0) / self.top_k
            balance = self.num_experts * (share * logits.softmax(dim=1).mean(0)).sum()
            z = logits.logsumexp(dim=1).square().mean()
        y = pool.sparse(tokens, weights, choice)
        return y.reshape(batch, height, width, dim), Routing(balance, z)
