"""What the autopilot tells of itself and of the flight."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.altitude import HIGHEST, LOWEST
from cvgeo_ros.mavlink.messages import Attitude, Message, Origin
from cvgeo_ros.telemetry.samples import Samples

ALIVE = 5.0
"""Seconds without a HEARTBEAT after which an autopilot is gone."""
MISSING = 2.0
"""Seconds without a message after which it is asked for again."""
WANTED = {
    mavlink.MAVLINK_MSG_ID_ATTITUDE: "ATTITUDE",
    mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: "GLOBAL_POSITION_INT",
}
_NAMES = {mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA: "ArduPilot", mavlink.MAV_AUTOPILOT_PX4: "PX4"}


@dataclass(frozen=True)
class News:
    """Priors that one message tells; None = nothing of the kind.

    Attributes:
        heading: Degrees clockwise from north.
        relative_altitude: m above home.
        attitude: Roll, pitch and yaw.
    """

    heading: float | None = None
    relative_altitude: float | None = None
    attitude: Attitude | None = None


class Autopilot:
    """The one autopilot of a link: the first whose HEARTBEAT arrives, until it is silent. Safe to share by threads.

    Args:
        clock: The time by which estimates are stamped, ns.
        max_age: How far from a moment values are still taken for it, s.
        system: Its MAVLink system; 0 = any.
        told: Called with the priors that a message tells.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        max_age: float,
        system: int = 0,
        told: Callable[[News], None] = lambda _: None,
    ) -> None:
        self._clock, self._wanted_system, self._told = clock, system, told
        self._max_age = round(max_age * 1e9)
        self._lock = threading.Lock()
        self.restarts = 0
        self._forget((0, 0), "")

    def _forget(self, identity: tuple[int, int], name: str) -> None:
        self.identity, self.name = identity, name
        self._heard: dict[str, float] = {}
        self._boot = 0
        self._attitude: Samples[Attitude] = Samples()
        self._amsl: Samples[float | None] = Samples()
        self._hud: Samples[float | None] = Samples()
        self._relative: Samples[float] = Samples()
        self.origin: Origin | None = None

    @property
    def alive(self) -> bool:
        """Whether its HEARTBEAT is being heard."""
        return self._since("HEARTBEAT") < ALIVE

    @property
    def missing(self) -> list[int]:
        """Numbers of the messages that are wanted and not being heard."""
        return [number for number, name in WANTED.items() if self._since(name) > MISSING]

    def _since(self, name: str) -> float:
        return time.monotonic() - self._heard.get(name, -math.inf)

    def take(self, message: Message) -> bool:
        """Take a message; returns whether it is the autopilot's."""
        name, source = message.get_type(), (message.get_srcSystem(), message.get_srcComponent())
        news: News | None = None
        with self._lock:
            if name == "HEARTBEAT" and not self._recognise(message, source):
                return False
            if source != self.identity:
                return False
            if not self._ordered(message):
                self.restarts += 1
                self._forget(self.identity, self.name)
                self._heard["HEARTBEAT"] = time.monotonic()
            handle = getattr(self, f"_on_{name.lower()}", None)
            if handle is not None:
                news = handle(message, self._clock())
            self._heard[name] = time.monotonic()
        if news is not None:
            self._told(news)
        return True

    def _recognise(self, message: Message, source: tuple[int, int]) -> bool:
        if message.autopilot == mavlink.MAV_AUTOPILOT_INVALID or source[1] != mavlink.MAV_COMP_ID_AUTOPILOT1:
            return False
        if self._wanted_system not in (0, source[0]):
            return False
        if source != self.identity:
            if self.alive:
                return False
            self._forget(source, _NAMES.get(message.autopilot, f"autopilot {message.autopilot}"))
        return True

    def _ordered(self, message: Message) -> bool:
        """Whether the time since its start has not gone back, as it does when it restarts."""
        boot = getattr(message, "time_boot_ms", None)
        if boot is None:
            return True
        # Messages overtake each other by a few ms on some links.
        ordered = boot > self._boot - 2000
        self._boot = boot
        return ordered

    def _on_attitude(self, message: Message, now: int) -> News | None:
        attitude = Attitude(message.roll, message.pitch, message.yaw)
        if not all(math.isfinite(angle) for angle in (attitude.roll, attitude.pitch, attitude.yaw)):
            return None
        self._attitude.add(now, attitude)
        alone = self._since("GLOBAL_POSITION_INT") > MISSING
        return News(heading=math.degrees(attitude.yaw) % 360.0 if alone else None, attitude=attitude)

    def _on_global_position_int(self, message: Message, now: int) -> News:
        # Before the EKF has an origin, ArduPilot sends zeros for the place and an altitude that means nothing.
        placed = bool(message.lat or message.lon)
        self._amsl.add(now, message.alt * 1e-3 if placed else None)
        heading = message.hdg * 0.01 % 360.0 if message.hdg <= 36_000 else None
        relative = message.relative_alt * 1e-3
        if not LOWEST <= relative <= HIGHEST:
            return News(heading=heading)
        self._relative.add(now, relative)
        return News(heading=heading, relative_altitude=relative)

    def _on_vfr_hud(self, message: Message, now: int) -> None:
        self._hud.add(now, message.alt if math.isfinite(message.alt) and message.alt != 0.0 else None)

    def _on_gps_global_origin(self, message: Message, _: int) -> None:
        latitude, longitude, altitude = message.latitude * 1e-7, message.longitude * 1e-7, message.altitude * 1e-3
        on_earth = abs(latitude) <= 90.0 and abs(longitude) <= 180.0 and LOWEST <= altitude <= HIGHEST
        if on_earth and (latitude or longitude):
            self.origin = Origin(latitude, longitude, altitude)

    def attitude(self, stamp: int) -> Attitude | None:
        """Return the attitude at a time (ns)."""
        return self._attitude.nearest(stamp, self._max_age)

    def amsl(self, stamp: int) -> float | None:
        """Return its altitude at a time (ns), m AMSL: GLOBAL_POSITION_INT's, or VFR_HUD's where only that comes."""
        if self._since("GLOBAL_POSITION_INT") <= MISSING:
            return self._amsl.nearest(stamp, self._max_age)
        return self._hud.nearest(stamp, self._max_age)

    def relative_altitude(self, stamp: int) -> float | None:
        """Return its height above home at a time (ns), m."""
        return self._relative.nearest(stamp, self._max_age)
