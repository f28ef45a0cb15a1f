"""What differs between two photographs of one place: light, sensor, season, shadows, passing things, relief."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Generator = np.random.Generator


def photometric(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Change exposure, colour, sharpness, noise and compression. RGB uint8 (H, W, 3) -> same."""
    x: NDArray[Any] = (image.astype(np.float32) / 255) ** rng.uniform(0.6, 1.6)
    x *= rng.uniform(0.8, 1.2, 3).astype(np.float32)
    if rng.random() < 0.3:  # season: vegetation turns, soil dries
        green = np.clip(x[..., 1] - x[..., [0, 2]].mean(-1), 0, None)[..., None] * rng.uniform(0, 3)
        x = x * (1 - green) + green * rng.uniform(0.2, 0.8, 3).astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(0.1, 1.6)
    x = (x - 0.5) * rng.uniform(0.65, 1.4) + 0.5 + rng.uniform(-0.13, 0.13)
    kind = rng.random()
    if kind < 0.35:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.6))
    elif kind < 0.55:  # over-sharpened, as satellite providers do
        x = x + (x - cv2.GaussianBlur(x, (0, 0), rng.uniform(0.8, 2.0))) * rng.uniform(0.3, 1.5)
    x += rng.standard_normal(x.shape, dtype=np.float32) * rng.uniform(0, 0.05)
    out = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 80))
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return out


def shadows(image: NDArray[np.uint8], rng: Generator, strength: float) -> NDArray[np.uint8]:
    """Darken a few polygons that share a direction, as cast shadows do."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    direction = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    for _ in range(int(rng.integers(1, 10))):
        start = rng.uniform(0, [width, height])
        w, length = rng.uniform(0.02, 0.15, 2) * width
        corners = np.array([start, start + across * w, start + across * w + along * length, start + along * length])
        cv2.fillConvexPoly(mask, corners.astype(np.int32), 1.0)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 1.5)))[..., None]
    return (image * (1 - soft * strength)).astype(np.uint8)


def intruders(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Cover a few small places with things the other view does not have."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 10))):
        centre = rng.uniform(0, [width, height])
        size = rng.uniform(0.01, 0.1, 2) * width
        box = cv2.boxPoints((tuple(centre), tuple(size), rng.uniform(0, 180))).astype(np.int32)
        cv2.fillConvexPoly(image, box, tuple(int(v) for v in rng.integers(0, 255, 3)), lineType=cv2.LINE_AA)
    return image


def relief(shape: tuple[int, int], rng: Generator, amplitude: float) -> NDArray[np.float32]:
    """A displacement field, pixels (h, w, 2), piecewise smooth: what heights do to a rectified view.

    Roofs and crowns move along one direction by their height; streets stay.
    """
    height, width = shape
    direction = rng.uniform(0, 2 * np.pi)
    coarse = rng.random((max(2, height // 24), max(2, width // 24)), dtype=np.float32) ** 2
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * amplitude
    return np.stack([field * np.cos(direction), field * np.sin(direction)], -1).astype(np.float32)
