"""Training of a place model: the tower, each expert in two stages, then the gate, and at last gate and experts.

PE-MoE (arXiv 2510.20291) trains an expert on its own platform's pairs, then on triplets with negatives it mined from
the training set. How the gate is trained it does not say: here by the contrastive loss on fused scores, over batches
of all platforms, first with the experts frozen, then together with them. What experts learn apart are scores within
their own platforms; only together they learn scores that compare across platforms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from ...net.weights import find_weights, load_weights
from ...place.config import PLATFORMS, PlaceConfig
from ...place.experts import PlaceModel, load_place_model, save_place_model
from ...place.heads import Expert, Gate, every_token, pool_text
from ...place.vision import NanoTower
from ..loop import Stage, Watch, run_stage
from .batches import Indices, Preparation, batch_pools, draw_batch, numbers_of, thinned
from .corpus import Corpus
from .embedding import embed_images, embed_texts
from .losses import Temperature, contrastive
from .tower import train_tower

HARD = 24
"""Mined negatives kept for each image's texts."""
REMINE = 2
"""How often the second stage mines."""


@dataclass(frozen=True)
class PlaceTraining:
    """A training of a place model.

    Attributes:
        batch: pairs in a step.
        seed: of data and weights.
        threads: of torch.
        tower: stage 0, the convolutional tower on all platforms; left out where the tower comes from a file.
        first: stage 1 of each expert, contrastive.
        second: stage 2 of each expert, with mined hard negatives.
        gate: of the gate.
        fused: of gate and experts together.
    """

    batch: int = 128
    seed: int = 0
    threads: int = 2
    tower: Stage = field(default_factory=lambda: Stage(3000, 1e-3, warmup=100))
    first: Stage = field(default_factory=lambda: Stage(400, 1e-3))
    second: Stage = field(default_factory=lambda: Stage(200, 3e-4))
    gate: Stage = field(default_factory=lambda: Stage(200, 1e-3))
    fused: Stage = field(default_factory=lambda: Stage(600, 5e-4))

    def __post_init__(self) -> None:
        if self.batch < 2 or self.threads < 1 or self.seed < 0:
            raise ValueError("batch must be 2 or more, threads 1 or more, seed 0 or more")


class ExpertObjective(nn.Module):
    """An expert and the scale of its cosines."""

    def __init__(self, expert: Expert) -> None:
        super().__init__()
        self.expert = expert
        self.scale = Temperature()


