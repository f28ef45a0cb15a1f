"""What is timed: frames with one click and many, tiles cached and not, expert layers, pairs of images."""

import math
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import MapError, SceneError
from ..geo import PinholeCamera, TileStore, compass_to_yaw, open_store
from ..localizer import Localizer, Prior
from ..localizer.features import to_tensor
from ..net import TINY, CrossViewLocator, NetConfig, View
from ..net.gmoe import Condition, ExpertPool, GMoE
from ..scene import FrameRecord, Scene, read_image
from .interleave import Rate, Ratio
from .smgeo import SMGeoTrunk, dense_pool
from .timing import time_cases

HFOV = math.radians(66.0)
"""Of frames that do not know theirs, and of a pair's query."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often.

    Attributes:
        rounds: for what takes a fraction of a second; a third of them, at least 3, for what takes seconds.
        width: of the frames, pixels.
        clicks: in the frame of many clicks.
        large: the published size, which the expert layers and the trunk are measured at.
        query, tile: sides of a pair's images, pixels.
        clock: "wall", or "cpu" for the CPU time of this process, all threads together: other processes do not lengthen
            it, but what runs on two threads costs as much as on one.
    """

    rounds: int = 15
    width: int = 1920
    clicks: int = 8
    large: NetConfig = TINY
    query: int = 256
    tile: int = 1024
    clock: Literal["wall", "cpu"] = "wall"

    @property
    def few(self) -> int:
        return max(3, self.rounds // 3)


@dataclass(frozen=True)
class SceneView:
    """A frame to be located, and what is known of it.

    Attributes:
        frame: (H, W, 3) RGB uint8.
        camera, prior: as `Localizer.locate` takes them.
    """

    frame: NDArray[np.uint8]
    camera: PinholeCamera
    prior: Prior

    @classmethod
    def first(cls, scene: Scene, width: int) -> "SceneView":
        """The first frame of a scene at some width, with position within 75 m, heading, height and pitch.

        Raises:
            SceneError: the frame cannot be read, or its heading or altitude is missing.
        """
        record = scene.frames[0]
        frame = read_image(scene.frames_dir / record.file)
        height = round(frame.shape[0] * width / frame.shape[1])
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        camera = PinholeCamera.from_hfov(width, height, HFOV if record.hfov is None else math.radians(record.hfov))
        return cls(frame, camera, _prior(record))

    def clicks(self, number: int) -> NDArray[np.float64]:
        """Clicks spread over the middle of the frame, a golden section of the circle from one to the next."""
        height, width = self.frame.shape[:2]
        turn, radius = np.arange(number) * 2.4, np.sqrt(np.arange(number) / number) * height / 3
        return np.stack([width / 2 + radius * np.cos(turn), height / 2 + radius * np.sin(turn)], 1)


def frames(localizer: Localizer, store: TileStore, scene: Scene, plan: Plan) -> tuple[Ratio, Ratio, Rate]:
    """Many clicks against one, a cached tile against a new one, and the rate of frames."""
    view = SceneView.first(scene, plan.width)
    clicks = view.clicks(plan.clicks)

    def locate(number: int, anew: bool = False) -> Callable[[], object]:
        def case() -> None:
            if anew or localizer.tile is not store:
                localizer.set_tile(store)
            localizer.locate(view.frame, clicks[:number], view.camera, view.prior)

        return case

    quick = time_cases(localizer.device, plan.rounds, {"one": locate(1), "many": locate(plan.clicks)}, plan.clock)
    slow = time_cases(localizer.device, plan.few, {"anew": locate(1, anew=True), "cached": locate(1)}, plan.clock)
    name = f"{localizer.model.config.name}, {plan.width} x {view.frame.shape[0]}"
    return (
        Ratio(f"{name}: {plan.clicks} clicks", "one click", quick["many"], quick["one"], 1.15),
        Ratio(f"{name}: tile cached", "tile encoded anew", slow["cached"], slow["anew"], 0.25),
        Rate(f"{name}: frame to targets", quick["one"], 5.0),
    )


def _prior(record: FrameRecord) -> Prior:
    if record.yaw is None or record.rel_alt is None:
        raise SceneError(f"{record.file}: a frame with yaw and rel_alt is needed, without them a search is timed")
    pitch = None if record.pitch is None else math.radians(record.pitch)
    return Prior(record.lat, record.lon, 75.0, compass_to_yaw(record.yaw), pitch, 0.0, record.rel_alt)


def layers(plan: Plan, device: torch.device) -> list[Ratio]:
    """Experts dispatched sparsely against all run on every token, layer by layer and all layers of a tile together."""
    config = plan.large
    condition = Condition()(View.SATELLITE, torch.tensor([config.gsd], device=device))
    experts, all_experts = f"{config.top_k} of {config.num_experts} experts", "all experts"
    ratios: list[Ratio] = []
    sparse, dense = np.zeros(plan.few), np.zeros(plan.few)
    for stage, blocks in enumerate(config.moe_blocks):
        if not blocks:
            continue
        dim, side = config.embed_dim << stage, plan.tile // (4 << stage)
        pool = ExpertPool(dim, int(dim * config.expert_ratio), config.num_experts).to(device)
        layer = GMoE(dim, config.num_experts, config.top_k).to(device).eval()
        cells = torch.randn(1, side, side, dim, device=device)
        runs = {
            "sparse": _layer(layer, cells, condition, pool),
            "dense": _layer(layer, cells, condition, dense_pool(pool)),
        }
        seconds = time_cases(device, plan.few, runs, plan.clock)
        name = f"{config.name}, layer of {side} x {side} x {dim}: {experts}"
        ratios.append(Ratio(name, all_experts, seconds["sparse"], seconds["dense"], 0.5))
        sparse, dense = sparse + len(blocks) * seconds["sparse"], dense + len(blocks) * seconds["dense"]
    name = f"{config.name}, its {sum(map(len, config.moe_blocks))} expert layers: {experts}"
    return [*ratios, Ratio(name, all_experts, sparse, dense, 0.5)]


def _layer(layer: GMoE, cells: torch.Tensor, condition: torch.Tensor, pool: ExpertPool) -> Callable[[], object]:
    return lambda: layer(cells, condition, pool)


def pairs(small: Localizer, store: TileStore, plan: Plan) -> list[Ratio]:
    """Frame to target of one click with the tile cached, against the trunk of SMGeo's released code on both images."""
    config, device = plan.large, small.device
    large = Localizer(CrossViewLocator(config).to(device))
    trunk = SMGeoTrunk(config).to(device).eval()
    sparse = SMGeoTrunk(config, dense=False).to(device).eval()
    with tempfile.TemporaryDirectory() as folder:
        gsd = max(small.model.config.gsd, config.gsd)
        tile = _write_tile(store, gsd, plan.tile, Path(folder) / "tile.tif")
        with closing(open_store(tile)) as pair:
            pixels, _ = pair.read(0, 0, plan.tile, plan.tile, (plan.tile, plan.tile))
            corner = (plan.tile - plan.query) // 3
            query = pixels[corner : corner + plan.query, corner : corner + plan.query]
            images = [to_tensor(image, np.ones(image.shape[:2], bool), device) for image in (query, pixels)]
            cases: dict[str, Callable[[], object]] = {
                "all": lambda: [_encode(trunk, image, gsd) for image in images],
                "sparse": lambda: [_encode(sparse, image, gsd) for image in images],
            }
            for name, localizer in (("large", large), ("small", small)):
                localizer.set_tile(pair)
                cases[name] = _pair(localizer, np.ascontiguousarray(query), gsd)
            seconds = time_cases(device, plan.few, cases, plan.clock)
    sizes = f"{plan.query} in {plan.tile} px"
    against, base = "SMGeo's trunk", seconds["all"]
    return [
        Ratio(f"SMGeo's trunk with {config.top_k} of {config.num_experts} experts", against, seconds["sparse"], base),
        Ratio(f"{config.name}, {sizes}, tile cached", against, seconds["large"], base, 1 / 20),
        Ratio(f"{small.model.config.name}, {sizes}, tile cached", against, seconds["small"], base, 1 / 60),
    ]


def _encode(trunk: nn.Module, image: torch.Tensor, gsd: float) -> object:
    return trunk(image, View.SATELLITE, torch.tensor([gsd], device=image.device))


def _pair(localizer: Localizer, query: NDArray[np.uint8], gsd: float) -> Callable[[], object]:
    """The query as a frame from straight above, whose raster is the query itself; the whole tile is searched."""
    side, tile = query.shape[0], localizer.tile
    assert tile is not None
    east, north = -tile.transform.jacobian((tile.width / 2, tile.height / 2))[:, 1]  # the tile's up
    camera = PinholeCamera.from_hfov(side, side, HFOV)
    # A hair lower, so that rounding adds no cells.
    prior = Prior(
        yaw=math.atan2(north, east), pitch=-math.pi / 2, roll=0.0, height=0.999 * side * gsd / 2 / math.tan(HFOV / 2)
    )
    click = [[side / 2, side / 2]]
    return lambda: localizer.locate(query, click, camera, prior)


def _write_tile(store: TileStore, gsd: float, side: int, path: Path) -> Path:
    """The middle of a map as a GeoTIFF of `side` pixels of `gsd` metres."""
    along = store.transform.gsd((store.width / 2, store.height / 2))
    scale_u, scale_v = gsd / along[0], gsd / along[1]
    u, v = (store.width - side * scale_u) / 2, (store.height - side * scale_v) / 2
    pixels, valid = store.read(u, v, u + side * scale_u, v + side * scale_v, (side, side))
    if not valid.all():
        raise MapError(
            f"{store.tile_id}: the middle does not show {side * gsd:.0f} m a side; give a scene with more map"
        )
    transform = store.transform.window(u, v, scale_u, scale_v)
    profile: dict[str, Any] = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=transform.crs, transform=transform.affine, **profile) as file:
        file.write(pixels.transpose(2, 0, 1))
    return path
