"""Where the camera node's images come from: a folder, a scene, a video file, a device or a stream."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.errors import ImageError, SceneError
from cvgeo_ros.scene import SCENE_FILE, FrameRecord, Scene, read_telemetry

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Picture:
    """One image of a source.

    Attributes:
        bgr: uint8 (H, W, 3), BGR as OpenCV has it.
        name: File name, or the number of the image in its video or stream.
        stamp: Time in the source, s; None = unknown or live.
        record: Telemetry, None without.
        encoded: The file's own bytes where it is a JPEG or PNG, to send as they are.
    """

    bgr: NDArray[np.uint8]
    name: str
    stamp: float | None = None
    record: FrameRecord | None = None
    encoded: bytes | None = None


class Source(Protocol):
    """Images one after the other."""

    live: bool
    """Whether images come in their own time and the source may be lost and come back."""

    def read(self) -> Picture | None:
        """Return the next picture, None at the end (of a live source: when it is lost).

        Raises:
            ImageError: This picture cannot be read; the next one may be.
        """

    def rewind(self) -> None:
        """Start again from the first picture; of a live source: connect again."""

    def close(self) -> None:
        """Release files and devices."""


def open_source(source: str, telemetry: str = "", width: int = 0, height: int = 0, fps: float = 0.0) -> Source:
    """Open a source by its name.

    Args:
        source: Folder of images, scene folder, video file, device ("/dev/video0" or "0"), URL ("rtsp://...") or
            GStreamer pipeline (with "!", ending in appsink).
        telemetry: frames.csv for a folder (by file name) or a video (by stamp); a scene brings its own.
        width, height, fps: Asked of a device, 0 = its default.

    Raises:
        ImageError: A file or folder that does not exist, holds no image or is not a video.
        SceneError: Malformed scene or telemetry.
    """
    if not source:
        raise ImageError("source is empty: give a folder of images, a video file, /dev/video0 or a URL")
    path = Path(source).expanduser()
    if re.fullmatch(r"\d+|/dev/video\d+", source) and not path.is_dir():
        return _Stream(int(source) if source.isdigit() else source, cv2.CAP_V4L2, (width, height, fps))
    if "://" in source or "!" in source:
        return _Stream(source, cv2.CAP_GSTREAMER if "!" in source else cv2.CAP_ANY, (0, 0, 0.0))
    if path.name == SCENE_FILE or (path / SCENE_FILE).is_file():
        scene = Scene.load(path)
        return _Folder(scene.frames_dir, scene.frames)
    if path.is_dir():
        return _Folder(path, _records_of(path, telemetry))
    if path.is_file():
        return _Video(path, read_telemetry(telemetry) if telemetry else [])
    raise ImageError(f"source {source!r} does not exist: give a folder of images, a video file, /dev/video0 or a URL")


def _records_of(folder: Path, telemetry: str) -> list[FrameRecord]:
    if telemetry:
        records = read_telemetry(telemetry)
        for record in records:
            if not (folder / record.file).is_file():
                raise SceneError(f"{telemetry}: no image {folder / record.file}")
        return records
    files = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ImageError(f"source {folder}: the folder holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return [FrameRecord(file=name) for name in files]


class _Folder:
    live = False

    def __init__(self, folder: Path, records: Sequence[FrameRecord]) -> None:
        self._folder, self._records, self._next = folder, records, 0

    def read(self) -> Picture | None:
        if self._next >= len(self._records):
            return None
        record = self._records[self._next]
        self._next += 1
        path = self._folder / record.file
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror}") from error
        # OpenCV raises on an empty buffer and returns None on a foreign one.
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
        if bgr is None:
            raise ImageError(f"{path}: not an image, or damaged")
        sendable = path.suffix.lower() in {".jpg", ".jpeg", ".png"}
        return Picture(np.asarray(bgr, np.uint8), record.file, record.stamp, record, encoded if sendable else None)

    def rewind(self) -> None:
        self._next = 0

    def close(self) -> None:
        pass


class _Video:
    live = False

    def __init__(self, path: Path, records: Sequence[FrameRecord]) -> None:
        self._path = path
        self._records = [record for record in records if record.stamp is not None]
        self._open()

    def _open(self) -> None:
        self._capture = cv2.VideoCapture(str(self._path))
        self._index = 0
        if not self._capture.isOpened():
            raise ImageError(f"{self._path}: not a video OpenCV can read")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if math.isfinite(fps) and fps > 0 else 30.0

    def read(self) -> Picture | None:
        ok, bgr = self._capture.read()
        if not ok:
            return None
        stamp = self._index / self._fps
        self._index += 1
        record = min(self._records, key=lambda item: abs((item.stamp or 0.0) - stamp), default=None)
        return Picture(np.asarray(bgr, np.uint8), str(self._index - 1), stamp, record)

    def rewind(self) -> None:
        self._capture.release()
        self._open()

    def close(self) -> None:
        self._capture.release()


class _Stream:
    live = True

    def __init__(self, source: str | int, backend: int, wanted: tuple[int, int, float]) -> None:
        self._source, self._backend, self._wanted = source, backend, wanted
        self._index = 0
        self._capture: cv2.VideoCapture | None = None

    def read(self) -> Picture | None:
        if self._capture is None:
            return None
        ok, bgr = self._capture.read()
        if not ok:
            self.close()
            return None
        self._index += 1
        return Picture(np.asarray(bgr, np.uint8), str(self._index - 1))

    def rewind(self) -> None:
        self.close()
        capture = cv2.VideoCapture(self._source, self._backend)
        if not capture.isOpened():
            return
        # The newest image matters, not every image.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        keys = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
        for key, value in zip(keys, self._wanted, strict=True):
            if value > 0:
                capture.set(key, value)
        self._capture = capture

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = None
