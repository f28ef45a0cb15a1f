"""Flights as bags: frames, the rough telemetry that a vehicle has of itself, clicks, and the truth to score against."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvgeo_ros.bags import messages
from cvgeo_ros.bags.writer import BagWriter
from cvgeo_ros.geo import PinholeCamera, compass_to_yaw, yaw_to_compass
from cvgeo_ros.learn.evaluation import POSITION_ERROR, Protocol, make_prior
from cvgeo_ros.localizer import Prior
from cvgeo_ros.scene import FrameRecord, Scene, read_image

NAMESPACE = "/cvgeo"
FRAME_ID = "camera_optical"
EARTH = "earth"
START = 1_750_000_000 * messages.NANOSECONDS
"""Stamp of a scene's time 0, ns."""
TRANSPORT = 20_000_000
"""How long after its capture a frame is received, ns; telemetry comes at once, clicks after ``CLICKING``."""
CLICKING = 100_000_000


@dataclass(frozen=True)
class Moment:
    """A frame and what is told of its moment.

    Attributes:
        stamp: Capture, ns.
        image: The file's bytes, JPEG or PNG.
        kind: "jpeg" or "png".
        camera: Intrinsics, None: unknown.
        prior: Rough telemetry; what is None is not sent.
        clicks: (id, (u, v) px).
        truth: (latitude, longitude, quaternion x, y, z, w of the vehicle in ENU) or None.
    """

    stamp: int
    image: bytes
    kind: str
    camera: PinholeCamera | None
    prior: Prior
    clicks: tuple[tuple[str, tuple[float, float]], ...] = ()
    truth: tuple[float, float, tuple[float, float, float, float]] | None = None


def write_bag(path: Path, moments: Iterable[Moment]) -> int:
    """Write moments, in order, as a bag (see :class:`BagWriter`); returns how many there were."""
    count = 0
    with BagWriter(path) as bag:

        def send(topic: str, message: object, time: int) -> None:
            bag.write(f"{NAMESPACE}/{topic}", message, time)

        for moment in moments:
            stamp, prior = moment.stamp, moment.prior
            if moment.truth is not None:
                latitude, longitude, orientation = moment.truth
                pose = messages.geo_pose(latitude, longitude, orientation)
                send("truth/geopose", messages.geo_pose_stamped(stamp, EARTH, pose), stamp)
            if prior.latitude is not None and prior.longitude is not None:
                send("fix", messages.fix(stamp, FRAME_ID, prior.latitude, prior.longitude), stamp)
            if prior.yaw is not None:
                send("compass_hdg", messages.number(yaw_to_compass(prior.yaw)), stamp)
            if prior.height is not None:
                send("rel_alt", messages.number(prior.height), stamp)
            if prior.pitch is not None:
                send("camera_pitch", messages.number(np.degrees(prior.pitch)), stamp)
            if moment.camera is not None:
                send("camera_info", messages.camera_info(stamp, FRAME_ID, moment.camera), stamp)
            image = messages.compressed_image(stamp, FRAME_ID, moment.image, moment.kind)
            send("image/compressed", image, stamp + TRANSPORT)
            if moment.clicks:
                send("clicks", messages.clicks(stamp, FRAME_ID, moment.clicks), stamp + CLICKING)
            count += 1
    return count


def scene_moments(
    scene: Scene,
    rng: np.random.Generator,
    protocol: Protocol = Protocol.PRIOR,
    pitch: bool = True,
    apart: float = 0.0,
    position_error: float = POSITION_ERROR,
) -> Iterable[Moment]:
    """Yield the frames of a scene with the priors that a protocol grants, and as truth what its telemetry says.

    Args:
        scene: With stamps, or its frames come once a second.
        rng: Of the priors' errors.
        protocol: What the vehicle knows.
        pitch: Whether it knows the camera's pitch, where recorded.
        apart: Seconds between frames instead of their stamps, for frames that are no flight; 0: their stamps.
        position_error: Radius of the disc that the position's error is drawn from, m.

    Raises:
        SceneError: A frame cannot be read, or has no position where the protocol needs it.
    """
    for index, record in enumerate(scene.frames):
        prior = make_prior(record, protocol, rng, position_error)
        if not pitch:
            prior = _without_pitch(prior)
        file = scene.frames_dir / record.file
        height, width = read_image(file).shape[:2]
        camera = None if record.hfov is None else PinholeCamera.from_hfov(width, height, float(np.radians(record.hfov)))
        seconds = index * apart if apart > 0.0 else float(index) if record.stamp is None else record.stamp
        yield Moment(
            START + round(seconds * messages.NANOSECONDS),
            file.read_bytes(),
            "png" if file.suffix.lower() == ".png" else "jpeg",
            camera,
            prior,
            tuple((item.id, item.click) for item in scene.objects_of(record.file)),
            _truth(record),
        )


def _without_pitch(prior: Prior) -> Prior:
    return Prior(prior.latitude, prior.longitude, prior.position_radius, prior.yaw, height=prior.height)


def _truth(record: FrameRecord) -> tuple[float, float, tuple[float, float, float, float]] | None:
    if record.lat is None or record.lon is None or record.yaw is None:
        return None
    return record.lat, record.lon, messages.yaw_quaternion(compass_to_yaw(record.yaw))
