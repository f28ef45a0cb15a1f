"""A small rendered world for whoever learns or evaluates."""

import json

import pytest

from cvgeo_ros.learn.pairsets import PairObject, PairSample
from cvgeo_ros.learn.scenes.dataset import Options, write_world
from cvgeo_ros.net import View


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
