"""Height above mean sea level for autopilots, from a source that the user names: no guess, and not the ellipsoid's."""

import math
from dataclasses import dataclass
from enum import StrEnum

from cvgeo_ros.autopilot.estimate import VehicleEstimate
from cvgeo_ros.errors import AutopilotError, CvgeoError
from cvgeo_ros.geo.geoid import Geoid

LOWEST, HIGHEST = -500.0, 15_000.0
"""Metres AMSL beyond which an altitude is an error: below the Dead Sea, above what flies with a camera."""


class Source(StrEnum):
    """Where AMSL comes from."""

    AUTOPILOT = "autopilot"
    """The autopilot's own estimate, given back to it."""
    HOME = "home"
    """home_altitude and the height above it."""
    GEOID = "geoid"
    """The estimate's height above the ellipsoid, or home_height and the height above it, less the geoid's."""
    NONE = "none"
    """Nowhere."""


@dataclass(frozen=True)
class Altitude:
    """An altitude, or why there is none.

    Attributes:
        amsl: m; None = unknown.
        reason: Why it is unknown, and what to do.
    """

    amsl: float | None
    reason: str = ""


class Altimeter:
    """Finds AMSL altitudes.

    Args:
        source: Where from.
        home_altitude: AMSL of the place where the relative altitude is 0, m; None = unknown.
        home_height: Height above the ellipsoid of that place, m; None = unknown.
        geoid: Path of a geoid grid; empty = none.

    Raises:
        AutopilotError: What the source needs is not given, or not usable.
    """

    def __init__(
        self,
        source: Source,
        home_altitude: float | None = None,
        home_height: float | None = None,
        geoid: str = "",
    ) -> None:
        self.source = source
        self._home_altitude, self._home_height = home_altitude, home_height
        if source is Source.HOME and home_altitude is None:
            raise AutopilotError("altitude is home: give home_altitude, metres above mean sea level")
        if source is Source.GEOID and not geoid:
            raise AutopilotError("altitude is geoid: give the path of an EGM96 or EGM2008 grid as geoid")
        self._geoid = Geoid(geoid) if source is Source.GEOID else None

    def find(self, estimate: VehicleEstimate, own: float | None, relative: float | None) -> Altitude:
        """Return the AMSL altitude at an estimate.

        Args:
            estimate: The estimate.
            own: The autopilot's own altitude at that moment, AMSL m; None = unknown.
            relative: Height above home at that moment, m; None = unknown.
        """
        found = self._find(estimate, own, relative)
        if found.amsl is not None and not LOWEST <= found.amsl <= HIGHEST:
            return Altitude(None, f"an altitude of {found.amsl:.0f} m cannot be right (altitude: {self.source})")
        return found

    def _find(self, estimate: VehicleEstimate, own: float | None, relative: float | None) -> Altitude:
        if self.source is Source.AUTOPILOT:
            return Altitude(own, "" if own is not None else "the autopilot tells no altitude: set altitude to home")
        if self.source is Source.NONE:
            return Altitude(None, "altitude is none")
        if self.source is Source.HOME:
            assert self._home_altitude is not None
            if relative is None:
                return Altitude(None, "no relative altitude is known")
            return Altitude(self._home_altitude + relative)
        assert self._geoid is not None
        height = estimate.height if estimate.height is not None and math.isfinite(estimate.height) else None
        if height is None and self._home_height is not None and relative is not None:
            height = self._home_height + relative
        if height is None:
            return Altitude(None, "no height above the ellipsoid: give home_height, and a relative altitude")
        try:
            return Altitude(height - self._geoid.undulation(estimate.latitude, estimate.longitude))
        except CvgeoError as error:
            return Altitude(None, str(error))
