"""Locators for the harness: the whole `Localizer`, the network alone, and SIFT with MAGSAC."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from ..errors import CalibrationError
from ..geo import BlockCache, GeoTransform, PinholeCamera, compass_to_yaw, project
from ..geo.pyramid import Block, Level, PyramidStore
from ..localizer import Localizer, Prior
from ..localizer.features import to_tensor
from ..net import STRIDE, CrossViewLocator, TileFeatures, View, consensus
from ..net.head import Surroundings
from .harness import RGB, Answer
from .pairsets import PairSample

ASSUMED_GSD = 0.3
"""Metres per tile pixel where the sample does not say."""


class ArrayStore(PyramidStore):
    """An image as a tile store: its middle lies at latitude and longitude 0, its up is north.

    The CRS is an azimuthal equidistant one about that place, metric to a millimetre within kilometres.
    """

    block_size = 512

    def __init__(self, tile_id: str, image: RGB, gsd: float) -> None:
        """`image`: (H, W, 3) uint8; `gsd`: metres per pixel."""
        height, width = image.shape[:2]
        crs = CRS.from_proj4("+proj=aeqd +lat_0=0 +lon_0=0 +datum=WGS84 +units=m")
        transform = GeoTransform(Affine(gsd, 0, -width * gsd / 2, 0, -gsd, height * gsd / 2), crs)
        cache = BlockCache(4 * image.nbytes + (16 << 20))
        super().__init__(tile_id, (width, height), transform, "", [Level(1.0, 1.0, 0)], self.block_size, (0, 0), cache)
        self._image = image

    def _decode(self, source: int, column: int, row: int) -> Block | None:
        n = self.block_size
        part = self._image[max(row * n, 0) : (row + 1) * n, max(column * n, 0) : (column + 1) * n]
        if part.size == 0:
            return None
        rgb, valid = np.zeros((n, n, 3), np.uint8), np.zeros((n, n), bool)
        rgb[: part.shape[0], : part.shape[1]] = part
        valid[: part.shape[0], : part.shape[1]] = True
        return Block(rgb, valid)


class GeoLocator:
    """The `Localizer` as robots run it: what the sample knows is its prior, the rest is searched, on the whole tile.

    Where the tile's gsd is unknown it is taken for `ASSUMED_GSD`, and the height, whose metres mean nothing then, is
    searched.
    """

    def __init__(self, localizer: Localizer, name: str = "cvgeo") -> None:
        self.localizer, self.name = localizer, name
        self._shown: tuple[Path, float] | None = None

    def locate(self, sample: PairSample, query: RGB, tile: RGB) -> list[Answer]:
        """As `PairLocator`; CalibrationError for views from the ground, which cannot be laid down as frames are."""
        if sample.view is not View.DRONE or (sample.hfov or 0.0) >= 180.0:
            raise CalibrationError(f"{sample.name}: only drone frames can be laid on the ground; use the network alone")
        gsd = ASSUMED_GSD if sample.gsd is None else sample.gsd
        if self._shown != (sample.tile, gsd):
            self.localizer.set_tile(ArrayStore(str(sample.tile), tile, gsd))
            self._shown = (sample.tile, gsd)
        camera = None
        if sample.hfov is not None:
            camera = PinholeCamera.from_hfov(query.shape[1], query.shape[0], math.radians(sample.hfov))
        prior = Prior(
            yaw=None if sample.yaw is None else compass_to_yaw(sample.yaw),
            pitch=None if sample.pitch is None else math.radians(sample.pitch),
            height=None if sample.gsd is None else sample.height,
        )
        found = self.localizer.locate(query, [item.click for item in sample.objects], camera, prior)
        return [Answer(target.bbox, target.score, target.position_std) for target in found.targets]


class DirectLocator:
    """The network alone, as the papers run theirs: query and tile as they are, no camera, no rectification, no search.

    With `consensus` the whole query votes for a translation, which asks for views of one heading and scale; without it
    each click stands on its own evidence.
    """

    def __init__(self, model: CrossViewLocator, consensus: bool, name: str = "network") -> None:
        self.model, self.consensus, self.name = model.eval(), consensus, name
        self._shown: tuple[tuple[Path, float], TileFeatures, torch.Tensor, Surroundings] | None = None

    @torch.inference_mode()
    def locate(self, sample: PairSample, query: RGB, tile: RGB) -> list[Answer]:
        """As `PairLocator`; where the gsd is unknown, the network is told the one it is meant to work at."""
        device = next(self.model.parameters()).device
        metres = self.model.config.gsd if sample.gsd is None else sample.gsd
        gsd = torch.tensor([metres], device=device)
        image, seen = _padded(query, device)
        frame, _ = self.model.encode_frame(image, gsd, sample.view)
        if self._shown is None or self._shown[0] != (sample.tile, metres):
            image, shown = _padded(tile, device)
            features, _ = self.model.encode_tile(image, gsd)
            self._shown = ((sample.tile, metres), features, shown, self.model.surroundings(image, gsd))
        _, reference, shown, surroundings = self._shown
        if self.consensus:
            votes = consensus.correlate(frame.match, seen.float(), reference.match * shown[:, None])
        else:
            (h, w), (hq, wq) = shown.shape[-2:], seen.shape[-2:]
            votes = consensus.Votes(torch.zeros(1, h + hq - 1, w + wq - 1, device=device), (wq - 1, hq - 1))
        clicks = torch.tensor([item.click for item in sample.objects], device=device)[None] / STRIDE
        answer = self.model.answer(frame, clicks, reference, votes, void=~shown, surroundings=surroundings)
        scores = answer.score[0].sigmoid().cpu().numpy()
        size = np.tile([tile.shape[1], tile.shape[0]], 2)
        boxes = np.clip(answer.boxes.corners()[0].double().cpu().numpy() * STRIDE, 0, size)
        doubt = (1.0 - scores) * answer.peak.scatter[0].cpu().numpy()
        sigma = np.hypot(answer.peak.spread[0].cpu().numpy(), doubt) * STRIDE * metres
        return [
            Answer(tuple(box.tolist()), float(score), float(std) if sample.gsd is not None else math.nan)
            for box, score, std in zip(boxes, scores, sigma, strict=True)
        ]


def _padded(image: RGB, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """An image as (1, 3, h, w) in 0..1, sides multiples of the stride, and (1, h / 8, w / 8) bool: what shows it."""
    height, width = image.shape[:2]
    below, beside = -height % STRIDE, -width % STRIDE
    valid = np.pad(np.ones((height, width), bool), ((0, below), (0, beside)))
    padded = to_tensor(np.pad(image, ((0, below), (0, beside), (0, 0))), valid, device)
    h, w = valid.shape[0] // STRIDE, valid.shape[1] // STRIDE
    shown = valid.reshape(h, STRIDE, w, STRIDE).mean((1, 3)) > 0.5
    return padded, torch.from_numpy(shown).to(device)[None]


class SiftLocator:
    """SIFT matches and a homography by MAGSAC++ (Barath et al. 2020, arXiv 1912.05909): what there is without learning.

    The click goes through the homography; the box has one size for all objects. Without a fit there is no answer.
    """

    features = 8000
    """Keypoints of an image, at most."""
    ratio = 0.8
    """A match is kept if its distance is below this share of the second best's (Lowe 2004)."""
    tolerance = 3.0
    """Reprojection error of an inlier, tile px."""
    inliers = 8
    """A homography that fewer matches agree on is none: four make it, and four more must confirm it."""

    def __init__(self, box: tuple[float, float], name: str = "SIFT + MAGSAC") -> None:
        """`box`: width and height of all boxes, tile px; see `median_box`."""
        self.box, self.name = box, name
        self._sift = cv2.SIFT.create(self.features)
        self._shown: tuple[Path, NDArray[np.float64], NDArray[np.float32]] | None = None

    def locate(self, sample: PairSample, query: RGB, tile: RGB) -> list[Answer]:
        """As `PairLocator`; the score is the share of matches that the homography explains."""
        if self._shown is None or self._shown[0] != sample.tile:
            self._shown = (sample.tile, *self._describe(tile))
        _, places, known = self._shown
        fit = self._fit(*self._describe(query), places, known)
        if fit is None:
            return [Answer.none(tile) for _ in sample.objects]
        homography, share = fit
        (width, height), (h, w) = self.box, tile.shape[:2]
        answers = []
        for item in sample.objects:
            u, v = project(homography, np.array([item.click]))[0].tolist()
            if not (0 <= u <= w and 0 <= v <= h):  # NaN included
                answers.append(Answer.none(tile))
            else:
                answers.append(Answer((u - width / 2, v - height / 2, u + width / 2, v + height / 2), share))
        return answers

    def _describe(self, image: RGB) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Keypoints (N, 2), centres at .5, and their descriptors (N, 128)."""
        keypoints, descriptors = self._sift.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        if not len(keypoints):
            return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
        return np.array([point.pt for point in keypoints]) + 0.5, np.asarray(descriptors, np.float32)

    def _fit(
        self,
        places: NDArray[np.float64],
        descriptors: NDArray[np.float32],
        tile_places: NDArray[np.float64],
        tile_descriptors: NDArray[np.float32],
    ) -> tuple[NDArray[np.float64], float] | None:
        """Homography query px -> tile px, and the share of matches that agree."""
        if len(places) < self.inliers or len(tile_places) < self.inliers:
            return None
        pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, tile_descriptors, k=2)
        good = [first for first, second in pairs if first.distance < self.ratio * second.distance]
        if len(good) < self.inliers:
            return None
        source = places[[match.queryIdx for match in good]]
        target = tile_places[[match.trainIdx for match in good]]
        homography, agree = cv2.findHomography(
            source, target, cv2.USAC_MAGSAC, self.tolerance, maxIters=10_000, confidence=0.999
        )
        if homography is None or int(agree.sum()) < self.inliers:
            return None
        return np.asarray(homography, np.float64), float(agree.mean())


def median_box(samples: Sequence[PairSample]) -> tuple[float, float]:
    """Median width and height of the boxes of training samples, tile px."""
    boxes = np.array([item.bbox for sample in samples for item in sample.objects])
    width, height = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    return float(width), float(height)
