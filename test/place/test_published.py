"""Towers from local folders: real files of real libraries, small."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from towers import save_image_model, save_text_model

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.place.config import published
from cvgeo_ros.place.experts import PlaceModel, load_place_model, save_place_model
from cvgeo_ros.place.text import SentenceTower

SMALL = {"text_width": 32, "image_width": 48, "image_size": 56, "dim": 16, "width": 32, "heads": 2}


def test_published_size_from_folders(tmp_path: Path) -> None:
    config = published(save_text_model(tmp_path / "text"), save_image_model(tmp_path / "image"))
    assert (config.dim, config.image_size, config.text_layers, config.image_layers) == (1024, 384, 2, 4)
    model = PlaceModel(replace(config, **SMALL))
    images = np.random.default_rng(0).integers(0, 256, (3, 80, 60, 3), np.uint8)
    rows = model.embed_images(images)
    assert rows.shape == (3, 3, 16)
    assert not np.allclose(rows[0], rows[1], atol=1e-4)
    text = model.embed_texts(["A red hall beside the pond.", "a river"])
    assert text.experts.shape == (2, 3, 16)

    path = tmp_path / "model.safetensors"
    save_place_model(model, path)
    again = load_place_model(path)
    assert path.stat().st_size < 700_000, "frozen towers are not copied"
    assert np.allclose(again.embed_images(images), rows, atol=5e-3)


def test_absent_folders_are_named(tmp_path: Path) -> None:
    config = published(tmp_path / "bge", tmp_path / "eva")
    with pytest.raises(PlaceError, match=r"eva: no image model.*config\.json and model\.safetensors"):
        PlaceModel(config)
    with pytest.raises(PlaceError, match=r"bge: no text model.*bge-m3"):
        SentenceTower(tmp_path / "bge", 1024).tokens(["a pond"])


def test_models_of_another_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="a text model of 32 channels, 1024 are needed"):
        SentenceTower(save_text_model(tmp_path / "text"), 1024).tokens(["a pond"])
    config = published(tmp_path / "text", save_image_model(tmp_path / "image"))
    with pytest.raises(PlaceError, match="an image model of 48 channels, 1024 are needed"):
        PlaceModel(replace(config, image_size=56))


def test_damaged_image_model_is_named(tmp_path: Path) -> None:
    folder = save_image_model(tmp_path / "image")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(PlaceError, match="the image model cannot be loaded"):
        PlaceModel(replace(published(tmp_path, folder), **SMALL))
