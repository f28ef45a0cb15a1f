"""The network cut where the localizer cuts it: what runs once a piece of map, once a frame, twice for its clicks."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.fx.experimental import _config as fx_config

from ..net import STRIDE, CrossViewLocator, NetConfig, View
from ..net.close_look import SIDE, ZOOMS, weigh
from ..net.consensus import Votes
from ..net.encoder import Features
from ..net.fusion import CrossViewFusion
from ..net.head import Boxes, Surroundings
from ..net.model import TileFeatures
from ..net.verdict import deviation
from .layers import traceable

STEP = 32
"""Sides of images are multiples of so many pixels, the stride of the deepest stage; what exceeds them is cut off."""
LIMITS = {
    "batch": (1, 64),
    "height": (2 * STEP, 4096),
    "width": (2 * STEP, 4096),
    "clicks": (2, 1024),
    "frame_rows": (2, 512),
    "frame_columns": (2, 512),
    # Smaller tiles go another way through the fusion.
    "tile_rows": (57, 4096),
    "tile_columns": (57, 4096),
    "vote_rows": (57, 8192),
    "vote_columns": (57, 8192),
    "around_rows": (2, 4096),
    "around_columns": (2, 4096),
}
"""Free sizes and their range."""


@dataclass(frozen=True)
class Port:
    """An input or output of a branch.

    Attributes:
        name: in the graph.
        shape: numbers, names of free sizes, and fractions of these ("height / 8").
        meaning: units and convention, in a sentence.
        kind: of its numbers.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str
    kind: str = "float32"


class Branch(nn.Module):
    """A part of the network with named inputs and outputs, all tensors.

    Attributes:
        name: of the branch.
        parts: of the network that it runs.
        view: platform that it takes images to come from; None: it takes none.
        inputs, outputs: in their order.
    """

    name: str
    parts: tuple[str, ...]
    view: View | None = None
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, model: CrossViewLocator) -> None:
        super().__init__()
        self.model = model


class FrameBranch(Branch):
    """Encoder of a frame laid on the ground."""

    name = "frame"
    parts = ("encoder",)
    view = View.DRONE

    def __init__(self, model: CrossViewLocator) -> None:
        super().__init__(model)
        config = model.config
        self.inputs = _image_ports("the rectified frame in the tile's axes")
        self.outputs = _feature_ports(config)

    def forward(self, image: Tensor, gsd: Tensor) -> tuple[Tensor, ...]:
        features, _ = self.model.encode_frame(_whole(image), gsd)
        return features.match, features.context


class TileBranch(Branch):
    """Encoder of a piece of map; at twice the metres per pixel, its context is what boxes see as surroundings."""

    name = "tile"
    parts = ("encoder", "fusion")
    view = View.SATELLITE

    def __init__(self, model: CrossViewLocator) -> None:
        super().__init__(model)
        self.inputs = _image_ports("a piece of map")
        gated = Port("gated", _cells(CrossViewFusion.gated), "half of the fusion, for `clicks`")
        self.outputs = (*_feature_ports(model.config), gated)

    def forward(self, image: Tensor, gsd: Tensor) -> tuple[Tensor, ...]:
        features, _ = self.model.encode_tile(_whole(image), gsd)
        return features.match, features.context, features.gated


class ClickBranch(Branch):
    """From clicks, features and votes to boxes and scores."""

    name = "clicks"
    parts = ("prompt", "fusion", "box_head", "score_head")

    def __init__(self, model: CrossViewLocator) -> None:
        super().__init__(model)
        match, context = model.config.match_dim, model.config.context_dim
        frame, tile = ("frame_rows", "frame_columns"), ("tile_rows", "tile_columns")
        around, points = ("around_rows", "around_columns"), (1, "clicks", 2)
        self.inputs = (
            Port("frame_match", (1, match, *frame), "`match` of the frame"),
            Port("frame_context", (1, context, *frame), "`context` of the frame"),
            Port("clicks", points, "(x, y) in the rectified frame, cells"),
            Port("moved", points, "fitted `clicks` less the chosen translation; without a fit `clicks`"),
            Port("lean", points, "towards the camera's foot, cells per metre of height; 0: unknown"),
            Port("tile_match", (1, match, *tile), "`match` of the window, 0 where void"),
            Port("tile_context", (1, context, *tile), "`context` of the window"),
            Port("tile_gated", (1, CrossViewFusion.gated, *tile), "`gated` of the window"),
            Port("void", (1, *tile), "cells of the window without imagery, never an answer", "bool"),
            Port("votes", (1, "vote_rows", "vote_columns"), "standard scores of the frame's translations"),
            Port("origin", (2,), "(x, y) index of the zero translation in `votes`", "int64"),
            Port("around_context", (1, context, *around), "`context` at twice the tile's `gsd`"),
            Port("around_shift", (2,), "(x, y): the window's cell p is at p / 2 + shift there"),
        )
        answer = (1, "clicks")
        self.outputs = (
            Port("boxes", (1, "clicks", 4), "x_min, y_min, x_max, y_max, cells of the window"),
            Port("trust", answer, "logit of the boxes' overlap with the objects, for `close`"),
            Port("score", answer, "probability that the answer is right"),
            Port("place", points, "(x, y) of the clicked point, cells of the window"),
            Port("heat_mass", answer, "share of the heat within 2 cells of its peak"),
            Port("heat_spread", answer, "1 sigma of the heat within 2 cells of its peak, cells per axis"),
            Port("heat_scatter", answer, "RMS distance of all heat from the place, cells per axis"),
        )

    def forward(
        self,
        frame_match: Tensor,
        frame_context: Tensor,
        clicks: Tensor,
        moved: Tensor,
        lean: Tensor,
        tile_match: Tensor,
        tile_context: Tensor,
        tile_gated: Tensor,
        void: Tensor,
        votes: Tensor,
        origin: Tensor,
        around_context: Tensor,
        around_shift: Tensor,
    ) -> tuple[Tensor, ...]:
        answer = self.model.answer(
            Features(frame_match, frame_context),
            clicks,
            TileFeatures(tile_match, tile_context, tile_gated),
            Votes(votes, origin),  # type: ignore[arg-type]  # sizes are free
            moved,
            void,
            lean,
            Surroundings(around_context, around_shift),  # type: ignore[arg-type]
        )
        peak, boxes = answer.peak, answer.boxes
        score = answer.score.sigmoid()
        return boxes.corners(), boxes.quality, score, peak.place, peak.mass, peak.spread, peak.scatter


