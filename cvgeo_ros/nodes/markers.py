"""Answers as RViz markers.

Convention:
    Metres, ENU, about the centre of a tile.
"""

from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geographic_msgs.msg import BoundingBox, GeoPoint
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from cvgeo_ros.draw.canvas import Colour, colour
from cvgeo_ros.geo.geodesy import geodetic_to_enu
from cvgeo_ros.msg import GeoTarget, PlaceCandidate, TileInfo

PLACE = (236, 239, 243)
"""RGB of places: no target has it."""


class Markers:
    """Makes markers of one answer.

    Args:
        tile: That the answer is about.
        header: Of the markers.
        lifetime: Of the markers, s; 0 = for ever.
    """

    def __init__(self, tile: TileInfo, header: Header, lifetime: float) -> None:
        low, high = tile.bounds.min_pt, tile.bounds.max_pt
        width = (high.longitude - low.longitude) % 360.0
        self._origin = ((low.latitude + high.latitude) / 2, (low.longitude + width / 2 + 180.0) % 360.0 - 180.0)
        self._header = header
        self._lifetime = Duration(sec=int(lifetime), nanosec=int(lifetime % 1.0 * 1e9))

    def target(self, target: GeoTarget, index: int) -> list[Marker]:
        """Return the box, the 1-sigma disc and the name of a target."""
        centre, corners = self._place(target.position), self._outline(target.bounds)
        ink, size = colour(index), _size(corners)
        diameter = 2.0 * float(target.position_std)
        name = f"{target.id}  {target.score:.2f}"
        return [
            self._frame("box", index, centre, corners, 0.06 * size, ink, 1.0),
            self._marker(
                "sigma", index, Marker.CYLINDER, centre, ink, 0.4, scale=Vector3(x=diameter, y=diameter, z=0.1)
            ),
            self._text("name", index, centre, name, 0.4 * size, ink),
        ]

    def place(self, candidate: PlaceCandidate, index: int) -> list[Marker]:
        """Return the window and the rank of a place; the better ones are plainer to see."""
        centre, corners = self._place(candidate.position), self._outline(candidate.bounds)
        text, size = f"{index + 1}  {candidate.score:.2f}", _size(corners)
        return [
            self._frame("place", 2 * index, centre, corners, 0.02 * size, PLACE, max(1.0 - 0.15 * index, 0.25)),
            self._text("place", 2 * index + 1, centre, text, 0.15 * size, PLACE),
        ]

    def _place(self, point: GeoPoint) -> NDArray[np.float64]:
        return geodetic_to_enu(np.array([point.latitude, point.longitude]), self._origin)

    def _outline(self, bounds: BoundingBox) -> NDArray[np.float64]:
        """Return the corners of a box, the first one once more at the end: (5, 2)."""
        low, high = bounds.min_pt, bounds.max_pt
        latitudes = (low.latitude, low.latitude, high.latitude, high.latitude, low.latitude)
        longitudes = (low.longitude, high.longitude, high.longitude, low.longitude, low.longitude)
        return geodetic_to_enu(np.stack([latitudes, longitudes], axis=-1), self._origin)

    def _frame(
        self,
        namespace: str,
        number: int,
        centre: NDArray[np.float64],
        corners: NDArray[np.float64],
        width: float,
        ink: Colour,
        opacity: float,
    ) -> Marker:
        points = [Point(x=x, y=y) for x, y in (corners - centre).tolist()]
        scale = Vector3(x=width)
        return self._marker(namespace, number, Marker.LINE_STRIP, centre, ink, opacity, scale=scale, points=points)

    def _text(
        self,
        namespace: str,
        number: int,
        centre: NDArray[np.float64],
        text: str,
        height: float,
        ink: Colour,
    ) -> Marker:
        return self._marker(
            namespace, number, Marker.TEXT_VIEW_FACING, centre, ink, 1.0, height, scale=Vector3(z=height), text=text
        )

    def _marker(
        self,
        namespace: str,
        number: int,
        kind: int,
        centre: NDArray[np.float64],
        ink: Colour,
        opacity: float,
        above: float = 0.0,
        **more: Any,
    ) -> Marker:
        red, green, blue = (channel / 255.0 for channel in ink)
        east, north = centre.tolist()
        return Marker(
            header=self._header,
            ns=namespace,
            id=number,
            type=kind,
            action=Marker.ADD,
            pose=Pose(position=Point(x=east, y=north, z=above), orientation=Quaternion(w=1.0)),
            color=ColorRGBA(r=red, g=green, b=blue, a=opacity),
            lifetime=self._lifetime,
            **more,
        )


def _size(corners: NDArray[np.float64]) -> float:
    """Return what marks of a box are measured in, m."""
    return max(float(np.ptp(corners, axis=0).max()), 5.0)
