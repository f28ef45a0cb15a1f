"""Dispatch of tokens to experts: every form gives the same sum and gradients, and on a GPU none waits for the host."""

import pytest
import torch
from pretend_gpu import pretended_gpu, put
from torch._subclasses.fake_tensor import FakeTensorMode

from cvgeo_ros.net import dispatch
from cvgeo_ros.net.config import View
from cvgeo_ros.net.dispatch import Experts, Form
from cvgeo_ros.net.gmoe import Condition, ExpertPool, GMoE

FORMS = [dispatch.loop, dispatch.grouped, dispatch.blocks]


def problem(load: str = "even", tokens: int = 301, dim: int = 16) -> tuple[Experts, torch.Tensor, torch.Tensor]:
    """Experts, tokens and the logits of their gates."""
    torch.manual_seed(3)
    pool = ExpertPool(dim, 2 * dim, num_experts=6)
    for bias in (pool.b1, pool.b2):
        torch.nn.init.normal_(bias)
    logits = torch.randn(tokens, 6)
    if load == "uneven":
        logits[:, 2] += 4.0
        logits[:, 5] -= 9.0
    if load == "collapsed":
        logits += torch.tensor([9.0, 0.0, 0.0, 9.0, 0.0, 0.0]) * 10
    return Experts(*(part.detach() for part in pool.experts)), torch.randn(tokens, dim), logits


def run(form: Form, kind: torch.dtype, load: str = "even") -> list[torch.Tensor]:
    """The sum, and the gradients of tokens, gates and experts."""
    experts, x, logits = problem(load)
    leaves = [part.to(kind).requires_grad_() for part in (*experts, x)] + [logits.requires_grad_()]
    weights, choice = leaves[5].softmax(1).topk(2, dim=1)
    y = form(Experts(*leaves[:4]), leaves[4], weights, choice)
    gradients = torch.autograd.grad(y, leaves, torch.linspace(-1, 1, y.numel()).reshape(y.shape).to(y.dtype))
    return [part.double() for part in (y.detach(), *gradients)]


@pytest.mark.parametrize("load", ["even", "uneven", "collapsed"])
@pytest.mark.parametrize("form", FORMS)
def test_sum_and_gradients_are_those_of_float64(form: Form, load: str) -> None:
    """An expert that gets nothing, and one that gets everything, among them."""
    reference = run(dispatch.dense, torch.float64, load)
    for value, true in zip(run(form, torch.float32, load), reference, strict=True):
        assert (value - true).abs().max() < 3e-5 * true.abs().max()


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_is_as_near_as_its_digits(form: Form) -> None:
    reference = run(dispatch.dense, torch.float64)
    for value, true in zip(run(form, torch.bfloat16), reference, strict=True):
        assert (value - true).abs().max() < 0.03 * true.abs().max()


@pytest.mark.parametrize("form", FORMS)
def test_autocast_reaches_the_products(form: Form) -> None:
    experts, x, logits = problem()
    weights, choice = logits.softmax(1).topk(2, dim=1)
    full = form(experts, x, weights, choice)
    with torch.autocast("cpu", torch.bfloat16):
        half = form(experts, x, weights, choice)
    assert half.dtype == torch.float32 and not torch.equal(half, full)
    assert (half - full).abs().max() < 0.03 * full.abs().max()


@pytest.mark.parametrize("form", FORMS)
def test_few_tokens(form: Form) -> None:
    experts, x, logits = problem(tokens=1)
    weights, choice = logits.softmax(1).topk(2, dim=1)
    torch.testing.assert_close(form(experts, x, weights, choice), dispatch.dense(experts, x, weights, choice))


def test_a_cpu_runs_the_loop_and_a_gpu_what_it_has_a_kernel_for(monkeypatch: pytest.MonkeyPatch) -> None:
    experts, x, _ = problem()
    assert dispatch.choose(x, experts) is dispatch.loop

    def chosen(capability: int, kind: torch.dtype, dim: int = 16, tokens: int = 600) -> Form:
        monkeypatch.setattr(dispatch, "_capability", lambda index: capability)
        with FakeTensorMode():
            parts = (6, dim, 32), (6, 32), (6, 32, dim), (6, dim)
            fake = Experts(*(torch.empty(part, device="cuda", dtype=kind) for part in parts))
            return dispatch.choose(torch.empty(tokens, dim, device="cuda", dtype=kind), fake)

    assert chosen(9, torch.bfloat16) is dispatch.grouped
    assert chosen(10, torch.bfloat16) is dispatch.grouped
    assert chosen(9, torch.float32) is dispatch.blocks, "torch would loop, with a copy of the offsets to the host"
    assert chosen(8, torch.bfloat16) is dispatch.blocks
    assert chosen(9, torch.bfloat16, dim=12) is dispatch.blocks
    assert chosen(9, torch.float32, tokens=64) is dispatch.dense


@pytest.mark.parametrize(
    "form, kind",
    [(dispatch.grouped, torch.bfloat16), (dispatch.blocks, torch.float32), (dispatch.dense, torch.float32)],
)
def test_neither_pass_waits_for_values(form: Form, kind: torch.dtype) -> None:
    """Tensors without values cannot be waited for: whoever asks for one raises."""
    parts = (6, 16, 32), (6, 32), (6, 32, 16), (6, 16), (70, 16)
    *experts, x = (torch.empty(part, device="meta", dtype=kind, requires_grad=True) for part in parts)
    weights = torch.empty(70, 2, device="meta", requires_grad=True)
    choice = torch.empty(70, 2, device="meta", dtype=torch.long)
    form(Experts(*experts), x, weights, choice).sum().backward()
    assert all(leaf.grad.shape == leaf.shape for leaf in (*experts, x, weights))
    with pytest.raises((RuntimeError, NotImplementedError)):
        dispatch.loop(Experts(*experts), x, weights, choice)


def test_a_layer_on_a_gpu_never_waits_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FEW", 16)
    layer, pool = GMoE(16, 6, 2).eval(), ExpertPool(16, 32, 6)
    cells, gsd = torch.randn(2, 5, 7, 16), torch.full((2,), 0.3)
    expected, _ = layer(cells, Condition()(View.DRONE, gsd), pool)
    with pretended_gpu() as gpu:
        found, _ = put(layer)(put(cells), Condition()(View.DRONE, put(gsd)), put(pool))
        assert found.device.type == "cuda"
        assert gpu.waits == []
        weights, choice = put(torch.rand(70, 2)), put(torch.zeros(70, 2, dtype=torch.long))
        dispatch.loop(pool.experts, put(cells.reshape(-1, 16)), weights, choice)
        assert "tolist" in gpu.waits
        with pytest.raises(RuntimeError, match="and on the CPU"):
            layer(found, torch.rand(2, Condition.dim), pool)
    torch.testing.assert_close(found.cpu(), expected)


def test_blocks_are_a_quarter_more_rows_at_most() -> None:
    for rows in (32768, 8192, 2048):
        size = dispatch.block_size(rows, 6)
        assert (rows // size + 6) * size < 1.27 * rows


def test_a_compiled_layer_is_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FEW", 16)
    pool, layer = ExpertPool(16, 32, 6), GMoE(16, 6, 2).eval()
    cells, condition = torch.randn(1, 8, 8, 16), Condition()(View.DRONE, torch.tensor([0.3]))
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(cells, condition, pool)[0], layer(cells, condition, pool)[0])
