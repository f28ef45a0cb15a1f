"""What lies around the things of a picture: ground and trees, streets, vehicles, the sides of a street."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.place.facts import Road, colour_name
from cvgeo_ros.learn.scenes.raster import BUILDING, GROUND, TREE, VEHICLE
from cvgeo_ros.learn.scenes.render import View
from cvgeo_ros.learn.scenes.textures import MATERIAL_INDEX
from cvgeo_ros.learn.scenes.world import Vehicle, World

Project = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_CELL = 0.5  # m
_CROPS = ("crop_green", "crop_dry", "crop_brown")


class Scenery:
    """A world made ready for questions: its ground's materials and its buildings by id."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.buildings = {b.id: b for b in world.buildings}
        n = round(world.extent / _CELL)
        self._materials = np.zeros((n, n), np.uint8)
        half = world.extent / 2
        for patch in world.patches:
            uv = np.stack([patch.polygon[:, 0] + half, half - patch.polygon[:, 1]], 1) / _CELL - 0.5
            outline = np.clip(np.round(uv * 16), -(1 << 22), 1 << 22).astype(np.int32)
            cv2.fillPoly(self._materials, [outline], MATERIAL_INDEX[patch.material], cv2.LINE_8, 4)

    def materials(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return material indices at points (N, 2 or more)."""
        half, last = self.world.extent / 2, len(self._materials) - 1
        column = np.clip((points[:, 0] + half) / _CELL, 0, last).astype(np.intp)
        row = np.clip((half - points[:, 1]) / _CELL, 0, last).astype(np.intp)
        return np.asarray(self._materials[row, column], np.uint8)


def cover(shares: dict[int, float], material: NDArray[np.float64], season: str, platform: str) -> tuple[str, ...]:
    """Return what covers the ground, keys of the wordings, most of it first, from shares by kind and by material."""

    def share(*names: str) -> float:
        return float(sum(material[MATERIAL_INDEX[name]] for name in names))

    low = platform == "ground"
    found: list[tuple[float, str]] = []
    trees = shares[TREE]
    if trees > 0.38:
        found.append((3 * trees, "woodland"))
    elif trees > 0.2:
        found.append((trees, "many trees"))
    elif trees > 0.1:
        found.append((trees, "some trees"))
    elif trees < 0.025:
        found.append((0.15, "no trees"))
    for crop in _CROPS:
        if share(crop) > (0.06 if low else 0.1):
            found.append((2 * share(crop), crop))
    green = share("lawn", "meadow", "turf")
    if green > (0.12 if low else 0.3):
        found.append((green, "dry grass" if season in ("dry", "autumn", "winter") else "green grass"))
    if share("scrub") > 0.12:
        found.append((share("scrub"), "scrub"))
    if share("soil", "sand") > 0.1:
        found.append((share("soil", "sand"), "bare soil"))
    if share("concrete", "yard", "gravel") > 0.3:
        found.append((share("concrete", "yard", "gravel") * 0.7, "paved yards"))
    if share("pavement") > 0.25:
        found.append((share("pavement") * 0.6, "paving"))
    return tuple(name for _, name in sorted(found, reverse=True)[:3])


def roads(view: View, project: Project, world: World) -> tuple[Road | None, int]:
    """Return the most prominent street and how many show."""
    height, width = view.image.shape[:2]
    best, result, count = 0.0, None, 0
    for street in world.streets:
        uv = project(np.column_stack([street.points, np.zeros(len(street.points))]))
        inside = _inside(uv, width, height)
        if inside.sum() < 4:
            continue
        uv = uv[inside]
        rows, columns = view.sample(uv)
        open_view = np.isin(view.kind[rows, columns], (GROUND, VEHICLE))
        if open_view.mean() < 0.4:
            continue
        count += 1
        step = uv[-1] - uv[0]
        length = float(np.hypot(*step))
        if length * street.width <= best or length < 0.3 * width:
            continue
        best = length * street.width
        across = np.abs((uv - uv[0]) @ np.array([-step[1], step[0]]) / max(length, 1e-6)).max()
        du, dv = abs(step[0]), abs(step[1])
        run = "across" if du > 2.2 * dv else "up" if dv > 2.2 * du else "falling" if step[0] * step[1] > 0 else "rising"
        kind = "wide" if street.width > 11 else "narrow" if street.width < 5.5 else "medium"
        result = Road(width=kind, run=run, curved=bool(across > 0.07 * length))
    return result, count


def _inside(uv: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    return np.array([0 < u < width and 0 < v < height for u, v in uv], bool).reshape(len(uv))


def vehicles(view: View, project: Project, world: World) -> list[Vehicle]:
    """Return the vehicles that show."""
    if not world.vehicles:
        return []
    height, width = view.image.shape[:2]
    uv = project(np.array([[*v.box.centre, v.height * 0.6] for v in world.vehicles]))
    inside = _inside(uv, width, height)
    rows, columns = view.sample(uv[inside])
    shown = [v for v, there in zip(world.vehicles, inside, strict=True) if there]
    middles = np.array([v.box.centre for v in shown]).reshape(-1, 2)
    near = np.abs(view.points[rows, columns, :2] - middles).max(axis=1) < 4
    return [v for v, there in zip(shown, (view.kind[rows, columns] == VEHICLE) & near, strict=True) if there]


def nearest_car(view: View, project: Project, parked: list[Vehicle]) -> str | None:
    """Return the colour of the vehicle that looms largest, if any spans a tenth of the picture."""
    best, colour = 0.1 * view.image.shape[1], None
    for vehicle in parked:
        uv = project(np.column_stack([vehicle.box.corners(), np.full(4, vehicle.height * 0.6)]))
        span = float(np.ptp(uv[:, 0]))
        if np.isfinite(span) and span > best:
            best, colour = span, colour_name(vehicle.colour)
    return colour


def sides(view: View) -> tuple[str, ...]:
    """Tell of a view from the street where buildings stand: on both sides, on one, right ahead, or far away."""
    height, width = view.kind.shape
    band = view.kind[height // 4 : height // 2] == BUILDING
    left, _, right = (float(part.mean()) for part in np.array_split(band, 3, axis=1))
    if float((view.kind[: height // 4, width // 3 : -width // 3] == BUILDING).mean()) > 0.5:
        return ("wall ahead",)
    if min(left, right) > 0.3:
        return ("both sides",)
    if max(left, right) > 0.35 and min(left, right) < 0.08:
        return ("one side",)
    return ("wide view",) if band.mean() < 0.06 else ()
