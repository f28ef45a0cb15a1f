"""How fast a server may be asked: so many requests a second, and none while it asks for a rest."""

import asyncio
import email.utils
import random
import time


class Pace:
    """Turns for any number of tasks, evenly spaced; `pause` holds all of them.

    Args:
        rate: turns a second.
    """

    def __init__(self, rate: float) -> None:
        self._step = 1.0 / rate
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        # Turns are given away as they are asked for; whoever waited through a pause asks again.
        while (now := loop.time()) < self._next:
            await asyncio.sleep(self._next - now)
        self._next = max(self._next, now) + self._step

    def pause(self, seconds: float) -> None:
        """No turn for so long from now."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)


def backoff(attempt: int, base: float, limit: float = 60.0) -> float:
    """Seconds to wait after failed attempt 0, 1, ...: doubled each time, half of it random, so that tasks spread."""
    return min(limit, base * 2.0**attempt) * random.uniform(0.5, 1.0)


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); None: it says nothing."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
