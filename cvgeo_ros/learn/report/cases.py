"""Pictures of single frames: those answered best, those in the middle, and the worst."""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import draw
from ...geo import TileStore, open_store
from ...scene import Scene, read_image
from ..locators import ArrayStore
from ..metrics import Located, by_frame, iou
from ..pairsets import PairSample

SHAPE = (900, 1100)
"""Height and width of the map's part of a picture, px."""
CONTEXT = 120.0
"""Least extent of a map that is shown, m; of a tile without place, it is half the tile."""
HEADER = ("target", "score", "1 sigma", "error", "IoU")


@dataclass(frozen=True)
class Shot:
    """What a frame was located in.

    Attributes:
        frame: image with the clicks.
        tile: map, or image of the satellite tile where `georeferenced` is False.
        clicks: (u, v) frame px by the object's id, as the localizer got them.
        georeferenced: whether the tile has a place on Earth.
    """

    frame: Path
    tile: Path
    clicks: dict[str, tuple[float, float]]
    georeferenced: bool = True


Shots = Mapping[tuple[str, str], Shot]
"""Shots by the names of scene and frame (`Located.key`)."""


def scene_shots(scene: Scene, tile: Path | None = None) -> dict[tuple[str, str], Shot]:
    """Shots of a scene, on its own map or another one."""
    return {
        (scene.name, record.file): Shot(
            scene.frames_dir / record.file,
            scene.map if tile is None else tile,
            {item.id: item.click for item in scene.objects_of(record.file)},
        )
        for record in scene.frames
    }


def pair_shots(samples: Sequence[PairSample]) -> dict[tuple[str, str], Shot]:
    """Shots of pairs."""
    return {
        ("", sample.name): Shot(sample.query, sample.tile, {item.id: item.click for item in sample.objects}, False)
        for sample in samples
    }


def choose(located: Sequence[Located], each: int = 3) -> list[tuple[str, list[Located]]]:
    """Frames with the highest mean IoU, those in the middle and those with the lowest; of equals, by the mean error.

    Returns:
        Name of the case ("best 1", "median 1", "worst 1", the worst of all first) and the frame's objects; fewer of
        each where there are not enough frames, and the best alone of a single one.
    """
    overlap = iou([item.bbox for item in located], [item.truth for item in located])
    error = np.nan_to_num(np.array([item.error for item in located]), nan=0.0, posinf=1e9)
    frames = by_frame(located)
    frames.sort(key=lambda indices: (-overlap[indices].mean(), error[indices].mean()))
    each = min(each, max(len(frames) // 3, 1))
    middle = (len(frames) - each) // 2
    ranked = [(f"best {k + 1}", frames[k]) for k in range(each)]
    if len(frames) > 2:
        ranked += [(f"median {k + 1}", frames[middle + k]) for k in range(each)]
    if len(frames) > 1:
        ranked += [(f"worst {k + 1}", frames[-1 - k]) for k in range(each)]
    return [(name, [located[index] for index in indices]) for name, indices in ranked]


def picture(objects: Sequence[Located], shot: Shot) -> draw.Picture:
    """The frame with its clicks beside the map with boxes and, dashed, true boxes, above a table of the targets.

    Args:
        objects: all of one frame.
        shot: the frame's.
    """
    boxes = np.array([item.bbox for item in objects])
    truth = np.array([item.truth for item in objects])
    labels = [str(number + 1) for number in range(len(objects))]
    frame = draw.draw_clicks(read_image(shot.frame), [shot.clicks[item.id] for item in objects], labels)
    captions = [f"{item.score:.2f}" for item in objects]
    known = truth if np.isfinite(truth).any() else None
    with closing(_open(shot)) as store:
        shown = np.concatenate([boxes, truth[np.isfinite(truth).all(axis=1)]])
        gsd = max(store.transform.gsd(boxes.reshape(-1, 2, 2).mean(axis=(0, 1)))) if shot.georeferenced else math.nan
        least = CONTEXT / gsd if shot.georeferenced else store.width / 2
        window = draw.view_window(store.width, store.height, shown, SHAPE, margin=0.15, least=least)
        part = draw.map_view(store, window, SHAPE)
        tile = draw.draw_boxes(part.image, part.to_image, boxes, labels, captions, known)
        tile = draw.scale_bar(tile, gsd * (window[2] - window[0]) / SHAPE[1], store.attribution)
    rows = [
        [f"{label}  {item.id}", f"{item.score:.2f}", _metres(item.position_std), _metres(item.error), f"{value:.2f}"]
        for label, item, value in zip(labels, objects, iou(boxes, truth), strict=True)
    ]
    # Error and IoU are known where the truth is.
    columns = len(HEADER) if known is not None else len(HEADER) - 2
    rows, header = [row[:columns] for row in rows], HEADER[:columns]
    titles = (" / ".join(filter(None, objects[0].key)), shot.tile.name)
    return draw.side_by_side(frame, tile, titles, rows, header, SHAPE[0])


def _open(shot: Shot) -> TileStore:
    if shot.georeferenced:
        return open_store(shot.tile)
    # What a pixel of it measures is not shown.
    return ArrayStore(shot.tile.name, read_image(shot.tile), 1.0)


def _metres(value: float) -> str:
    return f"{value:.1f} m" if math.isfinite(value) else "-"
