"""What a sentence adds to ``cvgeo demo``: an index, the clicks at the place found, and what there is to tell of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cvgeo_ros.errors import PlaceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cvgeo_ros.cli.report import Result
    from cvgeo_ros.demo.replay import Clicks, Played
    from cvgeo_ros.draw import Picture
    from cvgeo_ros.geo import TileStore
    from cvgeo_ros.msg import PlaceCandidate, PlaceCandidateArray
    from cvgeo_ros.scene import Scene

SHOWN = 5
"""Places that are told."""


def prepare(tile: "TileStore", model: str, out: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Index the places of a map, unless that was done before; return parameters of the localizer.

    Args:
        model: Of sentences.
        out: Folder of the index: that of a shipped map may not be writable.

    Raises:
        WeightsError, PlaceError, MapError: As :func:`cvgeo_ros.place.index.build_index`.
    """
    from cvgeo_ros.place.experts import load_place_model
    from cvgeo_ros.place.index import build_index

    say("indexing the map's places")
    out.mkdir(parents=True, exist_ok=True)
    index = out.resolve() / f"{tile.tile_id.rpartition('/')[2]}.places"
    built = build_index(load_place_model(model), tile, index)
    say(f"{built.windows} windows of the map are indexed in {index}")
    return {"place_model": model, "place_index": str(index)}


def clicks_at(scene: "Scene", clicks: "Mapping[str, Clicks]", place: "PlaceCandidate") -> "dict[str, Clicks]":
    """Return the clicks in the frames that were taken from above a place, which the scene's telemetry tells."""
    south, west = place.bounds.min_pt.latitude, place.bounds.min_pt.longitude
    north, east = place.bounds.max_pt.latitude, place.bounds.max_pt.longitude
    above = {
        record.file
        for record in scene.frames
        if record.lat is not None and record.lon is not None
        if south <= record.lat <= north and (record.lon - west) % 360.0 <= (east - west) % 360.0
    }
    return {frame: asked for frame, asked in clicks.items() if frame in above}


def refusal(played: "Played") -> str:
    """Return why nothing could be clicked; empty where it could."""
    places = played.places
    if places is None:
        return ""
    if not places.candidates:
        return f"no place found: {places.note}"
    if not played.answers:
        return "no frame with clicks was taken from above the best place: describe one that the flight has seen"
    return ""


def told(places: "PlaceCandidateArray") -> list[str]:
    """Return what was found as lines: the best places and the experts' weights."""
    weights = ", ".join(
        f"{name} {weight:.2f}" for name, weight in zip(places.experts, places.expert_weights, strict=True)
    )
    lines = [f"“{places.query}” (experts: {weights})"]
    lines += [places.note] if places.note else []
    for rank, place in enumerate(places.candidates[:SHOWN], start=1):
        where = f"{place.position.latitude:.6f}, {place.position.longitude:.6f}"
        u0, v0, u1, v1 = place.window
        lines.append(f"place {rank}  {where}  score {place.score:.3f}  map px {u0:.0f} {v0:.0f} to {u1:.0f} {v1:.0f}")
    return lines


def searched(played: "Played", results: "Sequence[Result]", tile: "TileStore") -> str:
    """Return one line: how much of the map was searched, and how many of the true boxes have their centres there."""
    shares, inside, known = [], 0, 0
    for window in played.windows.values():
        u0, v0, u1, v1 = window
        shares.append((u1 - u0) * (v1 - v0) / (tile.width * tile.height))
    for result in results:
        if result.truth is None or result.frame not in played.windows:
            continue
        known += 1
        u0, v0, u1, v1 = played.windows[result.frame]
        u, v = (result.truth[0] + result.truth[2]) / 2, (result.truth[1] + result.truth[3]) / 2
        inside += u0 <= u <= u1 and v0 <= v <= v1
    if not shares:
        raise PlaceError("the localizer did not tell where it searched")
    line = f"searched {min(shares):.0%} to {max(shares):.0%} of the map, around place 1"
    return f"{line}; {inside} of {known} objects clicked lie there" if known else line


def picture(frame: "Picture", results: "Sequence[Result]", tile: "TileStore", played: "Played") -> "Picture":
    """Return a frame with its clicks beside the map with the places found, the window searched and the targets.

    Args:
        frame: RGB uint8 (H, W, 3).
        results: Of this frame, answered.
        tile: The map.
        played: With places and the frame's window.
    """
    import numpy as np

    from cvgeo_ros import draw

    assert played.places is not None
    places = played.places.candidates[:SHOWN]
    targets = [result.target for result in results if result.target is not None]
    windows = np.array([place.window for place in places], np.float64)
    searched = np.array([played.windows[results[0].frame]])
    shape = (900, 1100)
    shown = draw.view_window(tile.width, tile.height, np.concatenate([windows, searched]), shape, 0.05)
    view = draw.map_view(tile, shown, shape)
    ranks = [f"place {rank}" for rank in range(1, len(places) + 1)]
    scores = [f"{place.score:.2f}" for place in places]
    right = draw.draw_boxes(view.image, view.to_image, windows, ranks, scores, searched)
    boxes = np.array([target.bbox for target in targets])
    right = draw.draw_clicks(right, _centres(boxes, view.to_image), [str(result.number) for result in results])
    gsd = max(tile.transform.gsd(windows[0].reshape(2, 2).mean(axis=0)))
    right = draw.scale_bar(right, gsd * (shown[2] - shown[0]) / shape[1], tile.attribution)
    left = draw.draw_clicks(frame, [target.click for target in targets], [str(result.number) for result in results])
    titles = (f"{results[0].frame}: clicks", f"“{played.places.query}”: places, dashed: searched")
    return draw.side_by_side(left, right, titles, height=shape[0])


def _centres(boxes: "NDArray[np.float64]", to_image: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the centres of boxes (N, 4) in tile px as px of a picture: (N, 2)."""
    import numpy as np

    centres = boxes.reshape(-1, 2, 2).mean(axis=1)
    return np.asarray((np.column_stack([centres, np.ones(len(centres))]) @ to_image.T)[:, :2])
