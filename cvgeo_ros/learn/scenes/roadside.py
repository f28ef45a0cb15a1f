"""Vehicles and trees as a camera in the street sees them."""

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.fan import Canvas
from cvgeo_ros.learn.scenes.layout import Box, axes
from cvgeo_ros.learn.scenes.light import Daylight
from cvgeo_ros.learn.scenes.raster import TREE, VEHICLE
from cvgeo_ros.learn.scenes.solids import Solid
from cvgeo_ros.learn.scenes.textures import SEASON_TINT, texture
from cvgeo_ros.learn.scenes.world import Tree, Vehicle

FAR = 220.0
"""Distance beyond which vehicles and trees are left out, m."""


def paint_vehicle(canvas: Canvas, vehicle: Vehicle, light: Daylight, shadow: bool) -> None:
    """Paint a car, or a lorry where it is long, on wheels; ``shadow``: no sun reaches it."""
    box, top = vehicle.box, vehicle.height
    if np.hypot(*(box.centre - canvas.eye[:2])) > FAR:
        return
    paint, dark, glass = np.array(vehicle.colour), np.array([30.0, 30, 32]), np.array([58.0, 66, 74])
    along, across = axes(box.angle)
    wheels = [
        Box(box.centre + along * s * box.length * 0.31 + across * t * (box.width / 2 - 0.08), box.angle, 0.62, 0.22)
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    parts = [(Solid.over(wheel, 0.0, 0.62), dark, dark) for wheel in wheels]
    if box.length > 6:
        cab = Box(box.point(box.length / 2 - 1.1, 0), box.angle, 2.1, box.width)
        load = Box(box.point(-1.2, 0), box.angle, box.length - 2.5, box.width)
        parts += [
            (Solid.over(cab, 0.45, top * 0.55), paint[::-1] * 0.8, paint[::-1] * 0.8),
            (Solid.over(cab, top * 0.55, top * 0.85), paint[::-1] * 0.8, glass),
            (Solid.over(load, 0.7, top), paint, paint),
            (Solid.over(load, 0.4, 0.7), dark, dark),
        ]
    else:
        cabin = Box(box.point(-0.09 * box.length, 0), box.angle, box.length * 0.54, box.width * 0.92)
        # Windscreens lean at about 45 degrees.
        lean, half, sill = 1.0, cabin.length / 2, top * 0.58
        slopes = [(-lean, 0.0, sill + half * lean), (lean, 0.0, sill + half * lean), (0.0, 0.0, top)]
        parts += [
            (Solid.over(box, 0.22, top * 0.6), paint, paint),
            (Solid.over(cabin, sill, top, slopes), paint, glass),
        ]
    for solid, above, beside in parts:
        for window in canvas.windows(solid):
            t, face = canvas.meet(solid, window)
            nearer = t < canvas.depth[window]
            canvas.put(window, nearer, t, VEHICLE)
            normal = solid.planes[face[nearer], :3]
            colour = np.where((normal[:, 2] > 0.9)[:, None], above, beside)
            canvas.image[window][nearer] = shaded(light, colour, normal, float(shadow))


def paint_tree(canvas: Canvas, tree: Tree, light: Daylight, season: str) -> None:
    """Paint a crown as a rough ellipsoid, or cone, on a trunk."""
    x, y = tree.x - canvas.eye[0], tree.y - canvas.eye[1]
    away = float(np.hypot(x, y))
    if away > FAR or away < tree.radius + 0.3:
        return
    conifer, bush = tree.kind == "conifer", tree.kind == "bush"
    base = 0.0 if bush else tree.height * (0.06 if conifer else 0.3)
    middle, reach = float(np.arctan2(y, x)), float(np.arcsin(min(0.99, 1.15 * tree.radius / away)))
    tall = (tree.height - base) / 2
    tint = np.array(SEASON_TINT[season]) if tree.kind in ("broad", "bush") else np.ones(3)
    leaves, bark = np.array(tree.colour) * tint, np.array([84.0, 72, 60])
    for window in canvas.span(middle, -reach, reach, away - tree.radius, 0.0, tree.height * 1.12):
        rows, columns = window
        forward = np.float32(x) * canvas.cos[columns] + np.float32(y) * canvas.sin[columns]
        aside = np.float32(x) * canvas.sin[columns] - np.float32(y) * canvas.cos[columns]
        z = np.float32(canvas.eye[2]) + forward[None, :] * canvas.tangent[rows][:, None]
        lateral = np.broadcast_to(aside[None, :], z.shape) / np.float32(tree.radius)
        level = (z - np.float32(base + tall)) / np.float32(tall)
        offset = np.float32(tree.x * 3.1 + tree.y * 1.7)
        leaf = texture(lateral * np.float32(tree.radius) + offset, z + offset, 40.0, 16)
        clump = texture(lateral * np.float32(tree.radius) + offset, z - offset, 40.0, 64)
        twig = texture(lateral * np.float32(tree.radius) + offset, z, 40.0, 4)
        rough = np.float32(0.05) * twig + np.float32(0.10) * leaf + np.float32(0.12) * clump
        if conifer:
            size = np.clip((1 - level) / 2, 0, 1)
            depth = 1 - np.abs(lateral) / np.maximum(size * (1 + 0.7 * rough), 1e-3)
            crown = (depth > 0) & (np.abs(level) < 1)
        else:
            depth = 1 - (lateral**2 + level**2) * (1 + rough) ** 2
            crown = depth > 0
        if tree.kind == "bare":
            crown &= leaf > 0.7
        trunk = (np.abs(lateral) * tree.radius < 0.06 + 0.045 * tree.radius) & (z > 0) & (level < 0) & ~crown
        bulge = np.sqrt(np.clip(depth, 0, 1))
        t = np.where(crown, forward[None, :] - bulge * np.float32(0.9 * tree.radius), forward[None, :])
        nearer = (crown | trunk) & (t > 0.2) & (t < canvas.depth[window])
        canvas.put(window, nearer, t.astype(np.float32), TREE)
        # Lit from above and from the sun's side; hollows between clumps are dark.
        sun = light.towards_sun
        side = (
            np.float32((sun[0] * y - sun[1] * x) / away) * lateral
            - np.float32((sun[0] * x + sun[1] * y) / away) * bulge
        )
        glow = np.clip(np.float32(sun[2]) * np.clip(level * 0.5 + 0.5, 0, 1) + side * np.float32(0.8), 0, 1.2)
        direct = np.float32(light.direct)
        gain = direct * glow + (1 - direct) * (np.float32(0.66) + np.float32(0.24) * level)
        gain *= 1 + np.float32(0.16) * leaf + np.float32(0.16) * clump + np.float32(0.22) * twig
        colour = np.where(crown[:, :, None], leaves * np.clip(gain, 0.16, 1.4)[:, :, None], bark * 0.7)
        canvas.image[window][nearer] = np.clip(colour[nearer], 0, 255).astype(np.uint8)


def shaded(
    light: Daylight, colour: NDArray[np.float64], normal: NDArray[np.float64], shadow: float
) -> NDArray[np.uint8]:
    """Return a colour (3,) or (N, 3) on faces with unit normals (N, 3); ``shadow`` 1 leaves the sky's light alone."""
    sun = light.towards_sun
    direct = light.direct * (1 - shadow) * np.clip(normal @ sun, 0, 1) / sun[2]
    sky = (1 - light.direct) * (0.7 + 0.3 * normal[:, 2])
    return np.asarray(np.clip(colour * np.clip(direct + sky, 0, 1.3)[:, None], 0, 255), np.uint8)
