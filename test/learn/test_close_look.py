"""The close look taught alone: what it is shown, and that it learns to see boxes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.learn import close_look
from cvgeo_ros.learn.close_look import CloseConfig, CloseObjective, CloseViews, Sample, train_close, with_close_look
from cvgeo_ros.learn.loop import Stage
from cvgeo_ros.learn.scenes.dataset import Options, write_world
from cvgeo_ros.learn.sources import Source, real_sources, rendered_sources
from cvgeo_ros.net import CrossViewLocator, NetConfig
from cvgeo_ros.net.close_look import SIDE, ZOOMS, CloseLook
from cvgeo_ros.net.weights import load_weights, read_weights, save_weights


@pytest.fixture
def photographs(write_yards: Callable[..., Path]) -> Path:
    """Two photographs of bright yards on dark ground, with their outlines."""
    sizes = lambda rng, row, column: int(rng.integers(60, 130))  # noqa: E731
    return write_yards(2, 900, (20, 70), 80, 3, sizes)


@pytest.fixture
def sources(photographs: Path) -> list[Source]:
    return real_sources(photographs)


def overlap(sample: Sample, zoom: int) -> float:
    """IoU of what is bright in a view of the tile, around the middle of its box, with the box."""
    view = sample["tile"][zoom].float().mean(0).numpy()
    bright = (view > (view.max() + view.min()) / 2).astype(np.uint8)
    box = sample["box"].numpy() / ZOOMS[zoom] + SIDE / 2
    middle = np.clip((box[:2] + box[2:]) / 2, 0, SIDE - 1).astype(int)
    _, labels = cv2.connectedComponents(bright)
    v, u = np.nonzero(labels == labels[middle[1], middle[0]])
    box = np.clip(box, 0, SIDE)
    low, high = np.maximum(box[:2], [u.min(), v.min()]), np.minimum(box[2:], [u.max() + 1, v.max() + 1])
    both = np.prod(np.clip(high - low, 0, None))
    return float(both / (np.prod(box[2:] - box[:2]) + (u.max() + 1 - u.min()) * (v.max() + 1 - v.min()) - both))


def test_boxes_lie_on_what_the_views_of_the_tile_show(sources: list[Source]) -> None:
    """Whatever turn, mirror, scale and misplacement was drawn."""
    views = CloseViews(sources, [], 0.0, CloseConfig(taken_for_neighbour=0.0, mistaken=0.0), 0)
    rng = np.random.default_rng(1)
    samples = [sample for _ in range(8) for sample in views.visit(rng)]
    assert len(samples) > 30
    assert np.median([overlap(sample, 1) for sample in samples]) > 0.7
    assert (
        max(abs(float(sample["box"][:2].sum() + sample["box"][2:].sum())) for sample in samples) > 10
    )  # off the middle


def test_the_click_is_in_the_middle_of_the_frames_views(sources: list[Source]) -> None:
    views = CloseViews(sources, [], 0.0, CloseConfig(misplaced=((1.0, 5.0),)), 0)
    rng = np.random.default_rng(2)
    bright = []
    for sample in [sample for _ in range(8) for sample in views.visit(rng)]:
        view = sample["frame"][0].float().mean(0)
        bright.append(float(view[20:28, 20:28].mean() > (view.max() + view.min()) / 2))
    assert np.mean(bright) > 0.85


def test_views_of_rendered_worlds_show_the_object(tmp_path: Path) -> None:
    """With true headings and places, frame and tile look alike around the middle."""
    write_world(tmp_path, 7, Options(views=3, extent=330.0, resolution=0.3))
    exact = CloseConfig((0.4, 0.4), ((1.0, 0.0),), (0.0, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0, mistaken=0.0)
    views = CloseViews([], rendered_sources(tmp_path), 1.0, exact, 0)
    rng = np.random.default_rng(0)
    samples = [sample for _ in range(6) for sample in views.visit(rng)]
    assert samples

    def likeness(a: Sample, b: Sample) -> float:
        parts = [sample[:, :, 12:36, 12:36][1].float().mean(0).flatten() for sample in (a["frame"], b["tile"])]
        return float(np.corrcoef(*(part.numpy() for part in parts))[0, 1])

    own = np.median([likeness(sample, sample) for sample in samples])
    others = np.median([likeness(a, b) for a, b in zip(samples, [*samples[5:], *samples[:5]], strict=True)])
    assert own > others + 0.15
    for sample in samples:
        assert np.abs(((sample["box"][:2] + sample["box"][2:]) / 2).numpy()).max() < 1e-3


def test_roofs_are_taken_for_others_along_the_line_of_heights(tmp_path: Path) -> None:
    """However the views are turned and mirrored."""
    write_world(tmp_path, 7, Options(views=3, extent=330.0, resolution=0.3))
    config = CloseConfig(
        gsd=(0.4, 0.4),
        misplaced=((1.0, 0.0),),
        taken_for_another=(1.0, 9.0),
        clicked=0.0,
        taken_for_neighbour=0.0,
        mistaken=0.0,
    )
    views = CloseViews([], rendered_sources(tmp_path), 1.0, config, 0)
    rng = np.random.default_rng(0)
    samples = [sample for _ in range(9) for sample in views.visit(rng)]
    off = np.stack([(sample["box"][:2] + sample["box"][2:]).numpy() / 2 * 0.4 for sample in samples])
    lean = np.stack([sample["lean"].numpy() for sample in samples])
    heights = (off * lean).sum(1) / (lean**2).sum(1)
    assert np.abs(off - heights[:, None] * lean).max() < 1e-3
    assert 6 < heights.std() < 12
    assert (lean[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.25) and np.hypot(*lean.T).max() > 0.3


def test_houses_are_taken_for_those_beside_them(tmp_path: Path) -> None:
    """The views of the tile show another object in the middle, and what was clicked beside it."""
    write_world(tmp_path, 7, Options(views=3, extent=330.0, resolution=0.3))
    config = CloseConfig((0.4, 0.4), ((1.0, 0.0),), (0.0, 0.0), 0.0, taken_for_neighbour=1.0, mistaken=0.0)
    (world,) = rendered_sources(tmp_path)
    views = CloseViews([], [world], 1.0, config, 0)
    rng = np.random.default_rng(0)
    samples = [sample for _ in range(9) for sample in views.visit(rng)]
    assert samples and all(bool(sample["there"]) for sample in samples)
    off = np.stack([(sample["box"][:2] + sample["box"][2:]).numpy() / 2 * 0.4 for sample in samples])
    far = np.hypot(*off.T)
    assert ((far > close_look.BESIDE[0]) & (far < close_look.BESIDE[1])).mean() > 0.5  # some have none
    assert far.max() < close_look.BESIDE[1] and len(np.unique(far.round(2))) > 5
    middles = (world.boxes[:, :2] + world.boxes[:, 2:]) / 2 * world.gsd
    apart = np.linalg.norm(middles[:, None] - middles[None], axis=2)
    assert np.abs(apart[..., None] - far).min((0, 1)).max() < 0.05  # as two of its objects are


def test_what_is_elsewhere_is_not_to_be_trusted(sources: list[Source], one_thread: None) -> None:
    """Of objects that the tile's views do not show no box is taught, but that none is there."""
    views = CloseViews(sources, [], 0.0, CloseConfig(misplaced=((1.0, 0.0),), taken_for_neighbour=0.0, mistaken=0.5), 0)
    rng = np.random.default_rng(3)
    samples = [sample for _ in range(8) for sample in views.visit(rng)]
    there = torch.tensor([bool(sample["there"]) for sample in samples])
    assert 0.3 < there.float().mean() < 0.7
    far = torch.stack([(sample["box"][:2] + sample["box"][2:]) / 2 * sample["gsd"] for sample in samples]).norm(dim=1)
    assert far[there].max() < 15 and far[~there].min() > 20
    torch.manual_seed(0)
    objective, batch = CloseObjective(CloseLook()), torch.utils.data.default_collate(samples)
    before = objective(batch)
    batch["box"][~there] += 100
    assert torch.equal(objective(batch)["loss"], before["loss"])
    before["loss"].backward()
    assert objective.look.answer[-1].bias.grad[4] > 0  # trust is to fall


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads of a busy machine wait for each other at every small product."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_it_learns_to_see_boxes(sources: list[Source], one_thread: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    look = CloseLook()
    views = CloseViews(sources, [], 0.0, CloseConfig(), 0)
    rng = np.random.default_rng(9)
    held = torch.utils.data.default_collate([sample for _ in range(12) for sample in views.visit(rng)])

    def overlapping() -> float:
        with torch.inference_mode():
            return float(CloseObjective(look)(held)["iou"])

    before = overlapping()
    train_close(look, views, Stage(40, 2e-3, warmup=10), 16, tmp_path, Console(quiet=True), workers=0)
    assert overlapping() > before + 0.08


