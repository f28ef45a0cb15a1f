"""From the places that the heat maps show to boxes read off pixels: views of frame and tile for the close look."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..net import STRIDE
from ..net.close_look import SIDE, ZOOMS, CloseLook
from ..net.head import Boxes
from .pixels import TilePixels
from .placement import Placement
from .views import Views

REACH = math.ceil(SIDE / 2 * max(ZOOMS)) + 2
"""Raster pixels around a place of the tile that its views touch, those that are interpolated between included."""


def look_closely(
    look: CloseLook,
    pixels: TilePixels,
    placement: Placement,
    cells: NDArray[np.float64],
    places: Tensor,
) -> Boxes:
    """Boxes of N objects in cells of the window, (N, 2), (N, 2) and (N,) on the look's device.

    Args:
        look: the network's.
        pixels: of the tile.
        placement: of the frame.
        cells: (N, 2) clicks, frame cells.
        places: (N, 2) where they were found, window cells.
    """
    frame = Views(placement.rectified.image, placement.rectified.valid)
    shown: list[NDArray[np.uint8]] = []
    mapped: list[NDArray[np.uint8]] = []
    leaning: list[NDArray[np.float64]] = []
    leans = placement.rectified.lean(cells) * STRIDE * placement.rectified.gsd
    for cell, place, lean in zip(cells, places.double().cpu().numpy(), leans, strict=True):
        on_raster = (place + placement.window.origin) * STRIDE
        (image, valid), first = pixels.around(placement.grid, (on_raster[0], on_raster[1]), REACH)
        mapped.append(Views(image, valid).around(_shift(on_raster - first)))
        to_frame = _to_frame(placement, cell)
        shown.append(frame.around(_shift(cell * STRIDE) @ to_frame))
        leaning.append(np.linalg.solve(to_frame[:2, :2], lean))
    device = next(look.parameters()).device
    gsd = torch.full((len(cells),), placement.rectified.gsd, device=device)
    boxes = look(
        _stack(shown, device), _stack(mapped, device), gsd, torch.from_numpy(np.stack(leaning)).float().to(device)
    )
    return Boxes(places + boxes.centre / STRIDE, boxes.size / STRIDE, boxes.quality)


def _to_frame(placement: Placement, cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) tile raster pixels to frame raster pixels about a frame's cell, both counted from it."""
    steps = placement.on_window(cell + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    matrix = np.eye(3)
    matrix[:2, :2] = np.linalg.inv((steps[1:] - steps[0]).T)
    return matrix


def _shift(place: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    matrix[:2, 2] = place
    return matrix


def _stack(views: list[NDArray[np.uint8]], device: torch.device) -> Tensor:
    """N times (Z, 48, 48, 3) uint8 -> (N, Z, 3, 48, 48) in 0..1."""
    return torch.from_numpy(np.stack(views)).to(device).permute(0, 1, 4, 2, 3).float() / 255
