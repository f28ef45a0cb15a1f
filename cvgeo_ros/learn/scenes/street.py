"""What a camera in the street sees: ground, buildings, vehicles and trees, met exactly, the nearest kept.

Convention:
    World (x, y, z) in metres; fans as in ``fan``.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.backdrop import paint_ground, paint_sky
from cvgeo_ros.learn.scenes.facades import facade_colours
from cvgeo_ros.learn.scenes.fan import SKY, Canvas, Fan, FanView
from cvgeo_ros.learn.scenes.light import LitSurface, illuminate
from cvgeo_ros.learn.scenes.raster import BUILDING, rasterise
from cvgeo_ros.learn.scenes.roadside import FAR, paint_tree, paint_vehicle, shaded
from cvgeo_ros.learn.scenes.solids import Solid
from cvgeo_ros.learn.scenes.world import Building, World


@dataclass(frozen=True)
class Stage:
    """A world made ready for views from its streets.

    Attributes:
        world: The world.
        full: Its surface under the day's light.
        bare: That surface without trees and vehicles, but with their shadows.
    """

    world: World
    full: LitSurface
    bare: LitSurface

    @classmethod
    def of(cls, world: World, full: LitSurface) -> "Stage":
        """Make a stage of a world and its lit surface."""
        bare = rasterise(replace(world, trees=(), vehicles=()), full.surface.resolution)
        return cls(world, full, illuminate(bare, full.light, full.shade))


def look_around(stage: Stage, fan: Fan) -> FanView:
    """Follow the rays of a fan to what they meet first."""
    world, light, canvas = stage.world, stage.full.light, Canvas(fan)
    paint_sky(canvas, light, world.seed)
    paint_ground(canvas, stage.bare)
    whole = _paint_buildings(canvas, stage)
    for vehicle in world.vehicles:
        row, column = stage.full.surface.cell(*vehicle.box.centre)
        paint_vehicle(canvas, vehicle, light, bool(stage.full.shade[row, column] > vehicle.height + 0.3))
    for tree in world.trees:
        paint_tree(canvas, tree, light, world.season)
    shape = canvas.depth.shape
    rows, columns = (index.ravel() for index in np.indices(shape))
    with np.errstate(invalid="ignore"):
        points = canvas.points(rows, columns).reshape(*shape, 3)
    points[canvas.kind == SKY] = np.nan
    share = np.where(canvas.kind == SKY, 0, 1 - np.exp(-canvas.depth / np.float32(900)))
    air = np.array([190, 202, 214], np.float32)
    image = (canvas.image + (air - canvas.image) * share[:, :, None]).astype(np.uint8)
    return FanView(fan, image, points, canvas.ids, canvas.kind, canvas.wall, whole)


def _paint_buildings(canvas: Canvas, stage: Stage) -> NDArray[np.int64]:
    """Paint all buildings, and return the rays that each would fill alone, by id."""
    world = stage.world
    whole = np.zeros(max(world.objects, default=0) + 1, np.int64)
    outward = np.zeros((*canvas.depth.shape, 2), np.float32)
    # Walls and roofs are coloured at the end, all at once; what stands on roofs is coloured as it is met.
    plain = np.zeros(canvas.depth.shape, bool)
    for building in world.buildings:
        whole[building.id] = _meet_building(canvas, building, outward, plain, stage)
    built = (canvas.kind == BUILDING) & ~plain
    rows, columns = np.nonzero(built & canvas.wall)
    if len(rows):
        keys = canvas.ids[rows, columns].astype(np.intp)
        points = canvas.points(rows, columns)
        canvas.image[rows, columns] = facade_colours(points, keys, outward[rows, columns], stage.bare, world)
    rows, columns = np.nonzero(built & ~canvas.wall)
    if len(rows):
        x, y, _ = canvas.points(rows, columns).T
        canvas.image[rows, columns] = stage.bare.image[stage.bare.surface.cell(x, y)]
    return whole


def _meet_building(
    canvas: Canvas, building: Building, outward: NDArray[np.float32], plain: NDArray[np.bool_], stage: Stage
) -> int:
    """Note where rays meet a building; return how many would without what stands before it."""
    roofs = [Solid.of_roof(roof) for roof in building.roofs]
    if min(solid.distance(canvas.eye[0], canvas.eye[1]) for solid in roofs) > 2 * FAR:
        return 0
    parts: list[tuple[Solid, NDArray[np.float64] | None]] = [(solid, None) for solid in roofs]
    parts += [(Solid.over(box, 0.0, top), np.array(colour)) for box, top, colour in building.clutter]
    found = [(solid, colour, window) for solid, colour in parts for window in canvas.windows(solid)]
    if not found:
        return 0
    top, left = (min(window[axis].start for _, _, window in found) for axis in (0, 1))
    bottom, right = (max(window[axis].stop for _, _, window in found) for axis in (0, 1))
    silhouette = np.zeros((bottom - top, right - left), bool)
    for solid, colour, window in found:
        t, face = canvas.meet(solid, window)
        rows, columns = window
        silhouette[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] |= np.isfinite(t)
        nearer = t < canvas.depth[window]
        canvas.put(window, nearer, t, BUILDING, building.id)
        planes = solid.planes[face[nearer]]
        plain[window][nearer] = colour is not None
        if colour is None:
            canvas.wall[window][nearer] = planes[:, 2] == 0
            outward[window][nearer] = planes[:, :2]
        else:
            canvas.image[window][nearer] = shaded(stage.full.light, colour, planes[:, :3], 0.0)
    return int(silhouette.sum())
