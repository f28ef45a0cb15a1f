"""Maps that the tower of places is trained on are moved, and how far."""

import numpy as np
import torch

from cvgeo_ros.learn.place.moving import SHIFT, TURN, ZOOM, moved


def ramps(count: int, side: int) -> torch.Tensor:
    """(count, 2, side, side): u and v of each cell's centre, in cells."""
    v, u = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    return torch.stack([u, v]).expand(count, -1, -1, -1).contiguous()


def test_maps_are_moved_each_otherwise_within_bounds() -> None:
    side, count = 32, 200
    out = moved(ramps(count, side), np.random.default_rng(0)).double().numpy()
    inner = out[..., 13:19, 13:19]  # away from what is continued at the edge
    across, down = (np.diff(inner, axis=axis).mean(axis=(2, 3)).T for axis in (3, 2))  # (2, count): of u, of v
    zoom, turn = np.hypot(*across), np.arctan2(across[1], across[0])
    assert np.allclose(np.hypot(*down), zoom, atol=1e-4), "no shear"
    assert 1 / ZOOM - 1e-4 <= zoom.min() < 0.8
    assert 1.25 < zoom.max() <= ZOOM + 1e-4
    assert 0.8 * TURN < np.abs(turn).max() <= TURN + 1e-4
    middle = out[..., 15:17, 15:17].mean(axis=(2, 3)) - side / 2
    assert 0.8 * SHIFT * side < np.abs(middle).max() <= SHIFT * side + 1e-3
    assert len(np.unique(zoom.round(6))) == count


def test_moving_makes_nothing_up_and_repeats_by_seed() -> None:
    maps = torch.rand(4, 3, 16, 16)
    one, other = (moved(maps, np.random.default_rng(seed)) for seed in (1, 1))
    assert torch.equal(one, other)
    assert one.shape == maps.shape
    assert float(one.min()) >= float(maps.min()) - 1e-6
    assert float(one.max()) <= float(maps.max()) + 1e-6
