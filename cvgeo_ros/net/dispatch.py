"""Ways of sending tokens through their experts: one sum, computed as the device at hand does it best."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Experts(NamedTuple):
    """Two-layer experts, stacked: (E, C, H), (E, H), (E, H, C), (E, C)."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    def run(self, index: int, x: Tensor) -> Tensor:
        """Expert `index` on (M, C) tokens."""
        return _feed_forward(x, self.w1[index], self.b1[index], self.w2[index], self.b2[index])

    def to(self, kind: torch.dtype) -> "Experts":
        return Experts(*(part.to(kind) for part in self))


def _feed_forward(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return torch.addmm(b2, F.gelu(torch.addmm(b1, x, w1)), w2)


Form = Callable[[Experts, Tensor, Tensor, Tensor], Tensor]
"""Experts, (N, C) tokens, (N, k) gate weights and (N, k) choices -> (N, C) weighted sums of the chosen experts."""


FEW = 512
"""Tokens below which the copies that `blocks` makes of the weights cost more than the products it saves."""


def choose(x: Tensor, experts: Experts) -> Form:
    """The form to run: `loop` on a CPU; elsewhere, and in a compiled graph, one that the host need not wait for.

    In an exported graph it is `dense`: of operators that every runtime has, at any number of tokens.
    """
    if torch.compiler.is_exporting():
        return dense
    if has_grouped_kernel(x, experts):
        return grouped
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return loop
    return dense if len(x) < FEW else blocks


def has_grouped_kernel(x: Tensor, experts: Experts) -> bool:
    """Whether torch has one kernel for `grouped`; elsewhere its grouped_mm copies the offsets to the host and loops.

    In torch 2.13: bfloat16 on NVIDIA's compute capabilities 9 and 10 (Hopper, data centre Blackwell), rows of whole
    16 bytes.
    """
    whole = all(side % 8 == 0 for side in experts.w1.shape[1:])
    return (
        x.device.type == "cuda" and _kind(x) == torch.bfloat16 and whole and _capability(x.device.index or 0) in (9, 10)
    )


def _capability(index: int) -> int:
    """Major compute capability of an NVIDIA GPU that torch has grouped_mm for; 0 of others."""
    if torch.version.hip is not None or not hasattr(F, "grouped_mm"):
        return 0
    return torch.cuda.get_device_capability(index)[0]


def allow_compiling() -> None:
    """To be called before torch.compile: the device is the same whenever it is asked. Imports the compiler."""
    torch.compiler.assume_constant_result(_capability)


def _kind(x: Tensor) -> torch.dtype:
    """Type that matrix products of `x` are taken in: autocast knows nothing of grouped and batched-by-index ones."""
    device = x.device.type
    autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocast else x.dtype


def loop(experts: Experts, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
    """Expert by expert on slices of sorted tokens.

    Its counts go to the host, which a GPU would be waited for.
    """
    top_k, number = choice.shape[1], experts.w1.shape[0]
    flat = choice.reshape(-1)
    order = flat.argsort(stable=True)
    counts: list[int] = torch.bincount(flat, minlength=number).tolist()
    token = order // top_k
    # Taken apart once: the gradient of indexing fills a tensor of all experts for each of them.
    each = zip(*(part.unbind() for part in experts), strict=True)
    parts = zip(each, x[token].split(counts), counts, strict=True)
    outputs = [_feed_forward(part, *expert) for expert, part, count in parts if count]
    weighted = torch.cat(outputs) * weights.reshape(-1)[order, None].to(x.dtype)
    # Summed in float32: k partial sums in half precision would depend on their order.
    return torch.zeros_like(x, dtype=torch.float32).index_add(0, token, weighted.float()).to(x.dtype)


class Sorted(NamedTuple):
    """Choices in the order of their experts; all on the device, of sizes that do not depend on the choices.

    Attributes:
        token: (N k,) the token of each sorted choice.
        place: (N k,) where each choice has gone.
        expert: (N k,) of each sorted choice.
        ends: (E,) int32, where each expert's part ends.
    """

    token: Tensor
    place: Tensor
    expert: Tensor
    ends: Tensor


def sort(choice: Tensor, number: int) -> Sorted:
    """(N, k) choices among `number` experts, sorted; a token's place within its expert's part is that of its image."""
    flat = choice.reshape(-1)
    expert, order = flat.sort(stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    each = torch.arange(number, device=flat.device)
    return Sorted(order // choice.shape[1], place, expert, torch.searchsorted(expert, each, right=True, out_int32=True))


def _merge(outputs: Tensor, place: Tensor, weights: Tensor, kind: torch.dtype) -> Tensor:
    """Weighted sum, in float32, of each token's outputs; gathered, so that a GPU adds them in one order always."""
    own = outputs.index_select(0, place).unflatten(0, weights.shape)
    return (own * weights.float()[..., None]).sum(1).to(kind)


def grouped(experts: Experts, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
    """Two grouped matrix products over sorted tokens, with offsets that stay on the device."""
    kind = _kind(x)
    w1, b1, w2, b2 = experts.to(kind)
    of = sort(choice, len(w1))
    # The bias as a product: its gradient is one, too, where that of a gather would add a whole part's rows one by one.
    one_hot = F.one_hot(of.expert, len(w1)).to(kind)
    rows = x.to(kind).index_select(0, of.token)
    hidden = F.gelu(torch.addmm(F.grouped_mm(rows, w1, offs=of.ends), one_hot, b1))
    outputs = torch.addmm(F.grouped_mm(hidden, w2, offs=of.ends), one_hot, b2)
    return _merge(outputs, of.place, weights, x.dtype)


def blocks(experts: Experts, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
    """Batched matrix products over blocks of sorted tokens, each of one expert, whose part is padded to whole blocks.

    For any device and type without waiting for the host, and of sizes that a compiled graph can have: there are as many
    blocks as the least even load would need, a quarter more rows than tokens have choices.
    """
    kind = _kind(x)
    w1, b1, w2, b2 = experts.to(kind)
    number, rows = len(w1), choice.numel()
    size = block_size(rows, number)
    count = rows // size + number
    of = sort(choice, number)
    ends = of.ends.long()
    starts = F.pad(ends[:-1], (1, 0))
    last = ((ends - starts + size - 1) // size).cumsum(0)  # block after each expert's last one
    slot = torch.arange(rows, device=x.device) + (F.pad(last[:-1], (1, 0)) * size - starts).index_select(0, of.expert)
    owner = torch.searchsorted(last, torch.arange(count, device=x.device), right=True).clamp(max=number - 1)
    padded = x.new_zeros((count * size, x.shape[1]), dtype=kind)
    padded = padded.index_copy(0, slot, x.to(kind).index_select(0, of.token)).unflatten(0, (count, size))
    w1, b1, w2, b2 = (part.index_select(0, owner) for part in (w1, b1, w2, b2))
    hidden = F.gelu(torch.baddbmm(b1[:, None], padded, w1))
    outputs = torch.baddbmm(b2[:, None], hidden, w2).flatten(0, 1)
    return _merge(outputs, slot.index_select(0, of.place), weights, x.dtype)


def block_size(rows: int, number: int) -> int:
    """Rows of a block: a quarter of an even load, so that few are padding and few copies of the weights are made."""
    return max(16, math.ceil(rows / number / 4 / 16) * 16)


def dense(experts: Experts, x: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
    """Every expert on every token, weighed afterwards: what the others are tested and timed against."""
    number = len(experts.w1)
    chosen = choice[..., None] == torch.arange(number, device=x.device)
    gates = (chosen * weights[..., None]).sum(1).to(x.dtype)
    return torch.stack([experts.run(e, x) * gates[:, e, None] for e in range(number)]).sum(0)
