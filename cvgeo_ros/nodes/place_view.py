"""The visualizer's part that shows the places which a sentence may mean, on the map and as markers."""

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from cvgeo_ros import draw
from cvgeo_ros.errors import CvgeoError
from cvgeo_ros.geo.store import TileStore
from cvgeo_ros.msg import PlaceCandidateArray, TileInfo
from cvgeo_ros.nodes.images import to_image
from cvgeo_ros.nodes.markers import Markers
from cvgeo_ros.nodes.parameters import Parameters
from cvgeo_ros.nodes.publishers import LATCHED


class PlaceView:
    """Draws the last answer once its map is known; the picture is made when somebody looks, were it later.

    Args:
        node: Its default callback group has all callbacks.
        parameters: Of the visualizer.
        store: The map to draw on; None: there is no picture.
    """

    def __init__(self, node: Node, parameters: Parameters, store: TileStore | None) -> None:
        self._node, self._parameters, self._store = node, parameters, store
        self._tile: TileInfo | None = None
        self._unmarked: PlaceCandidateArray | None = None
        self._unpictured: PlaceCandidateArray | None = None
        self._picture_out = node.create_publisher(Image, "places_annotated", LATCHED)
        self._markers_out = node.create_publisher(MarkerArray, "place_markers", LATCHED)
        node.create_subscription(PlaceCandidateArray, "place_candidates", self._on_places, LATCHED)
        node.create_timer(0.2, self._draw_picture)

    def use_tile(self, tile: TileInfo) -> None:
        """Take note of the localizer's map."""
        self._tile = tile
        self._draw_markers()

    def _on_places(self, message: PlaceCandidateArray) -> None:
        self._unmarked = self._unpictured = message
        self._draw_markers()

    def _draw_markers(self) -> None:
        message, tile = self._unmarked, self._tile
        # Places and map come in any order; an answer without places is about no map.
        if message is None or (message.candidates and (tile is None or tile.tile_id != message.tile_id)):
            return
        self._unmarked = None
        header = Header(stamp=message.header.stamp, frame_id=self._parameters.text("map_frame"))
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        try:
            if tile is not None:
                make = Markers(tile, header, self._parameters.number("marker_lifetime"))
                for index, candidate in enumerate(message.candidates):
                    markers += make.place(candidate, index)
            self._markers_out.publish(MarkerArray(markers=markers))
        except Exception as error:  # an answer from elsewhere may hold anything
            self._failed(error)

    def _draw_picture(self) -> None:
        message, store = self._unpictured, self._store
        if message is None or store is None or not self._picture_out.get_subscription_count():
            return
        self._unpictured = None
        if not message.candidates or message.tile_id != store.tile_id:
            return
        try:
            size = self._parameters.count("tile_size")
            shape = (size * 3 // 4, size)
            boxes = np.array([candidate.window for candidate in message.candidates], np.float64)
            window = draw.view_window(store.width, store.height, boxes, shape, 0.1)
            view = draw.map_view(store, window, shape)
            ranks = [str(rank) for rank in range(1, len(boxes) + 1)]
            captions = [f"{candidate.score:.2f}" for candidate in message.candidates]
            picture = draw.draw_boxes(view.image, view.to_image, boxes, ranks, captions)
            gsd = max(store.transform.gsd(boxes.reshape(-1, 2, 2).mean(axis=(0, 1))))
            picture = draw.scale_bar(picture, gsd * (window[2] - window[0]) / size, store.attribution)
            header = Header(stamp=message.header.stamp, frame_id=message.tile_id)
            self._picture_out.publish(to_image(picture, header))
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, CvgeoError) else f"{type(error).__name__}: {error}"
        self._node.get_logger().warning(f"places: {reason}", throttle_duration_sec=2.0)
