"""The verdict fitted: on answers of a known law, and by the command on rendered pairs."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from cvgeo_ros.errors import DatasetError, WeightsError
from cvgeo_ros.learn import verdict as learn_verdict
from cvgeo_ros.learn.pairsets import PairSample
from cvgeo_ros.learn.verdict import Answers, collect, fit
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.net import CrossViewLocator, NetConfig
from cvgeo_ros.net.head import Boxes
from cvgeo_ros.net.verdict import Verdict
from cvgeo_ros.net.weights import find_weights, load_weights, read_weights


def answers(number: int, trust: torch.Tensor, error: torch.Tensor) -> Answers:
    def box(quality: torch.Tensor) -> Boxes:
        return Boxes(torch.zeros(number, 2), torch.full((number, 2), 5.0), quality)

    same = torch.zeros(number), torch.full((number,), 7.0), torch.full((number,), 0.9)
    given = *same, box(torch.zeros(number)), box(trust)
    return Answers((*given, torch.full((number,), 2.4)), error)


def test_it_learns_whom_to_trust_and_how_far() -> None:
    """Heat maps that say the same of all; what is trusted is right, and the nearer the more."""
    generator = torch.Generator().manual_seed(0)
    trust = torch.randn(4000, generator=generator) * 2
    sigma = (-0.5 * trust).exp()
    error = sigma * (-2 * torch.rand(4000, generator=generator).log()).sqrt()
    elsewhere = torch.rand(4000, generator=generator) < (-2 * trust).sigmoid()
    seen = answers(4000, trust, error.masked_fill(elsewhere, torch.inf))
    verdict = Verdict()
    fit(verdict, seen)
    with torch.inference_mode():
        score, off = verdict(*seen.given)
    near = ~elsewhere
    torch.testing.assert_close(off[near].log(), sigma[near].log(), rtol=0.0, atol=0.1)
    trusted, doubted = score.sigmoid()[trust > 2.5], score.sigmoid()[trust < -2.5]
    assert trusted.min() > 0.7 and doubted.max() < 0.1
    # A lie is dearer than modesty: fewer are believed than are right.
    assert score.sigmoid().mean() < seen.right.float().mean()


def test_a_fit_needs_right_and_wrong() -> None:
    with pytest.raises(DatasetError, match="8 of 8 answers are right"):
        fit(Verdict(), answers(8, torch.zeros(8), torch.ones(8)))


def test_a_network_without_a_close_look_has_no_verdict(
    small_config: NetConfig, rendered_pairs: list[PairSample]
) -> None:
    with pytest.raises(WeightsError, match="no close look"):
        collect(Localizer(CrossViewLocator(small_config)), rendered_pairs, Console(quiet=True))


def test_metres_are_needed(rendered_pairs: list[PairSample]) -> None:
    localizer = Localizer.load("nano", device="cpu")
    before = localizer.model.verdict
    with pytest.raises(DatasetError, match="no gsd"):
        collect(localizer, [replace(rendered_pairs[0], gsd=None)], Console(quiet=True))
    assert localizer.model.verdict is before


def test_command(rendered_pairs: list[PairSample], tmp_path: Path) -> None:
    """On a town's frames, one of which is looked for on a map of noise."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    height, width = cv2.imread(str(rendered_pairs[0].tile)).shape[:2]
    cv2.imwrite(str(folder / "noise.png"), cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))
    pairs = [
        {
            "name": name,
            "query": str(sample.query),
            "tile": str(tile),
            "view": "drone",
            "objects": [{"id": item.id, "click": item.click, "bbox": item.bbox} for item in sample.objects],
            **{key: getattr(sample, key) for key in ("gsd", "hfov", "height", "yaw", "pitch")},
        }
        for sample in rendered_pairs[:1]
        for name, tile in (("town", sample.tile), ("noise", "noise.png"))
    ]
    (folder / "pairs.json").write_text(json.dumps({"name": "two", "pairs": pairs}))
    arguments = [str(folder), "--out", str(tmp_path / "fitted")]
    result = CliRunner().invoke(learn_verdict.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "before: of " in result.output and "after: of " in result.output
    path = tmp_path / "fitted" / "nano.safetensors"
    fitted, shipped = load_weights(path), load_weights(find_weights("nano"))
    assert fitted.verdict is not None and shipped.verdict is not None
    assert not torch.equal(fitted.verdict.score.weight, shipped.verdict.score.weight)
    for name, value in shipped.state_dict().items():
        assert name.startswith("verdict.") or torch.equal(value, fitted.state_dict()[name])
    assert read_weights(path)[1] == read_weights(find_weights("nano"))[1]
