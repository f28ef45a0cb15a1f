"""Tiny real models in the formats of the published ones, with random weights."""

import json
from pathlib import Path

from safetensors.torch import save_file

from cvgeo_ros.net._timm import import_timm
from cvgeo_ros.place._libraries import sentence_transformer_class

WORDS = ["a", "the", "red", "green", "hall", "pond", "stadium", "beside", "north", "of", "and", "river", "round"]


def save_text_model(folder: Path, width: int = 32) -> Path:
    """A BERT of one layer with a vocabulary of a few words, as sentence-transformers saves it."""
    sentence_transformer = sentence_transformer_class()
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bare = folder.with_name("bert")
    bare.mkdir()
    (bare / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *WORDS]))
    BertTokenizerFast(str(bare / "vocab.txt")).save_pretrained(bare)
    config = BertConfig(
        vocab_size=6 + len(WORDS), hidden_size=width, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(bare)
    transformer = Transformer(str(bare))
    sentence_transformer(modules=[transformer, Pooling(width, pooling_mode="mean")]).save(str(folder))
    return folder


def save_image_model(folder: Path, width: int = 48) -> Path:
    """An EVA-02 of two layers, as timm saves it."""
    sizes = {"embed_dim": width, "depth": 2, "num_heads": 2, "img_size": 56}
    architecture = "eva02_tiny_patch14_224"
    model = import_timm().create_model(architecture, num_classes=0, **sizes)
    about = {"num_classes": 0, "input_size": [3, 56, 56], "mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}
    folder.mkdir()
    config = {"architecture": architecture, "num_classes": 0, "model_args": sizes, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder
