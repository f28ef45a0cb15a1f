"""Procedural textures: noise, ground materials by season, tree crowns.

Convention:
    Colours are RGB in 0..255. Noise has zero mean and unit standard deviation. Wavelengths are in pixels.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

_TILE = 1024


@dataclass(frozen=True)
class Material:
    """How a ground surface looks.

    Attributes:
        colour: Mean RGB in summer.
        fine, middle, coarse: Relative contrast of the noise at wavelengths of about 0.5 m, 4 m and 40 m.
        hue: Relative drift between yellow and blue at about 8 m.
        vegetation: 0..1, how far the season recolours it.
    """

    colour: Colour
    fine: float = 0.05
    middle: float = 0.04
    coarse: float = 0.05
    hue: float = 0.01
    vegetation: float = 0.0


MATERIALS: dict[str, Material] = {
    "asphalt": Material((104, 103, 102), 0.03, 0.025, 0.06),
    "asphalt_new": Material((78, 79, 82), 0.025, 0.015, 0.04),
    "concrete": Material((163, 158, 147), 0.025, 0.03, 0.06, 0.005),
    "pavement": Material((148, 140, 130), 0.04, 0.025, 0.05, 0.004),
    "gravel": Material((158, 148, 128), 0.05, 0.035, 0.07, 0.008),
    "soil": Material((136, 114, 90), 0.05, 0.05, 0.09, 0.012, 0.1),
    "sand": Material((196, 178, 140), 0.05, 0.05, 0.05, 0.01),
    "lawn": Material((92, 106, 66), 0.07, 0.07, 0.09, 0.04, 1.0),
    "meadow": Material((106, 110, 74), 0.11, 0.11, 0.12, 0.035, 1.0),
    "scrub": Material((82, 90, 60), 0.18, 0.16, 0.12, 0.035, 0.9),
    "crop_green": Material((84, 108, 62), 0.04, 0.03, 0.09, 0.015, 0.7),
    "crop_dry": Material((168, 152, 112), 0.04, 0.03, 0.08, 0.012, 0.1),
    "crop_brown": Material((126, 106, 84), 0.05, 0.035, 0.09, 0.012, 0.1),
    "forest_floor": Material((64, 68, 42), 0.16, 0.16, 0.10, 0.04, 0.6),
    "yard": Material((126, 120, 108), 0.05, 0.06, 0.09, 0.012, 0.2),
    "water": Material((58, 74, 68), 0.03, 0.03, 0.09, 0.02),
    "pool": Material((92, 172, 190), 0.04, 0.03, 0.0),
    "court_green": Material((74, 122, 92), 0.03, 0.03, 0.03),
    "court_red": Material((166, 92, 70), 0.03, 0.04, 0.03),
    "court_blue": Material((74, 104, 150), 0.03, 0.03, 0.03),
    "turf": Material((86, 118, 66), 0.05, 0.05, 0.06, 0.03, 0.8),
    "ballast": Material((124, 114, 106), 0.14, 0.05, 0.05, 0.01),
    "greenhouse": Material((190, 196, 196), 0.05, 0.05, 0.04),
}
MATERIAL_INDEX: dict[str, int] = {name: index for index, name in enumerate(MATERIALS)}

SEASON_TINT: dict[str, Colour] = {
    "spring": (1.02, 1.06, 0.92),
    "summer": (1.0, 1.0, 1.0),
    "dry": (1.26, 1.10, 1.12),
    "autumn": (1.18, 1.00, 0.94),
    "winter": (1.18, 1.00, 1.16),
}


def seasonal(material: Material, season: str) -> NDArray[np.float64]:
    """Return the mean RGB of a material in a season."""
    tint = np.array(SEASON_TINT[season])
    return np.array(material.colour) * (1.0 + material.vegetation * (tint - 1.0))


@cache
def _noise_tile(wavelength: int) -> NDArray[np.float32]:
    white = np.random.default_rng(7000 + wavelength).standard_normal((_TILE, _TILE))
    frequency = np.fft.fftfreq(_TILE)[:, None] ** 2 + np.fft.rfftfreq(_TILE)[None, :] ** 2
    # A Gaussian around the origin would leave drifts far longer than the wavelength: those are damped.
    window = np.exp(-frequency * (0.5 * wavelength * np.pi) ** 2) * (1 - np.exp(-frequency * (4.0 * wavelength) ** 2))
    tile = np.fft.irfft2(np.fft.rfft2(white) * window, s=(_TILE, _TILE))
    return ((tile - tile.mean()) / tile.std()).astype(np.float32)


def noise(shape: tuple[int, int], wavelength: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return periodic noise of one octave (h, w); wavelength a power of two up to 256 px."""
    tile = _noise_tile(wavelength)
    dv, du = rng.integers(0, _TILE, 2)
    tile = np.roll(tile, (int(dv), int(du)), (0, 1))
    if rng.random() < 0.5:
        tile = tile.T
    height, width = shape
    repeats = (-(-height // _TILE), -(-width // _TILE))
    if repeats != (1, 1):
        tile = np.tile(tile, repeats)
    return np.ascontiguousarray(tile[:height, :width])


def smooth_noise(shape: tuple[int, int], wavelength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return aperiodic noise of one octave (h, w) for wavelengths above about 100 px."""
    cells = [int(np.ceil(side / wavelength)) + 3 for side in shape]
    coarse = rng.standard_normal(cells, dtype=np.float32)
    size = (int(cells[1] * wavelength), int(cells[0] * wavelength))
    whole = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    start = int(wavelength)
    return whole[start : start + shape[0], start : start + shape[1]]


def texture(
    u: NDArray[np.floating], v: NDArray[np.floating], density: float, wavelength: int = 16
) -> NDArray[np.float32]:
    """Return noise of one octave at points (u, v) of any shape, ``density`` texels a metre."""
    column = np.asarray(np.floor(u * np.float32(density)), np.int64) % _TILE
    row = np.asarray(np.floor(v * np.float32(density)), np.int64) % _TILE
    return np.asarray(_noise_tile(wavelength)[row, column], np.float32)


@dataclass(frozen=True)
class Crown:
    """A tree crown seen from above on a square grid.

    Attributes:
        height: (n, n) relative height 0..1, 0 outside the crown.
        tone: (n, n) relative brightness about 1.
    """

    height: NDArray[np.float32]
    tone: NDArray[np.float32]


@cache
def crowns(kind: str) -> tuple[Crown, ...]:
    """Return the bank of crowns of a kind: "broad", "conifer", "bush" or "bare"."""
    seed = {"broad": 1, "conifer": 2, "bush": 3, "bare": 4}[kind]
    rng = np.random.default_rng(8000 + seed)
    return tuple(_crown(kind, rng) for _ in range(16))


def _crown(kind: str, rng: np.random.Generator) -> Crown:
    n = 96
    axis = (np.arange(n, dtype=np.float32) + 0.5) / n * 2 - 1
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    height: NDArray[np.floating] = np.zeros((n, n), np.float32)
    if kind == "conifer":
        arms = int(rng.integers(7, 12))
        rim = 0.8 + 0.14 * np.cos(arms * angle + rng.uniform(0, 6)) + 0.06 * np.cos(2.7 * arms * angle)
        height = np.clip(1.0 - radius / rim, 0, 1) ** 0.8
    else:
        lobes = 70 if kind == "broad" else 28
        for _ in range(lobes):
            r, a = 0.74 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            size = rng.uniform(0.13, 0.27) * (1.5 if kind == "bush" else 1.0)
            top = np.sqrt(max(1.0 - r * r, 0.0)) * rng.uniform(0.72, 1.0)
            d2 = ((x - r * np.cos(a)) ** 2 + (y - r * np.sin(a)) ** 2) / size**2
            height = np.maximum(height, np.where(d2 < 1, top - 0.38 * d2, 0))
    grain = noise((n, n), 2, rng) * 0.5 + noise((n, n), 8, rng) * 0.5
    if kind == "bare":
        height = np.where(grain > 0.25, height, 0)
    edge = np.clip(height * 6, 0, 1)
    height = np.where(height > 0.05, np.clip(height + 0.05 * grain * edge, 0.02, 1), 0)
    tone = 0.62 + 0.5 * height + 0.10 * grain
    return Crown(height.astype(np.float32), tone.astype(np.float32))
