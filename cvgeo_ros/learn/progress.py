"""What a training tells while it runs: a line with the time left, a log, and TensorBoard's events."""

import json
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from .starting import Start

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Pace:
    """Steps per second over the last ones."""

    def __init__(self, window: int = 50) -> None:
        self._times: deque[float] = deque(maxlen=window + 1)

    def tick(self, now: float) -> None:
        """A step ended at `now`, seconds on any clock."""
        self._times.append(now)

    @property
    def speed(self) -> float:
        """0 until two steps have ended."""
        passed = self._times[-1] - self._times[0] if self._times else 0.0
        return (len(self._times) - 1) / passed if passed > 0 else 0.0


def time_left(steps: int, seconds: float | None, speed: float) -> float | None:
    """Seconds until steps or seconds are used up, whichever is first; None where the speed is not known yet.

    Args:
        steps: that remain.
        seconds: that remain; None: no limit.
        speed: steps per second.
    """
    if steps <= 0 or (seconds is not None and seconds <= 0):
        return 0.0
    if speed <= 0:
        return None
    return steps / speed if seconds is None else min(steps / speed, seconds)


def clock(seconds: float | None) -> str:
    """h:mm:ss, or -:--:-- for None."""
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Journal:
    """Tells of one run in `out`: log.jsonl, the folder tensorboard, and a line on the console that moves."""

    def __init__(
        self, out: Path, console: Console, step: int, steps: int, minutes: float | None, tensorboard: bool = True
    ) -> None:
        """Open the journal; what a killed run wrote after its checkpoint is dropped.

        Args:
            out: folder of the run.
            console: for people.
            step: the run goes on from.
            steps, minutes: that the run is to last.
            tensorboard: write its events where it is installed.
        """
        self.console, self.step, self.steps, self.minutes = console, step, steps, minutes
        self.pace = Pace()
        _drop_after(out / "log.jsonl", step)
        self._log = (out / "log.jsonl").open("a")
        self._events = self._open_events(out / "tensorboard") if tensorboard else None
        text = (
            "step {task.fields[step]}/{task.fields[steps]}  {task.fields[speed]:.2f} steps/s  {task.fields[left]} left"
        )
        self._bar = Progress(BarColumn(), TextColumn(text), console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=1.0, step=step, steps=steps, speed=0.0, left=clock(None))

    def __enter__(self) -> Self:
        self._bar.start()
        self.pace.tick(time.monotonic())
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._log.close()
        if self._events:
            self._events.close()

    def advance(self, step: int, elapsed: float) -> None:
        """A step has ended, `elapsed` seconds after the run's beginning."""
        self.step, self.elapsed = step, elapsed
        self.pace.tick(time.monotonic())
        budget = None if self.minutes is None else 60 * self.minutes
        self.left = time_left(self.steps - step, None if budget is None else budget - elapsed, self.pace.speed)
        done = max(step / self.steps, elapsed / budget if budget else 0.0)
        self._bar.update(self._task, completed=done, step=step, speed=self.pace.speed, left=clock(self.left))

    def report(self, rate: float, figures: dict[str, float]) -> None:
        """Write the figures since the last report everywhere."""
        speed = self.pace.speed
        means = {name: round(value, 4) for name, value in figures.items()}
        self.note({"step": self.step, "seconds": round(self.elapsed), "speed": round(speed, 3), "rate": rate, **means})
        if self._events:
            for name, value in {**figures, "rate": rate, "steps per second": speed}.items():
                self._events.add_scalar(name, value, self.step)
        shown = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        self.console.print(
            f"{self.step:6d} {self.elapsed:6.0f} s  {speed:.2f} steps/s  {clock(self.left)} left  {shown}",
            highlight=False,
            soft_wrap=True,
        )

    def tell(self, start: Start) -> None:
        """What the run starts from."""
        self.console.print(str(start), highlight=False, soft_wrap=True)
        self.note({"step": 0, **asdict(start), "path": str(start.path)})

    def note(self, entry: dict[str, Any]) -> None:
        """Put a line into the log."""
        self._log.write(json.dumps(entry) + "\n")
        self._log.flush()

    def _open_events(self, folder: Path) -> "SummaryWriter | None":
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.console.print(
                "no events for TensorBoard, which is not installed: pip install -r requirements/train.txt"
            )
            return None
        return SummaryWriter(str(folder), purge_step=self.step + 1)


def _drop_after(log: Path, step: int) -> None:
    """Cut off a log what comes after a step: the run goes on from there, and will write it anew."""
    if not log.exists():
        return
    lines = log.read_text().splitlines(keepends=True)
    kept = []
    for line in lines:
        try:
            if step == 0 or json.loads(line)["step"] > step:
                break
        except ValueError:  # killed while writing
            break
        kept.append(line)
    if len(kept) < len(lines):
        log.write_text("".join(kept))
