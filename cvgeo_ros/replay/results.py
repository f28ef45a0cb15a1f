"""The answers of a replay as a bag: the topics, types and stamps that the localizer node publishes."""

import math
from typing import Any

import numpy as np

from cvgeo_ros.bags import messages
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.localizer import Localization, Target
from cvgeo_ros.replay.player import Answered, Followed
from cvgeo_ros.telemetry.covariances import (
    EARTH,
    target_fix_covariance,
    target_pose_covariance,
    vehicle_fix_covariance,
    vehicle_pose_covariance,
)
from cvgeo_ros.vehicle import Estimate
from cvgeo_ros.vehicle.values import fix_values, track_values


class Results:
    """Writes into a bag what the node would have published; times of receipt are those of the frames and clicks.

    Args:
        bag: The bag.
        namespace: Of the node, with a leading slash; "" is the root.
        mounting: Yaw of the camera against the nose, rad clockwise seen from above.
    """

    def __init__(self, bag: BagWriter, namespace: str, mounting: float) -> None:
        self._bag, self._namespace, self._mounting = bag, namespace, mounting

    def followed(self, item: Followed, estimate: Estimate) -> None:
        """Write the vehicle's pose after a frame, where it is known, and diagnostics."""
        if estimate.latitude is not None and estimate.longitude is not None and estimate.yaw is not None:
            yaw = math.remainder(estimate.yaw + self._mounting, 2.0 * math.pi)
            pose = messages.geo_pose(estimate.latitude, estimate.longitude, messages.yaw_quaternion(yaw))
            stamp, place = item.stamp, (estimate.latitude, estimate.longitude)
            self._send("vehicle_geopose", messages.geo_pose_stamped(stamp, EARTH, pose), item.received)
            covariance = vehicle_pose_covariance(estimate.covariance)
            message = messages.geo_pose_with_covariance(stamp, EARTH, pose, covariance)
            self._send("vehicle_geopose_cov", message, item.received)
            spread = vehicle_fix_covariance(estimate.covariance)
            self._send("vehicle_fix", messages.fix(stamp, EARTH, *place, spread), item.received)
        self._send_diagnostics(item, estimate)

    def answered(self, item: Answered) -> None:
        """Write targets, where there are any."""
        if item.localization is None or item.clicks is None:
            return
        found: Localization = item.localization
        located = list(zip(item.clicks.ids, found.targets, strict=True))
        answer = messages.make(
            "cvgeo_ros/msg/GeoTargetArray",
            header=messages.header(item.stamp, item.frame_id),
            latency=messages.duration(round(item.seconds * messages.NANOSECONDS)),
            tile_id=found.tile_id,
            targets=[_target(target, name) for name, target in located],
        )
        self._send("targets", answer, item.received)
        for _, target in located:
            place = (target.latitude, target.longitude)
            pose = messages.geo_pose(*place, (0.0, 0.0, 0.0, 1.0))
            self._send("target_geopose", messages.geo_pose_stamped(item.stamp, EARTH, pose), item.received)
            covariance = target_pose_covariance(target.position_std)
            message = messages.geo_pose_with_covariance(item.stamp, EARTH, pose, covariance)
            self._send("target_geopose_cov", message, item.received)
            spread = target_fix_covariance(target.position_std)
            self._send("target_fix", messages.fix(item.stamp, EARTH, *place, spread), item.received)

    def _send(self, topic: str, message: Any, time: int) -> None:
        self._bag.write(f"{self._namespace}/{topic}", message, time)

    def _send_diagnostics(self, item: Followed, estimate: Estimate) -> None:
        step = item.step
        values = {
            **track_values(estimate),
            **fix_values(step.fix if step else None, step is not None and step.accepted),
            "answer_stamp": str(item.stamp),
            "last_error": item.error,
        }
        message = messages.diagnostics(item.stamp, f"{self._namespace}/localizer", item.error, values)
        self._bag.write("/diagnostics", message, item.received)


def _target(target: Target, name: str) -> Any:
    south, west, north, east = target.bounds
    corners = {"min_pt": messages.geo_point(south, west), "max_pt": messages.geo_point(north, east)}
    return messages.make(
        "cvgeo_ros/msg/GeoTarget",
        id=name,
        click=messages.point(*target.click),
        score=float(target.score),
        bbox=np.asarray(target.bbox, np.float32),
        position=messages.geo_point(target.latitude, target.longitude),
        bounds=messages.make("geographic_msgs/msg/BoundingBox", **corners),
        position_std=float(target.position_std),
    )
