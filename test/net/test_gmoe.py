"""GMoE: what the gate sees, that experts not chosen are not run, and that the losses teach the gate."""

import pytest
import torch

from cvgeo_ros.net import dispatch
from cvgeo_ros.net.config import View
from cvgeo_ros.net.gmoe import Condition, ExpertPool, GMoE


@pytest.fixture
def layer() -> GMoE:
    torch.manual_seed(0)
    return GMoE(12, num_experts=6, top_k=2).eval()


@pytest.fixture
def pool() -> ExpertPool:
    torch.manual_seed(1)
    return ExpertPool(12, 24, num_experts=6)


def condition(view: View = View.DRONE, gsd: float = 0.3) -> torch.Tensor:
    return Condition()(view, torch.tensor([gsd]))


def test_sparse_dispatch_equals_the_dense_formula() -> None:
    torch.manual_seed(1)
    pool = ExpertPool(12, 24, num_experts=6).double()
    x = torch.randn(200, 12, dtype=torch.float64)
    weights, choice = torch.randn(200, 6, dtype=torch.float64).softmax(1).topk(2, dim=1)
    # The sum is taken in float32 for half-precision tokens, hence the tolerance.
    torch.testing.assert_close(pool.sparse(x, weights, choice), pool.dense(x, weights, choice), rtol=1e-5, atol=1e-6)


def test_gradients_of_sparse_and_dense_agree() -> None:
    torch.manual_seed(1)
    pool = ExpertPool(12, 24, num_experts=6)
    x = torch.randn(50, 12)
    weights, choice = torch.randn(50, 6).softmax(1).topk(2, dim=1)
    gradients = []
    for form in (pool.sparse, pool.dense):
        pool.zero_grad()
        form(x, weights, choice).square().sum().backward()
        gradients.append([p.grad.clone() for p in pool.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_experts_not_chosen_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ExpertPool(4, 8, num_experts=6)
    rows = dict.fromkeys(range(6), 0)
    run = dispatch._feed_forward

    def counted(x: torch.Tensor, w1: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        rows[next(index for index in rows if w1.data_ptr() == pool.w1[index].data_ptr())] += len(x)
        return run(x, w1, *others)

    monkeypatch.setattr(dispatch, "_feed_forward", counted)
    choice = torch.tensor([[0, 3], [3, 0], [3, 5]])
    pool.sparse(torch.randn(3, 4), torch.full((3, 2), 0.5), choice)
    assert rows == {0: 2, 1: 0, 2: 0, 3: 3, 4: 0, 5: 1}


def test_gate_sees_content_view_and_scale(layer: GMoE, pool: ExpertPool) -> None:
    x = torch.randn(1, 6, 6, 12)
    base, _ = layer(x, condition(), pool)
    assert not torch.allclose(base, layer(x, condition(view=View.SATELLITE), pool)[0])
    assert not torch.allclose(base, layer(x, condition(gsd=1.2), pool)[0])
    choices = layer.content_gate(x.reshape(-1, 12)).topk(2, dim=1).indices.sort(dim=1).values
    assert len({tuple(row) for row in choices.tolist()}) > 1, "cells of one image choose for themselves"


def test_balance_is_one_when_even_and_num_experts_over_top_k_when_collapsed(layer: GMoE, pool: ExpertPool) -> None:
    with torch.no_grad():
        layer.content_gate.weight.zero_()
        layer.condition_gate.weight.zero_()
        layer.condition_gate.bias.zero_()
    _, even = layer(torch.randn(1, 8, 8, 12), condition(), pool)
    assert even.balance.item() == pytest.approx(1.0, abs=1e-5)
    with torch.no_grad():
        layer.condition_gate.bias.copy_(torch.tensor([50.0, 50.0, 0, 0, 0, 0]))
    _, collapsed = layer(torch.randn(1, 8, 8, 12), condition(), pool)
    assert collapsed.balance.item() == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize("loss", ["balance", "z"])
def test_routing_losses_carry_gradients_to_both_gates(layer: GMoE, pool: ExpertPool, loss: str) -> None:
    _, routing = layer(torch.randn(1, 8, 8, 12), condition(), pool)
    getattr(routing, loss).backward()
    assert layer.content_gate.weight.grad.abs().max() > 0
    assert layer.condition_gate.weight.grad.abs().max() > 0


def test_balance_loss_evens_out_a_collapsed_gate(layer: GMoE, pool: ExpertPool) -> None:
    with torch.no_grad():
        layer.condition_gate.bias.copy_(torch.tensor([2.0, 2.0, 0, 0, 0, 0]))
    optimizer = torch.optim.Adam(layer.parameters(), 0.05)
    x = torch.randn(1, 16, 16, 12)
    for _ in range(60):
        _, routing = layer(x, condition(), pool)
        optimizer.zero_grad()
        routing.balance.backward()
        optimizer.step()
    assert routing.balance.item() < 1.2
