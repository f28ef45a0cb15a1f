"""What diagnostics tell of the vehicle, in the node's and in a replay's bag alike."""

import math

from .types import Estimate, VehicleFix


def track_values(estimate: Estimate) -> dict[str, str]:
    """State of the track, jumps it made, and the larger standard deviation of east and north (m), empty if unknown."""
    deviation = math.sqrt(max(estimate.covariance[0, 0], estimate.covariance[1, 1]))
    return {
        "vehicle_state": str(estimate.state),
        "vehicle_reset_counter": str(estimate.reset_counter),
        "vehicle_std_m": "" if math.isnan(deviation) else f"{deviation:.2f}",
    }


def fix_values(fix: VehicleFix | None, accepted: bool) -> dict[str, str]:
    """Score of a frame's own measurement, empty where there is none, and whether the filter believed it."""
    return {"vehicle_score": "" if fix is None else f"{fix.score:.3f}", "vehicle_accepted": str(accepted).lower()}
