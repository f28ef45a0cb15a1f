"""The vehicle's own pose: from places of a frame on the ground to latitude, longitude, heading and their covariance."""

from cvgeo_ros.vehicle.filter import FilterConfig, VehicleFilter
from cvgeo_ros.vehicle.mounting import Mounting
from cvgeo_ros.vehicle.pose import Known, estimate_pose, leaning
from cvgeo_ros.vehicle.types import Estimate, State, VehicleFix

__all__ = [
    "Estimate",
    "FilterConfig",
    "Known",
    "Mounting",
    "State",
    "VehicleFilter",
    "VehicleFix",
    "estimate_pose",
    "leaning",
]
