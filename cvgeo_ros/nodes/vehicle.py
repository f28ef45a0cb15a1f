"""The vehicle part of the localizer node: which frames are followed, and what is published and told of the vehicle.

Convention:
    Stamps are those of the images. Orientation is the vehicle's yaw in ENU, the camera's by the parameter camera_yaw.
"""

import math
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from geographic_msgs.msg import GeoPoseStamped, GeoPoseWithCovariance, GeoPoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import NavSatFix
from std_msgs.msg import Header

from cvgeo_ros.navigator import Step
from cvgeo_ros.nodes import conversions
from cvgeo_ros.nodes.engine import Answer, Engine
from cvgeo_ros.nodes.frames import Frame
from cvgeo_ros.nodes.parameters import Parameters
from cvgeo_ros.nodes.priors import Priors
from cvgeo_ros.nodes.publishers import RESULTS
from cvgeo_ros.telemetry.covariances import EARTH, vehicle_pose_covariance
from cvgeo_ros.telemetry.messages import NANOSECONDS
from cvgeo_ros.vehicle import Estimate, State
from cvgeo_ros.vehicle.values import fix_values, track_values


class Vehicle:
    """Chooses frames, has them followed, and tells what came of it; safe to share by threads.

    Args:
        node: Publishes.
        parameters: Of :mod:`cvgeo_ros.nodes.vehicle_parameters`, and camera_yaw.
        engine: Follows.
        priors: Of the frames.
        failed: Told what went wrong with a frame, and why.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Parameters,
        engine: Engine,
        priors: Priors,
        failed: Callable[[str, Exception], object],
    ) -> None:
        self._node, self._parameters, self._engine, self._priors = node, parameters, engine, priors
        self._failed = failed
        self._history = round(parameters.number("vehicle_history") * NANOSECONDS)
        self._geopose = node.create_lifecycle_publisher(GeoPoseStamped, "vehicle_geopose", RESULTS)
        self._geopose_cov = node.create_lifecycle_publisher(
            GeoPoseWithCovarianceStamped, "vehicle_geopose_cov", RESULTS
        )
        self._fix = node.create_lifecycle_publisher(NavSatFix, "vehicle_fix", RESULTS)
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        self._asking = False
        self.restart()

    def restart(self) -> None:
        """Begin anew: on another map, or at another time."""
        self._engine.forget()
        with self._lock:
            self._due: int | None = None
            self._newest: int | None = None
            self._published: int | None = None
            self._strange: int | None = None
            self._followed: deque[int] = deque(maxlen=256)
            self._seen: tuple[int, int] | None = None
            jumps = self._values.get("vehicle_reset_counter", "0")
            self._values = {"vehicle_state": str(State.SEARCHING), "vehicle_reset_counter": jumps}

    @property
    def wanted(self) -> bool:
        """Whether the vehicle is followed at all."""
        return self._parameters.number("vehicle_rate") > 0.0

    def see(self, frame: Frame) -> None:
        """Have a frame followed when no click waits, if it is time for one; it replaces one that is not begun."""
        if self._due_now(frame):
            self._engine.offer(lambda: self._follow(frame))

    def serve(self, clicks: conversions.Clicks, frame: Frame) -> Answer:
        """Locate clicks, and follow the vehicle in the same pass. In the engine's thread. Raises CvgeoError."""
        with self._lock:
            # A frame counts once, however often it is clicked.
            followed = frame.stamp in self._followed
        return self._pass(clicks, frame, not followed and self._admits(frame.stamp))

    def _pass(self, clicks: conversions.Clicks, frame: Frame, follow: bool) -> Answer:
        answer = self._engine.locate(clicks, frame, self._priors, follow)
        if answer.step is not None:
            self._take(frame, answer.step)
        return answer

    def _follow(self, frame: Frame) -> None:
        with self._lock:
            if frame.stamp in self._followed:
                return
        try:
            if self._admits(frame.stamp):
                self._pass(conversions.Clicks(frame.stamp, (), np.zeros((0, 2))), frame, True)
        except Exception as error:
            self._failed("vehicle", error)

    def _due_now(self, frame: Frame) -> bool:
        if not self.wanted:
            return False
        period = round(NANOSECONDS / self._parameters.number("vehicle_rate"))
        with self._lock:
            due = self._due
            # A clock that was set back must not be waited for.
            if due is not None and frame.received < due <= frame.received + 2 * period:
                return False
            on_time = due is not None and 0 <= frame.received - due < period
            self._due = (due if due is not None and on_time else frame.received) + period
        return True

    def _admits(self, stamp: int) -> bool:
        """Tell whether a frame of this stamp (ns) is to be followed.

        A single stamp far from all others is an error of its sender; when the next one agrees with it, time has jumped.
        """
        if not self.wanted:
            return False
        with self._lock:
            newest = self._newest
            if newest is None or abs(stamp - newest) <= self._history:
                self._newest = stamp if newest is None else max(newest, stamp)
                self._strange = None
                return True
            if self._strange is None or stamp == self._strange or abs(stamp - self._strange) > self._history:
                self._strange = stamp
                return False
            back = stamp < newest
            self._newest, self._strange = stamp, None
            if back:
                self._published = None
                self._followed.clear()
                self._engine.forget()
            return True

    def _take(self, frame: Frame, step: Step) -> None:
        """Remember what a frame gave and publish it, unless the track is unknown or has been published beyond it."""
        estimate = step.estimate
        with self._lock:
            self._followed.append(frame.stamp)
            # What was published far ahead was of another time.
            late = self._published is not None and 0 <= self._published - frame.stamp <= self._history
            if not late:
                self._seen = (frame.stamp, frame.received)
            known = estimate.latitude is not None and bool(np.isfinite(estimate.covariance).all())
            if known and not late:
                self._published = frame.stamp
            self._values |= fix_values(step.fix, step.accepted)
        if not late:
            self._note(estimate)
        if known and not late:
            self._publish(estimate)

    def _note(self, estimate: Estimate) -> None:
        with self._lock:
            self._values |= track_values(estimate)

    def report(self, now: int) -> dict[str, str]:
        """Return what diagnostics tell at a time (ns) on the node's clock; nothing where nothing is followed."""
        if not self.wanted:
            return {}
        with self._lock:
            seen = self._seen
            values = dict(self._values)
            ask = seen is not None and now - seen[1] > NANOSECONDS // 2 and not self._asking
            self._asking = self._asking or ask
        if ask and seen is not None:
            # Where no frame tells it, the track ages all the same.
            self._engine.aside(lambda: self._age(seen[0] + now - seen[1]))
        return values

    def _age(self, stamp: int) -> None:
        self._note(self._engine.estimate(stamp))
        with self._lock:
            self._asking = False

    def _publish(self, estimate: Estimate) -> None:
        header = Header(stamp=conversions.to_time(estimate.stamp), frame_id=EARTH)
        mounting = math.radians(self._parameters.number("camera_yaw"))
        pose = conversions.to_vehicle_geopose(estimate, mounting)
        covariance = vehicle_pose_covariance(estimate.covariance)
        self._geopose.publish(GeoPoseStamped(header=header, pose=pose))
        with_covariance = GeoPoseWithCovariance(pose=pose, covariance=covariance)
        self._geopose_cov.publish(GeoPoseWithCovarianceStamped(header=header, pose=with_covariance))
        self._fix.publish(conversions.to_vehicle_fix(estimate, header))

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in (self._geopose, self._geopose_cov, self._fix):
            self._node.destroy_lifecycle_publisher(publisher)
