"""Views from the street: perspective photographs and panoramas, and what they show of which object.

Convention:
    World (x, y, z) in metres. View pixels (u, v), centres at .5. A panorama is equirectangular: its middle column looks
    along the heading, its columns turn clockwise through 360 degrees, its rows fall from the zenith to the nadir.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import PinholeCamera
from cvgeo_ros.learn.scenes.fan import SKY, Fan
from cvgeo_ros.learn.scenes.raster import BUILDING
from cvgeo_ros.learn.scenes.render import View
from cvgeo_ros.learn.scenes.sensor import Sensor
from cvgeo_ros.learn.scenes.street import Stage, look_around
from cvgeo_ros.learn.scenes.truth import Sighting

PANORAMA_SIZE = (512, 256)


@dataclass(frozen=True)
class Walker:
    """A camera in the street.

    Attributes:
        x, y, eye: Where it is, m; ``eye`` above the ground.
        yaw: Azimuth it looks along, rad counter-clockwise from east.
        pitch: Of the optical axis above the horizon, rad; 0 for a panorama.
        camera: Its lens, or None for a panorama.
    """

    x: float
    y: float
    eye: float
    yaw: float
    pitch: float = 0.0
    camera: PinholeCamera | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), px."""
        return PANORAMA_SIZE if self.camera is None else (self.camera.width, self.camera.height)

    def rays(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return unit directions (N, 3) of view pixels (N, 2)."""
        if self.camera is None:
            width, height = PANORAMA_SIZE
            azimuth = self.yaw + np.pi - uv[:, 0] * (2 * np.pi / width)
            elevation = np.pi / 2 - uv[:, 1] * (np.pi / height)
            level = np.cos(elevation)
            return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], 1)
        c, s, rise, level = np.cos(self.yaw), np.sin(self.yaw), np.sin(self.pitch), np.cos(self.pitch)
        forward, right = np.array([level * c, level * s, rise]), np.array([s, -c, 0.0])
        down = np.array([rise * c, rise * s, -level])
        camera = self.camera
        a, b = (uv[:, 0] - camera.cx) / camera.fx, (uv[:, 1] - camera.cy) / camera.fy
        rays = forward + a[:, None] * right + b[:, None] * down
        return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return view pixels (N, 2) of world points (N, 3); NaN behind a perspective camera."""
        offset = np.asarray(points, float) - (self.x, self.y, self.eye)
        if self.camera is None:
            width, height = PANORAMA_SIZE
            azimuth = np.arctan2(offset[:, 1], offset[:, 0])
            u = (self.yaw + np.pi - azimuth) % (2 * np.pi) * width / (2 * np.pi)
            elevation = np.arctan2(offset[:, 2], np.hypot(offset[:, 0], offset[:, 1]))
            return np.stack([u, (np.pi / 2 - elevation) * height / np.pi], 1)
        c, s, rise, level = np.cos(self.yaw), np.sin(self.yaw), np.sin(self.pitch), np.cos(self.pitch)
        depth = offset @ (level * c, level * s, rise)
        depth = np.where(depth > 0, depth, np.nan)
        u = self.camera.cx + self.camera.fx * (offset @ (s, -c, 0.0)) / depth
        v = self.camera.cy + self.camera.fy * (offset @ (rise * c, rise * s, -level)) / depth
        return np.stack([u, v], 1)


def render_ground(walker: Walker, stage: Stage, density: float = 1.6) -> tuple[View, NDArray[np.float64]]:
    """Render a view from the street.

    Args:
        walker: The camera.
        stage: The world and its light.
        density: Rays a pixel, along each axis, where pixels are finest.

    Returns:
        The view (``scale`` 1; ``points`` NaN in the sky) and, by object, the share of it that is visible: of the rays
        that its building would fill alone, 0 for what is no building.
    """
    width, height = walker.size
    v, u = np.mgrid[0:height, 0:width] + 0.5
    uv = np.stack([u.ravel(), v.ravel()], 1)
    fan = _fan_for(walker, density)
    seen = look_around(stage, fan)
    fine = 2
    big = (np.mgrid[0 : height * fine, 0 : width * fine].astype(np.float64) + 0.5) / fine
    at = _index(fan, walker.rays(np.stack([big[1].ravel(), big[0].ravel()], 1))).astype(np.float32)
    at = at.reshape(height * fine, width * fine, 2)
    # A seam of a full circle lies at the panorama's rim: replicated, not wrapped.
    fine_image = cv2.remap(seen.image, at[:, :, 0], at[:, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    image = np.asarray(cv2.resize(fine_image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    column, row = np.rint(_index(fan, walker.rays(uv))).astype(np.intp).T
    place = (
        np.clip(row, 0, fan.rows - 1).reshape(height, width),
        np.clip(column, 0, fan.columns - 1).reshape(height, width),
    )
    view = View(image, 1.0, seen.points[place], seen.ids[place], seen.kind[place], seen.wall[place])
    drawn = np.bincount(seen.ids[seen.kind == BUILDING], minlength=len(seen.whole))
    return view, np.minimum(drawn / np.maximum(seen.whole, 1), 1.0)


def ground_sightings(view: View, shares: NDArray[np.float64], smallest: float = 0.0008) -> list[Sighting]:
    """Return the objects that fill at least the share ``smallest`` of a view from the street.

    Args:
        view: The view.
        shares: (largest id + 1,), as from render_ground.
        smallest: Share of the view's pixels.

    Buildings are clicked on their facade or roof, courts and ponds on the ground; what lies on the ground counts as
    wholly visible.
    """
    result = []
    level = np.isfinite(view.points[:, :, 2]) & (view.kind != SKY)
    for key in np.unique(view.ids[level]):
        if key == 0:
            continue
        rows, columns = np.nonzero((view.ids == key) & level)
        if len(rows) < smallest * view.ids.size:
            continue
        nearest = int(np.argmin((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2))
        share = float(shares[key]) if view.kind[rows[nearest], columns[nearest]] == BUILDING else 1.0
        result.append(Sighting(int(key), (float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5), share))
    return result


def photograph(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a view from the street (H, W, 3) as a phone or car camera delivers it; such cameras meter the light."""
    sensor = Sensor.drone(rng)
    gain = float(np.clip(120.0 / max(float(image.mean()), 1.0), 0.6, 2.0))
    return replace(sensor, exposure=sensor.exposure * gain, noise=min(sensor.noise, 2.5)).expose(image, rng)


def draw_walker(
    rng: np.random.Generator,
    stage: Stage,
    camera: PinholeCamera | None,
    reach: float = 85.0,
    about: tuple[float, float] = (0.0, 0.0),
) -> Walker | None:
    """Draw a free place on a street within ``reach`` metres of the place ``about``; None where there is none.

    A perspective camera looks along the street, aslant or across it.
    """
    surface, world = stage.full.surface, stage.world
    for _ in range(200):
        if not world.streets:
            return None
        street = world.streets[int(rng.integers(len(world.streets)))]
        index = int(rng.integers(len(street.points) - 1))
        start, end = street.points[index], street.points[index + 1]
        direction = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
        side = np.array([-direction[1], direction[0]])
        x, y = start + (end - start) * rng.random() + side * rng.uniform(-0.42, 0.42) * street.width
        if max(abs(x - about[0]), abs(y - about[1])) > reach:
            continue
        v, u = (int(index) for index in surface.cell(x, y))
        free = round(1.6 / surface.resolution)
        around = surface.height[max(0, v - free) : v + free + 1, max(0, u - free) : u + free + 1]
        near_tree = any(np.hypot(t.x - x, t.y - y) < t.radius + 0.8 for t in world.trees)
        if around.max() > 0.2 or near_tree:
            continue
        along = float(np.arctan2(direction[1], direction[0])) + np.pi * float(rng.integers(2))
        turn = float(
            rng.choice([rng.normal(0, 0.12), rng.uniform(-1.1, 1.1), rng.normal(np.pi / 2, 0.2)], p=[0.4, 0.4, 0.2])
        )
        pitch = 0.0 if camera is None else float(np.radians(rng.normal(2.0, 3.0)))
        return Walker(float(x), float(y), float(rng.uniform(1.6, 2.5)), along + turn, pitch, camera)
    return None


def _fan_for(walker: Walker, density: float) -> Fan:
    eye = (walker.x, walker.y, walker.eye)
    if walker.camera is None:
        width, height = PANORAMA_SIZE
        columns = round(width * density)
        step = 2 * np.pi / columns
        return Fan(eye, walker.yaw + np.pi, np.pi / 2, step, columns, round(np.pi / step))
    width, height = walker.size
    u, v = np.linspace(0, width, 33), np.linspace(0, height, 33)
    rim = np.concatenate(
        [np.stack([u, np.full(33, e)], 1) for e in (0.0, height)]
        + [np.stack([np.full(33, e), v], 1) for e in (0.0, width)]
    )
    rays = walker.rays(rim)
    turn = (np.arctan2(rays[:, 1], rays[:, 0]) - walker.yaw + np.pi) % (2 * np.pi) - np.pi
    elevation = np.arcsin(rays[:, 2])
    step = float(np.arctan(1 / walker.camera.fx) / density)
    margin = 3 * step
    left, top = float(turn.max()) + margin, min(float(elevation.max()) + margin, 1.55)
    columns = int(np.ceil((left - float(turn.min()) + margin) / step))
    rows = int(np.ceil((top - float(elevation.min()) + margin) / step))
    return Fan(eye, walker.yaw + left, top, step, columns, rows)


def _index(fan: Fan, rays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return column and row (cv2 indices) of directions (N, 3)."""
    turn = (fan.left - np.arctan2(rays[:, 1], rays[:, 0])) % (2 * np.pi)
    elevation = np.arctan2(rays[:, 2], np.hypot(rays[:, 0], rays[:, 1]))
    return np.stack([turn / fan.step - 0.5, (fan.top - elevation) / fan.step - 0.5], 1)
