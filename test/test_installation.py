"""The same package by colcon, as on a robot, and by pip."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

ROOT = Path(__file__).resolve().parent.parent
EXECUTABLES = ("camera", "cvgeo", "localizer", "mavlink", "px4", "visualizer")
USE = """
import cvgeo_ros, cvgeo_ros.errors
from cvgeo_ros.nodes.camera import main as camera
from cvgeo_ros.nodes.localizer import main as localizer
from cvgeo_ros.nodes.visualizer import main as visualizer
from cvgeo_ros.msg import GeoTargetArray
from cvgeo_ros.srv import LocateTargets
from rclpy.serialization import deserialize_message, serialize_message

message = GeoTargetArray(tile_id="tile")
assert deserialize_message(serialize_message(message), GeoTargetArray) == message
print(cvgeo_ros.errors.__file__, GeoTargetArray.__module__ and __import__("cvgeo_ros.msg").msg.__file__, sep="\\n")
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of what git would commit: builds leave nothing behind, and find nothing that a clone lacks."""
    target = tmp_path_factory.mktemp("workspace") / "src" / "cvgeo_ros"
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """Environment of a shell in which the environment of the tests is activated and its prefix sourced."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", sys.prefix)
    return os.environ | {
        "AMENT_PREFIX_PATH": prefixes,
        "CMAKE_PREFIX_PATH": prefixes,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "VIRTUAL_ENV": sys.prefix,
    }


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def shared_files(source: Path) -> list[Path]:
    folders = ("config", "launch", "models", "scenes")
    return [path.relative_to(source) for folder in folders for path in (source / folder).rglob("*") if path.is_file()]


def check_prefix(prefix: Path, source: Path) -> None:
    share = prefix / "share" / "cvgeo_ros"
    assert shared_files(source)
    for path in [Path("package.xml"), *shared_files(source)]:
        assert (share / path).read_bytes() == (source / path).read_bytes()
    for name in EXECUTABLES:
        assert os.access(prefix / "lib" / "cvgeo_ros" / name, os.X_OK)


@pytest.mark.skipif(shutil.which("colcon", path=Path(sys.executable).parent) is None, reason="colcon is not installed")
def test_colcon_build(source: Path, env: dict[str, str]) -> None:
    workspace = source.parent.parent
    found = run("colcon", "list", "--base-paths", "src", cwd=workspace, env=env)
    assert [line.split()[0] for line in found.splitlines()] == ["cvgeo_ros"]

    run("colcon", "build", "--base-paths", "src", "--event-handlers", "console_cohesion+", cwd=workspace, env=env)
    prefix = workspace / "install" / "cvgeo_ros"
    check_prefix(prefix, source)
    assert os.access(prefix / "bin" / "cvgeo", os.X_OK)
    sourced = '. install/setup.sh && exec "$0" "$@"'
    origins = run("bash", "-c", sourced, sys.executable, "-c", USE, cwd=workspace, env=env).splitlines()[-2:]
    assert all(Path(origin).is_relative_to(prefix) for origin in origins)
    assert "demo" in run("bash", "-c", sourced, "cvgeo", "--help", cwd=workspace, env=env)


def test_pip_install(source: Path, env: dict[str, str], tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index")
    # Beside the installation that runs this test: pip would otherwise uninstall that one first.
    run(*pip, "--ignore-installed", "--prefix", tmp_path, source, cwd=tmp_path, env=env)
    site_packages = sysconfig.get_path("purelib", "posix_prefix", {"base": str(tmp_path)})
    check_prefix(tmp_path, source)
    assert os.access(tmp_path / "bin" / "cvgeo", os.X_OK)
    libraries = os.pathsep.join([str(tmp_path / "lib"), os.environ.get("LD_LIBRARY_PATH", "")])
    env = env | {"PYTHONPATH": site_packages, "LD_LIBRARY_PATH": libraries}
    origins = run(sys.executable, "-c", USE, cwd=tmp_path, env=env).splitlines()[-2:]
    assert all(Path(origin).is_relative_to(tmp_path) for origin in origins)
    assert "demo" in run(tmp_path / "bin" / "cvgeo", "--help", cwd=tmp_path, env=env)
