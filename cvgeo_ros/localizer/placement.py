"""Placing a frame on the tile: rectify, encode, vote, align; headings and heights are searched where unknown."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import MapError
from ..geo import Attitude, PinholeCamera, PositionPrior, TileStore, project, search_window
from ..net import STRIDE, CrossViewLocator, consensus
from ..net.alignment import Alignment, align
from ..net.consensus import Votes
from ..net.encoder import Features
from ..net.head import Surroundings
from .features import FeatureCache, Grid, Window, to_tensor
from .pixels import TilePixels
from .rectify import Rectified, lay_down
from .types import Prior


@dataclass(frozen=True)
class Placement:
    """How a rectified frame lies on the tile.

    Attributes:
        rectified: the frame on the ground.
        features: its features.
        grid, window: the part of the tile it was compared with.
        votes: consensus over translations of the frame in the window.
        translation: (2,) the translation chosen, (x, y) cells of the window.
        alignment: the map fitted around it, frame cells to window cells; None where too little overlaps.
        surroundings: the window and its rim at half the resolution, for boxes.
    """

    rectified: Rectified
    features: Features
    grid: Grid
    window: Window
    votes: Votes
    translation: NDArray[np.float32]
    alignment: Alignment | None
    surroundings: Surroundings | None = None

    @property
    def support(self) -> float:
        """How well frame and tile agree, 0..1."""
        return 0.0 if self.alignment is None else self.alignment.support

    def on_window(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """Frame cells (N, 2) to window cells, by the alignment where there is one."""
        if self.alignment is None:
            return cells + self.translation
        return project(self.alignment.matrix.double().cpu().numpy(), cells)


class Placer:
    """Places frames on one tile."""

    candidates = 5
    """Translations that are examined more closely, at most."""
    lead = 2.0
    """Standard scores by which the best translation has to lead for the others to be passed over."""
    headings = 18
    """Headings tried where none is known: 20 degrees apart, within the rotations the descriptors are trained for."""
    heights = tuple(45.0 * 1.35**k for k in range(8))
    """Heights tried where none is known, metres: 45 to 368, a factor of 1.35 apart."""
    guesses = 12
    """Combinations of heading and height that are fitted after the sweep."""
    batch = 8
    """Rasters that are encoded at once, at most."""
    finalists = 3
    """Fits that are looked at in full resolution."""
    rim = 8
    """Cells at half the resolution around a window that its boxes may look at."""

    def __init__(self, model: CrossViewLocator, tile: TileStore, cache: FeatureCache) -> None:
        self.model, self.tile, self.cache = model, tile, cache
        self.pixels = TilePixels(tile)
        self.device = next(model.parameters()).device

    def grid(self, zoom: float = 1.0) -> Grid:
        """Grid at the network's own scale, or the tile's if that is coarser, times `zoom`."""
        return Grid.matched(self.tile, self.model.config.gsd, zoom)

    def place(
        self,
        frame: NDArray[np.uint8],
        clicks: NDArray[np.float64],
        camera: PinholeCamera,
        prior: Prior,
        timings: dict[str, float],
    ) -> Placement:
        """Place a frame: directly where heading and height are known, else by search.

        Args:
            frame: (H, W, 3) RGB uint8.
            clicks: (N, 2) frame pixels, which the raster has to cover.
            camera: of the frame's size.
            prior: what is known.
            timings: seconds by stage are added here.

        Raises:
            ClickError, CalibrationError: as `lay_down`.
            MapError: the prior lies outside the tile, or the tile is too large to search whole.
        """
        known = prior.yaw is not None and prior.height is not None
        guesses = [prior] if known else self._search(frame, camera, prior, timings)
        size = self.model.config.query_size * 13 // 8  # oblique frames reach further than those from above
        placements: list[Placement] = []
        refused: MapError | None = None
        for guess in guesses:
            try:
                rectified, grid = self._lay_down(frame, clicks, camera, guess, 1.0, size, timings)
                (features,) = self._encode([rectified], timings)
                ballot = self._vote(rectified, features, grid, guess, timings)
            except MapError as error:  # a guess that was fitted off the map leaves the others standing
                refused = error
            else:
                placements.append(self._fit(ballot, timings))
        if refused is not None and not placements:
            raise refused
        best = max(placements, key=lambda placement: placement.support)
        return replace(best, surroundings=self._surroundings(best, timings))

    def _surroundings(self, placement: Placement, timings: dict[str, float]) -> Surroundings | None:
        """The window of a placement and a rim around it at half the resolution; None where the map shows too little."""
        grid = self.grid(2.0 * placement.rectified.zoom)
        height, width = placement.window.void.shape[-2:]
        x, y = placement.window.origin
        with stage(timings, "tile"):
            try:
                window = self.cache.window(
                    grid,
                    x // 2 - self.rim,
                    y // 2 - self.rim,
                    (x + width + 1) // 2 + self.rim,
                    (y + height + 1) // 2 + self.rim,
                )
            except MapError:  # nothing but slivers: the window itself still answers
                return None
        return Surroundings(window.features.context, (x / 2 - window.origin[0], y / 2 - window.origin[1]))

    def _search(
        self, frame: NDArray[np.uint8], camera: PinholeCamera, prior: Prior, timings: dict[str, float]
    ) -> list[Prior]:
        """Best guesses of the unknown heading and height: a sweep at half the resolution, ranked by the votes."""
        step = 2 * math.pi / self.headings
        yaws = [prior.yaw] if prior.yaw is not None else [k * step for k in range(self.headings)]
        heights = [prior.height] if prior.height is not None else list(self.heights)
        nothing = np.zeros((0, 2))
        size = self.model.config.query_size // 2
        best: list[tuple[float, Placement, Prior]] = []
        groups: dict[tuple[float, tuple[int, ...]], list[tuple[Rectified, Grid, Prior]]] = {}
        for yaw, height in itertools.product(yaws, heights):
            guess = replace(prior, yaw=yaw, height=height)
            rectified, grid = self._lay_down(frame, nothing, camera, guess, 2.0, size, timings)
            groups.setdefault((grid.gsd, rectified.valid.shape), []).append((rectified, grid, guess))
        # Rasters of one size are encoded together; by scale, so that each part of the tile is taken out once.
        for _, group in sorted(groups.items(), key=lambda item: item[0]):
            features = self._encode([rectified for rectified, _, _ in group], timings)
            for (rectified, grid, guess), own in zip(group, features, strict=True):
                ballot = self._vote(rectified, own, grid, guess, timings)
                best.append((float(ballot.votes.z.max()), ballot, guess))
            best = sorted(best, key=lambda item: -item[0])[: self.guesses]
        fitted: list[tuple[float, Prior]] = []
        for _, ballot, guess in best:
            placement = self._fit(ballot, timings)
            if placement.alignment is not None:
                fitted.append((placement.support, self._corrected(placement, guess)))
        fitted.sort(key=lambda item: -item[0])
        return [guess for _, guess in fitted[: self.finalists]] or [best[0][2]]

    def _corrected(self, placement: Placement, guess: Prior) -> Prior:
        """The guess with heading, height and position as the alignment has them."""
        assert guess.yaw is not None and guess.height is not None
        h, w = placement.rectified.valid.shape
        middle = np.array([w / 2, h / 2]) / STRIDE
        steps = placement.on_window(middle + np.array([[0, 0], [1, 0], [0, 1]]))
        along = steps[1:] - steps[0]
        # Where the tile is not mirrored, its v axis points down: a turn from u to v is clockwise on the ground.
        hand = np.sign(np.linalg.det(self.tile.transform.jacobian(self._position(guess))))
        turn = float(hand) * math.atan2(along[0, 1] - along[1, 0], along[0, 0] + along[1, 1])
        scale = math.sqrt(abs(float(np.linalg.det(along))))
        nadir = placement.on_window(placement.rectified.nadir[None] / STRIDE)[0] + placement.window.origin
        latitude, longitude = self.tile.transform.pixel_to_geodetic(placement.grid.to_tile(nadir))
        return replace(
            guess,
            yaw=guess.yaw + turn,
            height=guess.height * min(max(scale, 0.7), 1.4),
            latitude=float(latitude),
            longitude=float(longitude),
            position_radius=30.0,
        )

    def _lay_down(
        self,
        frame: NDArray[np.uint8],
        clicks: NDArray[np.float64],
        camera: PinholeCamera,
        prior: Prior,
        zoom: float,
        size: int,
        timings: dict[str, float],
    ) -> tuple[Rectified, Grid]:
        """Rectify with a known heading and height, and the tile's grid of the same scale."""
        assert prior.yaw is not None and prior.height is not None
        attitude = Attitude(prior.yaw, -math.pi / 2 if prior.pitch is None else prior.pitch, prior.roll or 0.0)
        grid = self.grid(zoom)
        with stage(timings, "rectify"):
            axes = self.tile.transform.jacobian(self._position(prior)) * np.asarray(grid.scale)
            rectified = lay_down(frame, clicks, camera, attitude, prior.height, axes, size)
        return rectified, self.grid(zoom * rectified.zoom)

    def _vote(
        self, rectified: Rectified, features: Features, grid: Grid, prior: Prior, timings: dict[str, float]
    ) -> Placement:
        """Vote over translations; nothing is fitted yet."""
        with stage(timings, "tile"):
            window, allowed = self._window(grid, rectified, prior)
        with stage(timings, "consensus"):
            mask = torch.from_numpy(rectified.mask()).to(self.device)
            votes = window.correlator(max(mask.shape))(features.match, mask[None], allowed)
            width = votes.z.shape[-1]
            best = int(votes.z.argmax())
            translation = np.array([best % width, best // width], np.float32) - votes.origin
        return Placement(rectified, features, grid, window, votes, translation, None)

    def _fit(self, ballot: Placement, timings: dict[str, float]) -> Placement:
        """Look closely at the best translations and keep the one whose matches agree most."""
        with stage(timings, "consensus"):
            mask = torch.from_numpy(ballot.rectified.mask()).to(self.device)
            translations, scores = consensus.peaks(ballot.votes, self.candidates, self.model.peak_radius)
            best = ballot
            for translation, score in zip(translations[0], scores[0].tolist(), strict=True):
                if score < float(scores[0, 0]) - self.lead:
                    break
                match = ballot.window.features.match[0]
                alignment = align(ballot.features.match[0], mask, match, translation)
                if alignment is not None and alignment.support > best.support:
                    best = replace(ballot, translation=translation.cpu().numpy(), alignment=alignment)
        return best

    def _encode(self, frames: Sequence[Rectified], timings: dict[str, float]) -> list[Features]:
        """Features of frames of one size, `batch` at a time."""
        features: list[Features] = []
        with stage(timings, "frame"):
            for first in range(0, len(frames), self.batch):
                part = frames[first : first + self.batch]
                images = torch.cat([to_tensor(rectified.image, rectified.valid, self.device) for rectified in part])
                gsd = torch.tensor([rectified.gsd for rectified in part], device=self.device)
                encoded = self.model.encode_frame(images, gsd)[0]
                # CUDA graphs write their next results over these.
                match, context = (part.clone() for part in encoded) if self.device.type == "cuda" else encoded
                features += [Features(match[i : i + 1], context[i : i + 1]) for i in range(len(part))]
        return features

    def _window(self, grid: Grid, rectified: Rectified, prior: Prior) -> tuple[Window, torch.Tensor | None]:
        """The part of the tile where the frame may lie, and the translations that the position prior allows."""
        if prior.latitude is None or prior.longitude is None:
            return self.cache.window(grid, 0, 0, *grid.cells), None
        height, width = (s // STRIDE for s in rectified.valid.shape)
        place = PositionPrior(prior.latitude, prior.longitude, prior.position_radius)
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) * STRIDE - rectified.nadir
        reach = float(np.linalg.norm(corners, axis=1).max()) * rectified.gsd
        # Says in words what lies off the map; the cut below follows the frame's own shape and is smaller.
        search_window(self.tile.transform, self.tile.width, self.tile.height, place, reach)
        camera_cell = grid.from_tile(self._position(prior))
        expected = camera_cell - rectified.nadir / STRIDE
        # An unknown tilt moves the view by up to a fifth of the height (11 degrees).
        slack = 0.2 * (prior.height or 0.0) if prior.pitch is None else 0.05 * (prior.height or 0.0)
        radius = (prior.position_radius + slack) / (rectified.gsd * STRIDE) + 1
        low, high = np.floor(expected - radius).astype(int), np.ceil(expected + radius).astype(int)
        window = self.cache.window(grid, int(low[0]), int(low[1]), int(high[0]) + width, int(high[1]) + height)
        h, w = window.void.shape[-2:]
        y, x = np.mgrid[0 : h + height - 1, 0 : w + width - 1]
        offset = np.stack([x - (width - 1), y - (height - 1)], -1) + np.asarray(window.origin) - expected
        allowed = np.linalg.norm(offset, axis=-1) <= radius
        if not allowed.any():
            raise MapError(f"{self.tile.tile_id}: the position prior lies outside the map; load the right map")
        return window, torch.from_numpy(allowed).to(self.device)

    def _position(self, prior: Prior) -> NDArray[np.float64]:
        """Tile pixel of the prior's position, or the tile's centre."""
        if prior.latitude is None or prior.longitude is None:
            return np.array([self.tile.width / 2, self.tile.height / 2])
        pixel = self.tile.transform.geodetic_to_pixel([prior.latitude, prior.longitude])
        if not np.isfinite(pixel).all():
            raise MapError(f"{self.tile.tile_id}: position {prior.latitude}, {prior.longitude} is far from the map")
        return pixel


@contextmanager
def stage(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the time spent inside to `timings[name]`, seconds."""
    started = time.perf_counter()
    yield
    timings[name] = timings.get(name, 0.0) + time.perf_counter() - started
