"""How long a restart takes: from the start of a process to the first fix, with and without prepared features."""

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CvgeoError

PARTS = ("python", "imports", "weights", "map", "first fix", "next frame")
"""The first four are the start; "map" opens it and finds its features."""


@dataclass(frozen=True)
class Startup:
    """Seconds of each part, (rounds, parts): wall time, and CPU time of all threads."""

    wall: np.ndarray
    cpu: np.ndarray


def measure(
    map_path: Path, scene: Path, model: str, device: str, rounds: int, say: Callable[[str], None]
) -> dict[str, Startup]:
    """Start processes in turn, on the map as it is and on a copy without features.

    Args:
        map_path: with features of the model beside it.
        scene: whose first frame is located, with its own position within 75 m, heading, height and pitch.

    Raises:
        CvgeoError: a process failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / map_path.name
        shutil.copyfile(map_path, bare)
        cases = {"prepared": map_path.resolve(), "not prepared": bare}
        taken: dict[str, list[list[list[float]]]] = {name: [] for name in cases}
        for turn in range(rounds):
            for name, path in cases.items():
                say(f"{name}, {turn + 1} of {rounds}")
                taken[name].append(_start(path, scene, model, device))
    arrays = {name: np.array(values) for name, values in taken.items()}
    return {name: Startup(values[..., 0], values[..., 1]) for name, values in arrays.items()}


def _start(path: Path, scene: Path, model: str, device: str) -> list[list[float]]:
    """Wall and CPU seconds of the parts, in a process of its own."""
    arguments = json.dumps([time.time(), str(path), str(scene), model, device])
    run = subprocess.run([sys.executable, "-m", __name__, arguments], capture_output=True, text=True)
    if run.returncode:
        raise CvgeoError(f"the process that was to be measured failed: {run.stderr.strip()[-500:]}")
    marks = np.array(json.loads(run.stdout.splitlines()[-1]))
    return np.diff(marks, axis=0, prepend=[[0.0, 0.0]]).tolist()


def _child(begun: float, path: str, folder: str, model: str, device: str) -> None:
    """Print wall and CPU seconds since the process was started, at the end of each part."""
    marks = [(time.time() - begun, time.process_time())]

    def mark() -> None:
        marks.append((time.time() - begun, time.process_time()))

    from ..geo import PinholeCamera, compass_to_yaw, open_store
    from ..localizer import Localizer, Prior
    from ..memory import reuse_large_blocks
    from ..navigator import Navigator
    from ..scene import Scene, read_image

    reuse_large_blocks()
    scene = Scene.load(Path(folder))
    record = scene.frames[0]
    frame = read_image(scene.frames_dir / record.file)
    mark()
    localizer = Localizer.load(model, device)
    mark()
    localizer.set_tile(open_store(path))
    if localizer.notice:
        raise CvgeoError(localizer.notice)
    mark()
    camera = PinholeCamera.from_hfov(frame.shape[1], frame.shape[0], math.radians(record.hfov or 66.0))
    prior = Prior(
        latitude=record.lat,
        longitude=record.lon,
        yaw=None if record.yaw is None else compass_to_yaw(record.yaw),
        pitch=None if record.pitch is None else math.radians(record.pitch),
        height=record.rel_alt,
    )
    navigator = Navigator(localizer)
    for stamp in (0, 200_000_000):
        if navigator.process(stamp, frame, [], camera, prior).fix is None:
            raise CvgeoError(f"{path}: the scene's first frame is not found there; give the map of the scene")
        mark()
    print(json.dumps(marks))


if __name__ == "__main__":
    _child(*json.loads(sys.argv[1]))
