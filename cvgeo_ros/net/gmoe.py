"""Grid-level mixture of experts: every grid cell picks its own experts (SMGeo, arXiv 2511.14093)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import View


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

    def expert(self, index: int, x: Tensor) -> Tensor:
        """Expert `index` on (M, C) tokens."""
        return torch.addmm(self.b2[index], F.gelu(torch.addmm(self.b1[index], x, self.w1[index])), self.w2[index])

    def sparse(self, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        """Run each token through its chosen experts only.

        Tokens are sorted by expert, so that each expert sees one contiguous slice and does nothing for the others.

        Args:
            x: (N, C) tokens.
            weights: (N, k) gate weights.
            choice: (N, k) expert indices, long.

        Returns:
            (N, C) weighted sum of the chosen experts' outputs.
        """
        top_k = choice.shape[1]
        flat = choice.reshape(-1)
        order = flat.argsort(stable=True)
        counts: list[int] = torch.bincount(flat, minlength=self.num_experts).tolist()
        token = order // top_k
        outputs = [self.expert(e, part) for e, part in enumerate(x[token].split(counts)) if counts[e]]
        weighted = torch.cat(outputs) * weights.reshape(-1)[order, None].to(x.dtype)
        # Summed in float32: k partial sums in half precision would depend on their order.
        return torch.zeros_like(x, dtype=torch.float32).index_add(0, token, weighted.float()).to(x.dtype)

    def dense(self, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        """The same sum, running every expert on every token: what `sparse` is tested and timed against."""
        gates = torch.zeros(x.shape[0], self.num_experts, device=x.device, dtype=weights.dtype)
        gates = gates.scatter_add(1, choice, weights).to(x.dtype)
        return torch.stack([self.expert(e, x) * gates[:, e, None] for e in range(self.num_experts)]).sum(0)


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
            logits = content + bias.repeat_interleave(height * width, dim=0)
            noisy = logits + torch.randn_like(logits) * self.noise if self.training and self.noise > 0 else logits
            chosen, choice = noisy.topk(self.top_k, dim=1)
            weights = chosen.softmax(dim=1)
            share = F.one_hot(choice, self.num_experts).float().sum(1).mean(0) / self.top_k
            balance = self.num_experts * (share * logits.softmax(dim=1).mean(0)).sum()
            z = logits.logsumexp(dim=1).square().mean()
        y = pool.sparse(tokens, weights, choice)
        return y.reshape(batch, height, width, dim), Routing(balance, z)
