"""Walls as a view sees them: facades with windows, dark sides of tree crowns, sides of vehicles."""

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.light import LitSurface
from cvgeo_ros.learn.scenes.raster import BUILDING
from cvgeo_ros.learn.scenes.textures import texture
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
    at = place[rows, columns]
    # The outward normal points down the height field.
    step = np.float32(0.7 / lit.surface.resolution)
    right, down = np.array([step, 0]), np.array([0, step])
    height = lit.surface.height
    east = _pick(height, at + right) - _pick(height, at - right)
    north = _pick(height, at - down) - _pick(height, at + down)
    keys = ids[rows, columns].astype(np.intp)
    image[rows, columns] = facade_colours(points[rows, columns], keys, -np.stack([east, north], 1), lit, world)


def facade_colours(
    points: NDArray[np.float32],
    keys: NDArray[np.intp],
    outward: NDArray[np.float32],
    lit: LitSurface,
    world: World,
) -> NDArray[np.uint8]:
    """Return what facades look like: plaster, storeys, windows, doors and shop fronts under the day's light.

    Args:
        points: (N, 3), world x, y, z on facades.
        keys: (N,), their buildings.
        outward: (N, 2), about normal to the facade in x and y; it is snapped to the building's axes.
        lit: The light, and what casts shadows.
        world: Gives colour, orientation and windows of each building.

    Returns:
        (N, 3) RGB.
    """
    x, y, z = points.T
    size = int(keys.max(initial=0)) + 1
    colour = np.full((size, 3), 128, np.float32)
    angle, floor, spacing = np.zeros(size, np.float32), np.full(size, 3.1, np.float32), np.zeros(size, np.float32)
    for building in world.buildings:
        if building.id < size:
            colour[building.id] = building.wall
            angle[building.id] = building.roofs[0].box.angle
            floor[building.id] = building.floor
            spacing[building.id] = building.windows

    cos, sin = np.cos(angle[keys]), np.sin(angle[keys])
    along, across = outward[:, 0] * cos + outward[:, 1] * sin, outward[:, 1] * cos - outward[:, 0] * sin
    end = np.abs(along) > np.abs(across)
    sign = np.where(end, np.sign(along), np.sign(across)).astype(np.float32)
    normal_x = np.where(end, cos, -sin) * sign
    normal_y = np.where(end, sin, cos) * sign
    position = np.where(end, y * cos - x * sin, x * cos + y * sin)

    sun = lit.light.towards_sun.astype(np.float32)
    half, resolution = np.float32(lit.surface.extent / 2), np.float32(lit.surface.resolution)
    before = np.stack([half + x + normal_x * 0.5, half - y - normal_y * 0.5], 1) / resolution - np.float32(0.5)
    shade = _pick(lit.shade, before)
    facing = np.clip(normal_x * sun[0] + normal_y * sun[1], 0, 1) / sun[2] * (shade < z + 0.2)
    direct = np.float32(lit.light.direct)
    # A wall sees half the sky, and less of it near the ground.
    light = direct * facing + (1 - direct) * (0.62 + 0.03 * np.clip(z, 0, 6))
    plaster = 1 + np.float32(0.02) * texture(position, z, 16.0) + np.float32(0.02) * texture(position, z, 2.0)
    plaster *= 1 - np.float32(0.16) * np.exp(-z / np.float32(0.5))
    tone = colour[keys] * (np.clip(light, 0, 1.25) * plaster)[:, None]

    with_windows = spacing[keys] > 0
    bay, storey = position / np.maximum(spacing[keys], 1e-3), z / floor[keys]
    aside, above = np.abs(bay % 1 - 0.5), np.abs(storey % 1 - 0.56)
    glint = _hash(np.floor(bay) * 12.9898 + np.floor(storey) * 78.233 + keys)
    glass = np.array([46, 54, 64], np.float32) * (0.5 + 0.9 * glint)[:, None] * np.clip(light + 0.25, 0, 1.2)[:, None]
    pane = (aside < 0.27) & (above < 0.24)
    street = storey < 1
    entrance = street & (glint < 0.3)
    shop = street & (_hash(keys * 3.7 + end) < 0.22)
    pane = np.where(shop, (aside < 0.45) & (z > 0.45) & (z < 2.45), pane & ~entrance) & with_windows
    frame = with_windows & ~pane & ~shop & ~entrance & (aside < 0.30) & (above < 0.265)
    tone = np.where(frame[:, None], tone * np.float32(0.5) + (110 * np.clip(light, 0, 1.2))[:, None], tone)
    tone = np.where(pane[:, None], glass, tone)
    mullion = pane & (aside < 0.012)
    tone = np.where(mullion[:, None], (120 * np.clip(light, 0, 1.2))[:, None], tone)
    door = entrance & ~shop & with_windows & (aside < 0.19) & (z < 2.15)
    wood = np.array([92, 70, 54], np.float32) * (0.6 + 2 * glint)[:, None] * np.clip(light + 0.1, 0, 1.2)[:, None]
    tone = np.where(door[:, None], wood, tone)
    sign_board = shop & with_windows & (z > 2.5) & (z < 3.0)
    paint = 60 + 170 * np.stack([_hash(keys * 1.3), _hash(keys * 2.1), _hash(keys * 5.9)], 1)
    tone = np.where(sign_board[:, None], paint * np.clip(light, 0, 1.2)[:, None], tone)
    sill = (np.abs(storey % 1) < 0.05) & with_windows & ~sign_board & (z > 0.3)
    tone = np.where(sill[:, None], tone * np.float32(0.82), tone)
    # Halls without windows have ribbed walls and roller doors.
    ribs = 1 + np.float32(0.07) * np.sin(position * np.float32(2 * np.pi / 0.55))
    dock = position / np.float32(8.0)
    gate = (np.abs(dock % 1 - 0.5) < 0.24) & (z < 3.9) & (_hash(np.floor(dock) * 7.7 + keys + end) < 0.4)
    slats = 150 * (1 + np.float32(0.08) * np.sin(z * np.float32(2 * np.pi / 0.3))) * np.clip(light, 0, 1.2)
    hall = np.where(gate[:, None], slats[:, None], tone * ribs[:, None])
    tone = np.where(with_windows[:, None], tone, hall)
    return np.asarray(np.clip(tone, 0, 255), np.uint8)


def _hash(number: NDArray[np.floating]) -> NDArray[np.float32]:
    value = np.sin(np.asarray(number, np.float64)) * 43758.5453
    return np.asarray(value - np.floor(value), np.float32)


def _pick(raster: NDArray[np.float32], at: NDArray[np.floating]) -> NDArray[np.float32]:
    last = raster.shape[0] - 1
    # Beyond the rim the views mirror the world.
    mirrored = np.clip(last - np.abs(last - np.abs(np.rint(at).astype(np.intp))), 0, last)
    return raster[mirrored[:, 1], mirrored[:, 0]]
