"""The visualizer node: answers, and places that a sentence may mean, in the frame, on the map and as RViz markers.

Pictures are made only while somebody looks, and images received only while the annotated frame is looked at.

Convention:
    Markers and poses are in the frame ``map_frame``, metres, ENU, with its origin at the tile's centre.
"""

import sys
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from cvgeo_ros import draw
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.geo.store import TileStore, open_store
from cvgeo_ros.msg import GeoTargetArray, TileInfo
from cvgeo_ros.nodes import frames
from cvgeo_ros.nodes.conversions import to_nanoseconds
from cvgeo_ros.nodes.frames import Frame, FrameHistory
from cvgeo_ros.nodes.images import to_image
from cvgeo_ros.nodes.markers import Markers
from cvgeo_ros.nodes.parameters import Parameters, Spec
from cvgeo_ros.nodes.place_view import PlaceView
from cvgeo_ros.nodes.publishers import LATCHED, RESULTS
from cvgeo_ros.nodes.run import run

SPECS = (
    Spec("map", "", "The localizer's map, to draw on; empty: no tile_annotated", held=True),
    Spec("map_frame", "map", "Frame of the markers (REP-105), origin at the tile's centre"),
    Spec("tile_size", 1024, "Longest side of tile_annotated, px", 128, 8192),
    Spec("tile_extent", 200.0, "Least width of the ground that tile_annotated shows, m", 1.0, 1e6),
    Spec("marker_lifetime", 0.0, "How long markers stay, s; 0 = until the next answer", 0.0, 1e6),
    *frames.SPECS,
    Spec("history_bytes", 128 << 20, "Memory for recent images, to find those of the answers, bytes", 1, 1 << 40),
    Spec("frame_timeout", 0.5, "How long to wait for an image that an answer overtook, s", 0.0, 10.0),
)


class VisualizerNode(Node):
    """See the module.

    Args:
        options: Of rclpy's node.

    Raises:
        MapError: The map cannot be opened.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("visualizer", **options)
        self._settings = get = Parameters(self, SPECS, lambda: "is read when the node starts")
        self._store: TileStore | None = open_store(get.text("map")) if get.text("map") else None
        self._tile: TileInfo | None = None
        self._history = FrameHistory(get.count("history_bytes"))
        self._images: Any = None
        self._image_group = MutuallyExclusiveCallbackGroup()
        self._frame_out = self.create_publisher(Image, "image_annotated", RESULTS)
        self._tile_out = self.create_publisher(Image, "tile_annotated", LATCHED)
        self._markers_out = self.create_publisher(MarkerArray, "markers", LATCHED)
        self._pose_out = self.create_publisher(PoseStamped, "target_pose", RESULTS)
        self.create_subscription(TileInfo, "tile_info", self._on_tile, LATCHED)
        self.create_subscription(GeoTargetArray, "targets", self._on_targets, RESULTS)
        self._places = PlaceView(self, get, self._store)
        self.create_timer(0.1, self._follow_viewers, callback_group=self._image_group)

    def _follow_viewers(self) -> None:
        watched = self._frame_out.get_subscription_count() > 0
        if watched and self._images is None:
            self._images = frames.subscribe(self, self._settings, self._on_image, self._image_group)
        elif not watched and self._images is not None:
            self.destroy_subscription(self._images)
            self._images = None
            self._history = FrameHistory(self._settings.count("history_bytes"))

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._history.add(Frame(message, int(self.get_clock().now().nanoseconds)))

    def _on_tile(self, message: TileInfo) -> None:
        self._tile = message
        self._places.use_tile(message)
        if self._store is not None and self._store.tile_id != message.tile_id:
            self.get_logger().warning(
                f"the localizer searches in {message.tile_id}, the parameter map is {self._store.tile_id}: "
                "tile_annotated stays empty until both are the same"
            )

    def _on_targets(self, message: GeoTargetArray) -> None:
        for what in (self._draw_frame, self._draw_tile, self._draw_markers):
            try:
                what(message)
            except Exception as error:  # an answer from elsewhere may hold anything
                reason = str(error) if isinstance(error, CvgeoError) else f"{type(error).__name__}: {error}"
                self.get_logger().warning(f"{what.__name__[6:]}: {reason}", throttle_duration_sec=2.0)

    def _draw_frame(self, message: GeoTargetArray) -> None:
        if self._images is None:
            return
        stamp = to_nanoseconds(message.header.stamp)
        frame = self._history.find(stamp, 0, self._settings.number("frame_timeout"))
        clicks = [(target.click.x, target.click.y) for target in message.targets]
        picture = draw.draw_clicks(frame.rgb(), clicks, _names(message), _scores(message))
        self._frame_out.publish(to_image(picture, message.header))

    def _draw_tile(self, message: GeoTargetArray) -> None:
        store = self._store
        if store is None or store.tile_id != message.tile_id or not self._tile_out.get_subscription_count():
            return
        size = self._settings.count("tile_size")
        boxes = np.array([target.bbox for target in message.targets], np.float64).reshape(-1, 4)
        gsd = max(store.transform.gsd(boxes.reshape(-1, 2, 2).mean(axis=(0, 1)) if len(boxes) else (0.0, 0.0)))
        shape = (size * 3 // 4, size)
        window = draw.view_window(
            store.width, store.height, boxes, shape, least=self._settings.number("tile_extent") / gsd
        )
        view = draw.map_view(store, window, shape)
        captions = [f"{target.score:.2f}  ±{target.position_std:.1f} m" for target in message.targets]
        picture = draw.draw_boxes(view.image, view.to_image, boxes, _names(message), captions)
        picture = draw.scale_bar(picture, gsd * (window[2] - window[0]) / size, store.attribution)
        self._tile_out.publish(to_image(picture, Header(stamp=message.header.stamp, frame_id=message.tile_id)))

    def _draw_markers(self, message: GeoTargetArray) -> None:
        tile = self._tile
        if tile is None or tile.tile_id != message.tile_id:
            raise CvgeoError(f"no tile_info of {message.tile_id} yet: markers need its place")
        header = Header(stamp=message.header.stamp, frame_id=self._settings.text("map_frame"))
        make = Markers(tile, header, self._settings.number("marker_lifetime"))
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        poses = []
        for index, target in enumerate(message.targets):
            box, *others = make.target(target, index)
            markers += [box, *others]
            poses.append(PoseStamped(header=header, pose=box.pose))
        self._markers_out.publish(MarkerArray(markers=markers))
        for pose in poses:
            self._pose_out.publish(pose)

    def destroy_node(self) -> None:
        """Close the map."""
        super().destroy_node()
        if self._store is not None:
            self._store.close()


def _names(message: GeoTargetArray) -> list[str]:
    return [target.id for target in message.targets]


def _scores(message: GeoTargetArray) -> list[str]:
    return [f"{target.score:.2f}" for target in message.targets]


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    return run(VisualizerNode, args)


if __name__ == "__main__":
    sys.exit(main())
