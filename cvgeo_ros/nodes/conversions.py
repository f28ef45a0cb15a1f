"""The core's types to messages, and back (:mod:`cvgeo_ros.telemetry`); images are in :mod:`cvgeo_ros.nodes.images`.

Convention:
    Time is an integer of nanoseconds. Angles are degrees in messages that say so and radians in the core.
    Geographic positions are WGS-84 degrees; a flat tile knows no altitude: NaN, never 0.
    Covariances are in m^2 and rad^2, ENU (geographic_msgs/GeoPoseWithCovariance: lat, lon, alt, rot E, rot N, rot U).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geographic_msgs.msg import (
    BoundingBox,
    GeoPoint,
    GeoPose,
    GeoPoseStamped,
    GeoPoseWithCovariance,
    GeoPoseWithCovarianceStamped,
)
from geometry_msgs.msg import Point, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import NavSatFix, NavSatStatus
from std_msgs.msg import Header

from cvgeo_ros.geo.store import TileStore
from cvgeo_ros.msg import GeoTarget, PlaceCandidate, PlaceCandidateArray, TargetClick, TargetClickArray, TileInfo
from cvgeo_ros.telemetry.covariances import (
    target_fix_covariance,
    target_pose_covariance,
    vehicle_fix_covariance,
)
from cvgeo_ros.telemetry.messages import NANOSECONDS as NANOSECONDS
from cvgeo_ros.telemetry.messages import Clicks as Clicks
from cvgeo_ros.telemetry.messages import camera_from_info as camera_from_info
from cvgeo_ros.telemetry.messages import clicks_from as clicks_from
from cvgeo_ros.telemetry.messages import pose_from_geopose as pose_from_geopose
from cvgeo_ros.telemetry.messages import position_from_fix as position_from_fix
from cvgeo_ros.telemetry.messages import to_nanoseconds as to_nanoseconds

if TYPE_CHECKING:  # the localizer brings torch, which camera and visualizer do without
    from cvgeo_ros.localizer import Target
    from cvgeo_ros.place.finder import Candidate, Places
    from cvgeo_ros.vehicle import Estimate


def to_time(nanoseconds: int) -> Time:
    """Return ns as a stamp."""
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def to_duration(nanoseconds: int) -> Duration:
    """Return ns as a duration."""
    return Duration(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


def to_click_array(points: NDArray[np.float64], ids: Sequence[str], stamp: Time) -> TargetClickArray:
    """Return clicks (N, 2) px with their ids as a message for the image with this stamp."""
    clicks = [
        TargetClick(id=name, point=Point(x=float(u), y=float(v))) for name, (u, v) in zip(ids, points, strict=True)
    ]
    return TargetClickArray(header=Header(stamp=stamp), clicks=clicks)


def to_target(target: "Target", name: str) -> GeoTarget:
    """Return a located target under the id of its click."""
    south, west, north, east = target.bounds
    return GeoTarget(
        id=name,
        click=Point(x=float(target.click[0]), y=float(target.click[1])),
        score=float(target.score),
        bbox=np.asarray(target.bbox, np.float32),
        position=_flat_point(target.latitude, target.longitude),
        bounds=BoundingBox(min_pt=_flat_point(south, west), max_pt=_flat_point(north, east)),
        position_std=float(target.position_std),
    )


def to_geopose(target: GeoTarget) -> GeoPose:
    """Return a target's position; its orientation is identity, which says nothing: see the covariance."""
    return GeoPose(position=target.position, orientation=Quaternion(w=1.0))


def to_geopose_stamped(target: GeoTarget, header: Header) -> GeoPoseStamped:
    """Return a target as GeoPoseStamped."""
    return GeoPoseStamped(header=header, pose=to_geopose(target))


def to_geopose_with_covariance(target: GeoTarget, header: Header) -> GeoPoseWithCovarianceStamped:
    """Return a target as GeoPoseWithCovarianceStamped: altitude and rotation are not known."""
    covariance = target_pose_covariance(target.position_std)
    pose = GeoPoseWithCovariance(pose=to_geopose(target), covariance=covariance)
    return GeoPoseWithCovarianceStamped(header=header, pose=pose)


