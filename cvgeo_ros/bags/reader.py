"""Reading rosbag2 bags: folders and single files, MCAP and SQLite, also those whose recording was cut off."""

import heapq
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from cvgeo_ros.bags.recovery import recover
from cvgeo_ros.bags.types import typestore
from cvgeo_ros.errors import BagError

ENDINGS = {".mcap", ".db3"}


@dataclass(frozen=True)
class Entry:
    """A message of a bag.

    Attributes:
        topic: Its topic.
        time: When it was received, ns.
        message: Of a class with the fields of its type.
    """

    topic: str
    time: int
    message: Any


class Bag:
    """A bag that is open for reading; a context that closes it.

    What of a cut-off recording is whole is read; ``warnings`` say what is missing.

    Args:
        path: The bag's folder, or one of its files.

    Raises:
        BagError: There is no bag, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._stack = ExitStack()
        self._stores: dict[tuple[str, str], Typestore] = {}
        self._broken: Counter[str] = Counter()
        try:
            self._readers = [reader for place in _parts(path) for reader in self._open(place)]
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def topics(self) -> dict[str, str]:
        """Message type by topic."""
        return {item.topic: item.msgtype for item in self._connections()}

    def count(self, topic: str) -> int:
        """Return how many messages of a topic there are."""
        return sum(item.msgcount for item in self._connections() if item.topic == topic)

    def read(self, topics: Collection[str]) -> Iterator[Entry]:
        """Yield the messages of some topics in the order of their receipt.

        A message that cannot be decoded is left out and told of in ``warnings`` at the end.

        Raises:
            BagError: The bag is damaged, or nobody knows one of the types.
        """
        wanted = set(topics)
        for item in self._connections():
            if item.topic in wanted:
                self._store(item)
        streams = [self._entries(reader, wanted) for reader in self._readers]
        yield from heapq.merge(*streams, key=lambda entry: entry.time)
        self.warnings += [f"{topic}: {count} messages cannot be decoded" for topic, count in self._broken.items()]
        self._broken.clear()

    def _connections(self) -> Iterator[Connection]:
        for reader in self._readers:
            yield from reader.connections

    def _open(self, place: Path) -> list[Reader]:
        try:
            return [self._enter(place)]
        except ReaderError as error:
            if place.is_dir():
                # The folder's account of itself is wrong: its files may be right.
                return [reader for file in _files(place) for reader in self._open(file)]
            if place.suffix != ".mcap":
                raise BagError(f"{place}: not a readable bag: {error}") from error
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        whole = Path(folder, place.name)
        count = recover(place, whole)
        self.warnings.append(f"{place}: the recording was cut off or is damaged; {count} messages of it are whole")
        return [self._enter(whole)]

    def _enter(self, place: Path) -> Reader:
        try:
            return self._stack.enter_context(Reader(place))
        except (ReaderError, OSError):
            raise
        # rosbags checks what it expects to be wrong; a damaged file holds more surprises.
        except Exception as error:
            raise ReaderError(f"{type(error).__name__}: {error}") from error

    def _entries(self, reader: Reader, wanted: set[str]) -> Iterator[Entry]:
        connections = [item for item in reader.connections if item.topic in wanted]
        if not connections:
            return
        stream = reader.messages(connections)
        while True:
            try:
                connection, time, data = next(stream)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(
                    f"{self.path}: damaged: {error}; a tool such as `mcap recover` may save what is whole"
                ) from error
            try:
                message = self._store(connection).deserialize_cdr(data, connection.msgtype)
            except BagError:
                raise
            except Exception:  # rosbags' own errors and those of unpacking whatever the bytes are
                self._broken[connection.topic] += 1
                continue
            yield Entry(connection.topic, time, message)

    def _store(self, connection: Connection) -> Typestore:
        """Return the types to read a topic with: those that the bag itself defines, or those known here."""
        definition = connection.msgdef
        key = (connection.msgtype, definition.data)
        if key not in self._stores:
            self._stores[key] = typestore()
            if definition.format == MessageDefinitionFormat.MSG and definition.data:
                store = get_typestore(Stores.EMPTY)
                try:
                    store.register(get_types_from_msg(definition.data, connection.msgtype))
                    self._stores[key] = store
                except TypesysError as error:
                    self.warnings.append(f"{connection.topic}: its definition cannot be read: {error}")
        if connection.msgtype not in self._stores[key].fielddefs:
            raise BagError(
                f"{self.path}: {connection.topic}: the type {connection.msgtype} is unknown, and the bag does not "
                "define it"
            )
        return self._stores[key]


def _parts(path: Path) -> list[Path]:
    """The folder or file of a bag, or its files where the folder lacks its metadata."""
    if not path.exists():
        raise BagError(f"{path}: no such file or folder")
    if path.is_dir():
        return [path] if (path / "metadata.yaml").is_file() else _files(path)
    if path.suffix == ".bag":
        raise BagError(f"{path}: a bag of ROS 1: convert it, for instance by `rosbags-convert`")
    if path.suffix not in ENDINGS:
        raise BagError(f"{path}: no bag: give its folder, or a file that ends in {' or '.join(sorted(ENDINGS))}")
    return [path]


def _files(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix in ENDINGS]
    if not files:
        raise BagError(f"{folder}: no bag: it holds neither metadata.yaml nor a file of {' or '.join(sorted(ENDINGS))}")
    numbers = re.compile(r"(\d+)")
    return sorted(files, key=lambda file: [int(part) if part.isdigit() else part for part in numbers.split(file.name)])
