"""The localizer's estimate of the vehicle, as the nodes that feed autopilots take it."""

import math

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geographic_msgs.msg import GeoPoseWithCovarianceStamped

from cvgeo_ros.autopilot.estimate import GateConfig, VehicleEstimate
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.telemetry.covariances import UNKNOWN_VARIANCE
from cvgeo_ros.telemetry.messages import pose_from_geopose, to_nanoseconds

TOPIC = "vehicle_geopose_cov"
"""The only topic that is sent on. Nodes that feed autopilots know none of the targets'."""

SPECS = (
    Spec(
        "rate",
        10.0,
        "Most messages a second to the autopilot; estimates in between are left out",
        0.1,
        100.0,
        held=True,
    ),
    Spec("max_age", 0.5, "Older estimates are refused, s", 0.01, 60.0, held=True),
    Spec("max_std", 25.0, "Less certain estimates (1 sigma) are refused, m", 0.1, 1000.0, held=True),
    Spec("max_speed", 30.0, "Faster steps than this count as resets of the position, m/s", 0.1, 1000.0, held=True),
    Spec("vertical_std", 5.0, "1 sigma given for altitudes, m", 0.1, 1000.0, held=True),
    Spec("home_altitude", math.nan, "Where rel_alt is 0, m above mean sea level", -500.0, 9000.0, held=True),
    Spec("home_height", math.nan, "Where rel_alt is 0, m above the WGS-84 ellipsoid", -500.0, 9000.0, held=True),
    Spec("geoid", "", "EGM96 or EGM2008 grid, .gtx or .tif, for the altitude geoid", held=True),
)
"""Parameters of every node that feeds an autopilot."""


def gate_config(parameters: Parameters) -> GateConfig:
    """Return what the parameters say of what may be sent."""
    return GateConfig(parameters.number("max_age"), parameters.number("max_std"), parameters.number("rate"))


def estimate_from(message: GeoPoseWithCovarianceStamped) -> VehicleEstimate:
    """Return the estimate of a message; what it does not know is NaN or None."""
    position = message.pose.pose.position
    # Of the message: latitude, longitude; of the estimate: east, north.
    covariance = np.asarray(message.pose.covariance, np.float64).reshape(6, 6)
    _, yaw = pose_from_geopose(message)
    known = math.isfinite(position.altitude)
    vertical, turning = float(covariance[2, 2]), float(covariance[5, 5])
    return VehicleEstimate(
        stamp=to_nanoseconds(message.header.stamp),
        latitude=position.latitude,
        longitude=position.longitude,
        covariance=covariance[np.ix_([1, 0], [1, 0])],
        height=position.altitude if known else None,
        height_std=math.sqrt(vertical) if known and 0.0 < vertical < UNKNOWN_VARIANCE else None,
        yaw=yaw,
        yaw_std=None if yaw is None else math.sqrt(turning),
    )


def level(good: bool) -> bytes:
    """Return the level of DiagnosticStatus."""
    return DiagnosticStatus.OK if good else DiagnosticStatus.WARN
