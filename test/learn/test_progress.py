"""What a training tells: time left, a log that holds each step once, TensorBoard's events."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cvgeo_ros.learn.progress import Journal, Pace, clock, time_left


def test_time_left_is_by_steps_or_minutes_whichever_is_first() -> None:
    assert time_left(100, None, 2.0) == 50.0
    assert time_left(100, 30.0, 2.0) == 30.0
    assert time_left(100, 80.0, 2.0) == 50.0
    assert time_left(100, 80.0, 0.0) is None, "before the speed is known"
    assert time_left(100, -1.0, 0.0) == 0.0


def test_pace_forgets() -> None:
    pace = Pace(window=4)
    assert pace.speed == 0.0
    for now in (0.0, 10.0, 20.0, 20.5, 21.0, 21.5, 22.0):
        pace.tick(now)
    assert pace.speed == pytest.approx(2.0)


def test_clock() -> None:
    assert clock(3 * 3600 + 62.4) == "3:01:02"
    assert clock(None) == "-:--:--"


def journal(out: Path, step: int, console: Console | None = None, tensorboard: bool = False) -> Journal:
    return Journal(out, console or Console(quiet=True), step, 400, None, tensorboard)


def write(out: Path, step: int, until: int, tensorboard: bool = False) -> None:
    with journal(out, step, tensorboard=tensorboard) as open_journal:
        for now in range(step + 50, until + 1, 50):
            open_journal.advance(now, now / 2.0)
            open_journal.report(1e-3, {"dense": float(step + 1)})


def test_a_resumed_run_writes_its_log_from_the_checkpoint_on(tmp_path: Path) -> None:
    write(tmp_path, 0, 250)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 300, "den')  # killed here; the checkpoint is of step 100
    write(tmp_path, 100, 200)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["dense"]) for line in lines] == [(50, 1), (100, 1), (150, 101), (200, 101)]
    write(tmp_path, 0, 50)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1, "begun anew"


def test_tensorboard_reads_each_step_once(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write(tmp_path, 0, 250, tensorboard=True)
    write(tmp_path, 100, 200, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("dense")] == [(50, 1), (100, 1), (150, 101), (200, 101)]
    assert events.Scalars("rate")[0].value == pytest.approx(1e-3)


def test_without_tensorboard_it_says_so_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    said = io.StringIO()
    with journal(tmp_path, 0, Console(file=said, width=200), tensorboard=True) as open_journal:
        for step in (1, 2):
            open_journal.advance(step, float(step))
            open_journal.report(1e-3, {"dense": 1.0})
    assert said.getvalue().count("not installed: pip install -r requirements/train.txt") == 1
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_on_a_terminal_one_line_shows_speed_and_time_left(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True, no_color=True)
    with journal(tmp_path, 0, console) as open_journal:
        open_journal.advance(100, 10.0)
    lines = [line for line in screen.getvalue().splitlines() if "step 100/400" in line]
    assert lines and all("steps/s" in line and line.rstrip("\x1b[?25lh").endswith("left") for line in lines)
