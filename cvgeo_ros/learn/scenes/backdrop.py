"""What stands behind and below a view from the street: sky, skyline, ground."""

import cv2
import numpy as np

from cvgeo_ros.learn.scenes.fan import Canvas
from cvgeo_ros.learn.scenes.light import Daylight, LitSurface
from cvgeo_ros.learn.scenes.raster import GROUND
from cvgeo_ros.learn.scenes.textures import texture

_LEVELS = 6


def paint_sky(canvas: Canvas, light: Daylight, seed: int) -> None:
    """Paint a gradient with clouds, and a hazy line of far trees and roofs."""
    rows, columns = canvas.image.shape[:2]
    elevation = np.arctan(canvas.tangent)[:, None]
    azimuth = np.mod(canvas.fan.azimuth, 2 * np.pi)[None, :].astype(np.float32)
    grey = np.float32(np.clip(1 - light.direct / 0.5, 0, 1))
    height = np.clip(elevation / np.float32(0.9), 0, 1)[:, :, None] ** np.float32(0.6)
    clear = np.array([206, 218, 230], np.float32) * (1 - height) + np.array([92, 138, 204], np.float32) * height
    dull = np.array([214, 216, 218], np.float32) * (1 - height) + np.array([176, 182, 190], np.float32) * height
    sky = clear * (1 - grey) + dull * grey
    # Clouds hang on a plane overhead, so that they shrink towards the horizon.
    away = 1 / np.maximum(np.tan(np.maximum(elevation, 0.03)), 0.03)
    x, y = away * np.cos(azimuth) + 40, away * np.sin(azimuth) + 40
    turn = np.float32(seed % 97)
    puff = texture(x + turn, y, 90.0, 256) + np.float32(0.5) * texture(x, y + turn, 90.0, 64)
    cover = np.clip((puff - np.float32(0.35)) * np.float32(0.6), 0, 1) * np.clip(elevation * 8, 0, 1)
    white = np.array([238, 240, 242], np.float32) * (1 - grey) + np.array([196, 199, 203], np.float32) * grey
    sky = sky + (white - sky) * (cover * np.float32(0.8))[:, :, None]
    circle = azimuth[0] / np.float32(2 * np.pi)
    rough = texture(circle, np.full_like(circle, turn), 1024.0, 16) + texture(circle, circle * 0, 1024.0, 4) * 0.4
    skyline = np.float32(0.022) + np.float32(0.010) * rough
    far = np.broadcast_to(elevation, (rows, columns)) < skyline[None, :]
    sky = np.where(far[:, :, None], np.array([136, 148, 150], np.float32), sky)
    canvas.image[:] = np.clip(sky, 0, 255).astype(np.uint8)


def paint_ground(canvas: Canvas, lit: LitSurface) -> None:
    """Paint the ground, with its objects; beyond the world's rim it is mirrored and holds none."""
    below = np.flatnonzero(canvas.tangent < 0)
    t = (canvas.eye[2] / -canvas.tangent[below]).astype(np.float32)
    surface = lit.surface
    half, resolution = np.float32(surface.extent / 2), np.float32(surface.resolution)
    x, y = canvas.eye[0] + t[:, None] * canvas.cos, canvas.eye[1] + t[:, None] * canvas.sin
    u, v = ((half + x) / resolution).astype(np.float32), ((half - y) / resolution).astype(np.float32)
    # One ray covers t step across and t^2 step / eye along: a level between the two neither swims nor smears.
    step = np.float32(canvas.fan.step)
    cells = np.sqrt(t * step * np.maximum(t * step, t * t * step / np.float32(canvas.eye[2]))) / resolution
    level = np.clip(np.log2(np.maximum(cells, 1)), 0, _LEVELS - 1)
    source, colour = lit.image, np.zeros((*u.shape, 3), np.float32)
    for index in range(_LEVELS):
        share = np.clip(1 - np.abs(level - index), 0, 1).astype(np.float32)
        rows = np.flatnonzero(share > 0)
        if len(rows):
            low, high, scale = int(rows.min()), int(rows.max()) + 1, np.float32(2.0**index)
            part = cv2.remap(
                source,
                u[low:high] / scale - np.float32(0.5),
                v[low:high] / scale - np.float32(0.5),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            colour[low:high] += np.asarray(part, np.float32) * share[low:high, None, None]
        source = np.asarray(cv2.resize(source, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    # The raster is coarse where the camera stands: grain of a few centimetres, gone where a ray covers more.
    grain = np.float32(0.05) * texture(x, y, 60.0, 2) + np.float32(0.03) * texture(x, y, 25.0, 16)
    colour *= (1 + grain * np.clip(1.2 - cells * resolution * 25, 0, 1)[:, None])[:, :, None]
    canvas.image[below] = np.clip(colour, 0, 255).astype(np.uint8)
    canvas.depth[below] = t[:, None]
    canvas.kind[below] = GROUND
    column, row = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
    last = surface.ids.shape[0] - 1
    inside = (column >= 0) & (row >= 0) & (column <= last) & (row <= last)
    at = (np.clip(row, 0, last), np.clip(column, 0, last))
    flat = inside & (surface.kind[at] == GROUND)
    canvas.ids[below] = np.where(flat, surface.ids[at], 0)
