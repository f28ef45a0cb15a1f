"""Alignment: turn, scale and tilt are recovered, other places and empty ones are not aligned."""

import math

import pytest
import torch

from cvgeo_ros.net.alignment import align, match

from .conftest import field


@pytest.mark.parametrize(
    "turn, scale, tilt", [(0.0, 1.0, 0.0), (0.12, 1.0, 0.0), (-0.08, 1.1, 0.0), (0.05, 0.95, 0.002)]
)
def test_alignment_recovers_turn_scale_and_tilt(turn: float, scale: float, tilt: float) -> None:
    tile = field(24, 60, 60, seed=3)
    middle = torch.tensor([14.0, 14.0])
    rotation = scale * torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    y, x = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
    cells = torch.stack([x, y], -1).reshape(-1, 2) + 0.5
    depth = 1 + tilt * (cells - middle)[:, :1]
    truth = ((cells - middle) @ rotation.T) / depth + middle + torch.tensor([15.0, 12.0])
    grid = (truth / 60 * 2 - 1).reshape(1, 28, 28, 2)
    frame = torch.nn.functional.normalize(torch.nn.functional.grid_sample(tile, grid, align_corners=False), dim=1)
    frame[..., :8, :8] = field(24, 8, 8, seed=7)  # a part of the place has changed
    fit = align(frame[0], torch.ones(28, 28), tile[0], torch.tensor([15.0, 12.0]))
    assert fit is not None
    mapped = torch.cat([cells, torch.ones(len(cells), 1)], 1) @ fit.matrix.T
    error = (mapped[:, :2] / mapped[:, 2:] - truth).norm(dim=1)
    assert error.max() < 0.5
    assert fit.inliers > 0.8 and fit.support > 0.5


def test_all_cells_are_matched_or_every_second_and_what_is_distinct_is_trusted() -> None:
    tile = field(24, 60, 60, seed=3)[0]
    frame, translation = tile[:, 12:40, 15:43].clone(), torch.tensor([15.0, 12.0])
    frame[:, :8, :8] = field(24, 8, 8, seed=7)[0]  # a part of the place has changed
    found = match(frame, torch.ones(28, 28), tile, translation, most=1000)
    fewer = match(frame, torch.ones(28, 28), tile, translation, most=250)
    assert found is not None and fewer is not None
    assert len(found.cells) == 28 * 28 and len(fewer.cells) == 14 * 14
    misses = (found.places - found.cells - translation).norm(dim=1)
    changed = (found.cells < 8).all(1)
    assert misses[~changed].max() < 0.5
    assert found.trust[~changed].median() > 2 * found.trust[changed].median()
    assert match(frame, torch.ones(28, 28), tile, torch.tensor([100.0, 0.0])) is None


def test_alignment_with_another_place_has_less_support() -> None:
    tile, frame = field(24, 60, 60, seed=3)[0], field(24, 28, 28, seed=4)[0]
    here = align(tile[:, 12:40, 15:43], torch.ones(28, 28), tile, torch.tensor([15.0, 12.0]))
    there = align(frame, torch.ones(28, 28), tile, torch.tensor([15.0, 12.0]))
    assert here is not None
    assert there is None or there.support < 0.5 * here.support


def test_no_alignment_on_a_part_of_the_tile_that_is_void() -> None:
    tile = torch.zeros(8, 30, 30)
    assert align(field(8, 10, 10)[0], torch.ones(10, 10), tile, torch.tensor([10.0, 10.0])) is None


def test_no_alignment_where_frame_and_tile_hardly_overlap() -> None:
    tile = field(8, 30, 30)[0]
    assert align(tile[:, :10, :10], torch.ones(10, 10), tile, torch.tensor([100.0, 0.0])) is None
    assert align(tile[:, :10, :10], torch.zeros(10, 10), tile, torch.tensor([0.0, 0.0])) is None
