"""The rendered benchmark: what is written belongs to the images, and both versions show the same places."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import Attitude, PinholeCamera, frame_to_ground
from cvgeo_ros.learn.pairsets import PairSample, read_folder
from cvgeo_ros.learn.scenes import benchmark
from cvgeo_ros.learn.scenes.benchmark import COUNTS, FRAME_SIZE, SMALLEST, TILE, Version, write_benchmark

FRAMES = 3
COARSE = 0.8
SEED = 500_001  # its two pairs: the one mirrored in V2, the other not


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, Path]:
    root = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        # Worlds are the cost of it, and both versions have the same; another test lays them out anew.
        patch.setattr(benchmark, "_visit", cache(benchmark._visit))
        for version in Version:
            write_benchmark(root / version, version, FRAMES, SEED, COARSE)
    return {version: root / version for version in Version}


@cache
def read(folder: Path) -> list[PairSample]:
    return read_folder(folder)


def test_targets_are_counted_in_turn_and_well_inside(folders: dict[Version, Path]) -> None:
    for folder in folders.values():
        samples = read(folder)
        assert len(samples) == FRAMES
        for index, sample in enumerate(samples):
            fewest, most = COUNTS[index % len(COUNTS)]
            assert fewest <= len(sample.objects) <= most
            assert cv2.imread(str(sample.query)).shape == (FRAME_SIZE[1], FRAME_SIZE[0], 3)
            assert cv2.imread(str(sample.tile)).shape == (TILE, TILE, 3)
            for item in sample.objects:
                assert min(item.bbox) >= 0 and max(item.bbox) <= TILE
                assert 40 <= item.click[0] <= FRAME_SIZE[0] - 40 and 40 <= item.click[1] <= FRAME_SIZE[1] - 40


def test_v1_tells_the_pose_and_v2_does_not(folders: dict[Version, Path]) -> None:
    for told, untold in zip(read(folders[Version.V1]), read(folders[Version.V2]), strict=True):
        assert told.name == untold.name and told.hfov == untold.hfov
        assert told.yaw == 0.0 and told.height is not None and told.pitch is not None
        assert untold.yaw is None and untold.height is None and untold.pitch is None
        assert told.gsd is not None and 0.25 <= told.gsd <= 0.35 and untold.gsd is not None


def test_v1_clicks_look_at_their_boxes(folders: dict[Version, Path]) -> None:
    """The ground under a click lies at its box, up to what the height of a roof moves it in frame and tile."""
    for sample in read(folders[Version.V1]):
        assert sample.pitch and sample.height and sample.hfov and sample.gsd
        camera = PinholeCamera.from_hfov(*FRAME_SIZE, np.radians(sample.hfov))
        attitude = Attitude(np.pi / 2, np.radians(sample.pitch))
        clicks = np.array([(camera.cx, camera.cy), *(item.click for item in sample.objects)])
        ground = frame_to_ground(camera, attitude, sample.height, clicks)
        pixels = TILE / 2 + (ground - ground[0])[1:] * (1, -1) / sample.gsd
        for item, (u, v) in zip(sample.objects, pixels, strict=True):
            u0, v0, u1, v1 = item.bbox
            assert min(u1 - u0, v1 - v0) * sample.gsd >= SMALLEST - 0.1
            assert u0 - 45 < u < u1 + 45 and v0 - 45 < v < v1 + 45


def test_v2_is_v1_turned_scaled_and_mirrored(folders: dict[Version, Path]) -> None:
    """One similarity, mirrored where the frame is, carries all boxes of a pair from the one tile to the other."""
    mirrors = set()
    for first, second in zip(read(folders[Version.V1]), read(folders[Version.V2]), strict=True):
        assert [(item.id, item.cls) for item in first.objects] == [(item.id, item.cls) for item in second.objects]
        here, there = (np.array([item.click for item in sample.objects]) for sample in (first, second))
        mirrored = bool(np.abs(here - there).max() > 0.01)
        if mirrored:
            here[:, 0] = FRAME_SIZE[0] - here[:, 0]
        assert np.abs(here - there).max() < 0.02
        mirrors.add(mirrored)
        frames = [cv2.imread(str(sample.query)).astype(int) for sample in (first, second)]
        assert np.abs(frames[0][:, ::-1] - frames[1] if mirrored else frames[0] - frames[1]).mean() < 3
        if len(first.objects) < 4:
            continue
        assert first.gsd and second.gsd
        scale, rest = _similarity(_centres(first), _centres(second), mirrored)
        assert scale == pytest.approx(first.gsd / second.gsd, rel=0.03)
        assert rest < 6
        assert _similarity(_centres(first), _centres(second), not mirrored)[1] > 2 * rest
    assert mirrors == {False, True}


def test_one_seed_gives_one_benchmark(folders: dict[Version, Path], tmp_path: Path) -> None:
    write_benchmark(tmp_path, Version.V2, 1, SEED, COARSE)
    again, before = read_folder(tmp_path)[0], read(folders[Version.V2])[0]
    assert again.objects == before.objects
    assert again.query.read_bytes() == before.query.read_bytes()
    assert again.tile.read_bytes() == before.tile.read_bytes()


def _centres(sample: PairSample) -> NDArray[np.complex128]:
    return np.array([complex(b[0] + b[2], b[1] + b[3]) / 2 for b in (item.bbox for item in sample.objects)])


def _similarity(start: NDArray[np.complex128], end: NDArray[np.complex128], mirrored: bool) -> tuple[float, float]:
    """Scale and largest residual, px, of the similarity that carries points best."""
    source = np.conj(start) if mirrored else start
    unknowns = np.stack([source, np.ones_like(source)], 1)
    solution = np.linalg.lstsq(unknowns, end, rcond=None)[0]
    return float(abs(solution[0])), float(np.abs(unknowns @ solution - end).max())
