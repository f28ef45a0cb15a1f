"""Anchor-free head: box and trust of the object at a place of the tile."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .prompt import sample


class Boxes(NamedTuple):
    """Boxes in tile cells.

    Attributes:
        centre: (B, N, 2) (x, y) cells.
        size: (B, N, 2) width and height, cells.
        quality: (B, N) logit that the box overlaps the object by half.
    """

    centre: Tensor
    size: Tensor
    quality: Tensor

    @classmethod
    def of(cls, corners: Tensor, quality: Tensor) -> "Boxes":
        """The reverse of `corners`: (B, N, 4), and (B, N)."""
        low, high = corners.split(2, -1)
        return cls((low + high) / 2, high - low, quality)

    def corners(self) -> Tensor:
        """(B, N, 4): x_min, y_min, x_max, y_max."""
        return torch.cat([self.centre - self.size / 2, self.centre + self.size / 2], dim=-1)


class Surroundings(NamedTuple):
    """The tile at twice the metres per pixel, for what is too large to be seen from within at the tile's own scale.

    Attributes:
        context: (B, C, h, w) its context features.
        shift: (x, y) the tile's cell p lies at p / 2 + shift.
    """

    context: Tensor
    shift: tuple[float, float] = (0.0, 0.0)

    def read(self, places: Tensor) -> Tensor:
        """(B, N, 2) cells of the tile -> (B, N, C)."""
        return sample(self.context, places / 2 + torch.as_tensor(self.shift, dtype=places.dtype, device=places.device))


class BoxHead(nn.Module):
    """Reads an object's extent off the tile at the place found.

    The heat map says where the clicked point lies; from the tile's context there, and from the prompt, which says what
    was clicked, the head gives the offset to the box's centre and its size (SMGeo's targets: any cell of an object
    answers with the object's box). A second look, at a grid of places over that box, corrects its four sides. Only the
    places found are evaluated, so a click costs a few rows of a matrix product.

    Both looks also see the tile's surroundings, coarser and farther: the middle of a large hall shows nothing but roof.
    """

    looks = 5
    """Places along each side of the box that the second look reads."""
    margin = 1.4
    """Width of that grid over the box's: its outer places lie beyond the sides."""
    reach = 3.0
    """The same of the grid in the surroundings: a box that is far too small shall see what it is part of."""
    beside = ((0.0, 0.0), (0.7, 0.0), (-0.7, 0.0), (0.0, 0.7), (0.0, -0.7))
    """Where around a place its box is read, cells: as far off as places mostly are."""

    def __init__(self, match_dim: int, context_dim: int, hidden: int = 128, seen: int = 32) -> None:
        super().__init__()
        self.place = nn.Linear(context_dim, hidden)
        self.prompt = nn.Linear(match_dim, hidden)
        self.layers = nn.Sequential(
            nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 5)
        )
        self.reduce = nn.Linear(context_dim, seen)
        self.size = nn.Linear(2, hidden)
        self.look = nn.Linear(seen * self.looks**2, hidden)
        self.around = nn.Linear(context_dim, hidden, bias=False)
        self.look_around = nn.Linear(seen * self.looks**2, hidden, bias=False)
        self.correct = nn.Sequential(
            nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 5)
        )
        for layers, bias in ((self.layers, [0.0, 0.0, 1.6, 1.6, 0.0]), (self.correct, [0.0] * 5)):
            last = layers[-1]
            assert isinstance(last, nn.Linear)
            nn.init.trunc_normal_(last.weight, std=0.01)
            with torch.no_grad():
                last.bias.copy_(torch.tensor(bias))  # a box of 5 cells, the size of a house, that stays as it is
        for layer in (self.around, self.look_around):
            nn.init.zeros_(layer.weight)  # weights of before start as they were

    def forward(
        self, context: Tensor, prompts: Tensor, places: Tensor, surroundings: Surroundings | None = None
    ) -> tuple[Boxes, Boxes]:
        """Boxes at given places: those of the first look, and the final ones.

        Args:
            context: (B, C, h, w) context of the tile.
            prompts: (B, N, D) unit prompts.
            places: (B, N, 2) cells (x, y).
            surroundings: of the tile; None: they show nothing.
        """
        x = self.place(sample(context, places)) + self.prompt(prompts)
        if surroundings is not None:
            x = x + self.around(surroundings.read(places))
        offset, log_size, quality = self.layers(x).float().split([2, 2, 1], dim=-1)
        first = Boxes(places + offset, log_size.clamp(-2.0, 5.0).exp(), quality.squeeze(-1))
        return first, self._second_look(context, x, first, surroundings)

    def steady(
        self, context: Tensor, prompts: Tensor, places: Tensor, surroundings: Surroundings | None = None
    ) -> Boxes:
        """Final boxes, each the mean of those read at a place and just beside it; arguments as for `forward`."""
        shifts = places.new_tensor(self.beside)
        count = len(shifts)
        around = (places[:, :, None] + shifts).flatten(1, 2)
        _, boxes = self(context, prompts.repeat_interleave(count, dim=1), around, surroundings)
        return Boxes(*(part.unflatten(1, (-1, count)).mean(2) for part in boxes))

    def _second_look(self, context: Tensor, x: Tensor, first: Boxes, surroundings: Surroundings | None) -> Boxes:
        """Shift and stretch the box by what is seen across it; the first look is not taught through the grid."""
        centre, size = first.centre.detach(), first.size.detach()
        batch, number = centre.shape[:2]
        steps = torch.arange(self.looks, device=centre.device) / (self.looks - 1) - 0.5
        grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2) * size[:, :, None]
        places = (centre[:, :, None] + grid * self.margin).flatten(1, 2)
        seen = self.reduce(sample(context, places)).reshape(batch, number, -1)
        y = self.look(seen) + self.size(size.log()) + x
        if surroundings is not None:
            places = (centre[:, :, None] + grid * self.reach).flatten(1, 2)
            y = y + self.look_around(self.reduce(surroundings.read(places)).reshape(batch, number, -1))
        shift, stretch, quality = self.correct(y).float().split([2, 2, 1], dim=-1)
        return Boxes(centre + shift * size, size * stretch.clamp(-1.5, 1.5).exp(), quality.squeeze(-1))


