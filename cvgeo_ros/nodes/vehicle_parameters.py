"""Parameters of the vehicle part of the localizer node."""

import math
from dataclasses import fields
from typing import Any

from cvgeo_ros.navigator import NavigatorConfig
from cvgeo_ros.nodes.parameters import Parameters, Spec

PREFIX = "vehicle_"
_ANGLES = ("heading_std", "pitch_std", "tilt_std", "tilt_wander", "turn_acceleration")
_MEANINGS: dict[str, tuple[str, float, float]] = {
    "min_score": ("Frames with a lower score are not taken into the track", 0.0, 1.0),
    "gate": ("Distance from the prediction beyond which a frame contradicts the track, sigma", 1.0, 100.0),
    "acceleration": ("Acceleration that is expected, 1 sigma within a second, m/s^2", 0.01, 100.0),
    "turn_acceleration": ("Angular acceleration that is expected, likewise, deg/s^2", 0.1, 3600.0),
    "max_speed": ("Speed that the vehicle can have, m/s", 0.1, 1000.0),
    "confirm": ("Frames that must agree before an unknown position is believed", 1, 100),
    "reacquire": ("Contradicting frames, agreeing with each other, after which the track moves to them", 1, 100),
    "coast_after": ("Time without a placed frame after which the track coasts, s", 0.0, 3600.0),
    "lost_after": ("Time without a placed frame after which the track is lost, s", 0.0, 3600.0),
    "lost_std": ("1 sigma of the position beyond which the track is lost, m", 1.0, 1e6),
    "history": ("Time for which late frames are still taken at their stamp, s", 0.0, 600.0),
    "heading_std": ("1 sigma of a given heading, deg", 0.01, 180.0),
    "height_std": ("1 sigma of a given height, as a share of it", 0.001, 1.0),
    "pitch_std": ("1 sigma of a given pitch, deg", 0.01, 90.0),
    "tilt_std": ("1 sigma by which a camera of unknown pitch looks away from straight down, deg", 0.01, 90.0),
    "tilt_wander": ("1 sigma of the part of that lean which changes from frame to frame, deg", 0.01, 90.0),
    "window_sigmas": ("Radius of the search window around the prediction, in its sigmas", 1.0, 100.0),
    "window_min": ("Least radius of that window, m", 1.0, 1e6),
}


def _default(name: str) -> float | int:
    value = getattr(NavigatorConfig(), name)
    return round(math.degrees(value), 6) if name in _ANGLES else value


SPECS = (
    Spec("vehicle_rate", 0.0, "Frames a second by which the vehicle's own position is followed; 0 = not", 0.0, 1000.0),
    *(Spec(PREFIX + name, _default(name), *meaning, held=True) for name, meaning in _MEANINGS.items()),
)
"""Parameters of the vehicle part: the rate, and NavigatorConfig with angles in degrees."""


def config_from(parameters: Parameters) -> NavigatorConfig:
    """Return what the parameters of ``SPECS`` say at this moment."""
    values: dict[str, Any] = {}
    for field in fields(NavigatorConfig):
        read = parameters.count if isinstance(field.default, int) else parameters.number
        value = read(PREFIX + field.name)
        values[field.name] = math.radians(value) if field.name in _ANGLES else value
    return NavigatorConfig(**values)
