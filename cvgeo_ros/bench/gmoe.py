"""Ways of dispatching tokens to experts, side by side, against the bare matrix products that none can do without."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ..net import TINY, NetConfig
from ..net import dispatch as forms
from ..net.dispatch import Experts, Form
from ..net.gmoe import ExpertPool
from .interleave import Ratio, Seconds
from .timing import peak_memory, time_cases

if TYPE_CHECKING:
    from rich.table import Table

FORMS: dict[str, Form] = {
    "loop": forms.loop,
    "grouped": forms.grouped,
    "blocks": forms.blocks,
    "all experts": forms.dense,
}
KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often.

    Attributes:
        rounds: each form and the floor in turn.
        config: whose expert layers.
        sides: of the images, pixels, whose tokens are dispatched: a query's and a tile's.
        batch: images at once.
        kind: type of tokens and experts.
        clock: wall or cpu, see `timing`.
    """

    rounds: int = 9
    config: NetConfig = TINY
    sides: tuple[int, ...] = (256, 1024)
    batch: int = 1
    kind: Literal["float32", "bfloat16"] = "float32"
    clock: Literal["wall", "cpu"] = "wall"


@dataclass(frozen=True)
class Layer:
    """What was measured of one layer.

    Attributes:
        tokens, dim: its input.
        backward: whether the gradients were taken, too.
        floor: (rounds,) seconds of the bare products.
        forms: (rounds,) seconds of each form.
        bytes: that each form takes at most, its inputs and parameters not counted.
        runs: name of the form that the network runs here.
    """

    tokens: int
    dim: int
    backward: bool
    floor: Seconds
    forms: dict[str, Seconds]
    bytes: dict[str, int]
    runs: str

    def ratio(self, form: str) -> Ratio:
        """A form against the floor."""
        return Ratio(form, "bare products", self.forms[form], self.floor, 1.3)

    def to_dict(self) -> dict[str, object]:
        """Figures for JSON; times are medians in milliseconds."""
        rows = {name: {**self.ratio(name).to_dict(), "mib": round(self.bytes[name] / 2**20, 2)} for name in self.forms}
        floor = round(1e3 * float(np.median(self.floor)), 3)
        about = {"tokens": self.tokens, "dim": self.dim, "backward": self.backward, "floor_ms": floor}
        return {**about, "runs": self.runs, "forms": rows}


def measure(device: torch.device, plan: Plan, say: Callable[[str], None] = lambda _: None) -> list[Layer]:
    """Time the forms at the token counts of a network's expert layers, forward alone and with gradients.

    Args:
        device: where.
        plan: what and how often.
        say: told what is being measured.

    Raises:
        CvgeoError: CPU time is asked for and the device is no CPU.
    """
    torch.manual_seed(0)
    config, found = plan.config, []
    for stage, blocks in enumerate(config.moe_blocks):
        if not blocks:
            continue
        dim = config.embed_dim << stage
        pool = ExpertPool(dim, int(dim * config.expert_ratio), config.num_experts).to(device, KINDS[plan.kind])
        for side in plan.sides:
            tokens = plan.batch * (side // (4 << stage)) ** 2
            say(f"{tokens} tokens of {dim}")
            problem = _Problem.draw(pool, tokens, config.top_k)
            found += [problem.measure(plan, backward) for backward in (False, True)]
    return found


@dataclass(frozen=True)
class _Problem:
    """Tokens and what the gates say of them."""

    experts: Experts
    x: Tensor
    weights: Tensor
    choice: Tensor

    @classmethod
    def draw(cls, pool: ExpertPool, tokens: int, top_k: int) -> "_Problem":
        device, kind = pool.w1.device, pool.w1.dtype
        logits = torch.randn(tokens, pool.num_experts, device=device)
        chosen, choice = logits.topk(top_k, dim=1)
        x = torch.randn(tokens, pool.w1.shape[1], device=device).to(kind)
        return cls(pool.experts, x.requires_grad_(), chosen.softmax(1).requires_grad_(), choice)

    def measure(self, plan: Plan, backward: bool) -> Layer:
        device = self.x.device
        cases = {name: self._run(form, backward) for name, form in FORMS.items()}
        floor = _products(self.experts, self.choice, backward)
        seconds = time_cases(device, plan.rounds, {"floor": floor, **cases}, plan.clock)
        taken = {name: peak_memory(device, case) for name, case in cases.items()}
        chosen = forms.choose(self.x, self.experts)
        runs = next(name for name, form in FORMS.items() if form is chosen)
        tokens, dim = self.x.shape
        return Layer(tokens, dim, backward, seconds.pop("floor"), seconds, taken, runs)

    def _run(self, form: Form, backward: bool) -> Callable[[], object]:
        leaves = (*self.experts, self.x, self.weights)
        above = torch.ones_like(self.x)

        def with_gradients() -> object:
            return torch.autograd.grad(form(self.experts, self.x, self.weights, self.choice), leaves, above)

        @torch.no_grad()
        def forward() -> object:
            return form(self.experts, self.x, self.weights, self.choice)

        return with_gradients if backward else forward


def _products(experts: Experts, choice: Tensor, backward: bool) -> Callable[[], object]:
    """The matrix products of all forms but the last, and nothing else: operands lie ready, results are written over.

    On a CPU one by one, of the experts' own loads; on a GPU, where starting each would outlast it, all experts at once,
    of even loads.
    """
    w1, _, w2, _ = (part.detach() for part in experts)
    number, dim, hidden = w1.shape
    rows = choice.numel()
    if w1.device.type == "cuda":
        x, h = (w1.new_empty(number, -(-rows // number), width).normal_() for width in (dim, hidden))
        products = list(_pairs(x, h, w1, w2, backward))
    else:
        ends = [0, *choice.flatten().bincount(minlength=number).cumsum(0).tolist()]
        x, h = (w1.new_empty(rows, width).normal_() for width in (dim, hidden))
        products = [
            pair
            for expert, (start, end) in enumerate(pairwise(ends))
            for pair in _pairs(x[start:end], h[start:end], w1[expert], w2[expert], backward)
        ]
    results = [torch.matmul(a, b) for a, b in products]

    @torch.no_grad()
    def run() -> None:
        for (a, b), out in zip(products, results, strict=True):
            torch.matmul(a, b, out=out)

    return run


def _pairs(x: Tensor, h: Tensor, w1: Tensor, w2: Tensor, backward: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Factors of the products; gradients have the shapes of what they belong to."""
    yield x, w1
    yield h, w2
    if backward:
        yield x, w2.mT  # gradient of the hidden layer, from that of the output
        yield h.mT, x
        yield h, w1.mT
        yield x.mT, h


def table(found: list[Layer], title: str) -> "Table":
    """Return the figures as a rich table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    sheet = Table(
        title=title,
        title_justify="left",
        caption="A form's time over that of its bare matrix products, median of the rounds, and what it allocates at "
        "most; * is what the network runs here.",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for heading in ("tokens", "pass"):
        sheet.add_column(heading, no_wrap=True)
    for heading in ("products", *FORMS):
        sheet.add_column(heading, justify="right", no_wrap=True)
    for layer in found:
        cells = [
            f"{layer.ratio(name).value:.2f}{'*' if name == layer.runs else ''}, {layer.bytes[name] / 2**20:.0f} MiB"
            for name in FORMS
        ]
        kind = "both" if layer.backward else "forward"
        floor = f"{1e3 * float(np.median(layer.floor)):.2f} ms"
        sheet.add_row(f"{layer.tokens} x {layer.dim}", kind, floor, *cells)
    return sheet
