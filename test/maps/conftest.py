"""A tile server on a real socket that can be told to misbehave."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

Place = tuple[int, int, int]


def picture(zoom: int, x: int, y: int, suffix: str = ".jpg", size: int = 256) -> bytes:
    """A tile that no other place has."""
    seed = int.from_bytes(hashlib.sha256(f"{zoom}/{x}/{y}".encode()).digest()[:4], "little")
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    return cv2.imencode(suffix, cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR))[1].tobytes()


@dataclass
class Answer:
    """What the server says: status, headers, body; `sent`: bytes of the body that really go over the wire."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    delay: float = 0.0


@dataclass
class TileServer:
    """Serves /{z}/{x}/{y}; `rule` may answer otherwise: it is given the place and how often it was asked before."""

    rule: Callable[[Place, int], Answer | None] = lambda place, before: None
    asked: Counter[Place] = field(default_factory=Counter)
    paths: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    port: int = 0
    parse: Callable[[str], Place] = lambda path: tuple(int(part.split(".")[0]) for part in path.split("/")[1:4])  # type: ignore[assignment, return-value]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{z}}/{{x}}/{{y}}.jpg"


@pytest.fixture
def server() -> Iterator[TileServer]:
    state, lock = TileServer(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = state.parse(self.path)
            with lock:
                before = state.asked[place]
                state.asked[place] += 1
                state.paths.append(self.path)
                state.times.append(time.monotonic())
                state.agents.add(self.headers["User-Agent"])
                state.headers.append(dict(self.headers))
                state.busy += 1
                state.busiest = max(state.busiest, state.busy)
            try:
                answer = state.rule(place, before) or Answer(picture(*place))
                time.sleep(answer.delay)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body if answer.sent is None else answer.body[: answer.sent])
                if answer.sent is not None:
                    self.close_connection = True
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with lock:
                    state.busy -= 1

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        state.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            http.shutdown()
            thread.join()
