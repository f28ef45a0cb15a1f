"""What air, lens, sensor and compression do to a rendered view."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sensor:
    """A camera's and its processing's habits.

    Attributes:
        exposure: Factor on brightness.
        gamma: Exponent on brightness in 0..1.
        contrast: Strength of the S-curve, 0 = none.
        saturation: 1 = as rendered, 0 = grey.
        cast: RGB factors.
        haze: Share of air light, and its RGB in 0..255.
        vignette: Darkening of the corners, 0..1.
        blur: 1-sigma of the point spread, px.
        sharpen: Strength of the unsharp mask.
        noise: 1-sigma of the noise, grey levels.
        jpeg: Quality of an intermediate JPEG, or None.
    """

    exposure: float
    gamma: float
    contrast: float
    saturation: float
    cast: tuple[float, float, float]
    haze: tuple[float, tuple[float, float, float]]
    vignette: float
    blur: float
    sharpen: float
    noise: float
    jpeg: int | None

    @classmethod
    def satellite(cls, rng: np.random.Generator) -> "Sensor":
        """Draw the look of satellite or aerial map imagery."""
        return cls(
            exposure=float(np.exp(rng.normal(0.02, 0.14))),
            gamma=float(np.exp(rng.normal(-0.16, 0.14))),
            contrast=float(rng.uniform(0, 0.5)),
            saturation=float(rng.uniform(0.35, 0.8)),
            cast=_cast(rng, 0.03),
            haze=(float(rng.uniform(0.0, 0.16)), (196.0, 206.0, 216.0)),
            vignette=0.0,
            blur=float(rng.uniform(0.35, 0.95)),
            sharpen=float(rng.uniform(0, 0.8)),
            noise=float(rng.uniform(0.5, 3.5)),
            jpeg=int(rng.integers(60, 92)),
        )

    @classmethod
    def drone(cls, rng: np.random.Generator) -> "Sensor":
        """Draw the look of a small drone's camera."""
        return cls(
            exposure=float(np.exp(rng.normal(0.05, 0.16))),
            gamma=float(np.exp(rng.normal(-0.16, 0.14))),
            contrast=float(rng.uniform(0.1, 0.7)),
            saturation=float(rng.uniform(0.4, 0.9)),
            cast=_cast(rng, 0.03),
            haze=(float(rng.uniform(0.0, 0.08)), (204.0, 210.0, 216.0)),
            vignette=float(rng.uniform(0, 0.3)),
            blur=float(rng.uniform(0.2, 0.8)),
            sharpen=float(rng.uniform(0.2, 1.2)),
            noise=float(rng.uniform(0.5, 4.0)),
            jpeg=int(rng.integers(70, 95)) if rng.random() < 0.5 else None,
        )

    def expose(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the image (h, w, 3) RGB uint8 as the sensor delivers it; ``rng`` draws the noise."""
        grey = (1 - self.saturation) * np.array([0.299, 0.587, 0.114])
        mixing = np.eye(3) * self.saturation + grey[None, :]
        result: NDArray[Any] = cv2.transform(image, mixing)
        if self.blur > 0.25:
            result = cv2.GaussianBlur(result, (0, 0), self.blur)
        level = np.arange(256) / 255.0
        table = np.empty((1, 256, 3))
        share, air = self.haze
        for channel in range(3):
            tone = level * self.exposure * self.cast[channel]
            tone = tone * (1 - share) + share * air[channel] / 255.0
            tone = np.clip(tone, 0, 1) ** self.gamma
            tone = tone + self.contrast * (tone * tone * (3 - 2 * tone) - tone)
            table[0, :, channel] = tone * 255.0
        result = cv2.LUT(result, np.clip(table, 0, 255).round().astype(np.uint8))
        height, width = result.shape[:2]
        if self.vignette > 0.02:
            u, v = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
            falloff = 1 - np.float32(self.vignette) * ((u * u)[None, :] + (v * v)[:, None]) / 2
            result = np.clip(result * falloff[:, :, None], 0, 255).astype(np.uint8)
        if self.sharpen > 0.05:
            result = cv2.addWeighted(result, 1 + self.sharpen, cv2.GaussianBlur(result, (0, 0), 1.2), -self.sharpen, 0)
        grain = (rng.standard_normal((height, width), dtype=np.float32) * np.float32(self.noise))[:, :, None]
        result = np.clip(result + grain, 0, 255).astype(np.uint8)
        if self.jpeg is not None:
            coded = cv2.imencode(".jpg", result[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])[1]
            result = cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
        return np.asarray(result, np.uint8)


def _cast(rng: np.random.Generator, spread: float) -> tuple[float, float, float]:
    r, g, b = np.exp(rng.normal(0, spread, 3))
    return float(r), float(g), float(b)
