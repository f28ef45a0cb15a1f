"""Views of a lit surface: exact geometry and colour before the sensor.

Every height layer of the surface is warped into the view by that layer's homography, top to bottom; the first layer
whose surface reaches it is what a pixel sees. Flat roofs and slopes are then placed exactly; the rest is wall.

Convention:
    World (x, y, z) in metres, x east, y north, z above the ground. View pixels (u, v), centres at .5.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.geo.camera import Attitude, PinholeCamera, ground_to_frame
from cvgeo_ros.learn.scenes.facades import paint_walls
from cvgeo_ros.learn.scenes.light import LitSurface
from cvgeo_ros.learn.scenes.world import World

_LAYER = 0.35


class Viewpoint(Protocol):
    """A camera that maps every horizontal plane by a homography."""

    @property
    def width(self) -> int:
        """Width of the view, px."""

    @property
    def height_px(self) -> int:
        """Height of the view, px."""

    def plane_to_view(self, z: float) -> NDArray[np.float64]:
        """Return the homography (3, 3) from world (x, y) on the plane at height z to view px."""


@dataclass(frozen=True)
class Satellite:
    """A distant camera: parallel projection, leaning by ``lean`` = (x, y) metres per metre of height.

    The view shows (x0, y0) = ``centre`` in its middle; ``gsd`` in metres per pixel; ``heading`` is the direction of its
    "up", rad clockwise from north.
    """

    width: int
    height_px: int
    gsd: float
    lean: tuple[float, float] = (0.0, 0.0)
    centre: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0

    def plane_to_view(self, z: float) -> NDArray[np.float64]:
        """Return the affine map (3, 3) from (x, y) at height z to view px."""
        c, s = np.cos(self.heading) / self.gsd, np.sin(self.heading) / self.gsd
        x, y = self.lean[0] * z - self.centre[0], self.lean[1] * z - self.centre[1]
        return np.array(
            [
                [c, -s, self.width / 2 + c * x - s * y],
                [-s, -c, self.height_px / 2 - s * x - c * y],
                [0, 0, 1],
            ]
        )


@dataclass(frozen=True)
class Drone:
    """A pinhole camera at (x, y) and ``altitude`` metres above the ground; its whole view must be below the horizon."""

    camera: PinholeCamera
    attitude: Attitude
    x: float
    y: float
    altitude: float

    @property
    def width(self) -> int:
        """Width of the frame, px."""
        return self.camera.width

    @property
    def height_px(self) -> int:
        """Height of the frame, px."""
        return self.camera.height

    def plane_to_view(self, z: float) -> NDArray[np.float64]:
        """Return the homography (3, 3) from (x, y) at height z below the camera to frame px."""
        shift = np.array([[1, 0, -self.x], [0, 1, -self.y], [0, 0, 1.0]])
        return ground_to_frame(self.camera, self.attitude, self.altitude - z) @ shift


@dataclass(frozen=True)
class View:
    """A rendered view and what each pixel shows.

    Attributes:
        image: (h, w, 3) RGB uint8 at the view's size.
        scale: Samples per view pixel of the arrays below.
        points: (H, W, 3) float32, world x, y, z of the visible point.
        ids: (H, W) uint16, object or 0.
        kind: (H, W) uint8, kinds of raster.
        wall: (H, W) bool, where a wall is seen rather than a roof or the ground.
    """

    image: NDArray[np.uint8]
    scale: float
    points: NDArray[np.float32]
    ids: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    wall: NDArray[np.bool_]

    def sample(self, uv: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return row and column of the arrays at view pixels (N, 2)."""
        rows = np.clip((uv[:, 1] * self.scale).astype(np.intp), 0, self.ids.shape[0] - 1)
        columns = np.clip((uv[:, 0] * self.scale).astype(np.intp), 0, self.ids.shape[1] - 1)
        return rows, columns


