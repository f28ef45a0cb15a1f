"""Which part of a tile to search, from what is known of the camera's place."""

import math
from dataclasses import dataclass

import numpy as np

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.geodesy import check_place
from cvgeo_ros.geo.transform import GeoTransform

CORNERS = 64


@dataclass(frozen=True)
class PositionPrior:
    """Where the camera is believed to be.

    Attributes:
        latitude, longitude: degrees, WGS-84.
        radius: metres around it within which the camera is, 0 or more.

    Raises:
        MapError: where the place is none on Earth or the radius not finite or below 0.
    """

    latitude: float
    longitude: float
    radius: float

    def __post_init__(self) -> None:
        check_place(self.latitude, self.longitude, "position prior")
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise MapError(f"position prior: radius {self.radius} m must be finite and 0 or more")


def search_window(
    transform: GeoTransform, width: int, height: int, prior: PositionPrior, reach: float
) -> tuple[int, int, int, int]:
    """The pixels of a tile where what the camera sees can be.

    Args:
        transform, width, height: of the tile.
        reach: metres over ground that the view may look beyond the point below the camera (`footprint`'s largest
            distance), above 0 together with the prior's radius.

    Returns:
        u0, v0, u1, v1 in tile pixels: the upright box around the circle of radius + reach, widened to whole pixels and
        clipped to the tile.

    Raises:
        MapError: where the circle and the tile have no pixel in common, or the reach is not finite and 0 or more.
    """
    distance = prior.radius + reach
    if not (math.isfinite(distance) and reach >= 0 and distance > 0):
        raise MapError(f"search window: reach {reach} m with a radius of {prior.radius} m; give metres above 0")
    angle = np.linspace(0.0, 2.0 * math.pi, CORNERS, endpoint=False)
    # The polygon is drawn around the circle, not into it, so that nothing of it is cut off.
    corners = distance / math.cos(math.pi / CORNERS) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    pixels = transform.enu_to_pixel(corners, (prior.latitude, prior.longitude))
    if np.isfinite(pixels).all():
        u0, v0 = np.maximum(np.floor(pixels.min(axis=0)), 0.0)
        u1, v1 = np.minimum(np.ceil(pixels.max(axis=0)), [width, height])
        if u0 < u1 and v0 < v1:
            return int(u0), int(v0), int(u1), int(v1)
    south, west, north, east = transform.bounds(0, 0, width, height)
    raise MapError(
        f"latitude {prior.latitude:.6f}, longitude {prior.longitude:.6f} with {distance:.0f} m around it lies outside "
        f"the map (latitude {south:.6f} to {north:.6f}, longitude {west:.6f} to {east:.6f}); load the map of that place"
    )