class CloseBranch(Branch):
    """From what `clicks` says to what is said once pixels have had their say."""

    name = "close"
    parts = ("close_look", "verdict")

    def __init__(self, model: CrossViewLocator) -> None:
        super().__init__(model)
        answer = (1, "clicks")
        views = (*answer, len(ZOOMS), 3, SIDE, SIDE)
        boxes = Port("boxes", (1, "clicks", 4), "x_min, y_min, x_max, y_max, cells of the window")
        self.inputs = (
            Port("frame_views", views, "of the frame around each click, in the tile's axes: RGB in 0..1"),
            Port("tile_views", views, "of the tile around each `place`: RGB in 0..1"),
            Port("gsd", answer, "metres over ground per pixel of the tile's raster"),
            Port("lean", (1, "clicks", 2), "of `clicks`, in metres per metre of height, along the tile's u and v"),
            Port("place", (1, "clicks", 2), "of `clicks`"),
            Port("rough", boxes.shape, "`boxes` of `clicks`"),
            Port("trust", answer, "of `clicks`"),
            Port("rough_score", answer, "`score` of `clicks`"),
            Port("heat_mass", answer, "of `clicks`"),
            Port("heat_spread", answer, "of `clicks`"),
            Port("heat_scatter", answer, "of `clicks`"),
        )
        self.outputs = (
            boxes,
            Port("score", answer, "probability that the answer is right"),
            Port("sigma", answer, "1 sigma of the middle of the box, metres per axis"),
        )

    def forward(
        self,
        frame_views: Tensor,
        tile_views: Tensor,
        gsd: Tensor,
        lean: Tensor,
        place: Tensor,
        rough: Tensor,
        trust: Tensor,
        rough_score: Tensor,
        heat_mass: Tensor,
        heat_spread: Tensor,
        heat_scatter: Tensor,
    ) -> tuple[Tensor, ...]:
        assert self.model.close_look is not None and self.model.verdict is not None
        cell = gsd[0] * STRIDE
        logit = rough_score[0].logit()
        sigma = deviation(heat_spread[0], heat_scatter[0], logit) * cell
        seen = self.model.close_look(frame_views[0], tile_views[0], gsd[0], lean[0])
        closer = Boxes(place[0] + seen.centre / STRIDE, seen.size / STRIDE, seen.quality)
        first = Boxes.of(rough[0], trust[0])
        score, sigma = self.model.verdict(logit, sigma, heat_mass[0], first, closer, cell)
        return weigh(first, closer).corners()[None], score.sigmoid()[None], sigma[None]


BRANCHES: dict[str, type[Branch]] = {
    branch.name: branch for branch in (FrameBranch, TileBranch, ClickBranch, CloseBranch)
}


def branches_of(model: CrossViewLocator) -> list[str]:
    """Names of the branches that a network has: not all have a close look."""
    return [name for name in BRANCHES if name != CloseBranch.name or model.close_look is not None]


def trace(branch: Branch, example: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Record a branch with all its free sizes.

    In `example` none of them may be 1, nor two be alike, nor one be special in another way: sides of images are to give
    no whole windows of attention.
    """
    free = {name: Dim(name, min=low, max=high) for name, (low, high) in LIMITS.items()}
    shapes = tuple({axis: free.get(str(size), Dim.STATIC) for axis, size in enumerate(p.shape)} for p in branch.inputs)
    traced = type(branch)(traceable(branch.model, branch.parts)).eval()
    # What holds for the example alone, such as how its tensors lie in memory, must not become a condition.
    with torch.no_grad(), fx_config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # added at run time
        return torch.export.export(
            traced,
            tuple(example),
            dynamic_shapes=shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def _whole(image: Tensor) -> Tensor:
    """The image in whole steps: from here on, sizes are known to be multiples, and what follows from them is short."""
    height, width = (side // STEP * STEP for side in image.shape[-2:])
    return image[:, :, :height, :width]


def _cells(channels: int) -> tuple[int | str, ...]:
    return "batch", channels, f"height / {STRIDE}", f"width / {STRIDE}"


def _image_ports(what: str) -> tuple[Port, ...]:
    return (
        Port("image", ("batch", 3, "height", "width"), f"{what}: RGB in 0..1"),
        Port("gsd", ("batch",), "metres over ground per pixel of it"),
    )


def _feature_ports(config: NetConfig) -> tuple[Port, ...]:
    return (
        Port("match", _cells(config.match_dim), "unit descriptors, compared by their inner product"),
        Port("context", _cells(config.context_dim), "what is at a place, for `clicks`"),
    )
