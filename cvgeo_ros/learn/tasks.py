"""Evaluations as a whole: from a data set and what is asked for to answers beside their truths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..localizer import Localizer
from .clicks import disturb_pairs, disturb_scene
from .cvogl import Subset, read_cvogl
from .evaluation import Protocol, evaluate_scene, find_scenes
from .harness import PairLocator, evaluate_pairs
from .locators import DirectLocator, GeoLocator, SiftLocator, median_box
from .metrics import Located
from .pairsets import PairSample, read_folder
from .report import Shot, pair_shots, scene_shots

Done = Callable[[int, int], None]
"""Called with frames done and their number."""
Method = Literal["ours", "direct", "sift"]


@dataclass(frozen=True)
class Found:
    """What an evaluation found.

    Attributes:
        told: what was evaluated and how, its name first.
        located: answers beside their truths.
        shots: frame, tile and clicks by the key of `located`.
    """

    told: dict[str, Any]
    located: list[Located]
    shots: dict[tuple[str, str], Shot]


@dataclass(frozen=True)
class SceneTask:
    """Evaluation of a scene, or of the scenes in a folder together.

    The k-th of several scenes draws from the seed [seed, k]; that of the first is the same as `seed` alone.

    Attributes:
        path: folder of a scene, or of the scenes' folders.
        protocol: what the localizer is told.
        seed: of the errors of hints and clicks.
        model, device: as `Localizer.load` takes them.
        click_noise: standard deviation, frame px; see `clicks`.
        elsewhere: map of another place to hold the frames against.
    """

    path: Path
    protocol: Protocol
    seed: int = 0
    model: str = "nano"
    device: str = "auto"
    click_noise: float = 0.0
    elsewhere: Path | None = None

    def run(self, done: Done) -> Found:
        """Evaluate. Raises as `Localizer.load`, `find_scenes` and `evaluate_scene` do."""
        scenes = find_scenes(self.path)
        localizer = Localizer.load(self.model, self.device)
        name = scenes[0].name if len(scenes) == 1 else self.path.resolve().name
        told: dict[str, Any] = {"scene": name, "protocol": str(self.protocol), "seed": self.seed, "model": self.model}
        told |= _noise(self.click_noise)
        if self.elsewhere is not None:
            told["elsewhere"] = str(self.elsewhere)
        found = Found(told, [], {})
        total, before = sum(len(scene.frames) for scene in scenes), 0
        for index, scene in enumerate(scenes):
            if self.click_noise:
                scene = disturb_scene(scene, self.click_noise, [self.seed, index, 1])
            report = partial(_done_before, done, before, total)
            seed = [self.seed, index]
            found.located.extend(evaluate_scene(localizer, scene, self.protocol, seed, report, self.elsewhere))
            found.shots.update(scene_shots(scene, self.elsewhere))
            before += len(scene.frames)
        return found


@dataclass(frozen=True)
class PairsTask:
    """Evaluation of a data set of image pairs.

    Attributes:
        path: folder with a pairs.json, or the root of CVOGL.
        dataset: which of them.
        subset, split: of CVOGL.
        method: the localizer as it flies, its network alone, or SIFT.
        consensus: whether the network alone lets the whole query vote; see `DirectLocator`.
        seed: of the errors of clicks.
        model, device, click_noise: as in `SceneTask`.
    """

    path: Path
    dataset: Literal["folder", "cvogl"]
    subset: Subset = "drone"
    split: str = "test"
    method: Method = "ours"
    consensus: bool = False
    seed: int = 0
    model: str = "nano"
    device: str = "auto"
    click_noise: float = 0.0

    def run(self, done: Done) -> Found:
        """Evaluate. Raises as `Localizer.load`, the data set's reader and `evaluate_pairs` do."""
        told: dict[str, Any] = {"set": self.path.resolve().name, "dataset": self.dataset, "method": self.method}
        if self.dataset == "cvogl":
            told |= {"subset": self.subset, "split": self.split}
        told |= {"seed": self.seed} if self.method == "sift" else {"seed": self.seed, "model": self.model}
        told |= _noise(self.click_noise)
        samples = self._read(self.split)
        locator = self._locator(samples)
        if self.click_noise:
            samples = disturb_pairs(samples, self.click_noise, [self.seed, 0, 1])
        # Nobody has graded the boxes of pairs.
        located = [replace(item, quality="") for item in evaluate_pairs(locator, samples, done)]
        return Found(told, located, pair_shots(samples))

    def _read(self, split: str) -> list[PairSample]:
        if self.dataset == "folder":
            return read_folder(self.path)
        return read_cvogl(self.path, self.subset, split)

    def _locator(self, samples: Sequence[PairSample]) -> PairLocator:
        if self.method == "sift":
            # A folder has no training split: its own boxes' size is more than SIFT could know.
            return SiftLocator(median_box(samples if self.dataset == "folder" else self._read("train")))
        localizer = Localizer.load(self.model, self.device)
        return GeoLocator(localizer) if self.method == "ours" else DirectLocator(localizer.model, self.consensus)


def _noise(sigma: float) -> dict[str, float]:
    return {"click_noise": sigma} if sigma else {}


def _done_before(done: Done, before: int, total: int, number: int, _: int) -> None:
    done(before + number, total)
