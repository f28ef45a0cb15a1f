"""What the localizer node's parameters say, read from its parameter file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from cvgeo_ros.errors import BagError
from cvgeo_ros.navigator import NavigatorConfig
from cvgeo_ros.telemetry.priors import PriorConfig

NODE = "localizer"
PREFIX = "vehicle_"
ANGLES = ("heading_std", "pitch_std", "tilt_std", "tilt_wander", "turn_acceleration")
"""Fields of NavigatorConfig that are parameters in degrees."""


@dataclass(frozen=True)
class Settings:
    """What a replay believes of its bag.

    Attributes:
        priors: How priors pair with frames.
        navigator: Of the vehicle's track.
        stamp_slop: Largest difference between the stamps of a click and its image, s.
    """

    priors: PriorConfig = field(default_factory=PriorConfig)
    navigator: NavigatorConfig = field(default_factory=NavigatorConfig)
    stamp_slop: float = 0.05


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Return the settings of parameters by name; those that a replay has no use for are ignored.

    Raises:
        BagError: A value is of the wrong kind.
    """
    priors = {item.name: _typed(item, values[item.name]) for item in fields(PriorConfig) if item.name in values}
    track: dict[str, Any] = {}
    for item in fields(NavigatorConfig):
        if (name := PREFIX + item.name) in values:
            value = _typed(item, values[name], name)
            track[item.name] = math.radians(value) if item.name in ANGLES else value
    slop = values.get("stamp_slop", Settings.stamp_slop)
    return Settings(PriorConfig(**priors), NavigatorConfig(**track), float(slop))


def read_parameters(path: Path, node: str = NODE) -> dict[str, Any]:
    """Return the parameters that a ROS parameter file gives a node, in whatever namespace.

    Raises:
        BagError: The file is missing or no parameter file.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BagError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise BagError(f"{path}: not a parameter file: node names with ros__parameters below them are needed")
    found: dict[str, Any] = {}
    # What is said of all nodes counts less than what is said of this one, whatever comes first in the file.
    for name, part in sorted(content.items(), key=lambda item: str(item[0]).endswith(node)):
        if str(name).rpartition("/")[2] not in (node, "**"):
            continue
        parameters = part.get("ros__parameters") if isinstance(part, dict) else None
        if not isinstance(parameters, dict):
            raise BagError(f"{path}: {name}: ros__parameters is missing")
        found |= parameters
    return found


def _typed(item: Any, value: Any, name: str = "") -> Any:
    wanted = type(item.default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise BagError(f"parameter {name or item.name}: {value!r} is no {wanted.__name__}")
    return value
