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


def illuminate(surface: Surface, light: Daylight, shade: NDArray[np.float32] | None = None) -> LitSurface:
    """Shade slopes, cast shadows and darken narrow gaps.

    Args:
        surface: What is lit.
        light: What lights it.
        shade: (N, N) height of the shadow above the ground in each cell, m, where more than the surface casts it.
    """
    height = surface.height
    if shade is None:
        shade = _shadow_height(surface, light)
    # Whole-raster arithmetic is the cost of a world, so it works in place.
    lit = height - shade
    lit *= np.float32(1.0 / light.softness)
    lit += np.float32(1.0 + 0.12 / light.softness)
    lit = np.asarray(cv2.blur(np.clip(lit, 0, 1, out=lit), (3, 3)), np.float32)

    slope_x = np.asarray(cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * surface.resolution)), np.float32)
    slope_y = np.asarray(cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=-1 / (8 * surface.resolution)), np.float32)
    # A step between roofs is a wall, not a slope: it must not shade the cells at its rim. Crowns are all steps.
    tree = surface.kind == TREE
    wall = (np.maximum(np.abs(slope_x), np.abs(slope_y)) > 1.6) & ~tree
    for slope in (slope_x, slope_y):
        slope[wall] = 0
        slope[tree] = np.clip(slope[tree], -2.5, 2.5) * np.float32(0.55)
    sun = light.towards_sun
    direct = slope_x * np.float32(-sun[0] / sun[2])
    direct -= slope_y * np.float32(sun[1] / sun[2])
    direct += np.float32(1)
    slope_x *= slope_x
    slope_y *= slope_y
    slope_x += slope_y
    slope_x += np.float32(1)
    direct /= np.sqrt(slope_x, out=slope_x)
    np.clip(direct, 0, 1.5, out=direct)
    direct *= lit
    direct *= np.float32(light.direct)

    small = cv2.resize(height, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = max(3, int(5.0 / (4 * surface.resolution)) | 1)
    ambient = np.asarray(cv2.resize(cv2.blur(small, (size, size)), height.shape[::-1]), np.float32)
    ambient -= height
    ambient *= np.float32(-0.06)
    ambient += np.float32(1)
    np.clip(ambient, 0.52, 1.0, out=ambient)
    ambient *= np.float32(1.0 - light.direct)

    channels = [
        cv2.multiply(colour, cv2.addWeighted(direct, of_sun, ambient, of_sky, 0.0), dtype=cv2.CV_8U)
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
        lowered = np.asarray(moved, np.float32)
        lowered -= np.float32(reach * drop)
        shade = np.maximum(shade, lowered)
        reach *= 2
    return shade
