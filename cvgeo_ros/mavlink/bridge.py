"""Estimates in, MAVLink out: what is sent to the autopilot, when, and what is said where nothing can be."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.altitude import Altimeter
from cvgeo_ros.autopilot.estimate import NANOSECONDS, Gate, GateConfig, Jumps, Refusal, VehicleEstimate
from cvgeo_ros.mavlink import messages
from cvgeo_ros.mavlink.autopilot import Autopilot, News
from cvgeo_ros.mavlink.link import Link
from cvgeo_ros.mavlink.messages import GpsConfig, Message, Origin
from cvgeo_ros.mavlink.transport import Transport

QUIET = 2 * NANOSECONDS
"""Time without an estimate after which it is said that none comes."""


class Output(StrEnum):
    """Which message carries the position."""

    GPS_INPUT = "gps_input"
    ODOMETRY = "odometry"
    NONE = "none"
    """None: only priors are read."""


@dataclass(frozen=True)
class BridgeConfig:
    """How the bridge behaves.

    Attributes:
        output: What is sent.
        gate: What may be sent.
        gps: What GPS_INPUT says besides.
        flag_altitude: Send GPS_INPUT without a known altitude, flagged; else it is held back.
        set_origin: Give an autopilot without an origin one, at the first good estimate (ODOMETRY).
        max_speed: Faster than this is a jump, m/s.
        telemetry_max_age: How far from an estimate the autopilot's values are taken for its moment, s.
        request_rate: Rate at which the autopilot is asked for what is missing, Hz; 0 = it is not asked.
        system, component: Whom messages come from.
        target_system: The autopilot's system; 0 = the first heard.
    """

    output: Output = Output.GPS_INPUT
    gate: GateConfig = field(default_factory=GateConfig)
    gps: GpsConfig = field(default_factory=GpsConfig)
    flag_altitude: bool = False
    set_origin: bool = False
    max_speed: float = 30.0
    telemetry_max_age: float = 1.0
    request_rate: float = 10.0
    system: int = 1
    component: int = mavlink.MAV_COMP_ID_ONBOARD_COMPUTER
    target_system: int = 0


@dataclass(frozen=True)
class Health:
    """How the bridge is: working or not, a sentence, and values."""

    good: bool
    message: str
    values: dict[str, str]


class Bridge:
    """See the module. Call :meth:`start` once, :meth:`offer` for each estimate, :meth:`close` at the end.

    Args:
        config: How it behaves.
        altimeter: Finds altitudes.
        open_transport: Opens the connection.
        clock: The time by which estimates are stamped, ns.
        told: Called with the priors that the autopilot tells, in the link's thread.
    """

    def __init__(
        self,
        config: BridgeConfig,
        altimeter: Altimeter,
        open_transport: Callable[[], Transport],
        clock: Callable[[], int],
        told: Callable[[News], None] = lambda _: None,
    ) -> None:
        self.config, self._altimeter, self._clock = config, altimeter, clock
        self.autopilot = Autopilot(clock, config.telemetry_max_age, config.target_system, told)
        self._link = Link(open_transport, self.autopilot.take, self._tick, config.system, config.component)
        self._gate, self._jumps = Gate(config.gate), Jumps(config.max_speed)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._refusal: Refusal | None = None
        self._sent: tuple[VehicleEstimate, int, float | None] | None = None
        self._origin_sent = 0
        self._offered: int | None = None

    def start(self) -> None:
        """Open the connection, now or as soon as it can be."""
        self._link.start()

    def close(self) -> None:
        """Close it."""
        self._link.close()

    def _tick(self) -> None:
        self._link.send(messages.heartbeat())
        autopilot = self.autopilot
        if not autopilot.alive:
            return
        system, component = autopilot.identity
        if self.config.request_rate > 0.0:
            for number in autopilot.missing:
                self._link.send(messages.message_interval(system, component, number, self.config.request_rate))
        if self.config.output is Output.ODOMETRY and autopilot.origin is None:
            number = mavlink.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN
            self._link.send(messages.message_request(system, component, number))

    def offer(self, estimate: VehicleEstimate) -> Refusal | None:
        """Send an estimate; returns why it was refused, None where it was sent or, by the rate, left out."""
        if self.config.output is Output.NONE:
            return None
        with self._lock:
            now = self._offered = self._clock()
            refusal = self._gate.check(estimate, now)
            if refusal is None and not self._gate.due(estimate):
                self._counts["left_out"] += 1
                return None
            refusal = refusal or self._send(estimate, now)
            self._refusal = refusal
            self._counts["sent" if refusal is None else f"refused_{refusal.kind}"] += 1
            return refusal

    def _send(self, estimate: VehicleEstimate, now: int) -> Refusal | None:
        autopilot, stamp = self.autopilot, estimate.stamp
        if not autopilot.alive:
            return Refusal("link", "no autopilot is heard")
        relative = autopilot.relative_altitude(stamp)
        altitude = self._altimeter.find(estimate, autopilot.amsl(stamp), relative)
        if altitude.amsl is None and not (self.config.flag_altitude and self.config.output is Output.GPS_INPUT):
            return Refusal("altitude", f"no altitude above mean sea level: {altitude.reason}")
        if self.config.output is Output.GPS_INPUT:
            message = messages.gps_input(estimate, altitude.amsl, self.config.gps)
        else:
            assert altitude.amsl is not None
            found = self._odometry(estimate, altitude.amsl, relative, now)
            if isinstance(found, Refusal):
                return found
            message = found
        if not self._link.send(message):
            return Refusal("link", "the connection does not take it")
        self._gate.passed(estimate)
        self._sent = (estimate, now, altitude.amsl)
        return None

    def _odometry(self, estimate: VehicleEstimate, amsl: float, relative: float | None, now: int) -> Message | Refusal:
        autopilot = self.autopilot
        origin, attitude = autopilot.origin, autopilot.attitude(estimate.stamp)
        if origin is None:
            if self.config.set_origin and relative is not None and now - self._origin_sent > NANOSECONDS:
                place = Origin(estimate.latitude, estimate.longitude, amsl - relative)
                self._link.send(messages.set_origin(autopilot.identity[0], place, estimate.stamp))
                self._origin_sent = now
            return Refusal("origin", "the autopilot has no origin yet: set it on the ground station, or set_origin")
        if attitude is None:
            return Refusal("attitude", "the autopilot sends no ATTITUDE")
        std = estimate.height_std or self.config.gps.vertical_std
        return messages.odometry(estimate, amsl, attitude, origin, std, self._jumps.take(estimate))

    def health(self) -> Health:
        """Return how it is."""
        with self._lock:
            counts, refusal, sent, offered = dict(self._counts), self._refusal, self._sent, self._offered
        autopilot, link, now = self.autopilot, self._link, self._clock()
        values = {
            "output": str(self.config.output),
            "altitude": str(self._altimeter.source),
            "autopilot": autopilot.name if autopilot.alive else "",
            "system": str(autopilot.identity[0]),
            "restarts": str(autopilot.restarts),
            **{f"link_{name}": str(count) for name, count in link.counts.items()},
            **{name: str(count) for name, count in sorted(counts.items())},
            "link_error": link.error,
            "last_refusal": "" if refusal is None else refusal.reason,
        }
        if sent is not None:
            estimate, when, amsl = sent
            values["last_sent_s"] = f"{(now - when) / NANOSECONDS:.2f}"
            values["last_age_ms"] = f"{(when - estimate.stamp) * 1e-6:.1f}"
            values["last_std_m"] = f"{estimate.std:.2f}"
            values["last_amsl_m"] = "" if amsl is None else f"{amsl:.2f}"
        waiting = offered is None or not 0 <= now - offered <= QUIET
        return Health(*self._verdict(waiting, refusal, sent), values)

    def _verdict(
        self, waiting: bool, refusal: Refusal | None, sent: tuple[VehicleEstimate, int, float | None] | None
    ) -> tuple[bool, str]:
        if not self._link.open:
            return False, f"the connection cannot be opened: {self._link.error or 'not yet'}"
        if not self.autopilot.alive:
            return False, "no autopilot is heard: no HEARTBEAT in 5 s"
        if self.config.output is Output.NONE:
            return True, "reading priors"
        if waiting:
            return False, "no estimate to send: is vehicle_geopose_cov published?"
        if refusal is not None:
            return False, f"not sent: {refusal.reason}"
        if sent is not None and sent[2] is None:
            return False, "sending without altitude, flagged as ignored"
        return True, f"sending {self.config.output.upper()}"
