"""Weights on disk: a file is all a robot needs, and a wrong one says what is wrong."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cvgeo_ros.errors import WeightsError
from cvgeo_ros.net import CrossViewLocator
from cvgeo_ros.net.weights import find_weights, load_weights, save_weights


def test_round_trip_keeps_size_and_answers(small: CrossViewLocator, tmp_path: Path) -> None:
    save_weights(small, tmp_path / "small.safetensors", half=False)
    again = load_weights(tmp_path / "small.safetensors")
    assert again.config == small.config
    image, gsd = torch.rand(1, 3, 64, 64), torch.tensor([0.3])
    with torch.inference_mode():
        torch.testing.assert_close(again.encode_frame(image, gsd)[0].match, small.encode_frame(image, gsd)[0].match)


def test_shipped_weights_load_and_are_small() -> None:
    path = find_weights("nano")
    assert path.stat().st_size < 25 << 20
    assert load_weights(path).config.name == "nano"


def test_missing_weights_name_what_there_is() -> None:
    with pytest.raises(WeightsError, match=r"known: .*nano"):
        find_weights("gigantic")
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: no such"):
        load_weights(find_weights("nowhere.safetensors"))


def test_damaged_and_foreign_weights_are_refused(small: CrossViewLocator, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(small, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="another program"):
        load_weights(path)
    save_file({"a": torch.zeros(1)}, path, metadata={"config": "{}"})
    with pytest.raises(WeightsError, match="another version"):
        load_weights(path)
