"""Which topics of a bag are which inputs of the localizer."""

from collections.abc import Mapping

from cvgeo_ros.errors import BagError

_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_GEO_POSE = "geographic_msgs/msg/GeoPoseStamped"
_GEO_POSE_COV = "geographic_msgs/msg/GeoPoseWithCovarianceStamped"
_FIX = "sensor_msgs/msg/NavSatFix"
_NUMBER = "std_msgs/msg/Float64"

TYPES: dict[str, tuple[str, ...]] = {
    "image": (_IMAGE, _COMPRESSED),
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
    "fix": (_FIX,),
    "compass_hdg": (_NUMBER,),
    "rel_alt": (_NUMBER,),
    "camera_pitch": (_NUMBER,),
    "vehicle_prior": (_GEO_POSE_COV,),
    "clicks": ("cvgeo_ros/msg/TargetClickArray",),
    "click_stamped": ("geometry_msgs/msg/PointStamped",),
    "click": ("geometry_msgs/msg/Point",),
    "truth": (_GEO_POSE, _GEO_POSE_COV, _FIX),
}
"""Roles, and the types that may play them. The truth is only scored against."""

_NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "image": (("image", _IMAGE), ("image/compressed", _COMPRESSED)),
    "truth": (("truth/geopose", _GEO_POSE),),
}
"""Last parts of a topic's name and its type, the one that counts first; of other roles, the role's own name."""


def assign(topics: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the topic of each role that has one.

    Args:
        topics: Type by topic.
        chosen: Topics by role, where their names do not tell; "" leaves a role out.

    Raises:
        BagError: An unknown role; a topic that is not there, has another type or could be another's; or no images.
    """
    found: dict[str, str] = {}
    for role, topic in chosen.items():
        if role not in TYPES:
            raise BagError(f"{role}: no such input; there are {', '.join(TYPES)}")
        if topic and topic not in topics:
            raise BagError(f"{role}: the bag has no topic {topic}; it has {_listed(topics)}")
        if topic and topics[topic] not in TYPES[role]:
            raise BagError(f"{role}: {topic} is {topics[topic]}; wanted {' or '.join(TYPES[role])}")
        found[role] = topic
    for role in TYPES:
        if role not in found:
            found[role] = _by_name(topics, role)
    found = {role: topic for role, topic in found.items() if topic}
    if "image" not in found:
        raise BagError(
            f"the bag has no images (image or image/compressed); it has {_listed(topics)}. "
            "Name one by --topic image=NAME"
        )
    return found


def namespace(topic: str) -> str:
    """Return the namespace that a topic of images is in: "/cvgeo" of "/cvgeo/image/compressed"."""
    for name, _ in reversed(_NAMES["image"]):
        if topic.endswith("/" + name):
            return topic.removesuffix("/" + name)
    return topic.rpartition("/")[0]


def _by_name(topics: Mapping[str, str], role: str) -> str:
    for name, kind in _NAMES.get(role, tuple((role, kind) for kind in TYPES[role])):
        fitting = sorted(topic for topic in topics if topics[topic] == kind and f"/{topic}".endswith("/" + name))
        if len(fitting) > 1:
            raise BagError(f"{role}: {' and '.join(fitting)} could all be it: choose by --topic {role}={fitting[0]}")
        if fitting:
            return fitting[0]
    return ""


def _listed(topics: Mapping[str, str]) -> str:
    return ", ".join(f"{topic} ({kind})" for topic, kind in sorted(topics.items())) or "none"
