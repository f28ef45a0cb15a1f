"""Consensus: votes land on the true translation, maps of clicks follow."""

import pytest
import torch

from cvgeo_ros.net import consensus

from .conftest import field


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
