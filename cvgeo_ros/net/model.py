"""The network: a frame, clicks and a tile in; heat maps, boxes and scores out."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import consensus
from .close_look import CloseLook
from .config import STRIDE, NetConfig, View
from .encoder import Encoder, Features
from .fusion import CrossViewFusion
from .gmoe import Routing
from .head import Boxes, BoxHead, Peak, ScoreHead, Surroundings, find_peak
from .prompt import ImpulsePrompt, sample
from .verdict import Verdict


@dataclass(frozen=True)
class TileFeatures:
    """What is kept of a tile: all that does not depend on frame or click. (B, ., h, w) each."""

    match: Tensor
    context: Tensor
    gated: Tensor


class Answer(NamedTuple):
    """What the network says of N clicks.

    Attributes:
        heat: (B, N, h, w) logits over tile cells.
        peak: the place found.
        boxes: the object there, tile cells.
        score: (B, N) logit that the answer is right.
        prompts: (B, N, D) the clicks' descriptors.
    """

    heat: Tensor
    peak: Peak
    boxes: Boxes
    score: Tensor
    prompts: Tensor


class CrossViewLocator(nn.Module):
    """Finds clicked objects of a frame in a tile.

    The parts are called one by one so that they can be reused: `encode_tile` once per tile, `encode_frame` once per
    frame, `consensus.correlate` once per frame and tile, `answer` once for all clicks.
    """

    peak_radius = 6
    """Cells within which a second translation counts as the same one."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.prompt = ImpulsePrompt(config.match_dim, config.context_dim)
        self.fusion = CrossViewFusion(config.match_dim, config.context_dim)
        self.box_head = BoxHead(config.match_dim, config.context_dim)
        self.score_head = ScoreHead()
        self.close_look = CloseLook() if config.close_look else None
        self.verdict = Verdict() if config.close_look else None

    def encode_frame(self, image: Tensor, gsd: Tensor, view: View = View.DRONE) -> tuple[Features, Routing]:
        """(B, 3, H, W) RGB in 0..1, (B,) metres per pixel -> features of stride 8."""
        return self.encoder(image, view, gsd)

    def encode_tile(self, image: Tensor, gsd: Tensor) -> tuple[TileFeatures, Routing]:
        """(B, 3, H, W) RGB in 0..1, (B,) metres per pixel -> features of stride 8."""
        features, routing = self.encoder(image, View.SATELLITE, gsd)
        return TileFeatures(features.match, features.context, self.fusion.prepare(features.context)), routing

    def surroundings(self, image: Tensor, gsd: Tensor) -> Surroundings:
        """(B, 3, H, W) RGB in 0..1 of a tile, (B,) metres per pixel -> what its boxes see at half the resolution."""
        half = F.avg_pool2d(image, 2, ceil_mode=True)
        below, beside = (-side % STRIDE for side in half.shape[-2:])
        half = F.pad(half, (0, beside, 0, below), mode="replicate")
        return Surroundings(self.encoder(half, View.SATELLITE, gsd * 2)[0].context)

    def answer(
        self,
        frame: Features,
        clicks: Tensor,
        tile: TileFeatures,
        votes: consensus.Votes,
        moved: Tensor | None = None,
        void: Tensor | None = None,
        lean: Tensor | None = None,
        surroundings: Surroundings | None = None,
    ) -> Answer:
        """Locate clicks.

        Args:
            frame: the frame's features.
            clicks: (B, N, 2) places in the frame, cells (x, y).
            tile: the tile's features.
            votes: consensus over translations.
            moved: (B, N, 2) the clicks after a fitted correction, still in frame cells; the consensus is read there,
                while the prompt is read at the click itself.
            void: (B, h, w) bool, tile cells without imagery, never an answer.
            lean: (B, N, 2) what a metre of height does to a click, see `consensus.spread_raised`; None: nothing.
            surroundings: the tile at half the resolution, for the boxes.
        """
        prompts = self.prompt(frame.match, frame.context, clicks)
        prior = self.prior(votes, clicks if moved is None else moved, lean, (tile.match.shape[2], tile.match.shape[3]))
        heat = self.fusion(prompts, tile.match, tile.gated, prior)
        if void is not None:
            heat = heat.masked_fill(void[:, None], -1e4)
        peak = find_peak(heat)
        boxes = self.box_head.steady(tile.context, prompts, peak.place, surroundings)
        score = self.score(prompts, tile, votes, prior[:, :, 1], peak, boxes)
        return Answer(heat, peak, boxes, score, prompts)

    def prior(self, votes: consensus.Votes, clicks: Tensor, lean: Tensor | None, size: tuple[int, int]) -> Tensor:
        """(B, N, 2, h, w) what the frame says of each click's place: were it on the ground, and at any height."""
        ground = consensus.spread(votes, clicks, size)
        if lean is None:
            return torch.stack([ground, ground], 2)
        return torch.stack([ground, torch.maximum(ground, consensus.spread_raised(votes, clicks, lean, size))], 2)

    def score(
        self, prompts: Tensor, tile: TileFeatures, votes: consensus.Votes, prior: Tensor, peak: Peak, boxes: Boxes
    ) -> Tensor:
        """(B, N) logits that the answers are right."""
        evidence = (sample(tile.match, peak.place) * prompts).sum(-1)
        batch, number = evidence.shape
        flat = prior.reshape(batch * number, 1, *prior.shape[-2:])
        agreement = sample(flat, peak.place.reshape(batch * number, 1, 2)).reshape(batch, number)
        _, best = consensus.peaks(votes, 2, self.peak_radius)
        lead = (best[:, 0] - best[:, -1]).clamp(0, 10) if best.shape[1] > 1 else torch.zeros_like(best[:, 0])
        return self.score_head(peak.mass, evidence, agreement, lead, boxes.quality)
