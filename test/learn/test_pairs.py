"""Training pairs: the recorded relation of frame and tile is the true one, boxes enclose what was outlined."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.errors import DatasetError
from cvgeo_ros.geo import project
from cvgeo_ros.learn.pairs import PairConfig, Pairs
from cvgeo_ros.learn.scenes.dataset import Options, write_world
from cvgeo_ros.learn.sources import Source, real_sources, rendered_sources
from cvgeo_ros.learn.warping import warp


@pytest.fixture
def photograph(tmp_path: Path) -> Source:
    """A dark picture with bright round spots, which keep their centres through any warp, and outlines."""
    rng = np.random.default_rng(0)
    image = np.full((600, 600, 3), 60, np.uint8)
    mask = np.zeros((600, 600), np.uint8)
    for u, v in rng.integers(30, 570, (60, 2)):
        cv2.circle(image, (int(u), int(v)), 6, (230, 230, 230), -1, cv2.LINE_AA)
    cv2.rectangle(mask, (250, 260), (330, 340), 255, -1)
    cv2.imwrite(str(tmp_path / "p.png"), image)
    cv2.imwrite(str(tmp_path / "p_mask.png"), mask)
    return Source(tmp_path / "p.png", 0.3, mask=tmp_path / "p_mask.png")


def test_warp_keeps_pixel_centres(tmp_path: Path) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[10, 20] = 255
    moved = warp(image, np.array([[1.0, 0, 5], [0, 1, 3], [0, 0, 1]]), 32)
    assert np.argwhere(moved[..., 0] == 255).tolist() == [[7, 15]]
    halved = warp(cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), np.diag([4.0, 4.0, 1.0]), 40)
    assert np.argwhere(halved[..., 0] > 200).tolist() == [[10, 20]]


def test_the_recorded_homography_relates_the_views(photograph: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pairs, "_disturb", staticmethod(lambda image, rng, own: image))
    monkeypatch.setattr("cvgeo_ros.learn.augment.relief", lambda shape, rng, amplitude: None)
    pairs, rng = Pairs([photograph], [], 0.0, PairConfig(), seed=0), np.random.default_rng(3)
    checked = 0
    for _ in range(12):
        pair = pairs.draw(photograph, rng)
        if pair is None:
            continue
        query, tile = (pair[k].permute(1, 2, 0).numpy() for k in ("query", "tile"))
        _, _, _, centres = cv2.connectedComponentsWithStats((query[..., 0] > 150).astype(np.uint8))
        for centre in centres[1:] + 0.5:
            if not (12 < centre[0] < 116 and 12 < centre[1] < 116):
                continue
            u, v = project(pair["to_tile"].double().numpy(), centre[None])[0]
            if 4 < u < 252 and 4 < v < 252:
                assert tile[int(v), int(u), 0] > 150, "a spot of the frame lies on its spot of the tile"
                checked += 1
    assert checked > 20


def test_boxes_enclose_their_outline_and_targets_lie_inside(photograph: Source) -> None:
    pairs, rng = Pairs([photograph], [], 0.0, PairConfig(), seed=0), np.random.default_rng(1)
    found = 0
    for _ in range(80):
        pair = pairs.draw(photograph, rng)
        if pair is None:
            continue
        boxes, targets = pair["boxes"].numpy(), pair["targets"].numpy()
        for box, target in zip(boxes, targets, strict=True):
            if np.isfinite(box).all():
                assert (target >= box[:2] - 1).all() and (target <= box[2:] + 1).all()
                assert ((box[2:] - box[:2]) * float(pair["gsd"])).max() < 81 * 0.3 * 1.5
                found += 1
    assert found > 5


def test_extents_are_boxes_of_the_piece(photograph: Source) -> None:
    pairs, rng = Pairs([photograph], [], 0.0, PairConfig(), seed=0), np.random.default_rng(1)
    drawn = [pair for _ in range(20) if (pair := pairs.draw(photograph, rng)) is not None]
    shown = [pair["extents"][0] for pair in drawn if pair["extents"].isfinite().any()]
    assert len(shown) > 3
    for extent in shown:
        assert extent.min() >= 0 and extent.max() <= PairConfig().tile_size
    for pair in drawn:
        assert not pair["extents"][1:].isfinite().any(), "there is one outline"
        if pair["boxes"].isfinite().all(1).any() and pair["extents"].isfinite().any():
            clicked = pair["boxes"][pair["boxes"].isfinite().all(1)][0]
            np.testing.assert_allclose(pair["extents"][0], clicked, atol=1e-3)


def test_the_stream_is_deterministic_by_seed(photograph: Source) -> None:
    first, second, other = (next(iter(Pairs([photograph], [], 0.0, PairConfig(), seed))) for seed in (5, 5, 6))
    for key in first:
        np.testing.assert_array_equal(first[key].numpy(), second[key].numpy(), err_msg=key)
    assert not (first["query"] == other["query"]).all()


def test_images_are_kept_within_bounds(photograph: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvgeo_ros.learn.pairs.KEPT_BYTES", 5000)
    pairs = Pairs([photograph], [], 0.0, PairConfig(), seed=0)
    for k in range(4):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((30, 30, 3), k, np.uint8))
        assert pairs._read(tmp_path / f"{k}.png", 1.0)[0, 0, 0] == k
    assert list(pairs.images) == [tmp_path / "3.png"] and pairs.kept == 2700
    assert pairs._read(tmp_path / "0.png", 1.0)[0, 0, 0] == 0, "read anew"


def test_cells_and_clicks_of_rendered_frames_follow_what_stands_on_the_ground(tmp_path: Path) -> None:
    write_world(tmp_path, 7, Options(views=1, extent=330.0, resolution=0.3))
    (source,) = rendered_sources(tmp_path)
    pairs, rng = Pairs([], [source], 1.0, PairConfig(perspective=0.0), seed=0), np.random.default_rng(0)
    heights: list[float] = []
    for _ in range(60):
        if (pair := pairs.draw(source, rng)) is None:
            continue
        ground = project(pair["to_tile"].double().numpy(), pair["clicks"].double().numpy())
        displaced, lean = pair["targets"].numpy() - ground, pair["lean"].numpy()
        leaning = np.linalg.norm(lean, axis=1) > 0.3
        heights += list(((displaced * lean).sum(1) / (lean**2).sum(1))[leaning])
        cells, shown = pair["cells"].numpy(), np.isfinite(pair["cells"].numpy()).all(1)
        v, u = np.mgrid[0:16, 0:16] * 8 + 4.0
        at_ground = project(pair["to_tile"].double().numpy(), np.stack([u, v], -1).reshape(-1, 2))
        off = np.linalg.norm(cells - at_ground, axis=1)[shown]
        assert off.max() < 120 and np.median(off) < 12
    assert len(heights) > 20 and min(heights) > -8
    assert 3 < np.percentile(heights, 85) < 25, "roofs lie towards the point below the camera by their height"


def test_real_sources_find_outlines_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "tartu" / "train"
    folder.mkdir(parents=True)
    for name in ("a.jpg", "a_mask.png", "b.jpg"):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    assert [(s.tile.name, s.mask is not None) for s in real_sources(tmp_path)] == [("a.jpg", True), ("b.jpg", False)]


def test_photographs_of_ones_own_are_listed(tmp_path: Path) -> None:
    (tmp_path / "town").mkdir()
    cv2.imwrite(str(tmp_path / "town" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    listed = tmp_path / "photographs.json"
    listed.write_text('[{"folder": "town", "pattern": "*.png", "gsd": 0.1, "shrink": 0.5}]')
    (source,) = real_sources(tmp_path)
    assert source.gsd == pytest.approx(0.2), "metres per pixel once shrunk"
    for text, told in (
        ('[{"folder": "town"}]', "gsd"),
        ('[{"folder": "x", "gsd": 1}]', "no file matches"),
        ("{", "JSON"),
    ):
        listed.write_text(text)
        with pytest.raises(DatasetError, match=told):
            real_sources(tmp_path)
