"""Reads the facts of a rendered picture from what each of its pixels shows: only what is visible counts."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.place.facts import WEIGHTS, Facts, Thing, colour_name, relate, wall_name
from cvgeo_ros.learn.place.surroundings import Project, Scenery, cover, nearest_car, roads, sides, vehicles
from cvgeo_ros.learn.scenes.raster import BUILDING, GROUND, TREE, VEHICLE
from cvgeo_ros.learn.scenes.render import View
from cvgeo_ros.learn.scenes.textures import MATERIAL_INDEX
from cvgeo_ros.learn.scenes.world import Building

_ORDINARY = ("house", "building", "shed", "barn")
_HALLS = ("church", "domed hall", "round tower")
_GROUNDS = ("stadium", "solar farm", "container yard")
_PAINTED = ("tank", "round tower")
_LEAST = {"river": 0.02, "railway": 0.015, "bridge": 0.004, "pool": 0.0008}
_SPREAD = 0.3


@dataclass(frozen=True)
class _Seen:
    """An object in a picture: its share of the picture, its middle, the part of it that shows, its facade's share."""

    id: int
    share: float
    place: tuple[float, float]
    part: float
    wall: float


def read_facts(
    view: View, picture: NDArray[np.uint8], project: Project, scenery: Scenery, platform: str, steep: bool = False
) -> Facts:
    """Return the facts of a picture.

    Args:
        view: The rendered view.
        picture: (h, w, 3) RGB, the view as the sensor delivers it; gives the brightness of facades.
        project: From world points (N, 3) to view pixels (N, 2), NaN where there is none.
        scenery: What was rendered.
        platform: "satellite", "drone" or "ground".
        steep: Whether a drone looks nearly straight down.
    """
    world = scenery.world
    with np.errstate(invalid="ignore"):
        inside = np.abs(view.points[:, :, :2]) <= world.extent / 2
    real: NDArray[np.bool_] = np.logical_and(np.isfinite(view.points).all(axis=2), inside.all(axis=2))
    seen = _objects(view, project, scenery, real, platform)
    total = float(view.ids.size)
    shares = {kind: float(((view.kind == kind) & real).sum()) / total for kind in (GROUND, BUILDING, TREE, VEHICLE)}
    ground = real & (view.kind == GROUND)
    material = np.bincount(scenery.materials(view.points[ground]), minlength=256) / total
    things = _things(seen, scenery, platform, material)
    parked = vehicles(view, project, world)
    road, streets = roads(view, project, world)
    return Facts(
        platform=platform,
        setting=_setting(seen, scenery, shares[BUILDING], platform),
        buildings=sum(item.id in scenery.buildings and world.objects[item.id].cls != "shed" for item in seen),
        things=things,
        relations=relate(things),
        roofs=_roofs(seen, scenery) if platform != "ground" else (),
        cover=cover(shares, material, world.season, platform) + (sides(view) if platform == "ground" else ()),
        road=road,
        streets=streets,
        vehicles=len(parked),
        car=nearest_car(view, project, parked) if platform == "ground" else None,
        facades=_facades(seen, scenery, view, picture)
        if platform == "ground" or (platform == "drone" and not steep)
        else (),
        steep=steep,
    )


def _objects(view: View, project: Project, scenery: Scenery, real: NDArray[np.bool_], platform: str) -> list[_Seen]:
    height, width = view.ids.shape
    shown = real & (view.ids > 0) & ((view.kind == GROUND) | (view.kind == BUILDING))
    rows, columns = np.nonzero(shown)
    keys = view.ids[rows, columns].astype(np.intp)
    number = np.bincount(keys)
    mean_u = np.bincount(keys, (columns + 0.5) / width) / np.maximum(number, 1)
    mean_v = np.bincount(keys, (rows + 0.5) / height) / np.maximum(number, 1)
    wall = np.bincount(keys, view.wall[rows, columns].astype(float)) / np.maximum(number, 1)
    result = []
    for key in np.flatnonzero(number):
        item = scenery.world.objects.get(int(key))
        share = number[key] / view.ids.size
        if item is None or share < (0.004 if platform == "ground" else 0.0008):
            continue
        part = 1.0
        if platform != "ground":
            corners = project(item.corners)
            hull = cv2.convexHull(corners[np.isfinite(corners).all(axis=1)].astype(np.float32))
            part = min(1.0, number[key] / view.scale**2 / max(float(cv2.contourArea(hull)), 1.0))
        result.append(_Seen(int(key), float(share), (float(mean_u[key]), float(mean_v[key])), part, float(wall[key])))
    return result


def _things(seen: list[_Seen], scenery: Scenery, platform: str, material: NDArray[np.float64]) -> tuple[Thing, ...]:
    groups: dict[tuple[str, str | None], list[_Seen]] = defaultdict(list)
    for item in seen:
        cls = scenery.world.objects[item.id].cls
        long = cls in ("river", "railway", "bridge")
        least = _LEAST.get(cls, 0.003 if WEIGHTS.get(cls, 0) > 4 else 0.0008)
        if (
            cls == "monument"
            or cls not in WEIGHTS
            or item.share < least
            or (max(item.part, 5 * item.share) < 0.3 and not long)
        ):
            continue
        groups[cls, _colour(item, scenery, platform)].append(item)
    track = material[MATERIAL_INDEX["court_red"]] > 0.01
    things = []
    for (name, colour), items in groups.items():
        if name in ("house", "building", "barn") and (
            colour not in ("blue", "green", "yellow", "orange") or len(items) > 3
        ):
            continue
        places = np.array([item.place for item in items])
        middle, spread = places.mean(axis=0), float(np.ptp(places, axis=0).max())
        share = sum(item.share for item in items)
        part = {"pitch": "track" if track and len(items) == 1 else "pitch"}.get(name, name)
        weight = WEIGHTS[part] * float(np.clip(0.5 + 12 * share, 0.5, 1.2))
        if name in ("hall", "apartments", "parking") and len(items) > 3:
            weight *= 0.7
        if name == "hall" and colour in ("red", "orange", "yellow", "green", "blue"):
            weight *= 1.5
        things.append(
            Thing(
                name=part,
                count=len(items),
                colour=colour,
                size=_size(part, items[0], scenery) if len(items) == 1 else None,
                place=(float(middle[0]), float(middle[1])) if spread < _SPREAD else None,
                share=share,
                weight=weight,
            )
        )
    return tuple(sorted(things, key=lambda thing: -thing.weight)[:9])