class FusedObjective(nn.Module):
    """Experts, what weighs them, and the scale of the fused scores."""

    def __init__(self, experts: Sequence[Expert], gate: Gate | None) -> None:
        super().__init__()
        self.own, self.gate = list(experts), gate
        self.experts = nn.ModuleList(experts)
        self.scale = Temperature()

    def forward(self, states: Tensor, mask: Tensor, tokens: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and images whose inner product is the fused score.

        Args:
            states: (B, T, C) of texts, with `mask` (B, T).
            tokens: (B, S, W) of images, with `seen` (B, S).

        Returns:
            (B, K * D) each, for K experts.
        """
        with torch.autocast(tokens.device.type, torch.bfloat16):
            text = torch.stack([expert.text(states, mask) for expert in self.own], 1)
            image = torch.stack([expert.image(tokens, seen) for expert in self.own], 1)
        if self.gate is None:
            weights = text.new_full(text.shape[:2], 1 / text.shape[1])
        else:
            weights = self.gate(pool_text(states, mask))
        return (weights[:, :, None] * text).flatten(1), image.flatten(1)


class ExpertTrainer:
    """Trains one expert on the images of some platforms."""

    def __init__(
        self,
        expert: Expert,
        corpus: Corpus,
        own: Indices,
        preparation: Preparation,
        settings: PlaceTraining,
        out: Path,
    ) -> None:
        """Set it up.

        Args:
            expert: changed in place.
            corpus: frozen, see `Corpus.freeze`; negatives are mined from all of it.
            own: images to train on.
            preparation: of texts and images.
            settings: batch, seed and stages.
            out: folder of checkpoints.
        """
        self.corpus, self.own, self.preparation = corpus, own, preparation
        self.settings, self.out = settings, out
        self.objective = ExpertObjective(expert).to(corpus.model.device)
        self.row = {int(index): row for row, index in enumerate(own)}
        self.hard: Indices | None = None

    def run(self, console: Console, steps: int = 1, save_every: int = 200) -> float:
        """Both stages; returns the learned scale of the cosines.

        Args:
            console: for people.
            steps: factor on the number of steps of both.
            save_every: steps between checkpoints.

        Raises:
            Stopped, TrainingError: as `run_stage` does.
        """
        settings = self.settings
        first, second = (
            Stage(steps * stage.steps, stage.rate, stage.minutes, stage.warmup, stage.decay)
            for stage in (settings.first, settings.second)
        )
        self.every = max(1, -(-second.steps // REMINE))
        objective, out = self.objective, self.out
        run_stage(objective, lambda step: self.loss(1, step), first, out / "first", console, save_every)
        run_stage(objective, lambda step: self.loss(2, step), second, out / "second", console, save_every, self.mine_at)
        return float(self.objective.scale().detach())

    def loss(self, stage: int, step: int) -> Watch:
        """Of one batch; in stage 2 each text has a mined negative beside those of the batch."""
        corpus, settings, device = self.corpus, self.settings, self.corpus.model.device
        batch = draw_batch(corpus, self.own, settings.batch, self.preparation, (settings.seed, step, stage))
        pairs, count = batch.pairs, len(batch.draws)
        hard: Indices | None = None
        if stage == 2 and self.hard is not None:
            rows = [self.row[int(index)] for index in batch.indices]
            hard = self.hard[rows, batch.rng.integers(self.hard.shape[1])]
            pairs += [(int(index), 0) for index in hard]
        tokens = corpus.token_rows(pairs, batch.moving).to(device)
        expert = self.objective.expert
        with torch.autocast(device.type, torch.bfloat16):
            image = expert.image(tokens, every_token(tokens))
            text = expert.text(batch.states, batch.mask)
        loss = contrastive(
            text,
            image[:count],
            self.objective.scale(),
            batch.texts,
            batch.groups,
            image[count:] if hard is not None else None,
            torch.from_numpy(corpus.groups[hard]).to(device) if hard is not None else None,
        )
        right = (text @ image[:count].T).argmax(dim=1) == torch.arange(count, device=device)
        return {"loss": loss, "right": right.float().mean()}

    def mine_at(self, step: int) -> None:
        """Mine anew when it is time; a run that goes on takes what was mined."""
        path = self.out / "second" / f"hard-{step // self.every}.npy"
        if path.is_file():
            if self.hard is None or step % self.every == 0:
                self.hard = np.load(path)
        elif step % self.every == 0 or self.hard is None:
            self.objective.eval()
            self.hard = self.mine(self.settings.seed + step)
            self.objective.train()
            np.save(path, self.hard)

    def mine(self, seed: int) -> Indices:
        """(own, HARD) images of any platform that a caption of each own image is mistaken for, the worst first."""
        corpus, rng = self.corpus, np.random.default_rng(seed)
        texts = []
        for index in self.own:
            wording = corpus.wordings[index]
            captions = wording.raw if self.preparation is Preparation.NONE else wording.refined
            texts.append(tuple(captions[int(rng.integers(len(captions)))]))
        images = embed_images([self.objective.expert.image], corpus, range(len(corpus.images)))[:, 0]
        rows = embed_texts([self.objective.expert.text], corpus, texts)[0][:, 0]
        count = min(HARD, len(images) - 1)
        mined = np.empty((len(self.own), count), np.int64)
        for start in range(0, len(self.own), 512):
            part = slice(start, start + 512)
            scores = rows[part] @ images.T
            scores[corpus.groups[self.own[part], None] == corpus.groups[None]] = -np.inf
            best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
            mined[part] = np.take_along_axis(best, order, axis=1)
        return mined


def fresh_model(
    config: PlaceConfig, seed: int, tower: str | Path | None = None, like: PlaceModel | None = None
) -> PlaceModel:
    """A model to be trained: with random experts and gate, or with the tower and experts of stage 0.

    Args:
        config: its size; not looked at where `tower` is given.
        seed: of the random part.
        tower: `tower.safetensors` of a run, or another place model, whose image tower and experts it gets; without it,
            the frozen encoder is the localizer's.
        like: a model whose text tower and device are taken over.

    Raises:
        WeightsError: no such file, or of another architecture.
        PlaceError: the folder that `config` names for images holds no such model.
    """
    loaded = load_place_model(tower, like.text if like else None) if tower else None
    torch.manual_seed(seed)
    model = PlaceModel(loaded.config if loaded else config, like.text if like else None)
    if loaded:
        model.image.load_state_dict(loaded.image.state_dict())
        model.experts.load_state_dict(loaded.experts.state_dict())
    elif isinstance(model.image, NanoTower):
        model.image.frozen.load_state_dict(load_weights(find_weights("nano")).encoder.state_dict())
    return model.to(like.device if like else "cpu")


def train_gate(
    model: PlaceModel, corpus: Corpus, settings: PlaceTraining, scale: float, out: Path, console: Console
) -> None:
    """Train `model.gate` in place on captions as they were written, the experts frozen.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    every = range(len(corpus.images))
    captions = [(text, index) for index in every for text in corpus.captions(index)]
    images = torch.from_numpy(embed_images(model.image_heads(), corpus, every))
    embedded, pooled = embed_texts(model.text_heads(), corpus, [text for text, _ in captions])
    rows, features = torch.from_numpy(embedded), torch.from_numpy(pooled)
    owner = np.array([index for _, index in captions])
    device = model.device
    texts = numbers_of([text for text, _ in captions])

    def loss(step: int) -> Watch:
        rng = np.random.default_rng([settings.seed, step, 3])
        chosen = rng.choice(len(captions), min(4 * settings.batch, len(captions)), replace=False)
        # One caption an image at the most: the others are right answers too.
        chosen = chosen[np.unique(owner[chosen], return_index=True)[1]]
        gate = model.gate(features[chosen].to(device))
        query = (gate[:, :, None] * rows[chosen].to(device)).flatten(1)
        groups = torch.from_numpy(corpus.groups[owner[chosen]]).to(device)
        gallery = images[owner[chosen]].to(device).flatten(1)
        found = contrastive(query, gallery, torch.tensor(scale), texts[chosen].to(device), groups)
        platform = torch.from_numpy(corpus.platforms[owner[chosen]]).to(device)
        return {"loss": found, "own": gate.gather(1, platform[:, None]).mean().detach()}

    run_stage(model.gate, loss, settings.gate, out / "gate", console)


def train_fused(
    experts: Sequence[Expert],
    gate: Gate | None,
    corpus: Corpus,
    settings: PlaceTraining,
    out: Path,
    console: Console,
    preparation: Preparation = Preparation.MIXED,
) -> None:
    """Train experts and gate together in place on fused scores.

    Args:
        experts: one or more.
        gate: None: the mean of the experts' scores.
        corpus: frozen, see `Corpus.freeze`.
        settings: batch, seed and stage.
        out: folder of checkpoints.
        console: for people.
        preparation: of texts and images.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    device = corpus.model.device
    objective = FusedObjective(experts, gate).to(device)
    pools = batch_pools(corpus)

    def loss(step: int) -> Watch:
        batch = draw_batch(corpus, pools[step % len(pools)], settings.batch, preparation, (settings.seed, step, 4))
        tokens = corpus.token_rows(batch.pairs, batch.moving).to(device)
        seen = thinned(every_token(tokens), batch.rng)
        query, image = objective(batch.states, batch.mask, tokens, seen)
        return {"loss": contrastive(query, image, objective.scale(), batch.texts, batch.groups)}

    run_stage(objective, loss, settings.fused, out, console)


def train_experts(
    model: PlaceModel, corpus: Corpus, settings: PlaceTraining, out: Path, console: Console
) -> PlaceModel:
    """Train experts and gate of a model whose tower is frozen; returns the model, changed in place.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    scales = []
    for number, (platform, expert) in enumerate(zip(PLATFORMS, model.own_experts(), strict=True)):
        own = np.flatnonzero(corpus.platforms == number)
        if not len(own):
            console.print(f"{platform}: no images, the expert stays as it is")
            continue
        console.print(f"{platform}: {len(own)} images")
        scales.append(ExpertTrainer(expert, corpus, own, Preparation.FULL, settings, out / platform).run(console))
    train_gate(model, corpus, settings, float(np.mean(scales)), out, console)
    return model


def train_place(
    model: PlaceModel, corpus: Corpus, settings: PlaceTraining, out: Path, console: Console, tower: bool = True
) -> Path:
    """Train all of a model; returns the path of its weights.

    Args:
        model: with random heads, or with a tower from a file.
        corpus: of the model, filled.
        settings: stages.
        out: folder of checkpoints and weights.
        console: for people.
        tower: train the convolutional tower too.

    Raises:
        Stopped, TrainingError: as `run_stage` does.
    """
    torch.set_num_threads(settings.threads)
    if tower and isinstance(model.image, NanoTower):
        train_tower(model, corpus, settings.tower, settings.batch, settings.seed, out / "tower", console)
        save_place_model(model, out / "tower.safetensors", stage="tower", images=str(len(corpus.images)))
    corpus.freeze()
    train_experts(model, corpus, settings, out, console)
    train_fused(model.own_experts(), model.gate, corpus, settings, out / "fused", console)
    path = out / f"{model.config.name}.safetensors"
    save_place_model(model, path, seed=str(settings.seed), images=str(len(corpus.images)))
    return path
