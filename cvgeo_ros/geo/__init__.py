"""Where things are on Earth: transforms, tile stores, cameras. numpy arrays in and out; no torch, no ROS."""

from cvgeo_ros.geo.angles import compass_to_yaw, yaw_to_compass
from cvgeo_ros.geo.camera import (
    Attitude,
    PinholeCamera,
    footprint,
    frame_to_ground,
    ground_to_frame,
    raster_to_ground,
    rectify,
)
from cvgeo_ros.geo.geodesy import distance, enu_to_geodetic, geodetic_to_enu
from cvgeo_ros.geo.ground import GroundMatches
from cvgeo_ros.geo.pyramid import BlockCache
from cvgeo_ros.geo.resample import project
from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.geo.transform import GeoTransform
from cvgeo_ros.geo.window import PositionPrior, search_window

__all__ = [
    "Attitude",
    "BlockCache",
    "GeoTransform",
    "GroundMatches",
    "PinholeCamera",
    "PositionPrior",
    "TileStore",
    "compass_to_yaw",
    "distance",
    "enu_to_geodetic",
    "footprint",
    "frame_to_ground",
    "geodetic_to_enu",
    "ground_to_frame",
    "open_store",
    "project",
    "raster_to_ground",
    "rectify",
    "search_window",
    "yaw_to_compass",
]
