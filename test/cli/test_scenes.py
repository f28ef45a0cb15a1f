"""``cvgeo scenes`` as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "tools" / "launcher.py.in"


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher that the build writes, for this interpreter."""
    names = {"CVGEO_PYTHON": sys.executable, "module": "cvgeo_ros.cli", "function": "app"}
    path = tmp_path / "cvgeo"
    path.write_text(re.sub("@(\\w+)@", lambda match: names[match[1]], TEMPLATE.read_text()))
    path.chmod(0o755)
    return path


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("stop", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)], ids=["ctrl-c", "kill"]
)
def test_many_processes_pack_worlds_and_stop(
    launcher: Path, tmp_path: Path, stop: Callable[[int, int], None], number: int
) -> None:
    """Ctrl-C reaches them all, `kill` the first alone; none is left behind."""
    out = tmp_path / "worlds"
    command = [launcher, "scenes", "pack", "--out", out, "--worlds", "40", "--views", "0", "--workers", "2"]
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            until = time.monotonic() + 120
            while not list(out.glob("*/world.json")) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.2)
            stop(process.pid, number)
            said = process.communicate(timeout=60)[0]
            until = time.monotonic() + 20
            while alive(process.pid) and time.monotonic() < until:
                time.sleep(0.1)
            assert not alive(process.pid)
        finally:
            process.kill()
    assert "Traceback" not in said
    assert process.returncode != 0
    written = list(out.iterdir())
    assert 1 <= len(written) <= 10
    for folder in written:
        assert not folder.name.startswith(".") and (folder / "world.json").is_file()