def test_photographs_without_an_outline_are_an_error(photographs: Path) -> None:
    for path in photographs.glob("tartu/train/*_mask.png"):
        cv2.imwrite(str(path), np.zeros((900, 900), np.uint8))
    views = CloseViews(real_sources(photographs), [], 0.0, CloseConfig(), 0)
    with pytest.raises(DatasetError, match="show no object"):
        next(iter(views))


def test_a_run_that_goes_on_sees_other_views(sources: list[Source], tmp_path: Path) -> None:
    views = CloseViews(sources, [], 0.0, CloseConfig(), 0)
    look = CloseLook()
    train_close(look, views, Stage(2, 1e-3), 4, tmp_path, Console(quiet=True), workers=0)
    assert views.first == 0
    train_close(look, views, Stage(4, 1e-3), 4, tmp_path, Console(quiet=True), workers=0)
    assert views.first == 2


def test_the_rest_of_the_network_stays_as_it_is(small_config: NetConfig) -> None:
    small = CrossViewLocator(small_config)
    larger = with_close_look(small)
    assert larger.close_look is not None and small.close_look is None
    for name, value in small.state_dict().items():
        assert torch.equal(value, larger.state_dict()[name])
    assert with_close_look(larger) is larger


def test_command(photographs: Path, small_config: NetConfig, tmp_path: Path) -> None:
    weights = tmp_path / "small.safetensors"
    save_weights(CrossViewLocator(small_config), weights, True, steps="7")

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(close_look.app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    told = run("--model", weights, "--real", photographs, "--steps", 2, "--batch", 4, "--out", tmp_path / "run")
    assert f"weights  {tmp_path / 'run' / 'small.safetensors'}" in told
    taught = load_weights(tmp_path / "run" / "small.safetensors")
    assert taught.close_look is not None and taught.config.close_look
    about = read_weights(tmp_path / "run" / "small.safetensors")[1]
    assert about["steps"] == "7" and about["close_seed"] == "0"  # what was told of the rest is not lost
    with pytest.raises(DatasetError, match="nothing to learn from"):
        run("--model", weights, "--out", tmp_path / "none")
