"""A small data set of pictures anyone can describe: coloured squares and discs on coloured ground."""

import itertools
import json
from pathlib import Path

import cv2
import numpy as np

COLOURS = {"red": (200, 40, 40), "green": (60, 160, 60), "blue": (50, 80, 200), "white": (235, 235, 235)}
GROUNDS = {"grey": (120, 120, 120), "brown": (120, 90, 60)}


def write_set(folder: Path, places: int = 12, size: int = 64) -> Path:
    """One satellite, one drone and one ground picture a place."""
    (folder / "images").mkdir(parents=True)
    kinds = list(itertools.product(COLOURS, ("square", "disc"), GROUNDS))
    rng = np.random.default_rng(5)
    entries = []
    for number in range(places):
        colour, shape, ground = kinds[(7 * number) % len(kinds)]
        for platform, opening in (
            ("satellite", "The image shows a bird's-eye view of"),
            ("drone", "A drone looks obliquely at"),
            ("ground", "From the street one sees"),
        ):
            pixels = np.full((size, size, 3), GROUNDS[ground], np.uint8)
            pixels[: size // 4] = {"satellite": GROUNDS[ground], "drone": (90, 90, 60), "ground": (150, 190, 230)}[
                platform
            ]
            corner = rng.integers(size // 4, size // 2, 2)
            if shape == "square":
                cv2.rectangle(pixels, corner.tolist(), (corner + size // 3).tolist(), COLOURS[colour], -1)
            else:
                cv2.circle(pixels, (corner + size // 6).tolist(), size // 5, COLOURS[colour], -1)
            name = f"images/{number}-{platform}.png"
            cv2.imwrite(str(folder / name), pixels[..., ::-1])
            captions = [
                f"{opening} a {colour} {shape} on {ground} ground. It lies in the upper left corner of the image.",
                f"{opening} {ground} ground with a {colour} {shape}. Overall, the scene is peaceful.",
            ]
            entries.append(
                {"image": name, "platform": platform, "world": 1, "place": f"1-{number}", "captions": captions}
                | {"gsd": 0.5 if platform == "satellite" else None}
            )
    (folder / "places.json").write_text(json.dumps(entries))
    return folder