class Peak(NamedTuple):
    """Where a heat map says a click lies.

    Attributes:
        place: (B, N, 2) cells (x, y), the mean of the distribution within two cells of its peak.
        mass: (B, N) probability within two cells of the peak.
        spread: (B, N) standard deviation of the distribution within two cells of its peak, cells per axis.
        scatter: (B, N) root mean square distance of the whole distribution from the place, cells per axis.
    """

    place: Tensor
    mass: Tensor
    spread: Tensor
    scatter: Tensor


def find_peak(heat: Tensor) -> Peak:
    """Peak of (B, N, h, w) logits, to a fraction of a cell."""
    height, width = heat.shape[-2:]
    probability = heat.float().flatten(2).softmax(-1)
    index = probability.argmax(-1)
    y, x = torch.meshgrid(
        torch.arange(height, device=heat.device), torch.arange(width, device=heat.device), indexing="ij"
    )
    cells = torch.stack([x, y], -1).reshape(-1, 2).float() + 0.5
    best = cells[index]
    near = ((cells - best[:, :, None]).abs().amax(-1) <= 2.0).float() * probability
    mass = near.sum(-1)
    place = (near[..., None] * cells).sum(2) / mass[..., None]
    distance = (cells - place[:, :, None]).square().sum(-1)
    spread = ((near * distance).sum(-1) / mass / 2).sqrt()
    scatter = ((probability * distance).sum(-1) / 2).sqrt()
    return Peak(place, mass, spread, scatter)


class ScoreHead(nn.Module):
    """Probability that an answer is right, from the shape of the heat map, the consensus and the box's own logit.

    It reads a handful of statistics and no features, so that it cannot learn the training places by heart.
    """

    statistics = 5

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(self.statistics, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, mass: Tensor, evidence: Tensor, agreement: Tensor, lead: Tensor, quality: Tensor) -> Tensor:
        """Logit of being right.

        Args:
            mass: (B, N) heat within two cells of the peak.
            evidence: (B, N) similarity of the prompt with the tile at the place found.
            agreement: (B, N) standard score of the consensus there.
            lead: (B,) lead of the best translation over the next one elsewhere, standard scores.
            quality: (B, N) the box head's logit.
        """
        lead = lead[:, None].expand_as(mass)
        mass = torch.logit(mass, eps=1e-3) / 3
        statistics = torch.stack([mass, evidence, agreement / 5, lead / 3, quality / 3], dim=-1)
        return self.layers(statistics.detach()).squeeze(-1)
