"""Training pairs: a piece of a tile, a frame rectified onto it up to the priors' errors, clicks and boxes.

Sources are real photographs, warped onto themselves, and packed rendered worlds, where the two views truly differ. In
both the relation of the views is known, so every cell of the frame has its cell on the tile.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from . import augment

Homography = NDArray[np.float64]


@dataclass(frozen=True)
class PairConfig:
    """How pairs are drawn.

    Attributes:
        query_size, tile_size: sides of frame raster and tile piece, pixels.
        clicks: clicks per pair.
        rotation: standard deviation of the heading's error, degrees.
        scale: standard deviation of the log of the height's error.
        perspective: largest displacement of a corner, share of the raster's side (tilt).
        gsd: range of the tile piece's ground sampling distance, metres per pixel.
    """

    query_size: int = 128
    tile_size: int = 256
    clicks: int = 8
    rotation: float = 9.0
    scale: float = 0.10
    perspective: float = 0.06
    gsd: tuple[float, float] = (0.24, 0.6)


@dataclass
class Source:
    """One tile and the frames that show it.

    Attributes:
        tile: RGB uint8.
        gsd: metres per pixel of the tile.
        frames: (RGB uint8, homography frame px -> tile px, clicks by object id) each; empty: the tile is its own frame.
        boxes: (M, 4) boxes, tile px.
        masks: (H, W) int32 object numbers from 1, where outlines are known.
        weight: how often it is drawn.
    """

    tile: Path
    gsd: float
    frames: list[tuple[Path, Homography, dict[int, tuple[float, float]]]] = field(default_factory=list)
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    mask: Path | None = None
    weight: float = 1.0
    shrink: float = 1.0


def read_rgb(path: Path, shrink: float = 1.0) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"{path}: not a readable image")
    if shrink != 1.0:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


# Ground sampling distances are estimates (by cars and houses); the gate and the scale augmentation need no better.
_REAL = (
    ("tartu", "train/*.jpg", 0.13, 1.0, 1.0),
    ("caliterra", "*.jpg", 0.06, 0.6, 0.25),
    ("boruszyn", "*.jpg", 0.15, 1.0, 1.5),
    ("brighton", "*.JPG", 0.025, 0.3, 0.7),
)


def real_sources(root: Path) -> list[Source]:
    """Photographs of `train/`: nadir sets warped onto themselves, tartu with its buildings' outlines."""
    sources = []
    for name, pattern, gsd, shrink, weight in _REAL:
        for path in sorted((root / name).glob(pattern)):
            mask = path.with_name(path.stem + "_mask.png")
            sources.append(
                Source(path, gsd / shrink, mask=mask if mask.exists() else None, weight=weight, shrink=shrink)
            )
    return sources


def rendered_sources(root: Path) -> list[Source]:
    """Worlds written by `cvgeo_ros.learn.scenes.pack`."""
    sources = []
    for path in sorted(root.glob("*/world.json")):
        try:
            world: dict[str, Any] = json.loads(path.read_text())
        except json.JSONDecodeError:  # still being written
            continue
        ids = {o["id"]: i for i, o in enumerate(world["objects"])}
        frames = []
        for view in world["views"]:
            clicks = {
                ids[o["id"]]: (float(o["click"][0]), float(o["click"][1]))
                for o in view["objects"]
                if o["visible"] > 0.4 and o["id"] in ids
            }
            frames.append((path.parent / view["file"], np.array(view["ground_to_sat"], np.float64), clicks))
        boxes = np.array([o["bbox"] for o in world["objects"]], np.float64).reshape(-1, 4)
        sources.append(Source(path.parent / world["sat"], world["gsd"], frames, boxes, weight=1.0))
    return sources


def apply(matrix: NDArray[np.float64], points: NDArray[Any]) -> NDArray[np.float64]:
    """Homography on (N, 2) points."""
    projected = np.c_[points, np.ones(len(points))] @ matrix.T
    return projected[:, :2] / projected[:, 2:]


