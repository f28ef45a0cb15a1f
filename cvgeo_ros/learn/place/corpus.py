"""A data set as training and evaluation see it: texts and images by number, their frozen features in banks.

Every image has copies: itself, and with other light and a turn or a mirrored side. The paper turns satellite images
alone; here drone and ground images are mirrored as well.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DatasetError
from ...place.config import PLATFORMS
from ...place.experts import PlaceModel
from ...place.text import SentenceTower, pad_states
from ...place.vision import NanoTower, to_square
from ..augment import photometric
from .bank import RowBank
from .data import PlaceImage
from .moving import moved
from .preparation import Refiner, Wording, prepare, refine_by_rules

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many of it, and their number."""
Text = tuple[str, ...]
"""Sentences."""

COPIES = {"satellite": 4, "drone": 2, "ground": 2}
"""Copies of an image, itself among them."""
RAW = 0.3
"""Share of captions left as they were among the prepared ones of unturned images."""
BATCH = 16


def copy_of(image: NDArray[np.uint8], platform: str, number: int, seed: int) -> NDArray[np.uint8]:
    """Copy 0 is the image itself; others are turned (satellite) or mirrored, in another light."""
    if number == 0:
        return image
    rng = np.random.default_rng([seed, number])
    if platform == "satellite":
        image = np.rot90(image, number)
    if platform != "satellite" or rng.random() < 0.5:
        image = image[:, ::-1]
    # Colours are what many descriptions go by: half of the way to the changed image.
    changed = photometric(np.ascontiguousarray(image), rng)
    return np.asarray(cv2.addWeighted(changed, 0.5, np.ascontiguousarray(image), 0.5, 0))


@dataclass(frozen=True)
class Draw:
    """A text and a copy of an image that go together."""

    text: Text
    image: int
    copy: int