def _size(name: str, item: _Seen, scenery: Scenery) -> str | None:
    limits = {
        "hall": (400.0, 1500.0),
        "round pond": (700.0, 1500.0),
        "pond": (150.0, 700.0),
        "parking": (500.0, 2000.0),
    }
    if name not in limits:
        return None
    hull = cv2.convexHull(scenery.world.objects[item.id].corners[:, :2].astype(np.float32))
    low, high = limits[name]
    size = float(cv2.contourArea(hull))
    return "small" if size < low else "large" if size > high else None


def main_roof_colour(building: Building, cls: str) -> str:
    """Name the colour of the roof that a building is known by."""
    if cls == "domed hall":
        return colour_name(building.roofs[1].colour)
    return colour_name(max(building.roofs, key=lambda roof: roof.box.length * roof.box.width).colour)


def _colour(item: _Seen, scenery: Scenery, platform: str) -> str | None:
    cls = scenery.world.objects[item.id].cls
    if cls in ("court", "helipad"):
        patch = next((p for p in reversed(scenery.world.patches) if p.id == item.id), None)
        name = "" if patch is None else patch.material
        surfaces = {
            "court_red": "red",
            "court_green": "green",
            "court_blue": "blue",
            "concrete": "grey",
            "turf": "green",
        }
        return surfaces.get(name)
    building = scenery.buildings.get(item.id)
    if building is None or cls in ("solar farm", "container yard", "greenhouse", "tower block"):
        return None
    if cls == "stadium":
        return colour_name(building.roofs[0].colour)
    if cls in _PAINTED:
        return colour_name(building.wall)
    if platform == "ground" and item.wall > 0.85:
        return None
    return main_roof_colour(building, cls)


def _roofs(seen: list[_Seen], scenery: Scenery) -> tuple[tuple[str, float], ...]:
    colours = Counter[str]()
    for item in seen:
        cls, building = scenery.world.objects[item.id].cls, scenery.buildings.get(item.id)
        if building is not None and cls in _ORDINARY[:2]:
            colours[main_roof_colour(building, cls)] += 1
    total = sum(colours.values())
    if total < 4:
        return ()
    return tuple((name, count / total) for name, count in colours.most_common(3))


def _setting(seen: list[_Seen], scenery: Scenery, built: float, platform: str) -> str:
    area, count, tiled = Counter[str](), Counter[str](), 0.0
    for item in seen:
        cls, building = scenery.world.objects[item.id].cls, scenery.buildings.get(item.id)
        if building is not None:
            area[cls] += item.share  # type: ignore[assignment]
            count[cls] += 1
            if cls == "building" and any(roof.texture == "tile" for roof in building.roofs):
                tiled += 1
    ordinary = {cls: area[cls] for cls in ("house", "building", "apartments", "hall") if area[cls] > 0}
    few = built < 0.03 if platform == "ground" else built < 0.05 or sum(count.values()) < 3
    if few or not ordinary:
        return "open"
    first = max(ordinary, key=lambda cls: ordinary[cls])
    if ordinary[first] < 0.55 * sum(ordinary.values()):
        return "mixed"
    if first == "house":
        return "village" if count["barn"] >= 2 else "suburb"
    if first == "building":
        return "blocks" if tiled > 0.45 * count["building"] else "packed"
    return "slabs" if first == "apartments" else "industry"


def _facades(seen: list[_Seen], scenery: Scenery, view: View, picture: NDArray[np.uint8]) -> tuple[Thing, ...]:
    """Return the buildings whose facades fill most of the picture; light and shade count for their colour."""
    found = []
    fine = cv2.resize(picture, view.ids.shape[::-1], interpolation=cv2.INTER_AREA).max(axis=2).astype(np.float64)
    fine *= 135.0 / max(float(picture.mean()), 1.0)
    for item in seen:
        cls, building = scenery.world.objects[item.id].cls, scenery.buildings.get(item.id)
        if building is None or item.wall * item.share < 0.012 or cls not in WEIGHTS or cls in _GROUNDS:
            continue
        roof = max(building.roofs, key=lambda part: part.box.length * part.box.width)
        storeyed = building.windows > 0 and cls not in _HALLS
        # Windows are dark: the wall is among the brighter parts of a facade.
        bright = float(np.percentile(fine[(view.ids == item.id) & view.wall & (view.kind == BUILDING)], 78))
        tone = np.clip(np.array(building.wall) * bright / max(building.wall), 0, 255)
        found.append(
            Thing(
                name=cls,
                colour=main_roof_colour(building, cls) if item.wall < 0.8 else None,
                place=item.place,
                share=item.share,
                wall=colour_name(building.wall) if cls in _PAINTED else wall_name(tone),
                storeys=max(1, round(roof.eave / building.floor)) if storeyed else None,
                weight=item.share,
            )
        )
    return tuple(sorted(found, key=lambda thing: -thing.weight)[:4])
