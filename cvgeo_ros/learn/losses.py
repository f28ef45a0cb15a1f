"""What the network is taught: dense descriptors, consensus, heat maps, boxes, trust and balanced experts."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..net import STRIDE, CrossViewLocator, TileFeatures
from ..net.config import View
from ..net.consensus import Votes, correlate
from ..net.encoder import Features
from ..net.gmoe import Routing
from ..net.head import Boxes, Surroundings
from ..net.prompt import sample

APART_SHARPNESS = 2.0
"""How steeply the inter-object term falls with the distance of two attention maps (at most the root of 2)."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term in the sum."""

    dense: float = 1.0
    batch: float = 0.3
    vote: float = 0.2
    heat: float = 0.5
    apart: float = 0.1
    box: float = 3.0
    quality: float = 0.1
    score: float = 0.2
    balance: float = 0.01
    z: float = 0.001


def project(matrix: Tensor, points: Tensor) -> Tensor:
    """Homographies (B, 3, 3) on points (B, N, 2) or (N, 2) -> (B, N, 2)."""
    if points.dim() == 2:
        points = points.expand(matrix.shape[0], -1, -1)
    homogeneous = F.pad(points, (0, 1), value=1.0)
    projected = torch.einsum("bij,bnj->bni", matrix, homogeneous)
    return projected[..., :2] / projected[..., 2:]


def cell_centres(height: int, width: int) -> Tensor:
    """(height * width, 2) centres in cells, row by row."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).float() + 0.5


def soft_cross_entropy(logits: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """Cross-entropy with a target shared bilinearly by the four cells around each place.

    Args:
        logits: (M, h * w).
        places: (M, 2) cells (x, y).
        size: (h, w).

    Returns:
        (M,) losses.
    """
    height, width = size
    log_probability = logits.log_softmax(-1)
    corner = (places - 0.5).floor()
    fraction = places - 0.5 - corner
    loss = torch.zeros_like(places[:, 0])
    for dx in (0, 1):
        for dy in (0, 1):
            x = (corner[:, 0] + dx).clamp(0, width - 1).long()
            y = (corner[:, 1] + dy).clamp(0, height - 1).long()
            weight = (fraction[:, 0] if dx else 1 - fraction[:, 0]) * (fraction[:, 1] if dy else 1 - fraction[:, 1])
            loss = loss - weight * log_probability.gather(1, (y * width + x)[:, None])[:, 0]
    return loss


def generalized_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and GIoU (arXiv 1902.09630) of (M, 4) boxes, corner form."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - overlap
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = overlap / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def box_losses(first: Boxes, final: Boxes, truth: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses of extent, of both looks, and of trust in it, and the IoU (M,) of the final boxes.

    Args:
        first, final: looks at (B, N) boxes, cells.
        truth: (B, N, 4) cells.
        objects: (B, N) bool, the M that are objects.
    """
    rough, _ = extent_loss(first, truth[objects], objects)
    box, iou = extent_loss(final, truth[objects], objects)
    quality = F.binary_cross_entropy_with_logits(final.quality[objects], iou.detach())
    return (rough + box) / 2, quality, iou


