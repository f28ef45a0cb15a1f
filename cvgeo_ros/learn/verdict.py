"""Fit the verdict: score and sigma of answers once their pixels have been looked at.

    python -m cvgeo_ros.learn.verdict bench/other --model nano --out out/verdict

locates every object of image pairs in its own tile, and once more in the tile of another pair, where no answer is
right. Fit it on pairs that neither the network was trained on nor figures are published of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from ..errors import CalibrationError, ClickError, DatasetError, MapError, WeightsError
from ..localizer import Localizer
from ..net.head import Boxes
from ..net.verdict import Verdict
from ..net.weights import find_weights, load_weights, read_facts, save_weights
from ..scene import read_image
from .calibration import quality
from .commands import run
from .locators import GeoLocator
from .metrics import RIGHT
from .pairsets import PairSample, read_folder

Given = tuple[Tensor, Tensor, Tensor, Boxes, Boxes, Tensor]
"""What a verdict is given of M answers, see `Verdict.forward`."""
LIE = 4.0
"""How many times as much a wrong answer counts in the fit of scores as a right one: a lie is dearer than modesty."""


@dataclass(frozen=True)
class Answers:
    """M answers: what the verdict is given, and their errors, metres; infinite on the tile of another pair."""

    given: Given
    error: Tensor

    @property
    def right(self) -> Tensor:
        """(M,) bool."""
        return self.error < RIGHT


class Witness(nn.Module):
    """In place of a verdict: keeps what it is given and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Given] = []

    def forward(self, *given: Tensor | Boxes) -> tuple[Tensor, Tensor]:
        """As `Verdict.forward`."""
        self.given.append(given)  # type: ignore[arg-type]
        return given[0], given[1]  # type: ignore[return-value]


def collect(localizer: Localizer, samples: Sequence[PairSample], console: Console) -> Answers:
    """Locate the objects of samples in their own tiles, and in those of the samples half the set further on.

    Frames that the localizer refuses are left out.

    Raises:
        WeightsError: a network without a close look.
        DatasetError: a sample without a gsd, or nothing to go by.
    """
    model = localizer.model
    if model.verdict is None:
        raise WeightsError(f"{model.config.name} has no close look to judge; teach one first (docs/training.md)")
    before, witness = model.verdict, Witness()
    model.verdict = witness  # type: ignore[assignment]
    locator = GeoLocator(localizer)
    errors: list[float] = []
    try:
        with Progress(console=console) as progress:
            for index in progress.track(range(len(samples)), description="locate"):
                own = samples[index]
                other = samples[(index + len(samples) // 2) % len(samples)]
                for sample in (own, replace(own, tile=other.tile, gsd=other.gsd)):
                    if sample.gsd is None:
                        raise DatasetError(f"{sample.name}: no gsd, and errors are metres")
                    try:
                        answers = locator.locate(sample, read_image(sample.query), read_image(sample.tile))
                    except (ClickError, MapError, CalibrationError):
                        continue
                    for item, answer in zip(own.objects, answers, strict=True):
                        u0, v0, u1, v1 = np.subtract(answer.bbox, item.bbox) * sample.gsd
                        off = float(np.hypot(u0 + u1, v0 + v1) / 2)
                        errors.append(off if sample.tile == own.tile else np.inf)
    finally:
        model.verdict = before
    if not errors:
        raise DatasetError("the localizer refused every frame; nothing can be fitted")
    given = witness.given
    boxes = [Boxes(*(torch.cat(parts) for parts in zip(*(one[k] for one in given), strict=True))) for k in (3, 4)]
    score, sigma, mass, cell = (torch.cat([one[k] for one in given]) for k in (0, 1, 2, 5))  # type: ignore[misc]
    return Answers((score, sigma, mass, *boxes, cell), torch.tensor(errors))  # type: ignore[arg-type]


def fit(verdict: Verdict, answers: Answers) -> None:
    """Fit in place: scores by their likelihood, wrong answers counting `LIE` times; sigmas by that of the errors, which
    are Rayleigh's, on answers in their own tiles.

    Raises:
        DatasetError: all answers are right, or none is.
    """
    right = answers.right
    if right.all() or not right.any():
        raise DatasetError(f"{int(right.sum())} of {len(right)} answers are right; a fit needs both, right and wrong")
    weight = torch.where(right, 1.0, LIE)
    placed = answers.error.isfinite()
    squared = answers.error[placed].square()
    optimizer = torch.optim.LBFGS(verdict.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        score, sigma = verdict(*answers.given)
        believed = F.binary_cross_entropy_with_logits(score, right.float(), weight)
        spread = sigma[placed].clamp(min=1e-3)
        total: Tensor = believed + (2 * spread.log() + squared / (2 * spread.square())).mean()
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(loss)


def _tell(console: Console, name: str, verdict: nn.Module, answers: Answers) -> None:
    with torch.inference_mode():
        score, sigma = verdict(*answers.given)
    own = answers.error.isfinite()
    chance = score.sigmoid()
    judged = quality(chance[own], answers.right[own], answers.error[own], sigma[own])
    console.print(
        f"{name}: of {int(own.sum())} answers {float((chance[own] > 0.5).float().mean()):.1%} above 0.5, calibration "
        f"error {judged['ece']:.1%}, {judged['within_1_sigma']:.0%} within 1 sigma, {judged['within_2_sigma']:.0%} "
        f"within 2; of {int((~own).sum())} elsewhere {int((chance[~own] > 0.5).sum())} above 0.5"
    )


app = typer.Typer(add_completion=False)


@app.command(epilog="Example: python -m cvgeo_ros.learn.verdict bench/other --out out/verdict")
def main(
    pairs: Annotated[list[Path], typer.Argument(help="Folders of image pairs, as `cvgeo scenes benchmark` writes.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
    model: Annotated[str, typer.Option(help="Shipped model or .safetensors file.")] = "nano",
) -> None:
    """Fit score and sigma of a network with a close look."""
    console = Console(highlight=False, soft_wrap=True)
    path = find_weights(model)
    network = load_weights(path)
    samples = [sample for folder in pairs for sample in read_folder(folder)]
    answers = collect(Localizer(network), samples, console)
    assert network.verdict is not None
    _tell(console, "before", network.verdict, answers)
    fit(network.verdict, answers)
    _tell(console, "after", network.verdict, answers)
    out.mkdir(parents=True, exist_ok=True)
    save_weights(network, out / path.name, True, **read_facts(path))
    console.print(f"weights  {out / path.name}")


if __name__ == "__main__":
    run(app)
