"""The verdict: a fresh one changes nothing, a fitted one listens to both looks."""

import math

import torch

from cvgeo_ros.net.head import Boxes
from cvgeo_ros.net.verdict import Verdict, deviation


def boxes(quality: float, shift: float = 0.0, side: float = 4.0) -> Boxes:
    return Boxes(torch.tensor([[3.0 + shift, 5.0]]), torch.full((1, 2), side), torch.tensor([quality]))


CELL = torch.tensor([2.5])


@torch.inference_mode()
def test_a_fresh_one_changes_nothing() -> None:
    score, sigma = torch.tensor([-0.7]), torch.tensor([1.9])
    said = Verdict()(score, sigma, torch.tensor([0.7]), boxes(1.0), boxes(-2.0, shift=3.0), CELL)
    torch.testing.assert_close(said, (score, sigma))


@torch.inference_mode()
def test_what_each_number_is_told() -> None:
    verdict = Verdict()

    def said(line: torch.nn.Linear, number: int, shift: float, side: float) -> float:
        line.weight.zero_()
        line.weight[0, number] = 1.0
        given = (
            torch.tensor([0.3]),
            torch.tensor([2.0]),
            torch.tensor([0.9]),
            boxes(0.2),
            boxes(-1.2, shift, side),
            CELL,
        )
        return float(verdict(*given)[line is verdict.sigma])

    assert said(verdict.score, 1, 0.0, 4.0) == torch.tensor(-1.2)
    torch.testing.assert_close(said(verdict.score, 2, 0.0, 4.0), math.log(0.101))  # a tenth of the heat elsewhere
    torch.testing.assert_close(said(verdict.sigma, 1, 0.0, 4.0), float(torch.tensor(-1.2).exp()))
    torch.testing.assert_close(said(verdict.sigma, 2, 2.0, 4.0), 5.5)  # metres apart, and half a one
    torch.testing.assert_close(said(verdict.sigma, 3, 0.0, 6.0), 15.0)  # metres across


def test_sigma_of_a_heat_map_grows_with_doubt() -> None:
    spread, scatter = torch.tensor([0.6, 0.6]), torch.tensor([20.0, 20.0])
    sure, lost = deviation(spread, scatter, torch.tensor([9.0, -9.0])).tolist()
    assert abs(sure - 0.6) < 0.01 and abs(lost - 20.0) < 0.1
