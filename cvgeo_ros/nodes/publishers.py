"""The localizer's outputs."""

from geographic_msgs.msg import GeoPoseStamped, GeoPoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import NavSatFix
from std_msgs.msg import Header

from cvgeo_ros.msg import GeoTargetArray, TileInfo
from cvgeo_ros.nodes import conversions
from cvgeo_ros.telemetry.covariances import EARTH

RESULTS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""QoS of results and clicks."""

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""QoS of what a late subscriber must still get."""


class TargetPublishers:
    """Publishes answers: all targets at once, and each by itself in the forms other packages take.

    The single-target topics carry one message a target in the order of the clicks, with the image's stamp.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._targets = node.create_lifecycle_publisher(GeoTargetArray, "targets", RESULTS)
        self._geopose = node.create_lifecycle_publisher(GeoPoseStamped, "target_geopose", RESULTS)
        self._geopose_cov = node.create_lifecycle_publisher(GeoPoseWithCovarianceStamped, "target_geopose_cov", RESULTS)
        self._fix = node.create_lifecycle_publisher(NavSatFix, "target_fix", RESULTS)
        # Not a lifecycle publisher: the tile is known from configure on, and its users need not wait for activation.
        self._tile_info = node.create_publisher(TileInfo, "tile_info", LATCHED)

    def publish(self, targets: GeoTargetArray) -> None:
        """Publish an answer."""
        self._targets.publish(targets)
        header = Header(stamp=targets.header.stamp, frame_id=EARTH)
        for target in targets.targets:
            self._geopose.publish(conversions.to_geopose_stamped(target, header))
            self._geopose_cov.publish(conversions.to_geopose_with_covariance(target, header))
            self._fix.publish(conversions.to_fix(target, header))

    def publish_tile(self, tile: TileInfo) -> None:
        """Publish the tile that targets are searched in."""
        self._tile_info.publish(tile)

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in (self._targets, self._geopose, self._geopose_cov, self._fix):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._tile_info)
