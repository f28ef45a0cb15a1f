"""Stage 0: the convolutional tower of the place model, trained on all platforms at once, then frozen for good.

Its heads are what every expert begins with, as PE-MoE's experts begin with copies of their towers' last layers.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from ...place.experts import PlaceModel
from ...place.heads import Expert, every_token
from ...place.vision import NanoTower
from ..loop import Stage, Watch, run_stage
from .batches import Preparation, batch_pools, draw_batch, thinned
from .corpus import Corpus, Text
from .losses import Temperature, contrastive, word_loss

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


def vocabulary(described: Sequence[Sequence[Text]], least: float = 0.004, most: float = 0.5) -> dict[str, float]:
    """Words that tell images apart, with their rarity: the logarithm of one over the share of images.

    Args:
        described: captions of each image.
        least, most: share of images a word is to describe.
    """
    count = Counter(word for captions in described for word in words_of(captions))
    shares = {word: number / len(described) for word, number in sorted(count.items())}
    return {word: -math.log(share) for word, share in shares.items() if least <= share <= most}


def words_of(captions: Sequence[Text]) -> set[str]:
    return {word for caption in captions for sentence in caption for word in _WORD.findall(sentence.lower())}


class TowerObjective(nn.Module):
    """The tower with a head for words, which is thrown away, and the pair of heads that experts begin with."""

    def __init__(self, model: PlaceModel, words: int) -> None:
        super().__init__()
        assert isinstance(model.image, NanoTower)
        self.tower = model.image.tower
        self.heads = Expert(model.config)
        self.heads.load_state_dict(model.experts[0].state_dict())
        self.words = nn.Linear(model.config.image_width, words)
        self.scale = Temperature()


def train_tower(
    model: PlaceModel,
    corpus: Corpus,
    stage: Stage,
    size: int,
    seed: int,
    out: Path,
    console: Console,
    preparation: Preparation = Preparation.MIXED,
) -> None:
    """Train `model.image.tower` in place, from its first expert's heads on, which then go to all experts.

    Args:
        model: with random heads, or those of a former run.
        corpus: of the model, filled.
        stage: how long and how fast.
        size: pairs in a batch.
        seed: of the batches and of the head for words.
        out: folder of the checkpoint.
        console: for people.
        preparation: of texts and images.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    torch.manual_seed(seed)
    described = [corpus.captions(index) for index in range(len(corpus.images))]
    words = _words(described, out)
    number = {word: index for index, word in enumerate(words)}
    rarity = torch.tensor(list(words.values()), device=model.device)
    present = torch.zeros(len(described), len(words), dtype=torch.bool)
    for index, captions in enumerate(described):
        present[index, [number[word] for word in words_of(captions) if word in number]] = True
    objective = TowerObjective(model, len(words)).to(model.device)
    # On a CPU, convolutions in bfloat16 are faster than in float32 with channels last, and slower without.
    objective.tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pools = batch_pools(corpus)

    def loss(step: int) -> Watch:
        batch = draw_batch(corpus, pools[step % len(pools)], size, preparation, (seed, step, 0))
        maps = corpus.map_rows(batch.pairs, batch.moving)
        with torch.autocast(model.device.type, torch.bfloat16):
            tokens = objective.tower(maps.to(model.device, memory_format=torch.channels_last))
            seen = thinned(every_token(tokens), batch.rng)
            image = objective.heads.image(tokens, seen)
            text = objective.heads.text(batch.states, batch.mask)
            logits = objective.words(tokens.mean(dim=1))
        matched = contrastive(text, image, objective.scale(), batch.texts, batch.groups)
        named = word_loss(logits, present[batch.indices].to(model.device), rarity)
        return {"loss": matched + 0.5 * named, "matched": matched.detach(), "words": named.detach()}

    run_stage(objective, loss, stage, out, console)
    for expert in model.experts:
        expert.load_state_dict(objective.heads.state_dict())


def _words(described: Sequence[Sequence[Text]], out: Path) -> dict[str, float]:
    """The vocabulary the run began with: images that came in since do not change it."""
    path = out / "words.json"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(vocabulary(described)))
        partial.rename(path)
    return dict(json.loads(path.read_text()))