def extent_loss(boxes: Boxes, truth: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of the boxes of some (B, N) objects against (M, 4) true ones, cells, and their IoU (M,)."""
    predicted = boxes.corners()[objects]
    iou, giou = generalized_iou(predicted, truth)
    size = (truth[:, 2:] - truth[:, :2]).repeat(1, 2).clamp(min=1.0)
    return (1 - giou).mean() + F.smooth_l1_loss(predicted / size, truth / size, beta=0.1), iou


def _mean(losses: Tensor) -> Tensor:
    """Mean, nothing of nothing: batches without a dense relation, or without objects, teach the rest."""
    return losses.sum() / max(losses.numel(), 1)


class Objective(nn.Module):
    """All losses of a batch from `pairs.Pairs`; holds the temperature of the contrastive terms."""

    def __init__(self, model: CrossViewLocator, weights: LossWeights) -> None:
        super().__init__()
        self.model, self.weights = model, weights
        self.log_scale = nn.Parameter(torch.tensor(2.7))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss and its parts (detached); also figures worth watching."""
        model, weights = self.model, self.weights
        view = View(int(batch["view"][0])) if "view" in batch else View.DRONE  # one platform a batch
        frame, routing_q = model.encode_frame(batch["query"].float() / 255, batch["gsd"], view)
        image = batch["tile"].float() / 255
        tile, routing_t = model.encode_tile(image, batch["gsd"])
        surroundings = model.surroundings(image, batch["gsd"])
        mask = batch["mask"].float()
        height, width = tile.match.shape[-2:]

        cells = cell_centres(*frame.match.shape[-2:]).to(mask.device)
        places = batch["cells"] / STRIDE
        # Cells whose place is not known are NaN, which is nowhere inside.
        inside = ((places > 0) & (places < places.new_tensor([width, height]))).all(-1) & batch["mask"].flatten(1)
        query = frame.match.flatten(2).transpose(1, 2)
        scale = self.log_scale.clamp(max=4.0).exp()
        logits = torch.bmm(query, tile.match.flatten(2)) * scale
        dense = _mean(soft_cross_entropy(logits[inside], places[inside], (height, width)))
        parts = {"dense": dense, "batch": self._across_batch(query, tile.match, places, inside, scale)}

        votes = correlate(frame.match, mask, tile.match)
        centre = cells.mean(0)
        shift = project(batch["to_tile"], centre[None] * STRIDE)[:, 0] / STRIDE - centre
        index = shift + torch.tensor(votes.origin, device=mask.device) + 0.5
        related = index.isfinite().all(-1)
        size = (votes.z.shape[-2], votes.z.shape[-1])
        parts["vote"] = _mean(soft_cross_entropy(votes.z.flatten(1)[related], index[related], size))

        # Part of the time the consensus is withheld: the click's own evidence must be able to stand alone. Always where
        # frame and tile do not share axes.
        keep = ((torch.rand(len(mask), device=mask.device) > 0.25) & related).float()[:, None, None]
        clicks, targets = batch["clicks"] / STRIDE, batch["targets"] / STRIDE
        lean = batch["lean"] / STRIDE
        answer = model.answer(
            frame, clicks, tile, Votes(votes.z * keep, votes.origin), lean=lean, surroundings=surroundings
        )
        parts["heat"] = soft_cross_entropy(
            answer.heat.flatten(0, 1).flatten(1), targets.flatten(0, 1), (height, width)
        ).mean()
        parts["apart"] = self._apart(answer.prompts, tile.match, targets)

        parts["box"], parts["quality"], iou = self._boxes(batch, tile, surroundings, answer.prompts, targets)

        right = ((answer.peak.place - targets).norm(dim=-1) < 2.0).float()
        parts["score"] = F.binary_cross_entropy_with_logits(answer.score, right) + self._elsewhere(
            frame, mask, tile, surroundings, clicks, lean
        )
        routing = Routing(*(a + b for a, b in zip(routing_q, routing_t, strict=True)))
        parts["balance"], parts["z"] = routing.balance, routing.z
        total = sum((getattr(weights, name) * value for name, value in parts.items()), start=dense * 0)
        with torch.no_grad():
            watch = {name: value.detach() for name, value in parts.items()}
            watch["right"] = right.mean()
            watch["iou"] = _mean(iou)
            best = votes.z.flatten(1).argmax(1)
            found = torch.stack([best % votes.z.shape[-1], best // votes.z.shape[-1]], -1) - index + 0.5
            watch["placed"] = _mean((found.norm(dim=-1) < 2.0).float()[related])
        return total, watch

    def _boxes(
        self,
        batch: dict[str, Tensor],
        tile: TileFeatures,
        surroundings: Surroundings,
        prompts: Tensor,
        targets: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of extent and of trust in it, and the IoU of the final boxes.

        Boxes are read off the tile, so that objects nobody clicked teach them too: the tile's own descriptor is their
        prompt.
        """
        truth, places = batch["boxes"] / STRIDE, targets
        if "extents" in batch:
            extents = batch["extents"] / STRIDE
            size = (extents[..., 2:] - extents[..., :2]).nan_to_num()
            middle = ((extents[..., 2:] + extents[..., :2]) / 2).nan_to_num()
            middle = middle + torch.randn_like(size) * (0.12 * size).clamp(max=2.0)
            places = torch.cat([places, middle], 1)
            prompts = torch.cat([prompts, sample(tile.match, middle).detach()], 1)
            truth = torch.cat([truth, extents], 1)
        objects = truth.isfinite().all(-1)
        first, boxes = self.model.box_head(tile.context, prompts, places + torch.randn_like(places) * 0.6, surroundings)
        if not bool(objects.any()):
            nothing = boxes.size.sum() * 0
            return nothing, nothing, truth.new_zeros(0)
        return box_losses(first, boxes, truth, objects)

    def _apart(self, prompts: Tensor, match: Tensor, targets: Tensor) -> Tensor:
        """MOGeo's inter-object term: attention maps of different objects, of one frame or of two, are to differ.

        Its anchor's positive is the map itself, at distance 0; its negatives are the other objects' maps. The paper's
        formula is soft-margin, log(1 + exp(a (d_pos - d_neg))), with Euclidean distances; its `a` is not published.
        """
        logits = torch.einsum("bnd,bdhw->bnhw", prompts, match.float()) * self.model.fusion.evidence_scale.exp()
        maps = F.normalize(logits.flatten(0, 1).flatten(1).softmax(-1), dim=-1)
        distance = torch.cdist(maps, maps)  # in float32 whatever autocast is set to
        batch, number = prompts.shape[:2]
        image = torch.arange(batch, device=maps.device).repeat_interleave(number)
        place = targets.flatten(0, 1)
        near = (place[:, None] - place[None]).norm(dim=-1) < 2.0
        other = ~(near & (image[:, None] == image[None]))
        return F.softplus(-APART_SHARPNESS * distance[other]).mean()

    @staticmethod
    def _across_batch(query: Tensor, match: Tensor, places: Tensor, inside: Tensor, scale: Tensor) -> Tensor:
        """Contrast some cells of every frame with the cells of all tiles of the batch: what a wide search meets."""
        height, width = match.shape[-2:]
        bank = match.flatten(2).permute(1, 0, 2).flatten(1)
        rows, columns = inside.nonzero(as_tuple=True)
        chosen = torch.randperm(len(rows), device=rows.device)[:512]
        rows, columns = rows[chosen], columns[chosen]
        logits = query[rows, columns] @ bank * scale
        place = places[rows, columns]
        cell = place[:, 1].floor().long() * width + place[:, 0].floor().long()
        return _mean(F.cross_entropy(logits, rows * height * width + cell, reduction="none"))

    def _elsewhere(
        self,
        frame: Features,
        mask: Tensor,
        tile: TileFeatures,
        surroundings: Surroundings,
        clicks: Tensor,
        lean: Tensor,
    ) -> Tensor:
        """Score loss of frames held against the next sample's tile: all answers are wrong."""
        half = len(mask) // 2  # enough of them; the right answers are as many
        other = TileFeatures(*(f[1 : half + 1].detach() for f in (tile.match, tile.context, tile.gated)))
        around = Surroundings(surroundings.context[1 : half + 1].detach())
        frame = Features(*(f[:half].detach() for f in frame))
        votes = correlate(frame.match, mask[:half], other.match)
        clicks, lean = clicks[:half, :4], lean[:half, :4]
        score = self.model.answer(frame, clicks, other, votes, lean=lean, surroundings=around).score
        return F.binary_cross_entropy_with_logits(score, torch.zeros_like(score))
