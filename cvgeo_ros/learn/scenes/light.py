"""Sun, sky and shadows on a surface.

Convention:
    The sun's azimuth is in radians counter-clockwise from east, its elevation in radians above the horizon.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.raster import TREE, Surface


@dataclass(frozen=True)
class Daylight:
    """The light of one visit.

    Attributes:
        azimuth, elevation: Of the sun, rad.
        direct: Share of the light that comes from the sun, 0 (overcast) to about 0.75.
        softness: Height over which a shadow fades, m.
        sun, sky: RGB factors of the two lights.
    """

    azimuth: float
    elevation: float
    direct: float
    softness: float
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Daylight":
        """Draw a time of day and a sky, mostly sunny, sometimes overcast."""
        overcast = rng.random() < 0.25
        direct = rng.uniform(0.0, 0.25) if overcast else rng.uniform(0.38, 0.64)
        elevation = np.radians(rng.uniform(32, 72))
        warm = rng.uniform(0.0, 0.06) + 0.10 * max(0.0, 0.8 - elevation)
        blue = rng.uniform(0.0, 0.02) if overcast else rng.uniform(0.03, 0.14)
        return cls(
            azimuth=float(rng.uniform(-0.95 * np.pi, -0.05 * np.pi)),
            elevation=float(elevation),
            direct=float(direct),
            softness=float(rng.uniform(1.0, 2.5) if overcast else rng.uniform(0.15, 0.6)),
            sun=(1 + warm, 1.0, 1 - warm),
            sky=(1 - blue, 1.0, 1 + blue),
        )

    @property
    def towards_sun(self) -> NDArray[np.float64]:
        """Unit vector (x, y, z) to the sun."""
        c = np.cos(self.elevation)
        return np.array([c * np.cos(self.azimuth), c * np.sin(self.azimuth), np.sin(self.elevation)])


@dataclass(frozen=True)
class LitSurface:
    """A surface under a daylight.

    Attributes:
        surface: What is lit.
        light: What lights it.
        image: (N, N, 3) RGB uint8, lit and shaded colour of the cells seen from above.
        shade: (N, N) float32, height of the shadow above the ground in each cell, m.
    """

    surface: Surface
    light: Daylight
    image: NDArray[np.uint8]
    shade: NDArray[np.float32]


def illuminate(surface: Surface, light: Daylight) -> LitSurface:
    """Shade slopes, cast shadows and darken narrow gaps."""
    height = surface.height
    shade = _shadow_height(surface, light)
    lit = np.clip(1.0 - (shade - height - np.float32(0.12)) / np.float32(light.softness), 0, 1)
    lit = cv2.blur(lit, (3, 3))

    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * surface.resolution))
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=-1 / (8 * surface.resolution))
    tree = surface.kind == TREE
    steep = np.where(tree, np.float32(0.55), np.float32(1.0))
    limit = np.where(tree, np.float32(2.5), np.float32(1.3))
    # A step between roofs is a wall, not a slope: it must not shade the cells at its rim.
    wall = (np.maximum(np.abs(slope_x), np.abs(slope_y)) > 1.6) & ~tree
    slope_x = np.where(wall, 0, np.clip(slope_x, -limit, limit) * steep)
    slope_y = np.where(wall, 0, np.clip(slope_y, -limit, limit) * steep)
    sun = light.towards_sun
    facing = (np.float32(sun[2]) - slope_x * np.float32(sun[0]) - slope_y * np.float32(sun[1])) / np.sqrt(
        1 + slope_x * slope_x + slope_y * slope_y
    )
    direct = np.clip(facing / np.float32(sun[2]), 0, 1.5) * lit * np.float32(light.direct)

    small = cv2.resize(height, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = max(3, int(5.0 / (4 * surface.resolution)) | 1)
    around = cv2.resize(cv2.blur(small, (size, size)), height.shape[::-1], interpolation=cv2.INTER_LINEAR)
    ambient = np.clip(1.0 - np.float32(0.06) * np.clip(around - height, 0, 8), 0.5, 1.0) * np.float32(1 - light.direct)

    channels = [
        cv2.multiply(colour, direct * np.float32(of_sun) + ambient * np.float32(of_sky), dtype=cv2.CV_8U)
        for colour, of_sun, of_sky in zip(cv2.split(surface.albedo), light.sun, light.sky, strict=True)
    ]
    image = np.asarray(cv2.merge(channels), np.uint8)
    return LitSurface(surface, light, image, shade)


def _shadow_height(surface: Surface, light: Daylight) -> NDArray[np.float32]:
    """Height of the shadow over each cell: max over distance d of height(p + d towards the sun) - d tan(elevation)."""
    step = surface.resolution
    sun = light.towards_sun
    horizontal = np.hypot(sun[0], sun[1])
    du, dv = sun[0] / horizontal, -sun[1] / horizontal
    drop = step * np.tan(light.elevation)
    shade = surface.height
    reach = 1
    # Doubling: after k rounds the maximum covers 2^k steps, so a long shadow costs a logarithm of shifts.
    while reach * drop < float(surface.height.max()) + drop:
        shift = np.array([[1, 0, du * reach], [0, 1, dv * reach]])
        moved = cv2.warpAffine(
            shade,
            shift,
            shade.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        shade = np.maximum(shade, moved - np.float32(reach * drop))
        reach *= 2
    return shade
