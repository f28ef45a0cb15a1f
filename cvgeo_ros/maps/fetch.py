"""Fetching a map from a tile server, politely, into an MBTiles file; a run that was stopped is gone on with."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiohttp

from ..errors import MapError
from ..geo.mbtiles_writer import MbtilesWriter
from .pace import Pace, backoff, retry_after
from .template import Template
from .tiles import Area, RefusedError, check_tile

USER_AGENT = "cvgeo_ros (map download for offline localization)"
MAX_BYTES = 16 << 20
"""Of one answer."""
ABSENT = (204, 404, 410)
"""A server's ways to say that it has no such tile."""
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be another one later."""
COMMIT_EVERY = 32
"""Tiles that a kill may cost at most, beside those under way."""
SIZE = "size"


@dataclass(frozen=True)
class Manners:
    """How a server is treated.

    Attributes:
        rate: requests a second.
        concurrency: requests at once.
        retries: of a tile, after its first attempt.
        backoff: s before the first of them; each waits twice as long as the one before.
        patience: longest wait that a server may ask for, s; where it asks for more, the fetch stops.
        timeout: of one request, s.
        hopeless: so many tiles that failed one after the other stop the fetch.
        user_agent, headers: sent with every request.
    """

    rate: float = 8.0
    concurrency: int = 4
    retries: int = 5
    backoff: float = 1.0
    patience: float = 300.0
    timeout: float = 30.0
    hopeless: int = 8
    user_agent: str = USER_AGENT
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Tally:
    """What came of a fetch.

    Attributes:
        total: tiles asked for.
        known: of these, there already or known to be absent.
        received: now.
        absent: said by the server not to exist.
        failed: given up, by reason.
        refused: answers that were thrown away or not 200, by reason, whether or not a later one was good.
        bytes: received.
        stopped: why the fetch ended before its end; empty: it did not.
    """

    total: int
    known: int = 0
    received: int = 0
    absent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    stopped: str = ""

    @property
    def done(self) -> int:
        """Tiles that need no further request in this run."""
        return self.known + self.received + self.absent + self.failed.total()


class StopError(Exception):
    """Asking on would be useless or impolite; the message says why."""


def request_of(template: Template, area: Area) -> str:
    """What tells an unfinished file's request from others; of the address, which may hold a key, a digest alone."""
    digest = hashlib.sha256(template.text.encode()).hexdigest()
    return json.dumps({"url": digest, "bounds": area.bounds, "zooms": area.zooms})


