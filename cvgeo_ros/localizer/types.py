"""What goes into a localizer besides the image, and what comes out.

Convention:
    clicks are frame pixels (u, v), boxes tile pixels (u_min, v_min, u_max, v_max); origin at the top-left corner of the
    top-left pixel, pixel centres at .5. Angles are radians in ENU (yaw 0 = east, counter-clockwise), latitudes and
    longitudes degrees WGS-84, lengths metres.
"""

from dataclasses import dataclass, field

from ..geo import GroundMatches


@dataclass(frozen=True)
class Prior:
    """What is known of the camera before looking; None = unknown.

    Attributes:
        latitude, longitude: of the camera, degrees.
        position_radius: the camera lies within this many metres of them.
        yaw, pitch, roll: attitude, radians, see `geo.Attitude`.
        height: metres above ground.
    """

    latitude: float | None = None
    longitude: float | None = None
    position_radius: float = 75.0
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    height: float | None = None


@dataclass(frozen=True)
class Target:
    """A clicked object on Earth.

    Attributes:
        click: (u, v) frame pixels.
        score: probability that the answer is right (within about 5 m), 0..1.
        bbox: (u_min, v_min, u_max, v_max) tile pixels.
        latitude, longitude: of the box's centre, degrees.
        position_std: 1 sigma per axis, metres.
        bounds: (south, west, north, east) of the box, degrees.
    """

    click: tuple[float, float]
    score: float
    bbox: tuple[float, float, float, float]
    latitude: float
    longitude: float
    position_std: float
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True)
class Localization:
    """Answer to one frame.

    Attributes:
        targets: one per click, in their order.
        tile_id: of the tile.
        window: (u0, v0, u1, v1) tile pixels that were searched.
        timings: seconds by stage: rectify, frame, tile, consensus, head, ground.
        ground: where places of the frame lie on the ground, whether or not there were clicks; None where that was not
            asked for, or frame and map have too little in common to fit anything.
    """

    targets: tuple[Target, ...]
    tile_id: str
    window: tuple[float, float, float, float]
    timings: dict[str, float] = field(default_factory=dict)
    ground: GroundMatches | None = None
