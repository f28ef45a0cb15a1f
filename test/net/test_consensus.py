"""Consensus: votes land on the true translation, maps of clicks follow, alignments recover turn, scale and tilt."""

import math

import pytest
import torch

from cvgeo_ros.net import consensus


def field(channels: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth random unit descriptors, so that neighbours resemble each other as in real maps."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, channels, height + 4, width + 4, generator=generator)
    return torch.nn.functional.normalize(torch.nn.functional.avg_pool2d(noise, 5, 1), dim=1)


@pytest.mark.parametrize("corner", [(0, 0), (7, 3), (20, 28)])
def test_votes_peak_at_the_true_translation(corner: tuple[int, int]) -> None:
    tile = field(16, 40, 44)
    x, y = corner
    frame = tile[..., y : y + 12, x : x + 16]
    votes = consensus.correlate(frame, torch.ones(1, 12, 16), tile)
    translation, score = consensus.peaks(votes, 3, radius=4)
    assert translation[0, 0].tolist() == [x, y]
    assert score[0, 0] > score[0, 1] + 1


def test_votes_find_a_frame_that_reaches_over_the_border() -> None:
    tile = field(16, 40, 44)
    frame = torch.nn.functional.pad(tile, (8, 8, 8, 8))[..., 3:23, 2:22]
    votes = consensus.correlate(frame, torch.ones(1, 20, 20), tile)
    assert consensus.peaks(votes, 1, radius=4)[0][0, 0].tolist() == [-6, -5]


def test_masked_cells_have_no_vote() -> None:
    tile = field(16, 40, 44)
    frame = tile[..., 5:21, 6:22]
    other = frame.clone()
    other[..., 8:] = field(16, 16, 8, seed=9)
    mask = torch.ones(1, 16, 16)
    mask[..., 8:] = 0
    torch.testing.assert_close(
        consensus.correlate(frame, mask, tile).z, consensus.correlate(other, mask, tile).z, rtol=0, atol=1e-3
    )


def test_scores_are_standard_and_do_not_favour_the_inside() -> None:
    """Descriptors with a common part make every overlap similar; only the excess over that may count."""
    common = torch.ones(1, 16, 1, 1)
    tile = torch.nn.functional.normalize(field(16, 40, 44) + common, dim=1)
    frame = torch.nn.functional.normalize(field(16, 12, 16, seed=5) + common, dim=1)
    z = consensus.correlate(frame, torch.ones(1, 12, 16), tile).z[0]
    assert z.square().mean().sqrt() == pytest.approx(1.0, abs=0.01)
    inside = z[11:40, 15:44]
    assert inside.mean().abs() < 0.5
    assert z[:6].square().mean().sqrt() == pytest.approx(float(inside.square().mean().sqrt()), rel=0.6)


def test_voids_of_the_tile_do_not_count_as_difference() -> None:
    tile = field(16, 40, 44)
    holed = tile.clone()
    holed[..., 8:12, 8:12] = 0
    frame = tile[..., 5:17, 6:22]
    whole, part = (consensus.correlate(frame, torch.ones(1, 12, 16), t) for t in (tile, holed))
    assert consensus.peaks(part, 1, radius=4)[0][0, 0].tolist() == [6, 5]
    assert part.z.max() > 0.85 * whole.z.max()


def test_translations_not_allowed_are_never_peaks() -> None:
    tile = field(16, 40, 44)
    frame = tile[..., 5:17, 6:22]
    allowed = torch.ones(51, 59, dtype=torch.bool)
    allowed[11 + 5 - 2 : 11 + 5 + 3, 15 + 6 - 2 : 15 + 6 + 3] = False
    votes = consensus.correlate(frame, torch.ones(1, 12, 16), tile, allowed)
    translation, score = consensus.peaks(votes, 4, radius=2)
    finite = translation[0][score[0].isfinite()]
    assert ((finite - torch.tensor([6.0, 5.0])).abs().amax(1) > 2).all()
    free = consensus.correlate(frame, torch.ones(1, 12, 16), tile)
    assert torch.equal(votes.z[0][allowed], free.z[0][allowed]), "what is allowed keeps its score"


def test_spread_puts_each_click_where_the_translation_takes_it() -> None:
    tile = field(16, 40, 44)
    votes = consensus.correlate(tile[..., 5:17, 6:22], torch.ones(1, 12, 16), tile)
    clicks = torch.tensor([[[2.5, 3.5], [10.5, 7.5]]])
    maps = consensus.spread(votes, clicks, (40, 44))
    for click, heat in zip(clicks[0], maps[0], strict=True):
        y, x = divmod(int(heat.argmax()), 44)
        assert [x + 0.5, y + 0.5] == (click + torch.tensor([6.0, 5.0])).tolist()
    # Half a cell to the right: the two cells around it share the vote.
    half = consensus.spread(votes, torch.tensor([[[3.0, 3.5]]]), (40, 44))[0, 0]
    assert half[8, 8] == pytest.approx(half[8, 9], abs=1.5)
    assert half[8, 8] == pytest.approx(float(votes.z[0, 16, 21] + votes.z[0, 16, 20]) / 2, abs=1e-3)


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
    fit = consensus.align(frame[0], torch.ones(28, 28), tile[0], torch.tensor([15.0, 12.0]))
    assert fit is not None
    mapped = torch.cat([cells, torch.ones(len(cells), 1)], 1) @ fit.matrix.T
    error = (mapped[:, :2] / mapped[:, 2:] - truth).norm(dim=1)
    assert error.max() < 0.5
    assert fit.inliers > 0.8 and fit.support > 0.5


def test_all_cells_are_matched_or_every_second_and_what_is_distinct_is_trusted() -> None:
    tile = field(24, 60, 60, seed=3)[0]
    frame, translation = tile[:, 12:40, 15:43].clone(), torch.tensor([15.0, 12.0])
    frame[:, :8, :8] = field(24, 8, 8, seed=7)[0]  # a part of the place has changed
    found = consensus.match(frame, torch.ones(28, 28), tile, translation, most=1000)
    fewer = consensus.match(frame, torch.ones(28, 28), tile, translation, most=250)
    assert found is not None and fewer is not None
    assert len(found.cells) == 28 * 28 and len(fewer.cells) == 14 * 14
    misses = (found.places - found.cells - translation).norm(dim=1)
    changed = (found.cells < 8).all(1)
    assert misses[~changed].max() < 0.5
    assert found.trust[~changed].median() > 2 * found.trust[changed].median()
    assert consensus.match(frame, torch.ones(28, 28), tile, torch.tensor([100.0, 0.0])) is None


def test_alignment_with_another_place_has_less_support() -> None:
    tile, frame = field(24, 60, 60, seed=3)[0], field(24, 28, 28, seed=4)[0]
    here = consensus.align(tile[:, 12:40, 15:43], torch.ones(28, 28), tile, torch.tensor([15.0, 12.0]))
    there = consensus.align(frame, torch.ones(28, 28), tile, torch.tensor([15.0, 12.0]))
    assert here is not None
    assert there is None or there.support < 0.5 * here.support


def test_no_alignment_on_a_part_of_the_tile_that_is_void() -> None:
    tile = torch.zeros(8, 30, 30)
    assert consensus.align(field(8, 10, 10)[0], torch.ones(10, 10), tile, torch.tensor([10.0, 10.0])) is None


def test_no_alignment_where_frame_and_tile_hardly_overlap() -> None:
    tile = field(8, 30, 30)[0]
    assert consensus.align(tile[:, :10, :10], torch.ones(10, 10), tile, torch.tensor([100.0, 0.0])) is None
    assert consensus.align(tile[:, :10, :10], torch.zeros(10, 10), tile, torch.tensor([0.0, 0.0])) is None


def test_clicks_on_roofs_are_looked_for_towards_the_point_below_the_camera() -> None:
    tile = field(16, 40, 44)
    votes = consensus.correlate(tile[..., 8:24, 10:30], torch.ones(1, 16, 20), tile)
    click, lean = torch.tensor([[[6.5, 7.5]]]), torch.tensor([[[0.25, -0.5]]])
    raised = consensus.spread_raised(votes, click, lean, (40, 44))[0, 0]
    for height in consensus.HEIGHTS[:3]:
        x, y = 10 + 6.5 + 0.25 * height, 8 + 7.5 - 0.5 * height
        near = raised[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].max()
        assert near > 0.6 * votes.z.max(), height
    assert raised[20, 12] < 0.4 * votes.z.max(), "on the other side"
