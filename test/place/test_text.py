import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from towers import save_text_model

from cvgeo_ros.errors import PlaceError
from cvgeo_ros.place.config import PlaceConfig
from cvgeo_ros.place.text import SentenceTower, pad_states, sentences_of, text_tower


def test_sentences() -> None:
    assert sentences_of("A pond. Is it round? Yes!\nA road") == ["A pond.", "Is it round?", "Yes!", "A road"]
    assert sentences_of("0.5 m wide, e.g.here") == ["0.5 m wide, e.g.here"]
    assert sentences_of(" ") == [""]


def test_states_are_those_of_the_sentences() -> None:
    tower = text_tower(replace(PlaceConfig(), text_unit="token"))
    states, mask = tower.tokens(["A pond. A tall tower.", "A tall tower.", ""])
    assert states.shape[2] == 384
    assert mask.sum(dim=1).tolist() == [7, 4, 1]
    assert torch.allclose(states[0, 3:7], states[1, :4], atol=1e-5)


def test_a_sentence_is_the_mean_of_its_tokens() -> None:
    texts = ["A pond. A tall tower.", "A tall tower.", ""]
    whole, mask = text_tower(PlaceConfig()).tokens(texts)
    assert whole.shape == (3, 2, 384) and mask.tolist() == [[True, True], [True, False], [True, False]]
    assert torch.allclose(whole[mask].norm(dim=1), torch.tensor(384.0).sqrt())
    assert torch.allclose(whole[0, 1], whole[1, 0], atol=1e-4)
    tokens = text_tower(replace(PlaceConfig(), text_unit="token")).tokens(texts)[0]
    assert torch.cosine_similarity(whole[0, 1], tokens[0, 3:7].mean(dim=0), dim=0) > 0.9999


def test_padding() -> None:
    states, mask = pad_states([torch.ones(2, 3), torch.ones(1, 3)])
    assert states.tolist() == [[[1] * 3] * 2, [[1] * 3, [0] * 3]]
    assert mask.tolist() == [[True, True], [True, False]]


def test_import_is_light() -> None:
    """What takes seconds to import is imported when the first sentence comes."""
    code = (
        "import sys, cvgeo_ros.place.experts; "
        "print([name for name in ('sentence_transformers', 'transformers', 'timm') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_damaged_model_is_named(tmp_path: Path) -> None:
    folder = save_text_model(tmp_path / "text")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(PlaceError, match=r"text: the text model cannot be loaded"):
        SentenceTower(folder, 32).tokens(["a pond"])
