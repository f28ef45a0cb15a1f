"""What learning and evaluation are tested on: a small rendered world, and a training that ends in seconds."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvgeo_ros.learn.pairs import PairConfig
from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.learn.scenes.dataset import Options, write_world
from cvgeo_ros.learn.training import TrainConfig
from cvgeo_ros.net import CONFIGS, NetConfig, View


@pytest.fixture(scope="session")
def rendered_pairs(tmp_path_factory: pytest.TempPathFactory) -> list[PairSample]:
    """Two drone frames of 512 x 512 px over one tile of a town, up to eight objects each, all that is known given."""
    root = tmp_path_factory.mktemp("world")
    write_world(root, 900_002, Options(views=2, frame_size=(512, 512), resolution=0.4))
    folder = root / "900002"
    world = json.loads((folder / "world.json").read_text())
    objects = {item["id"]: item for item in world["objects"]}
    return [
        PairSample(
            name=view["file"],
            query=folder / view["file"],
            tile=folder / world["sat"],
            view=View.DRONE,
            objects=tuple(
                PairObject(str(s["id"]), tuple(s["click"]), tuple(objects[s["id"]]["bbox"]), objects[s["id"]]["class"])
                for s in [s for s in view["objects"] if s["visible"] > 0.8][:8]
            ),
            gsd=world["gsd"],
            hfov=view["hfov"],
            height=view["height"],
            yaw=view["yaw"],
            pitch=view["pitch"],
        )
        for view in world["views"]
    ]


@pytest.fixture
def train_config(tmp_path: Path, small_config: NetConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Four photographs of noise and a network of the same code as the shipped sizes."""
    monkeypatch.setitem(CONFIGS, "small", small_config)
    folder = tmp_path / "real" / "tartu" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(4):
        coarse = rng.integers(0, 255, (40, 40, 3), np.uint8)
        cv2.imwrite(str(folder / f"{k}.jpg"), cv2.resize(coarse, (500, 500), interpolation=cv2.INTER_CUBIC))
    return TrainConfig(
        "small",
        tmp_path / "real",
        steps=8,
        batch=2,
        warmup=2,
        device="cpu",
        workers=0,
        threads=1,
        save_every=4,
        tensorboard=False,
        pairs=PairConfig(query_size=64, tile_size=128, clicks=4),
    )


def _write_yards(
    root: Path,
    count: int,
    size: int,
    ground: tuple[int, int],
    first: int,
    rows: int,
    side_of: Callable[[np.random.Generator, int, int], int],
) -> Path:
    """Photographs of bright yards, in rows 270 px apart, with their outlines, as the folder tartu of `root`.

    Args:
        count, size: how many, and their sides, px.
        ground: darkest and brightest of what lies between the yards.
        first: pixel that the first row and column of yards begin at.
        rows: of yards, and columns.
        side_of: of a yard by its row and column, px.
    """
    folder = root / "tartu" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        image = cv2.GaussianBlur(rng.integers(*ground, (size, size, 3), np.uint8), (0, 0), 3)
        mask = np.zeros((size, size), np.uint8)
        for row in range(rows):
            for column in range(rows):
                side = side_of(rng, row, column)
                u, v = first + 270 * column, first + 270 * row
                cv2.rectangle(image, (u, v), (u + side, v + side), (230, 220, 210), -1)
                cv2.rectangle(mask, (u, v), (u + side, v + side), 255, -1)
        cv2.imwrite(str(folder / f"{number}.jpg"), image)
        cv2.imwrite(str(folder / f"{number}_mask.png"), mask)
    return root


@pytest.fixture
def write_yards(tmp_path: Path) -> Callable[..., Path]:
    """`_write_yards` into a folder of the test's own."""
    return partial(_write_yards, tmp_path / "real")
