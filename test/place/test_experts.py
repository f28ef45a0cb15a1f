from pathlib import Path

import numpy as np
import pytest
import torch

from cvgeo_ros.errors import WeightsError
from cvgeo_ros.place.config import PlaceConfig
from cvgeo_ros.place.experts import PlaceModel, fused_images, fused_query, load_place_model, save_place_model

TEXTS = ["A red-roofed hall beside a round pond. A road passes it.", "A river between trees"]


@pytest.fixture(scope="module")
def model() -> PlaceModel:
    torch.manual_seed(0)
    return PlaceModel(PlaceConfig())


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 96, 128, 3), np.uint8)


def test_fused_score_is_the_gated_sum_of_cosines(model: PlaceModel, images: np.ndarray) -> None:
    text, rows = model.embed_texts(TEXTS), model.embed_images(images, np.full(5, 0.5))
    assert np.allclose(np.linalg.norm(rows, axis=2), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(text.experts, axis=2), 1, atol=1e-5)
    assert np.allclose(text.gate.sum(axis=1), 1, atol=1e-6)
    expected = np.einsum("qk,qkd,nkd->qn", text.gate, text.experts, rows)
    assert np.allclose(fused_query(text) @ fused_images(rows).T, expected, atol=1e-6)


def test_neighbours_in_a_batch_do_not_matter(model: PlaceModel, images: np.ndarray) -> None:
    """A short text beside a long one is padded; a window is embedded alone or among others."""
    both, alone = model.embed_texts(TEXTS), model.embed_texts(TEXTS[1:])
    assert np.allclose(both.experts[1], alone.experts[0], atol=1e-5)
    assert np.allclose(both.gate[1], alone.gate[0], atol=1e-6)
    assert np.allclose(model.embed_images(images)[3:4], model.embed_images(images[3:4]), atol=1e-5)


def test_order_of_sentences_does_not_matter(model: PlaceModel) -> None:
    one = model.embed_texts(["A pond lies here. A tower stands there."])
    other = model.embed_texts(["A tower stands there. A pond lies here."])
    assert np.allclose(one.experts, other.experts, atol=1e-5)


def test_words_platform_and_colour_matter(model: PlaceModel, images: np.ndarray) -> None:
    text = model.embed_texts(["A red hall.", "A green hall."])
    assert not np.allclose(text.experts[0], text.experts[1], atol=1e-3)
    plain = model.embed_images(images)
    assert not np.allclose(plain, model.embed_images(images, platform="drone"), atol=1e-4)
    assert not np.allclose(plain, model.embed_images(images[..., ::-1]), atol=1e-3)


def test_saved_model_answers_alike(model: PlaceModel, images: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "place.safetensors"
    save_place_model(model, path, steps="0")
    assert path.stat().st_size < 25e6
    again = load_place_model(path, model.text)
    assert again.config == model.config
    assert np.allclose(again.embed_images(images), model.embed_images(images), atol=2e-2)
    assert again.digest() == load_place_model(path).digest() != model.digest()  # float16 rounds


def test_damaged_and_foreign_files_are_refused(model: PlaceModel, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not shipped"):
        load_place_model("nowhere")
    with pytest.raises(WeightsError, match="another program or version"):
        load_place_model("nano")
    path = tmp_path / "cut.safetensors"
    save_place_model(model, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged"):
        load_place_model(path)
