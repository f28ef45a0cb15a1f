"""Localizer: `set_tile` once, `locate` many times; conventions in `types`."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..errors import ClickError, ImageError, MapError, WeightsError
from ..geo import GroundMatches, PinholeCamera, TileStore
from ..net import STRIDE, CrossViewLocator
from ..net.close_look import weigh
from ..net.dispatch import allow_compiling
from ..net.head import Boxes
from ..net.verdict import deviation
from ..net.weights import find_weights, load_weights
from .close_look import look_closely
from .features import FeatureCache
from .ground import automatic_clicks, ground_matches
from .placement import Placement, Placer, stage
from .store import find_features
from .types import Localization, Prior, Target

DEFAULT_HFOV = math.radians(66.0)
HEAT_BYTES = 1 << 30
"""Memory for the heat maps of the clicks that are answered at once."""
BYTES_PER_HEAT = 200
"""What a cell of one click's heat map takes while it is computed."""


class Localizer:
    """Finds clicked objects of frames in a cached tile. Not thread-safe."""

    def __init__(self, model: CrossViewLocator, cache_bytes: int = 512 << 20) -> None:
        self.model = model.eval()
        self.cache_bytes = cache_bytes
        self.device = next(model.parameters()).device
        self.notice = ""
        """What the user should know about the features of the tile; empty: nothing."""
        self._placer: Placer | None = None

    @property
    def tile(self) -> TileStore | None:
        """The tile that is searched."""
        return None if self._placer is None else self._placer.tile

    @classmethod
    def load(cls, model: str | Path = "nano", device: str = "auto", cache_bytes: int = 512 << 20) -> "Localizer":
        """A localizer with shipped weights (`nano`) or those of a .safetensors file.

        Args:
            model: name or path.
            device: torch's name, or `auto` for a GPU where there is one.
            cache_bytes: memory for tile features.

        Raises:
            WeightsError: weights missing or damaged, or no such device.
        """
        path = find_weights(model)
        target = pick_device(device)
        return cls(load_weights(path).to(target), cache_bytes)

    def tune(self, half: bool = False, compiled: str | None = None) -> None:
        """Trade digits or a slow start for speed; call it before `set_tile`. Worth it on a GPU.

        Args:
            half: encode in bfloat16; what prepared features were computed in does not change.
            compiled: mode of torch.compile for the encoder, "default" or, with CUDA graphs, "reduce-overhead"; the
                first frames of each raster size then take long. None: not compiled.
        """
        if half:
            self.model.encoder.reduce()
        if compiled is not None:
            allow_compiling()
            self.model.encoder.compile(mode=compiled)

    def set_tile(self, tile: TileStore | None) -> None:
        """Search in `tile` from now on, None: nowhere.

        Its features are read from those prepared beside it, where there are some for this model and state of the map;
        others are left alone, and `notice` says why. Else they are computed where needed; both are cached.

        Raises:
            MapError: the prepared features are damaged.
        """
        if self._placer is not None:
            self._placer.cache.close()
        self._placer, self.notice = None, ""
        if tile is not None:
            prepared, self.notice = find_features(self.model, tile)
            cache = FeatureCache(self.model, tile, self.cache_bytes, prepared)
            self._placer = Placer(self.model, tile, cache)

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Compute the features of the whole tile now; `progress` receives 0..1.

        Raises:
            MapError: no tile is set.
        """
        placer = self._require_placer()
        grid = placer.grid()
        blocks = list(placer.cache.blocks(grid))
        for done, (i, j) in enumerate(blocks):
            placer.cache.fill(grid, i, j)
            if progress is not None:
                progress((done + 1) / len(blocks))

    @torch.inference_mode()
    def locate(
        self,
        frame: NDArray[np.uint8],
        clicks: ArrayLike,
        camera: PinholeCamera | None = None,
        prior: Prior = Prior(),  # noqa: B008  frozen
        ground: bool = False,
    ) -> Localization:
        """Locate clicked objects.

        Args:
            frame: (H, W, 3) RGB uint8.
            clicks: (N, 2) frame pixels; on the right or lower border they count as inside.
            camera: intrinsics, scaled where they are of another size; without them a horizontal field of view of 66
                degrees is assumed.
            prior: what is known of the camera. Unknown heading or height is searched for.
            ground: give the matches with the ground, too; their score takes a dozen clicks of its own.

        Raises:
            ImageError: not an RGB image.
            ClickError: a click that is not a number, or outside, or above the horizon; the message names it. Or clicks
                that are not pairs.
            MapError: no tile, or the prior lies outside it.
            CalibrationError: a camera that sees no ground.
        """
        placer = self._require_placer()
        frame = check_frame(frame)
        points = check_clicks(clicks, frame.shape[1], frame.shape[0])
        if camera is None:
            camera = PinholeCamera.from_hfov(frame.shape[1], frame.shape[0], DEFAULT_HFOV)
        elif (camera.width, camera.height) != (frame.shape[1], frame.shape[0]):
            camera = camera.scaled(frame.shape[1], frame.shape[0])
        timings: dict[str, float] = {}
        placement = placer.place(frame, points, camera, prior, timings)
        with stage(timings, "head"):
            targets = self._answer(placer.tile, placement, points)
        matches = self._matches(placer.tile, placement, camera, timings) if ground else None
        x, y = placement.window.origin
        h, w = placement.window.void.shape[-2:]
        corners = placement.grid.to_tile(np.array([[x, y], [x + w, y + h]], np.float64))
        (u0, v0), (u1, v1) = np.minimum(corners, [placer.tile.width, placer.tile.height]).tolist()
        return Localization(targets, placer.tile.tile_id, (u0, v0, u1, v1), timings, matches)

    def _require_placer(self) -> Placer:
        if self._placer is None:
            raise MapError("no map is loaded; call set_tile first (the parameter `map`, or the service load_map)")
        return self._placer

    def _matches(
        self, tile: TileStore, placement: Placement, camera: PinholeCamera, timings: dict[str, float]
    ) -> GroundMatches | None:
        with stage(timings, "ground"):
            prompts = automatic_clicks(placement.rectified, camera.width, camera.height)
            scores = [target.score for target in self._answer(tile, placement, prompts, closely=False)]
            return ground_matches(tile, placement, float(np.median(scores)) if scores else 0.0)

    def _answer(
        self, tile: TileStore, placement: Placement, clicks: NDArray[np.float64], closely: bool = True
    ) -> tuple[Target, ...]:
        """Answers to clicks; without a close look their boxes are rough and their scores the same."""
        if not len(clicks):
            return ()
        cells = placement.rectified.cells(clicks)
        height, width = placement.window.void.shape[-2:]
        fitted = placement.on_window(cells)
        moved = fitted - placement.translation
        beyond = np.linalg.norm(fitted - np.clip(fitted, 0, [width, height]), axis=1)
        # As many clicks at once as memory allows: all of them, but on very large windows.
        step = max(1, HEAT_BYTES // (BYTES_PER_HEAT * height * width))
        targets: list[Target] = []
        for i in range(0, len(clicks), step):
            part = slice(i, i + step)
            targets += self._targets(tile, placement, clicks[part], cells[part], moved[part], beyond[part], closely)
        return tuple(targets)

    def _targets(
        self,
        tile: TileStore,
        placement: Placement,
        clicks: NDArray[np.float64],
        cells: NDArray[np.float64],
        moved: NDArray[np.float64],
        beyond: NDArray[np.float64],
        closely: bool,
    ) -> list[Target]:
        """Answers to some clicks: their cells, these after the fit, and how far the fit puts them beyond the window."""
        to_tensor = lambda a: torch.from_numpy(np.asarray(a, np.float32)).to(self.device)[None]  # noqa: E731
        answer = self.model.answer(
            placement.features,
            to_tensor(cells),
            placement.window.features,
            placement.votes,
            to_tensor(moved),
            placement.window.void,
            to_tensor(placement.rectified.lean(cells)),
            placement.surroundings,
        )
        origin = np.tile(np.asarray(placement.window.origin, np.float64), 2)
        metres = placement.rectified.gsd * STRIDE
        found, score = Boxes(*(part[0] for part in answer.boxes)), answer.score[0]
        sigma = deviation(answer.peak.spread, answer.peak.scatter, answer.score)[0] * metres
        look, verdict = self.model.close_look, self.model.verdict
        if closely and look is not None and verdict is not None:
            closer = look_closely(look, self._require_placer().pixels, placement, cells, answer.peak.place[0])
            score, sigma = verdict(score, sigma, answer.peak.mass[0], found, closer, torch.full_like(sigma, metres))
            found = weigh(found, closer)
        corners = found.corners().double().cpu().numpy() + origin
        boxes = placement.grid.to_tile(corners.reshape(-1, 2, 2)).reshape(-1, 4)
        boxes = np.clip(boxes, 0, [tile.width, tile.height] * 2)
        # The network cannot answer beyond the map: what the fit puts there is not to be trusted.
        scores = score.sigmoid().cpu().numpy() / (1.0 + beyond**2)
        deviations = np.hypot(sigma.cpu().numpy(), beyond * metres)
        targets = []
        for click, box, position_std, chance in zip(clicks, boxes, deviations, scores, strict=True):
            latitude, longitude = tile.transform.pixel_to_geodetic([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
            targets.append(
                Target(
                    (float(click[0]), float(click[1])),
                    float(chance),
                    tuple(box.tolist()),
                    float(latitude),
                    float(longitude),
                    float(position_std),
                    tile.transform.bounds(*box.tolist()),
                )
            )
        return targets


def pick_device(name: str) -> torch.device:
    """Device by torch's name, or `auto` for a GPU where there is one; WeightsError where it cannot be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise WeightsError(f"device {name!r} cannot be used ({error}); use 'cpu' or 'auto'") from error


def check_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame, if it is (H, W, 3) uint8 of some size; ImageError otherwise."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or min(frame.shape) < 1:
        raise ImageError(f"frame of shape {frame.shape}, {frame.dtype}: expected (height, width, 3) uint8 RGB")
    return frame


def check_clicks(clicks: ArrayLike, width: int, height: int) -> NDArray[np.float64]:
    """Clicks as (N, 2); ClickError names the first one that is not a number or lies outside the frame."""
    try:
        points = np.asarray(clicks, np.float64)
    except (TypeError, ValueError) as error:
        raise ClickError(f"clicks are not pairs of numbers ({error}); send pixel coordinates (N, 2)") from error
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ClickError(f"clicks of shape {points.shape}: expected (N, 2) pixel coordinates")
    for index, (u, v) in enumerate(points):
        if not (math.isfinite(u) and math.isfinite(v)):
            raise ClickError(f"click {index} at ({u}, {v}) is not a number; send finite pixel coordinates")
        if not (0 <= u <= width and 0 <= v <= height):
            raise ClickError(f"click {index} at ({u:g}, {v:g}) px is outside the frame of {width} x {height} px")
    return points