_TO_CENTRES = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_FROM_CENTRES = np.linalg.inv(_TO_CENTRES)


def warp(image: NDArray[Any], to_image: Homography, size: int, shift: NDArray[np.float32] | None = None) -> Any:
    """Resample `image` to a square raster; `to_image` maps raster px to image px, centres at .5; no aliasing."""
    middle = apply(to_image, np.array([[size / 2, size / 2], [size / 2 + 1, size / 2], [size / 2, size / 2 + 1]]))
    step = np.sqrt(abs(np.linalg.det(np.stack([middle[1] - middle[0], middle[2] - middle[0]]))))
    if step > 1.4 and image.ndim == 3:
        factor = 1 / step
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        to_image = np.diag([factor, factor, 1.0]) @ to_image
    flags = cv2.INTER_LINEAR if image.ndim == 3 else cv2.INTER_NEAREST
    border = cv2.BORDER_REFLECT_101 if image.ndim == 3 else cv2.BORDER_CONSTANT
    matrix = _TO_CENTRES @ to_image @ _FROM_CENTRES
    if shift is None:
        return cv2.warpPerspective(image, matrix, (size, size), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border)
    v, u = np.mgrid[0:size, 0:size]
    points = np.stack([u + shift[..., 0], v + shift[..., 1]], -1).reshape(-1, 2).astype(np.float64)
    mapped = apply(matrix, points).reshape(size, size, 2).astype(np.float32)
    return cv2.remap(image, mapped[..., 0], mapped[..., 1], flags, borderMode=border)


