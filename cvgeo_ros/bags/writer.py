"""A rosbag2 bag in the making: an MCAP or SQLite file that explains its own messages."""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from cvgeo_ros.bags.types import typestore
from cvgeo_ros.errors import BagError

_ENDLESS = QosTime(9223372036, 854775807)


def qos(reliable: bool = True, latched: bool = False) -> Qos:
    """Return the quality of service that a topic is said to have been published with."""
    return Qos(
        QosHistory.KEEP_LAST,
        10,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _ENDLESS,
        _ENDLESS,
        QosLiveliness.AUTOMATIC,
        _ENDLESS,
        False,
    )


class BagWriter:
    """Writes messages of rosbags' classes; a context that finishes the bag, or leaves none after an error.

    Args:
        path: The bag's folder, or with the ending .mcap or .db3 a single file; a former bag there is replaced.
        types: Of the messages; without it those of this package and of Jazzy.

    Raises:
        BagError: Something is there that is no bag.
    """

    def __init__(self, path: Path, types: Typestore | None = None) -> None:
        self.path = path
        self._types = types or typestore()
        self._connections: dict[str, Connection] = {}
        single = path.suffix in {".mcap", ".db3"}
        if path.is_dir() and (single or not is_bag(path)):
            raise BagError(f"{path}: a folder that is no bag: give another place")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nothing stands at the path until it is a whole bag.
        self._work = Path(tempfile.mkdtemp(prefix=f".{path.stem}.", dir=path.parent))
        plugin = StoragePlugin.SQLITE3 if path.suffix == ".db3" else StoragePlugin.MCAP
        self._folder = self._work / path.stem
        self._writer = Writer(self._folder, version=Writer.VERSION_LATEST, storage_plugin=plugin)
        self._writer.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
            if kind is None:
                self._put_in_place()
        finally:
            shutil.rmtree(self._work, ignore_errors=True)

    def write(self, topic: str, message: Any, time: int, latched: bool = False) -> None:
        """Write a message under the time (ns) at which it is said to have been received."""
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[qos(latched=latched)]
            )
        self._writer.write(self._connections[topic], time, self._types.serialize_cdr(message, kind))

    def _put_in_place(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)
        written = self._folder
        if self.path.suffix in {".mcap", ".db3"}:
            (written,) = (file for file in self._folder.iterdir() if file.suffix == self.path.suffix)
        written.replace(self.path)


def is_bag(folder: Path) -> bool:
    """Whether a folder is a bag, or the rest of one whose recording was cut off."""
    names = list(folder.iterdir())
    return (folder / "metadata.yaml").is_file() or all(file.suffix in {".mcap", ".db3"} for file in names)