def fetch(
    template: Template,
    area: Area,
    writer: MbtilesWriter,
    manners: Manners = Manners(),
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Fetch the tiles of an area that the file does not have yet.

    Whatever is no whole image of the other tiles' size is refused and asked for again. The file keeps what was received
    also where this raises, is interrupted or killed.

    Args:
        writer: opened with `request_of`.
        progress: called after every tile.
    """
    return asyncio.run(_Fetch(template, area, writer, manners, progress).run())


class _Fetch:
    def __init__(
        self,
        template: Template,
        area: Area,
        writer: MbtilesWriter,
        manners: Manners,
        progress: Callable[[Tally], None] | None,
    ) -> None:
        self.template, self.area, self.writer, self.manners = template, area, writer, manners
        self.progress = progress
        self.tally = Tally(area.count)
        self.pace = Pace(manners.rate)
        known = writer.work(SIZE)
        self.size = None if known is None else int(known)
        self.in_a_row = 0

    async def run(self) -> Tally:
        timeout = aiohttp.ClientTimeout(total=self.manners.timeout)
        headers = {"User-Agent": self.manners.user_agent, **dict(self.manners.headers)}
        connector = aiohttp.TCPConnector(limit=self.manners.concurrency)
        missing = self._missing()
        failures: list[BaseException] = []
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers, connector=connector) as session,
                asyncio.TaskGroup() as group,
            ):
                for _ in range(self.manners.concurrency):
                    group.create_task(self._work(session, missing))
        except* StopError as stop:
            self.tally.stopped = str(stop.exceptions[0])
        except* MapError as full:
            failures += full.exceptions
        if failures:
            raise failures[0]
        self.writer.commit()
        return self.tally

    def _missing(self) -> Iterator[tuple[int, int, int]]:
        """Tiles to ask for; those that are known already are counted on the way."""
        for zoom, x, rows in self.area.columns():
            known = self.writer.known(zoom, x)
            for y in rows:
                if y in known:
                    self.tally.known += 1
                else:
                    yield zoom, x, y

    async def _work(self, session: aiohttp.ClientSession, missing: Iterator[tuple[int, int, int]]) -> None:
        for zoom, x, y in missing:
            await self._fetch_tile(session, zoom, x, y)
            if (self.tally.received + self.tally.absent) % COMMIT_EVERY == 0:
                self.writer.commit()
            if self.progress is not None:
                self.progress(self.tally)
        if self.progress is not None:
            self.progress(self.tally)

    async def _fetch_tile(self, session: aiohttp.ClientSession, zoom: int, x: int, y: int) -> None:
        url = self.template.url(zoom, x, y)
        for attempt in range(self.manners.retries + 1):
            await self.pace.turn()
            try:
                data = await self._ask(session, url)
            except _FailedError as failure:
                self.tally.refused[failure.reason] += 1
                if failure.final or attempt == self.manners.retries:
                    self._give_up(failure.reason)
                    return
                if failure.wait is None:
                    await asyncio.sleep(backoff(attempt, self.manners.backoff))
                elif failure.wait > self.manners.patience:
                    raise StopError(
                        f"the server asks to wait {failure.wait:.0f} s; run the same command again later"
                    ) from None
                else:
                    self.pace.pause(failure.wait)
            else:
                self.in_a_row = 0
                if data is None:
                    self.writer.put_absent(zoom, x, y)
                    self.tally.absent += 1
                else:
                    self.writer.put(zoom, x, y, data)
                    self.tally.received += 1
                    self.tally.bytes += len(data)
                return

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> bytes | None:
        """A checked tile, None: there is none."""
        try:
            async with session.get(url) as answer:
                if answer.status in ABSENT:
                    return None
                if answer.status != 200:
                    again = answer.status in AGAIN
                    raise _FailedError(
                        f"HTTP {answer.status}", not again, retry_after(answer.headers.get("Retry-After"))
                    )
                data = await answer.content.read(MAX_BYTES + 1)
                while len(data) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES + 1 - len(data))):
                    data += more
        except TimeoutError:
            raise _FailedError("no answer in time") from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
            raise _FailedError("cut short") from None
        except (aiohttp.InvalidURL, aiohttp.TooManyRedirects) as error:
            raise _FailedError(f"{type(error).__name__}", final=True) from None
        except aiohttp.ClientConnectorError as error:
            raise _FailedError(f"no connection ({error.os_error.strerror or type(error.os_error).__name__})") from None
        except aiohttp.ClientError as error:
            raise _FailedError(type(error).__name__) from None
        if len(data) > MAX_BYTES:
            raise _FailedError("too large")
        try:
            size = check_tile(data, self.size)
        except RefusedError as error:
            raise _FailedError(str(error)) from None
        if self.size is None:
            self.size = size
            self.writer.set_work(SIZE, str(size))
        return data

    def _give_up(self, reason: str) -> None:
        self.tally.failed[reason] += 1
        self.in_a_row += 1
        if self.in_a_row >= self.manners.hopeless:
            raise StopError(f"{self.in_a_row} tiles failed one after the other, the last one by: {reason}")


class _FailedError(Exception):
    """An attempt that failed; final: another one would, too; wait: s that the server asks for."""

    def __init__(self, reason: str, final: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.final, self.wait = reason, final, wait


def finish(writer: MbtilesWriter, tally: Tally, metadata: dict[str, str], accept_gaps: bool) -> None:
    """Make the file a map, with gaps where the server has no tiles.

    Raises:
        MapError: the fetch ended early, or tiles failed that `accept_gaps` does not accept; the file keeps the others.
    """
    if tally.stopped:
        raise MapError(f"{tally.stopped}; {writer.part} keeps what was received, the same command goes on with it")
    failed = tally.failed.total()
    if failed and not accept_gaps:
        reasons = ", ".join(f"{count} by: {reason}" for reason, count in tally.failed.most_common())
        raise MapError(
            f"{failed} of {tally.total} tiles failed ({reasons}); the same command asks for these alone again, "
            "--accept-gaps makes a map without them"
        )
    writer.finish(metadata)
