"""Definitions of message types: those of Jazzy come with rosbags, the others are read from where they are installed."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from cvgeo_ros.errors import BagError
from cvgeo_ros.share import prefixes, shipped

OWN = (
    "geographic_msgs/msg/GeoPoseStamped",
    "geographic_msgs/msg/GeoPoseWithCovarianceStamped",
    "cvgeo_ros/msg/GeoTargetArray",
    "cvgeo_ros/msg/TargetClickArray",
    "cvgeo_ros/msg/TileInfo",
)
"""Types that this package speaks and rosbags does not know, besides those that they are made of."""


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the types that bags of this package are made of.

    Raises:
        BagError: A definition is not installed.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind in OWN:
        learn(store, kind)
    return store


def learn(store: Typestore, kind: str) -> None:
    """Register a type such as "std_msgs/msg/Header", and those it is made of, unless the store has them.

    Raises:
        BagError: A definition is not installed.
    """
    if kind in store.fielddefs:
        return
    store.register(get_types_from_msg(definition(kind), kind))
    for _, field in store.fielddefs[kind][1]:
        for name in _names_in(field):
            learn(store, name)


def definition(kind: str) -> str:
    """Return the text that a message type is defined by. Raises BagError where it is not installed."""
    package, _, name = kind.split("/")
    places = [prefix / "share" / package / "msg" for prefix in prefixes()]
    places += [folder / package / "msg" for folder in shipped("interfaces")]
    places += shipped("msg") if package == "cvgeo_ros" else []
    for place in places:
        path: Path = place / f"{name}.msg"
        if path.is_file():
            return path.read_text()
    raise BagError(f"{kind}: no definition below {', '.join(map(str, places))}: install its package")


def _names_in(field: Any) -> list[str]:
    """Names of the message types in a field of rosbags' typestore: (Nodetype, name) or (Nodetype, (field, length))."""
    content = field[1]
    if isinstance(content, str):
        return [content]
    return _names_in(content[0]) if isinstance(content[0], tuple) else []