def render(viewpoint: Viewpoint, lit: LitSurface, world: World, scale: float = 1.5) -> View:
    """Render a view.

    Args:
        viewpoint: The camera.
        lit: The surface and its light.
        world: What the surface was drawn from; gives the facades.
        scale: Samples per view pixel along each axis.
    """
    surface = lit.surface
    width, height = round(viewpoint.width * scale), round(viewpoint.height_px * scale)
    size = (width, height)
    to_raster = [_to_raster(viewpoint, surface.from_world, z, size) for z in (0.0, 1.0)]
    top = min(int(np.ceil(float(surface.height.max()) / _LAYER)), 254)
    layers = np.clip(surface.height / _LAYER, 0, 254).astype(np.uint8)
    first = np.zeros((height, width), np.uint8)
    for layer in range(top, 0, -1):
        warp = _to_raster(viewpoint, surface.from_world, layer * _LAYER, size)
        seen = cv2.warpPerspective(
            layers, warp, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
        )
        np.maximum(first, (np.asarray(seen) >= layer).view(np.uint8) * np.uint8(layer), out=first)

    # A ray moves linearly in the raster with height: position = ground + z * slant.
    ground = _apply(to_raster[0], size)
    slant = _apply(to_raster[1], size) - ground
    z = first.astype(np.float32) * np.float32(_LAYER)
    place = ground + slant * z[:, :, None]
    roof = _lookup(surface.height, place)
    tilt = np.sqrt(slant[:, :, 0] ** 2 + slant[:, :, 1] ** 2) * np.float32(surface.resolution)
    wall = roof - z > np.float32(2 * _LAYER) + np.float32(1.0) * tilt
    z = np.where(wall, z, roof)
    place = ground + slant * z[:, :, None]
    ids, kind = _lookup(surface.ids, place), _lookup(surface.kind, place)
    image = _colours(lit.image, place)
    half = np.float32(surface.extent / 2)
    points = np.dstack(
        [
            (place[:, :, 0] + np.float32(0.5)) * np.float32(surface.resolution) - half,
            half - (place[:, :, 1] + np.float32(0.5)) * np.float32(surface.resolution),
            z,
        ]
    )
    paint_walls(image, wall, points, place, ids, kind, lit, world)
    if scale != 1.0:
        out = (viewpoint.width, viewpoint.height_px)
        image = np.asarray(cv2.resize(image, out, interpolation=cv2.INTER_AREA), np.uint8)
    return View(image, scale, points, ids, kind, wall)


def project(viewpoint: Viewpoint, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project world points (N, 3) to view pixels (N, 2)."""
    points = np.asarray(points, float)
    result = np.empty((len(points), 2))
    for z in np.unique(points[:, 2]):
        level = points[:, 2] == z
        u, v, w = viewpoint.plane_to_view(float(z)) @ np.vstack([points[level, :2].T, np.ones(level.sum())])
        result[level] = np.stack([u / w, v / w], 1)
    return result


def _to_raster(
    viewpoint: Viewpoint, from_world: NDArray[np.float64], z: float, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Homography from sample indices (centres at integers, cv2's convention) to raster indices on the plane at z."""
    su, sv = size[0] / viewpoint.width, size[1] / viewpoint.height_px
    to_view = np.array([[1 / su, 0, 0.5 / su], [0, 1 / sv, 0.5 / sv], [0, 0, 1]])
    from_corner = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return from_corner @ from_world @ np.linalg.inv(viewpoint.plane_to_view(z)) @ to_view


def _apply(homography: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    u, v = np.arange(size[0], dtype=np.float64)[None, :], np.arange(size[1], dtype=np.float64)[:, None]
    x, y, w = (row[0] * u + row[1] * v + row[2] for row in homography)
    return np.dstack([x / w, y / w]).astype(np.float32)


def _lookup(raster: NDArray[Any], place: NDArray[np.float32]) -> NDArray[Any]:
    return _remap(raster, place, cv2.INTER_NEAREST)


def _remap(raster: NDArray[Any], place: NDArray[np.float32], interpolation: int) -> NDArray[Any]:
    maps = cv2.split(place)
    return np.asarray(cv2.remap(raster, maps[0], maps[1], interpolation, borderMode=cv2.BORDER_REFLECT_101))


def _colours(image: NDArray[np.uint8], place: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Sample with the mip level that suits the local step between samples."""
    result = _remap(image, place, cv2.INTER_LINEAR)
    step = np.abs(np.diff(place[:, :: max(1, place.shape[1] // 4)], axis=0)).max(axis=2).max(axis=1)
    level = 2.0
    source: NDArray[Any] = image
    while (rows := np.flatnonzero(step > level * 0.75)).size:
        source = cv2.resize(source, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        low, high = int(rows.min()), int(rows.max()) + 2
        part = (place[low:high] + np.float32(0.5)) / np.float32(level) - np.float32(0.5)
        coarse = _remap(source, part, cv2.INTER_LINEAR)
        share = np.clip((np.append(step, step[-1])[low:high] / (level * 0.75) - 1.0), 0, 1).astype(np.float32)
        blend = share[:, None, None]
        result[low:high] = (result[low:high] * (1 - blend) + coarse * blend).astype(np.uint8)
        level *= 2
        if level > 8:
            break
    return result
