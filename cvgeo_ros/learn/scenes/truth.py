"""Exact truth of rendered views: boxes, clicks, visibility, homographies, correspondences.

Convention:
    Pixels are (u, v) with centres at .5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.raster import BUILDING, TREE, Surface
from cvgeo_ros.learn.scenes.render import Drone, Satellite, View, Viewpoint, project
from cvgeo_ros.learn.scenes.world import World, WorldObject


@dataclass(frozen=True)
class Sighting:
    """An object in a view: where to click it (u, v), and the share 0..1 of its top that is visible."""

    id: int
    click: tuple[float, float]
    visible: float


def box_of(item: WorldObject, viewpoint: Viewpoint) -> tuple[float, float, float, float]:
    """Return (u_min, v_min, u_max, v_max) of an object's footprint and roof in a view, unclipped."""
    pixels = project(viewpoint, item.corners)
    (u0, v0), (u1, v1) = pixels.min(axis=0), pixels.max(axis=0)
    return float(u0), float(v0), float(u1), float(v1)


def boxes(world: World, viewpoint: Satellite, smallest: float = 2.0) -> dict[int, tuple[float, float, float, float]]:
    """Return the boxes of all objects that lie wholly in the view and measure at least ``smallest`` metres."""
    result = {}
    for key, item in world.objects.items():
        u0, v0, u1, v1 = box = box_of(item, viewpoint)
        fits = u0 >= 0 and v0 >= 0 and u1 <= viewpoint.width and v1 <= viewpoint.height_px
        if fits and min(u1 - u0, v1 - v0) * viewpoint.gsd >= smallest:
            result[key] = box
    return result


def ground_to_satellite(viewpoint: Viewpoint, satellite: Satellite) -> NDArray[np.float64]:
    """Return the homography (3, 3) of the ground plane from view px to satellite px, scaled to h33 = 1."""
    homography = satellite.plane_to_view(0.0) @ np.linalg.inv(viewpoint.plane_to_view(0.0))
    return homography / homography[2, 2]


def sightings(view: View, viewpoint: Viewpoint, world: World, surface: Surface) -> list[Sighting]:
    """Return every object whose top (roof, or ground for courts and ponds) shows in a view.

    The share visible compares the ground area of the visible top with that of the whole top as drawn on ``surface``,
    so that what other objects hide and what the frame cuts off both count.
    """
    count = max(world.objects, default=0) + 1
    is_building = np.zeros(count + 1, bool)
    for building in world.buildings:
        is_building[building.id] = True
    ids = view.ids.astype(np.intp)
    # Beyond the rim the views mirror the world; what they show there is nowhere.
    real = (np.abs(view.points[:, :, :2]) <= world.extent / 2).all(axis=2)
    top = real & (ids > 0) & ~view.wall & (view.kind != TREE) & ((view.kind == BUILDING) == is_building[ids])
    rows, columns = np.nonzero(top)
    keys = ids[rows, columns]
    weight = _ground_area(viewpoint, view, rows, columns)
    seen = np.bincount(keys, weight, count)
    cells = surface.ids[surface.kind != TREE]
    whole = np.bincount(cells, minlength=count)[:count] * surface.resolution**2
    number = np.bincount(keys, minlength=count)
    centre_u = np.bincount(keys, columns + 0.5, count) / np.maximum(number, 1)
    centre_v = np.bincount(keys, rows + 0.5, count) / np.maximum(number, 1)
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], np.arange(count + 1))
    result = []
    for key in world.objects:
        if number[key] < 12:
            continue
        u, v = centre_u[key], centre_v[key]
        if not (top[int(v), int(u)] and ids[int(v), int(u)] == key):
            mine = order[starts[key] : starts[key + 1]]
            nearest = mine[np.argmin((columns[mine] + 0.5 - u) ** 2 + (rows[mine] + 0.5 - v) ** 2)]
            u, v = columns[nearest] + 0.5, rows[nearest] + 0.5
        visible = float(np.clip(seen[key] / max(whole[key], 1e-6), 0, 1))
        result.append(Sighting(key, (float(u / view.scale), float(v / view.scale)), visible))
    return result


def _ground_area(
    viewpoint: Viewpoint, view: View, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Square metres of a horizontal plane at the visible height that a sample covers."""
    inverse = np.linalg.inv(viewpoint.plane_to_view(0.0))
    uv1 = np.stack([(columns + 0.5) / view.scale, (rows + 0.5) / view.scale, np.ones(len(rows))])
    # Jacobian determinant of a homography: det(H) / w^3.
    area = abs(np.linalg.det(inverse)) / np.abs(inverse[2] @ uv1) ** 3 / view.scale**2
    if isinstance(viewpoint, Drone):
        area = area * (1 - view.points[rows, columns, 2] / viewpoint.altitude) ** 2
    return area


def correspondences(view: View, satellite_view: View, satellite: Satellite, cell: int = 8) -> NDArray[np.float32]:
    """Return where the surface point in each cell's centre lies in the satellite view.

    Args:
        view: A view whose size is a multiple of ``cell`` (rest ignored).
        satellite_view: The satellite view, perhaps of another day.
        satellite: Its viewpoint.
        cell: Side of a cell, px.

    Returns:
        (h // cell, w // cell, 2) satellite px; NaN where the point is hidden there, outside, or not there that day.
    """
    height, width = view.image.shape[0] // cell, view.image.shape[1] // cell
    v, u = np.mgrid[0:height, 0:width] * float(cell) + cell / 2
    rows, columns = view.sample(np.stack([u.ravel(), v.ravel()], 1))
    x, y, z = view.points[rows, columns].astype(np.float64).T
    shadow = np.stack([x + satellite.lean[0] * z, y + satellite.lean[1] * z, np.ones_like(z)])
    target = (satellite.plane_to_view(0.0)[:2] @ shadow).T
    inside = (target > 0).all(1) & (target[:, 0] < satellite.width) & (target[:, 1] < satellite.height_px)
    there = satellite_view.sample(np.where(inside[:, None], target, 1.0))
    distance = np.linalg.norm(satellite_view.points[there] - np.stack([x, y, z], 1), axis=1)
    same = inside & (distance < 0.5 + 2 * satellite.gsd) & (satellite_view.ids[there] == view.ids[rows, columns])
    return np.where(same[:, None], target, np.nan).reshape(height, width, 2).astype(np.float32)
