"""Training on towers from the user's folders: tiny real models in the published formats."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from place_set import write_set
from rich.console import Console

from cvgeo_ros.learn.loop import Stage
from cvgeo_ros.learn.place.corpus import Corpus
from cvgeo_ros.learn.place.data import read_places
from cvgeo_ros.learn.place.training import PlaceTraining, fresh_model, train_place
from cvgeo_ros.place.config import published
from cvgeo_ros.place.experts import load_place_model

sys.path.append(str(Path(__file__).parents[2] / "place"))
from towers import save_image_model, save_text_model


@pytest.mark.slow
def test_heads_train_on_towers_from_folders(tmp_path: Path) -> None:
    folders = published(save_text_model(tmp_path / "text"), save_image_model(tmp_path / "image"))
    # Another image size than the model was saved at, and no multiple of its patches, as 384 is for EVA-CLIP.
    small = {"text_width": 32, "image_width": 48, "image_size": 74, "dim": 16, "width": 32, "heads": 2}
    model = fresh_model(replace(folders, **small), 0)
    corpus = Corpus(read_places(write_set(tmp_path / "places", 4)), tmp_path / "cache", model)
    corpus.fill()
    stage = Stage(4, 1e-3, warmup=1)
    before = model.image.frozen.blocks[0].norm1.weight.clone()
    path = train_place(
        model, corpus, PlaceTraining(4, 0, 1, stage, stage, stage, stage), tmp_path / "out", Console(file=io.StringIO())
    )
    assert (model.image.frozen.blocks[0].norm1.weight == before).all()
    again, pixels = load_place_model(path), np.zeros((1, 74, 74, 3), np.uint8)
    assert again.embed_images(pixels) == pytest.approx(model.embed_images(pixels), abs=0.01)
    assert not (tmp_path / "out" / "tower.safetensors").exists()
