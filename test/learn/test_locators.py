"""Locators on rendered pairs: each finds what it can, and is told what the sample knows and no more."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from cvgeo_ros.errors import CalibrationError
from cvgeo_ros.geo import PinholeCamera
from cvgeo_ros.learn.cvogl import read_cvogl, write_cvogl
from cvgeo_ros.learn.harness import RGB, detgeo_figures, evaluate_pairs
from cvgeo_ros.learn.locators import ASSUMED_GSD, ArrayStore, DirectLocator, GeoLocator, SiftLocator, median_box
from cvgeo_ros.learn.metrics import summarize
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.localizer import Localization, Localizer, Prior, Target
from cvgeo_ros.net import NetConfig, View
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.scene import read_image


@pytest.fixture(scope="module")
def nano() -> Localizer:
    return Localizer.load("nano", "cpu")


@pytest.fixture
def cut_out(tmp_path: Path, rendered_pairs: list[PairSample]) -> PairSample:
    """A piece of the tile itself as the query: 256 px square from (300, 402), which is no multiple of a cell."""
    tile = read_image(rendered_pairs[0].tile)[:800, :798]
    cv2.imwrite(str(tmp_path / "tile.png"), tile[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "query.png"), tile[402:658, 300:556, ::-1])
    objects = tuple(
        PairObject(f"{u}", (u, v), (u + 290, v + 392, u + 310, v + 412)) for u, v in ((40.0, 60.0), (200.0, 128.0))
    )
    return PairSample("cut", tmp_path / "query.png", tmp_path / "tile.png", View.DRONE, objects, gsd=0.3)


def test_an_array_is_a_store_in_metres_about_its_middle() -> None:
    image = np.random.default_rng(0).integers(0, 255, (700, 1030, 3), np.uint8)
    store = ArrayStore("tile", image, 0.25)
    assert (store.width, store.height) == (1030, 700)
    assert store.transform.gsd((0, 0)) == pytest.approx((0.25, 0.25), rel=1e-6)
    assert store.transform.pixel_to_geodetic([515, 350]) == pytest.approx([0, 0], abs=1e-9)
    offsets = store.transform.pixel_to_enu([[0, 0], [1030, 700]], (0.0, 0.0))
    assert offsets == pytest.approx(np.array([[-128.75, 87.5], [128.75, -87.5]]), abs=1e-3), "up is north"
    read, valid = store.read(500, 490, 530, 530, (40, 30))
    assert (read == image[490:530, 500:530]).all() and valid.all(), "across blocks"
    read, valid = store.read(-10, 690, 1040, 710, (20, 1050))
    assert (read[:10, 10:1040] == image[690:]).all()
    assert valid[:10, 10:1040].all() and valid.sum() == 10 * 1030


def test_the_localizer_finds_rendered_objects(nano: Localizer, rendered_pairs: list[PairSample]) -> None:
    located = evaluate_pairs(GeoLocator(nano), rendered_pairs)
    assert [(item.frame, item.id) for item in located] == [
        (sample.name, item.id) for sample in rendered_pairs for item in sample.objects
    ]
    figures = summarize(located)
    assert figures.within_5m >= 0.7 and figures.acc_25 >= 0.6
    assert all(math.isfinite(item.error) and item.position_std > 0 for item in located)


class Recorder(Localizer):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.tiles: list[Any] = []
        self.told: list[tuple[PinholeCamera | None, Prior]] = []

    def set_tile(self, tile: Any) -> None:
        self.tiles.append(tile)

    def locate(self, frame: RGB, clicks: Any, camera: PinholeCamera | None = None, prior: Prior = Prior()) -> Any:  # noqa: B008
        self.told.append((camera, prior))
        targets = tuple(Target(click, 0.5, (1, 2, 3, 4), 0, 0, 2.5, (0, 0, 0, 0)) for click in clicks)
        return Localization(targets, "tile", (0, 0, 1, 1))


def test_the_localizer_is_told_what_the_sample_knows(rendered_pairs: list[PairSample]) -> None:
    known = replace(rendered_pairs[0], hfov=90.0, yaw=90.0, pitch=-60.0, height=80.0)
    recorder = Recorder()
    locator = GeoLocator(recorder)
    bare = replace(known, hfov=None, yaw=None, pitch=None, height=None)
    scaleless = replace(known, gsd=None)
    located = evaluate_pairs(locator, [known, bare, scaleless])
    camera, prior = recorder.told[0]
    assert camera is not None and camera.hfov == pytest.approx(math.pi / 2)
    assert (prior.yaw, prior.height) == (pytest.approx(0.0), 80.0), "clockwise from up: the camera looks east"
    assert prior.pitch == pytest.approx(-math.pi / 3) and prior.latitude is None, "the whole tile is searched"
    assert recorder.told[1] == (None, Prior())
    assert recorder.told[2] == (camera, replace(prior, height=None)), "metres mean nothing without a scale"
    assert [round(tile.transform.gsd((0, 0))[0], 6) for tile in recorder.tiles] == [
        pytest.approx(known.gsd, abs=1e-6),
        ASSUMED_GSD,
    ], "one tile, cached until its scale changes"
    assert located[0].position_std == 2.5 and math.isnan(located[-1].position_std)


def test_the_localizer_lays_no_street_view_down(nano: Localizer, rendered_pairs: list[PairSample]) -> None:
    with pytest.raises(CalibrationError, match="only drone frames can be laid on the ground"):
        evaluate_pairs(GeoLocator(nano), [replace(rendered_pairs[0], view=View.GROUND)])


def test_the_network_alone_finds_a_piece_of_the_tile(nano: Localizer, cut_out: PairSample) -> None:
    """Sizes of the tile are no multiples of a cell; query and tile share heading and scale."""
    located = evaluate_pairs(DirectLocator(nano.model, consensus=True), [cut_out])
    for item in located:
        u, v = (item.truth[0] + item.truth[2]) / 2, (item.truth[1] + item.truth[3]) / 2
        assert item.bbox[0] - 8 < u < item.bbox[2] + 8 and item.bbox[1] - 8 < v < item.bbox[3] + 8
        assert item.bbox[2] <= 798 and item.bbox[3] <= 800 and item.position_std > 0


def test_consensus_decides_where_clicks_look_alike(
    nano: Localizer, cut_out: PairSample, tmp_path: Path, rendered_pairs: list[PairSample]
) -> None:
    """A tile that repeats what lies around the click: only the rest of the query tells the copies apart."""
    tile = read_image(cut_out.tile).copy()
    patch = tile[382:542, 260:420].copy()
    for v, u in ((20, 20), (20, 600), (620, 20)):
        tile[v : v + 160, u : u + 160] = patch
    cv2.imwrite(str(cut_out.tile), tile[:, :, ::-1])
    together, alone = (
        evaluate_pairs(DirectLocator(nano.model, consensus=consensus), [cut_out])[0] for consensus in (True, False)
    )
    assert together.error < 5 and together.position_std < 5
    # By itself the click is answered with a copy, or with no certainty which of them it is.
    assert alone.error > 5 or alone.position_std > 5


def test_a_tile_is_encoded_once(
    small_config: NetConfig, cut_out: PairSample, rendered_pairs: list[PairSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CrossViewLocator(small_config)
    encoded: list[float] = []
    encode_tile = model.encode_tile

    def counted(image: torch.Tensor, gsd: torch.Tensor) -> Any:
        encoded.append(round(float(gsd), 3))
        return encode_tile(image, gsd)

    monkeypatch.setattr(model, "encode_tile", counted)
    locator = DirectLocator(model, consensus=False)
    samples = [cut_out, *rendered_pairs, replace(cut_out, name="again"), replace(cut_out, name="finer", gsd=0.25)]
    located = evaluate_pairs(locator, samples)
    assert sorted(encoded) == sorted([0.3, round(rendered_pairs[0].gsd or 0, 3), 0.25])
    by_frame = {(item.frame, item.id): item.bbox for item in located}
    assert by_frame["cut", cut_out.objects[0].id] == by_frame["again", cut_out.objects[0].id]


def test_untrained_networks_answer_cvogl(
    small_config: NetConfig, tmp_path: Path, rendered_pairs: list[PairSample]
) -> None:
    """Both subsets, each click with a box inside the tile; nothing is known in metres."""
    few = [replace(sample, objects=sample.objects[:1]) for sample in rendered_pairs]
    write_cvogl(tmp_path, "drone", "test", few)
    query = read_image(few[0].query)[128:384]
    cv2.imwrite(str(tmp_path / "street.png"), query[:, :, ::-1])
    street = replace(few[0].objects[0], click=(200.0, 100.0))
    write_cvogl(
        tmp_path,
        "ground",
        "test",
        [replace(few[0], query=tmp_path / "street.png", view=View.GROUND, objects=(street,))],
    )
    locator = DirectLocator(CrossViewLocator(small_config), consensus=False)
    for subset, count in (("drone", 2), ("ground", 1)):
        located = evaluate_pairs(locator, read_cvogl(tmp_path, subset, "test"))
        figures = detgeo_figures(located)
        assert figures.samples == count and 0 <= figures.miou <= 1
        for item in located:
            assert 0 <= item.bbox[0] < item.bbox[2] <= 1024 and 0 <= item.bbox[1] < item.bbox[3] <= 1024
            assert math.isnan(item.error) and math.isnan(item.position_std)


def test_sift_finds_a_turned_piece_of_the_tile(tmp_path: Path, cut_out: PairSample) -> None:
    turned = read_image(cut_out.query)[::-1].transpose(1, 0, 2)  # a quarter clockwise: (u, v) -> (256 - v, u)
    cv2.imwrite(str(tmp_path / "turned.png"), turned[:, :, ::-1])
    objects = tuple(replace(item, click=(256 - item.click[1], item.click[0])) for item in cut_out.objects)
    sample = replace(cut_out, query=tmp_path / "turned.png", objects=objects)
    located = evaluate_pairs(SiftLocator(median_box([cut_out])), [sample])
    for item in located:
        assert item.bbox == pytest.approx(item.truth, abs=0.7), "half a pixel's shift would show"
        assert item.score > 0.5 and math.isnan(item.position_std)


def test_sift_without_a_fit_has_no_answer(tmp_path: Path, cut_out: PairSample) -> None:
    for image in (np.full((256, 256, 3), 128, np.uint8), np.random.default_rng(1).integers(0, 255, (256, 256, 3))):
        cv2.imwrite(str(cut_out.query), image.astype(np.uint8))
        for item in evaluate_pairs(SiftLocator((20.0, 20.0)), [cut_out]):
            assert (item.error, item.score) == (math.inf, 0.0)


def test_the_median_box_of_all_objects() -> None:
    sizes = [(10, 40), (30, 20), (20, 50)]
    objects = [PairObject(str(k), (0, 0), (5, 5, 5 + w, 5 + h)) for k, (w, h) in enumerate(sizes)]
    samples = [
        PairSample("a", Path(), Path(), View.DRONE, tuple(objects[:1])),
        PairSample("b", Path(), Path(), View.DRONE, tuple(objects[1:])),
    ]
    assert median_box(samples) == (20.0, 40.0)
