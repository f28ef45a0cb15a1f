"""From a placement to ground matches, and how far it can be trusted without anybody clicking."""

import numpy as np
import torch
from numpy.typing import NDArray

from ..geo import GroundMatches, TileStore, geodetic_to_enu, project
from ..net import STRIDE
from ..net.alignment import match
from .placement import Placement
from .rectify import Rectified

PROMPTS = (4, 3)
"""Columns and rows of the clicks that the network is asked for by itself."""
MATCHES = 2600
"""Cells of a frame that are matched with the ground, about: all of a frame of usual height and field of view."""


def automatic_clicks(rectified: Rectified, width: int, height: int) -> NDArray[np.float64]:
    """Places (N, 2) of a frame, pixels, spread evenly over the part of it that is laid down."""
    columns, rows = PROMPTS
    u, v = np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height)
    clicks = np.stack([u, v], -1).reshape(-1, 2)
    to_raster = np.linalg.inv(rectified.to_frame)
    depth = clicks @ to_raster[2, :2] + to_raster[2, 2]
    front = depth * np.sign(to_raster[2] @ [width / 2, height, 1.0]) > 0
    cells = np.floor(project(to_raster, clicks[front]) / STRIDE)
    shown = rectified.mask()
    inside = ((cells >= 0) & (cells < [shown.shape[1], shown.shape[0]])).all(1)
    column, row = cells[inside].astype(int).T
    return clicks[front][inside][shown[row, column] > 0]


def ground_matches(tile: TileStore, placement: Placement, score: float) -> GroundMatches | None:
    """Where the frame's cells lie on the ground; None where the placement has no fit.

    These are more than the matches that were fitted: what is known of the camera is weighed against all of them.
    """
    fit = placement.alignment
    if fit is None:
        return None
    query, reference = placement.features.match[0], placement.window.features.match[0]
    mask = torch.from_numpy(placement.rectified.mask()).to(query.device)
    translation = torch.from_numpy(placement.translation).to(query.device)
    found = match(query, mask, reference, translation, most=MATCHES)
    if found is None:
        return None
    pixels = project(placement.rectified.to_frame, found.cells.double().cpu().numpy() * STRIDE)
    cells = found.places.double().cpu().numpy() + np.asarray(placement.window.origin)
    places = tile.transform.pixel_to_geodetic(placement.grid.to_tile(cells))
    origin = (float(places[:, 0].mean()), float(places[:, 1].mean()))
    weights = found.trust.double().cpu().numpy().clip(0.0, 1.0)
    std = fit.residual / np.sqrt(2.0) * STRIDE * placement.rectified.gsd
    return GroundMatches(pixels, geodetic_to_enu(places, origin), origin, weights, float(std), score)