class Pairs(IterableDataset[dict[str, torch.Tensor]]):
    """Endless stream of pairs, deterministic by seed and worker."""

    def __init__(self, real: list[Source], rendered: list[Source], share: float, config: PairConfig, seed: int) -> None:
        """`share`: share of rendered pairs."""
        self.real, self.rendered, self.share, self.config, self.seed = real, rendered, share, config, seed
        self.images: dict[Path, Any] = {}

    def __iter__(self):  # type: ignore[no-untyped-def]
        worker = torch.utils.data.get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        weights = np.cumsum([s.weight for s in self.real])
        while True:
            if self.rendered and rng.random() < self.share:
                source = self.rendered[int(rng.integers(len(self.rendered)))]
            else:
                source = self.real[int(np.searchsorted(weights, rng.uniform(0, weights[-1])))]
            sample = self.draw(source, rng)
            if sample is not None:
                yield sample

    def _read(self, path: Path, shrink: float) -> NDArray[np.uint8]:
        """Images are kept: the real ones decoded, the rest too as long as there is room."""
        if path not in self.images:
            image = read_rgb(path, shrink)
            if len(self.images) > 900:
                self.images.pop(next(iter(self.images)))
            self.images[path] = image
        return self.images[path]

    def draw(self, source: Source, rng: np.random.Generator) -> dict[str, torch.Tensor] | None:
        """One pair from a source, or None where the draw shows too little."""
        c = self.config
        tile = self._read(source.tile, source.shrink)
        height, width = tile.shape[:2]
        gsd = float(np.exp(rng.uniform(np.log(c.gsd[0]), np.log(c.gsd[1]))))
        gsd = min(gsd, source.gsd * (min(height, width) - 2) / c.tile_size)
        side = c.tile_size * gsd / source.gsd
        if side < c.tile_size * 0.6:  # nothing to gain from enlarging
            return None
        own = not source.frames
        frame_path, to_tile, clicks = (
            (source.tile, np.eye(3), {}) if own else source.frames[int(rng.integers(len(source.frames)))]
        )
        frame = tile if own else self._read(frame_path, source.shrink)
        fh, fw = frame.shape[:2]

        # Where the frame raster looks, in tile px, and the tile piece around it.
        extent = np.array([width, height], np.float64)
        reach = c.query_size * gsd / source.gsd
        if own:
            looked = rng.uniform(np.minimum(reach / 2, extent / 2), np.maximum(extent - reach / 2, extent / 2))
        else:
            looked = apply(to_tile, rng.uniform([0.25 * fw, 0.25 * fh], [0.75 * fw, 0.75 * fh])[None])[0]
            looked = np.clip(looked, 0, extent)
        slack = (side - reach * 0.7) / 2
        corner = looked - side / 2 + rng.uniform(-slack, slack, 2)
        corner = np.clip(corner, 0, np.maximum(extent - side, 0))
        # Boxes of rendered objects are known as boxes only, so their tiles turn by right angles.
        turn = rng.integers(4) * np.pi / 2 if not own or rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)
        piece = _piece_to_tile(corner, side, c.tile_size, float(turn))
        to_piece = np.linalg.inv(piece)

        centre = apply(to_piece, looked[None])[0]
        raster = _raster_to_piece(centre, c, rng)  # raster px -> piece px
        raster_to_frame = np.linalg.inv(to_tile) @ piece @ raster
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * c.query_size
        denominator = np.c_[corners, np.ones(4)] @ raster_to_frame[2]
        if (np.sign(denominator) != np.sign(denominator[0])).any():  # reaches the horizon
            return None

        shift = (
            augment.relief((c.query_size, c.query_size), rng, rng.uniform(0, 5)) if own and rng.random() < 0.6 else None
        )
        query = warp(frame, raster_to_frame, c.query_size, shift)
        visible = warp(np.ones((fh, fw), np.uint8), raster_to_frame, c.query_size)
        if visible.mean() < 0.35:
            return None
        image = warp(tile, piece, c.tile_size)
        query, image = self._disturb(query, rng, own), self._disturb(image, rng, own)
        query[visible == 0] = 127

        cells = c.query_size // 8
        mask = cv2.resize(visible.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA) > 0.9
        points, targets, boxes = self._clicks(source, clicks, to_tile, to_piece, raster, mask, shift, rng)
        if points is None:
            return None
        return {
            "query": torch.from_numpy(query).permute(2, 0, 1),
            "tile": torch.from_numpy(image).permute(2, 0, 1),
            "gsd": torch.tensor(gsd, dtype=torch.float32),
            "mask": torch.from_numpy(mask),
            "to_tile": torch.from_numpy(raster).float(),
            "clicks": torch.from_numpy(points).float(),
            "targets": torch.from_numpy(targets).float(),
            "boxes": torch.from_numpy(boxes).float(),
        }

    @staticmethod
    def _disturb(image: NDArray[np.uint8], rng: np.random.Generator, own: bool) -> NDArray[np.uint8]:
        if own and rng.random() < 0.4:
            image = augment.shadows(image, rng, rng.uniform(0.2, 0.7))
        if own and rng.random() < 0.5:
            image = augment.intruders(image, rng)
        # Rendered views differ in light and sensor already.
        return augment.photometric(image, rng) if own or rng.random() < 0.6 else image

    def _clicks(self, source, clicks, to_tile, to_piece, raster, mask, shift, rng):  # type: ignore[no-untyped-def]
        """Clicks in raster px, their places and boxes in piece px; points without an object have a NaN box."""
        c = self.config
        to_raster = np.linalg.inv(raster)
        found: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
        if source.mask is not None:
            outlines = self._outlines(source)
            for number in rng.permutation(len(outlines))[:40]:
                contour, pixels = outlines[number]
                place = apply(to_piece, pixels[int(rng.integers(len(pixels)))][None])
                corners = apply(to_piece, contour)
                found.append((apply(to_raster, place)[0], place[0], np.r_[corners.min(0), corners.max(0)]))
        for number, click in clicks.items():
            box = _box_through(to_piece, source.boxes[number])
            jitter = rng.normal(0, 0.12, 2) * np.minimum(box[2:] - box[:2], 40)
            on_piece = apply(to_piece @ to_tile, np.array([click])) + jitter
            found.append((apply(to_raster, on_piece)[0], (box[:2] + box[2:]) / 2 + jitter, box))
        points, targets, boxes = [], [], []
        for k in rng.permutation(len(found)):
            point, place, box = found[k]
            if shift is not None and (point >= 0).all() and (point < c.query_size).all():
                # The raster shows at `point` what lies at point + shift: the click moves against the shift.
                point = point - shift[int(point[1]), int(point[0])]
            inside = (box[:2] > -8).all() and (box[2:] < c.tile_size + 8).all() and (box[2:] - box[:2] > 6).all()
            shown = (point >= 2).all() and (point < c.query_size - 2).all()
            if not (inside and shown and mask[int(point[1] / 8), int(point[0] / 8)]):
                continue
            points.append(point)
            targets.append(place)
            boxes.append(np.clip(box, 0, c.tile_size))
            if len(points) >= c.clicks * 3 // 4:
                break
        for _ in range(200):
            if len(points) == c.clicks:
                return np.array(points), np.array(targets), np.array(boxes)
            point = rng.uniform(4, c.query_size - 4, 2)
            moved = point if shift is None else point + shift[int(point[1]), int(point[0])]
            place = apply(raster, moved[None])[0]
            if mask[int(point[1] / 8), int(point[0] / 8)] and (place > 4).all() and (place < c.tile_size - 4).all():
                points.append(point)
                targets.append(place)
                boxes.append(np.full(4, np.nan))
        return None, None, None

    def _outlines(self, source: Source) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Contour and some inner points of each whole building of a mask, tile px."""
        assert source.mask is not None
        if source.mask not in self.images:
            mask = np.asarray(cv2.imread(str(source.mask), cv2.IMREAD_GRAYSCALE))
            count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
            outlines = []
            for number in range(1, count):
                x, y, w, h, area = stats[number]
                if area < 60 or x == 0 or y == 0 or x + w == mask.shape[1] or y + h == mask.shape[0]:
                    continue
                part = np.pad((labels[y : y + h, x : x + w] == number).astype(np.uint8), 1)
                contour = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0][:, 0]
                v, u = np.nonzero(cv2.erode(part, np.ones((3, 3), np.uint8)))
                if len(u):
                    keep = slice(None, None, max(1, len(u) // 50))
                    origin = np.array([x - 1, y - 1]) + 0.5
                    outlines.append((contour + origin, np.stack([u, v], -1)[keep] + origin))
            self.images[source.mask] = outlines
        return self.images[source.mask]


def _piece_to_tile(corner: NDArray[np.float64], side: float, size: int, turn: float) -> Homography:
    """Piece px -> tile px: a square of `side` tile pixels, turned about its centre."""
    scale = side / size
    cosine, sine = np.cos(turn) * scale, np.sin(turn) * scale
    middle = corner + side / 2
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    return np.vstack([np.c_[rotation, middle - rotation @ np.full(2, size / 2)], [0, 0, 1]])


def _raster_to_piece(centre: NDArray[np.float64], config: PairConfig, rng: np.random.Generator) -> Homography:
    """Raster px -> piece px with the errors of the priors: heading, height, tilt."""
    angle = np.radians(np.clip(rng.normal(0, config.rotation), -28, 28))
    scale = np.exp(np.clip(rng.normal(0, config.scale), -0.3, 0.3))
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) * config.query_size / 2 * scale
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilt = rng.uniform(0, config.perspective)
    corners = half @ rotation.T + centre + rng.uniform(-tilt, tilt, (4, 2)) * config.query_size
    raster = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * config.query_size
    return cv2.getPerspectiveTransform(raster, corners.astype(np.float32)).astype(np.float64)


def _box_through(matrix: Homography, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis-aligned box around a transformed one."""
    u0, v0, u1, v1 = box
    corners = apply(matrix, np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]))
    return np.concatenate([corners.min(0), corners.max(0)])
