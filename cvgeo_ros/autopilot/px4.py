"""Fields of PX4's auxiliary global position, in both of its generations.

PX4 from 1.15 on takes it over uXRCE-DDS. Up to 1.17 the message is VehicleGlobalPosition, from 1.18 on
AuxGlobalPosition (PX4/px4_msgs). The client on the flight controller turns both times from the companion's clock into
its own (UXRCE_DDS_SYNCT), so an estimate keeps its age.
"""

import math
from enum import StrEnum
from typing import Any

from cvgeo_ros.autopilot.estimate import VehicleEstimate

TOPIC = "/fmu/in/aux_global_position"
SOURCE_VISION = 2
"""AuxGlobalPosition.SOURCE_VISION."""


class Generation(StrEnum):
    """The message's name."""

    VEHICLE = "VehicleGlobalPosition"
    AUX = "AuxGlobalPosition"


def topic(kind: Any) -> str:
    """Return the topic of a message class: PX4 appends versions other than 0 to the names of its topics."""
    version = int(getattr(kind, "MESSAGE_VERSION", 0))
    return f"{TOPIC}_v{version}" if version else TOPIC


def fields(
    generation: Generation,
    estimate: VehicleEstimate,
    now: int,
    amsl: float | None,
    vertical_std: float,
    resets: int,
    identity: int,
) -> dict[str, Any]:
    """Return the fields of the message.

    Args:
        generation: Which message.
        estimate: What has passed the gate.
        now: The time, ns.
        amsl: Altitude above mean sea level, m; None = unknown, which the message says as such.
        vertical_std: 1 sigma of it, m.
        resets: Counter of the position's jumps.
        identity: Number of this source, EKF2_AGPx_ID; the older message has none.
    """
    known = amsl is not None
    common = {
        "timestamp": now // 1000,
        "timestamp_sample": estimate.stamp // 1000,
        "lat": estimate.latitude,
        "lon": estimate.longitude,
        "alt": amsl if known else math.nan,
        "eph": estimate.std,
        "epv": vertical_std if known else math.nan,
        "lat_lon_reset_counter": resets,
    }
    if generation is Generation.AUX:
        return common | {"id": identity, "source": SOURCE_VISION}
    return common | {
        "alt_ellipsoid": math.nan,
        "lat_lon_valid": True,
        "alt_valid": known,
        "terrain_alt": math.nan,
        "terrain_alt_valid": False,
        "dead_reckoning": False,
    }
