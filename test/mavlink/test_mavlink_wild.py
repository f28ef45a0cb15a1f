"""Whatever an estimate or a message of the other end holds: it is refused or fits on the wire, and nothing raises."""

import math
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mavlink_peer import Peer, free_port, wait_until
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from cvgeo_ros.autopilot.altitude import Altimeter, Source
from cvgeo_ros.autopilot.estimate import GateConfig, VehicleEstimate
from cvgeo_ros.mavlink.bridge import Bridge, BridgeConfig, Output
from cvgeo_ros.mavlink.transport import open_transport

NOW = 1_790_000_000_000_000_000
WILD = st.floats(width=64)
NEAR = st.floats(-200.0, 200.0)
ESTIMATES = st.builds(
    VehicleEstimate,
    stamp=st.one_of(st.integers(NOW - 400_000_000, NOW), st.integers(-(2**62), 2**62)),
    latitude=st.one_of(NEAR, WILD),
    longitude=st.one_of(NEAR, WILD),
    covariance=st.one_of(
        st.tuples(*[st.floats(0.1, 100.0)] * 2).map(np.diag),
        st.lists(WILD, min_size=4, max_size=4).map(lambda values: np.reshape(values, (2, 2))),
    ),
    yaw=st.none() | st.floats(-10.0, 10.0),
    yaw_std=st.none() | st.floats(0.0, 1.1),
)


@pytest.mark.parametrize("output", [Output.GPS_INPUT, Output.ODOMETRY])
def test_estimates(output: Output) -> None:
    port = free_port()
    config = BridgeConfig(output=output, gate=GateConfig(rate=1e9))
    altimeter = Altimeter(Source.HOME, home_altitude=20.0)
    bridge = Bridge(config, altimeter, lambda: open_transport(f"udpin:127.0.0.1:{port}", 0), lambda: NOW)
    bridge.start()
    passed = []
    try:
        with Peer(port) as peer:
            wait_until(lambda: bridge._link.open)
            peer.flight()
            peer.send(mavlink.MAVLink_gps_global_origin_message(241_000_000, 1_206_000_000, 20_000))
            wait_until(lambda: bridge.autopilot.origin)

            @given(ESTIMATES)
            @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
            def offer(estimate: VehicleEstimate) -> None:
                bridge._gate._last = None
                refusal = bridge.offer(estimate)
                if refusal is None:
                    passed.append(estimate)
                    assert abs(estimate.latitude) <= 90.0 and abs(estimate.longitude) <= 180.0
                    assert estimate.std <= 25.0 and 0 <= NOW - estimate.stamp <= 500_000_000

            offer()
            assert len(passed) > 20
            peer.get(output.upper(), count=len(passed) // 2)
    finally:
        bridge.close()


FLOATS = st.one_of(WILD, st.floats(-10.0, 10.0)).map(lambda value: value if abs(value) < 3e38 else math.nan)
WORD = st.integers(-(2**31), 2**31 - 1)
MESSAGES = st.one_of(
    st.builds(mavlink.MAVLink_attitude_message, st.integers(0, 2**32 - 1), *[FLOATS] * 6),
    st.builds(
        mavlink.MAVLink_global_position_int_message,
        st.integers(0, 2**32 - 1),
        *[WORD] * 4,
        *[st.integers(-(2**15), 2**15 - 1)] * 3,
        st.integers(0, 65_535),
    ),
    st.builds(mavlink.MAVLink_gps_global_origin_message, WORD, WORD, WORD),
    st.builds(
        mavlink.MAVLink_vfr_hud_message, FLOATS, FLOATS, st.integers(-(2**15), 2**15 - 1), st.just(0), FLOATS, FLOATS
    ),
)


def test_messages() -> None:
    port = free_port()
    config = BridgeConfig(output=Output.ODOMETRY, gate=GateConfig(rate=1e9))
    open_it = lambda: open_transport(f"udpin:127.0.0.1:{port}", 0)  # noqa: E731
    bridge = Bridge(config, Altimeter(Source.AUTOPILOT), open_it, time.time_ns)
    bridge.start()
    try:
        with Peer(port) as peer:
            wait_until(lambda: bridge._link.open)
            peer.heartbeat()
            wait_until(lambda: bridge.autopilot.alive)
            counts = bridge._link.counts

            @given(MESSAGES)
            @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
            def hear(message: object) -> None:
                before = counts["received"]
                peer.send(message)
                wait_until(lambda: counts["received"] > before)  # a socket that nobody empties drops what comes
                refusal = bridge.offer(VehicleEstimate(time.time_ns(), 24.1, 120.6, np.eye(2)))
                assert refusal is None or refusal.kind in ("origin", "altitude", "attitude", "order")

            hear()
            assert counts["received"] > 500
            assert counts["errors"] == 0 and counts["bad"] == 0
    finally:
        bridge.close()