class Corpus:
    """Images of a data set, the wordings of each, and banks with what the frozen towers make of them."""

    def __init__(
        self,
        images: Sequence[PlaceImage],
        cache: Path,
        model: PlaceModel,
        copies: bool = True,
        refiner: Refiner = refine_by_rules,
    ) -> None:
        """Prepare the captions; features are computed by `fill`.

        Args:
            images: the data set.
            cache: folder of the banks; it may be shared by data sets.
            model: the frozen towers.
            copies: whether there are turned, mirrored and differently lit copies.
            refiner: refines captions by platform.

        Raises:
            DatasetError: no images.
        """
        if not images:
            raise DatasetError("no images in the data set")
        self.images, self.model, self.cache = list(images), model, cache
        self.wordings: list[Wording] = prepare(self.images, refiner)
        groups: dict[tuple[str, str], int] = {}
        self.groups = np.array([groups.setdefault((image.place, image.platform), len(groups)) for image in images])
        self.platforms = np.array([PLATFORMS.index(image.platform) for image in images])
        self.copies = [COPIES[image.platform] if copies else 1 for image in images]
        self.keys = [_key(image.path) for image in self.images]
        config = model.config
        name = "minilm" if config.text == "minilm" else Path(config.text).name
        self.sentences = RowBank(cache / f"text-{name}-{config.text_unit}", config.text_width)
        self.tokens: RowBank
        if isinstance(model.image, NanoTower):
            side = config.image_size // 8
            self.shape: tuple[int, ...] = (model.image.channels, side, side)
            self.maps = RowBank(cache / f"maps-nano-{config.image_size}", int(np.prod(self.shape)))
            # Encodes in half precision below, which is half as fast again on a CPU with channels last.
            model.image.frozen.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            self.maps = self.tokens = RowBank(
                cache / f"tokens-{Path(config.image).name}-{config.image_size}", config.image_width
            )

    def fill(self, progress: Progress | None = None) -> None:
        """Compute what the banks lack.

        Raises:
            DatasetError: an image that cannot be read.
            PlaceError: the text tower is not there.
        """
        every = {
            sentence
            for wording in self.wordings
            for part in (wording.raw, wording.refined, wording.turned)
            for caption in part
            for sentence in caption
        }
        self.add_sentences(sorted(every), progress)
        missing = [
            (index, copy)
            for index, count in enumerate(self.copies)
            for copy in range(count)
            if f"{self.keys[index]}/{copy}" not in self.maps
        ]
        missing.sort(key=lambda entry: self.platforms[entry[0]])
        done = 0
        for platform in range(len(PLATFORMS)):
            entries = [entry for entry in missing if self.platforms[entry[0]] == platform]
            for start in range(0, len(entries), BATCH):
                self._add_images(entries[start : start + BATCH])
                done += len(entries[start : start + BATCH])
                if progress:
                    progress("images", done, len(missing))

    def add_sentences(self, sentences: Sequence[str], progress: Progress | None = None) -> None:
        """Encode sentences that the bank lacks."""
        missing = [sentence for sentence in sentences if sentence not in self.sentences]
        tower = self.model.text
        assert isinstance(tower, SentenceTower)
        for start in range(0, len(missing), 512):
            part = missing[start : start + 512]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.model.device.type == "cpu"):
                states = tower.states(part)
            self.sentences.add({text: state.cpu().numpy() for text, state in zip(part, states, strict=True)})
            if progress:
                progress("sentences", start + len(part), len(missing))

    @torch.inference_mode()
    def _add_images(self, entries: Sequence[tuple[int, int]]) -> None:
        """Encode copies of images of one platform."""
        tower, device = self.model.image, self.model.device
        squares, metres = [], []
        for index, copy in entries:
            image = self.images[index]
            pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR_RGB)
            if pixels is None:
                raise DatasetError(f"{image.path}: cannot be read as an image")
            seed = int(hashlib.sha256(self.keys[index].encode()).hexdigest()[:8], 16)
            square, shrink = to_square(copy_of(np.asarray(pixels), image.platform, copy, seed)[None], tower.size)
            squares.append(square)
            metres.append((image.gsd or np.nan) * shrink)
        batch = torch.cat(squares).to(device)
        platform, gsd = self.images[entries[0][0]].platform, torch.tensor(metres, device=device).float()
        with torch.autocast(device.type, torch.bfloat16):
            found = tower.maps(batch, platform, gsd) if isinstance(tower, NanoTower) else tower.tokens(batch, "", gsd)
        names = [f"{self.keys[index]}/{copy}" for index, copy in entries]
        self.maps.add(dict(zip(names, found.float().cpu().numpy(), strict=True)))

    def take(self, model: PlaceModel) -> None:
        """Go on with another model of the same frozen encoder and text tower; `freeze` is due again."""
        self.model = model

    def captions(self, index: int) -> list[Text]:
        """An image's captions as they were, each as its sentences."""
        return [tuple(caption) for caption in self.wordings[index].raw]

    def text_rows(self, texts: Sequence[Text]) -> tuple[Tensor, Tensor]:
        """States (B, T, C) float32 of tokens or sentences, and (B, T) bool, True where there is one."""
        rows = [np.concatenate([self.sentences[sentence] for sentence in text]) for text in texts]
        return pad_states([torch.from_numpy(row).float() for row in rows])

    def map_rows(self, pairs: Sequence[tuple[int, int]], rng: np.random.Generator | None = None) -> Tensor:
        """Maps (B, C, S/8, S/8) float32 of the nano tower for (image, copy), each moved where `rng` is given."""
        rows = np.stack([self.maps[f"{self.keys[index]}/{copy}"] for index, copy in pairs])
        maps = torch.from_numpy(rows).view(len(pairs), *self.shape).float()
        return maps if rng is None else moved(maps, rng)

    def freeze(self, progress: Progress | None = None) -> None:
        """Compute the images' tokens with the tower as it is now; to be called once it learns no more.

        Of copies there are moved maps alone, whose tokens are other in each step.
        """
        tower, device = self.model.image, self.model.device
        if not isinstance(tower, NanoTower):
            self.tokens = self.maps
            return
        digest = hashlib.sha256()
        for value in tower.tower.state_dict().values():
            digest.update(value.cpu().numpy().tobytes())
        self.tokens = RowBank(self.cache / f"tokens-nano-{digest.hexdigest()[:12]}", self.model.config.image_width)
        missing = [(index, 0) for index, key in enumerate(self.keys) if f"{key}/0" not in self.tokens]
        for start in range(0, len(missing), 4 * BATCH):
            part = missing[start : start + 4 * BATCH]
            with torch.inference_mode():
                found = tower.tower(self.map_rows(part).to(device))
            names = [f"{self.keys[index]}/{copy}" for index, copy in part]
            self.tokens.add(dict(zip(names, found.float().cpu().numpy(), strict=True)))
            if progress:
                progress("tokens", start + len(part), len(missing))

    def token_rows(self, pairs: Sequence[tuple[int, int]], rng: np.random.Generator | None = None) -> Tensor:
        """Frozen tokens (B, T, C) float32 of (image, copy), after `freeze`; where `rng` is given and the nano tower
        makes them, of moved maps. Without `rng` that tower has them of copy 0 alone.
        """
        tower, device = self.model.image, self.model.device
        if rng is not None and isinstance(tower, NanoTower):
            maps = self.map_rows(pairs, rng).to(device, memory_format=torch.channels_last)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                return torch.as_tensor(tower.tower(maps).float())
        return torch.from_numpy(np.stack([self.tokens[f"{self.keys[index]}/{copy}"] for index, copy in pairs])).float()

    def draw(
        self, index: int, rng: np.random.Generator, prepared: bool, original: float = 0.4, whole: bool = False
    ) -> Draw:
        """Draw a copy of an image and a text for it: a caption, or a few of all its sentences.

        Args:
            index: the image.
            rng: source of chance.
            prepared: with refined captions but for a share of `RAW`, turned copies without orientation; else captions
                as they were.
            original: share of the image itself among copies.
            whole: the image itself with a whole caption as it was, whatever the others say.
        """
        wording, count = self.wordings[index], self.copies[index]
        if whole:
            return Draw(tuple(wording.raw[int(rng.integers(len(wording.raw)))]), index, 0)
        copy = 0 if count == 1 or rng.random() < original else int(rng.integers(1, count))
        # Queries come as they are: a model that has read refined captions alone would not know their filler.
        raw = not prepared or (copy == 0 and rng.random() < RAW)
        captions = wording.raw if raw else wording.turned if copy else wording.refined
        if not captions:
            copy, captions = 0, wording.refined
        if rng.random() < 0.5:
            return Draw(tuple(captions[int(rng.integers(len(captions)))]), index, copy)
        every = list(dict.fromkeys(sentence for caption in captions for sentence in caption))
        chosen = rng.permutation(len(every))[: int(rng.integers(1, 5))]
        return Draw(tuple(every[number] for number in chosen), index, copy)


def _key(path: Path) -> str:
    """Name of an image that changes with its content."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DatasetError(f"{path}: no such image") from error
    return f"{path.resolve()}@{stat.st_size}.{stat.st_mtime_ns}"