def to_fix(target: GeoTarget, header: Header) -> NavSatFix:
    """Return a target as NavSatFix, for viewers that know no GeoPose."""
    return NavSatFix(
        header=header,
        status=NavSatStatus(status=NavSatStatus.STATUS_FIX, service=0),
        latitude=target.position.latitude,
        longitude=target.position.longitude,
        altitude=target.position.altitude,
        position_covariance=target_fix_covariance(target.position_std),
        position_covariance_type=NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN,
    )


def to_vehicle_geopose(estimate: "Estimate", mounting: float) -> GeoPose:
    """Return the pose of the vehicle whose camera is turned by `mounting` (rad, clockwise) against its nose."""
    assert estimate.latitude is not None and estimate.longitude is not None and estimate.yaw is not None
    half = math.remainder(estimate.yaw + mounting, 2.0 * math.pi) / 2.0
    position = GeoPoint(latitude=estimate.latitude, longitude=estimate.longitude, altitude=math.nan)
    return GeoPose(position=position, orientation=Quaternion(z=math.sin(half), w=math.cos(half)))


def to_vehicle_fix(estimate: "Estimate", header: Header) -> NavSatFix:
    """Return the vehicle as NavSatFix, for those who know no GeoPose; covariance in ENU."""
    return NavSatFix(
        header=header,
        status=NavSatStatus(status=NavSatStatus.STATUS_FIX, service=0),
        latitude=estimate.latitude,
        longitude=estimate.longitude,
        altitude=math.nan,
        position_covariance=vehicle_fix_covariance(estimate.covariance),
        position_covariance_type=NavSatFix.COVARIANCE_TYPE_KNOWN,
    )


def to_place_candidate(candidate: "Candidate") -> PlaceCandidate:
    """Return a place that a sentence may mean."""
    south, west, north, east = candidate.bounds
    return PlaceCandidate(
        position=_flat_point(candidate.latitude, candidate.longitude),
        bounds=BoundingBox(min_pt=_flat_point(south, west), max_pt=_flat_point(north, east)),
        score=float(candidate.score),
        expert_scores=np.asarray(candidate.expert_scores, np.float32),
        window=np.asarray(candidate.window, np.float32),
    )


def to_place_candidates(places: "Places", experts: Sequence[str], tile_id: str, stamp: Time) -> PlaceCandidateArray:
    """Return the answer to a sentence that was received at `stamp`, without its latency."""
    return PlaceCandidateArray(
        header=Header(stamp=stamp),
        query=places.query,
        note=places.note,
        tile_id=tile_id,
        experts=list(experts),
        expert_weights=np.asarray(places.gate, np.float32),
        candidates=[to_place_candidate(candidate) for candidate in places.candidates],
    )


def to_tile_info(tile: TileStore, stamp: Time) -> TileInfo:
    """Return what a tile's users must know of it.

    Raises:
        MapError: The tile leaves the domain of its projection.
    """
    transform = tile.transform
    south, west, north, east = transform.bounds(0.0, 0.0, float(tile.width), float(tile.height))
    code = transform.crs.to_authority()
    return TileInfo(
        header=Header(stamp=stamp),
        tile_id=tile.tile_id,
        width=tile.width,
        height=tile.height,
        gsd=math.sqrt(math.prod(transform.gsd((tile.width / 2, tile.height / 2)))),
        bounds=BoundingBox(min_pt=_flat_point(south, west), max_pt=_flat_point(north, east)),
        crs=":".join(code) if code else transform.crs.to_wkt(version="WKT2_2019"),
        geotransform=np.asarray(transform.affine.to_gdal(), np.float64),
        attribution=tile.attribution,
    )


def _flat_point(latitude: float, longitude: float) -> GeoPoint:
    return GeoPoint(latitude=float(latitude), longitude=float(longitude), altitude=math.nan)
