"""Walls as a view sees them: facades with windows, dark sides of tree crowns, sides of vehicles."""

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.light import LitSurface
from cvgeo_ros.learn.scenes.raster import BUILDING
from cvgeo_ros.learn.scenes.world import World


def paint_walls(
    image: NDArray[np.uint8],
    wall: NDArray[np.bool_],
    points: NDArray[np.float32],
    place: NDArray[np.float32],
    ids: NDArray[np.uint16],
    kind: NDArray[np.uint8],
    lit: LitSurface,
    world: World,
) -> None:
    """Paint the wall pixels of a view in place.

    Args:
        image: (H, W, 3) RGB uint8; where ``wall``, its colour is that of the surface above.
        wall: (H, W) bool.
        points: (H, W, 3), world x, y, z.
        place: (H, W, 2), raster position (cv2 indices).
        ids, kind: (H, W), of the surface at ``place``.
        lit: The surface and its light.
        world: Gives colour, orientation and windows of each building.
    """
    soft = wall & (kind != BUILDING)
    image[soft] = (image[soft] * np.float32(0.62)).astype(np.uint8)
    facade = wall & (kind == BUILDING)
    if not facade.any():
        return
    rows, columns = np.nonzero(facade)
    x, y, z = points[rows, columns].T
    at = place[rows, columns]
    keys = ids[rows, columns].astype(np.intp)

    size = int(ids.max()) + 1
    colour = np.full((size, 3), 128, np.float32)
    angle, floor, spacing = np.zeros(size, np.float32), np.full(size, 3.1, np.float32), np.zeros(size, np.float32)
    for building in world.buildings:
        if building.id < size:
            colour[building.id] = building.wall
            angle[building.id] = building.roofs[0].box.angle
            floor[building.id] = building.floor
            spacing[building.id] = building.windows

    # The outward normal points down the height field; it is snapped to the building's axes.
    step = np.float32(0.7 / lit.surface.resolution)
    right, down = np.array([step, 0]), np.array([0, step])
    height = lit.surface.height
    east = _pick(height, at + right) - _pick(height, at - right)
    north = _pick(height, at - down) - _pick(height, at + down)
    cos, sin = np.cos(angle[keys]), np.sin(angle[keys])
    along, across = -(east * cos + north * sin), -(north * cos - east * sin)
    end = np.abs(along) > np.abs(across)
    sign = np.where(end, np.sign(along), np.sign(across)).astype(np.float32)
    normal_x = np.where(end, cos, -sin) * sign
    normal_y = np.where(end, sin, cos) * sign
    position = np.where(end, y * cos - x * sin, x * cos + y * sin)

    sun = lit.light.towards_sun.astype(np.float32)
    reach = np.float32(0.5 / lit.surface.resolution)
    before = at + np.stack([normal_x, -normal_y], 1) * reach
    shade = _pick(lit.shade, before)
    facing = np.clip(normal_x * sun[0] + normal_y * sun[1], 0, 1) / sun[2] * (shade < z + 0.2)
    direct = np.float32(lit.light.direct)
    # A wall sees half the sky, and less of it near the ground.
    light = direct * facing + (1 - direct) * (0.62 + 0.03 * np.clip(z, 0, 6))
    tone = colour[keys] * np.clip(light, 0, 1.25)[:, None]

    bay, storey = position / np.maximum(spacing[keys], 1e-3), z / floor[keys]
    pane = (np.abs(bay % 1 - 0.5) < 0.27) & (np.abs(storey % 1 - 0.56) < 0.24) & (spacing[keys] > 0)
    hashed = np.sin(np.floor(bay) * 12.9898 + np.floor(storey) * 78.233 + keys) * 43758.5453
    glint = (hashed - np.floor(hashed)).astype(np.float32)
    dark = np.array([46, 54, 64], np.float32) * (0.5 + 0.9 * glint)[:, None] * np.clip(light + 0.25, 0, 1.2)[:, None]
    tone = np.where(pane[:, None], dark, tone)
    sill = (np.abs(storey % 1) < 0.05) & (spacing[keys] > 0)
    tone = np.where(sill[:, None], tone * np.float32(0.82), tone)
    image[rows, columns] = np.clip(tone, 0, 255).astype(np.uint8)


def _pick(raster: NDArray[np.float32], at: NDArray[np.floating]) -> NDArray[np.float32]:
    last = raster.shape[0] - 1
    # Beyond the rim the views mirror the world.
    mirrored = np.clip(last - np.abs(last - np.abs(np.rint(at).astype(np.intp))), 0, last)
    return raster[mirrored[:, 1], mirrored[:, 0]]
