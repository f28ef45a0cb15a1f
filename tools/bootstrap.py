"""Set up the virtual environment of a checkout: Python packages, ROS 2 Jazzy, the interfaces and this package.

Runs with nothing but the standard library. A step whose inputs have not changed since it last succeeded is skipped, so
a second call takes a moment.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
INSTALLED_DIRECTORIES = ("cvgeo_ros", "config", "launch", "models", "scenes")
CPU_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
# Folders of the machine that the wheels were built on, which CMake refuses where they do not exist.
FOREIGN_NUMPY = re.compile(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages/numpy/_core/include")
FOREIGN_PYTHON = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")


class SetupError(RuntimeError):
    """A step that cannot be done, and what to do about it."""


def fingerprint(contents: Iterable[Path], names: Iterable[Path] = ()) -> str:
    """Digest of the `contents` of files and of the bare `names` of others."""
    digest = hashlib.sha256()
    for path in sorted(contents):
        digest.update(f"{path}\0".encode() + path.read_bytes())
    for path in sorted(names):
        digest.update(f"{path}\0".encode())
    return digest.hexdigest()


def files_under(*directories: Path) -> list[Path]:
    return [
        path
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def run(log: Path, *command: str | Path, env: dict[str, str]) -> None:
    """Run a command with its output in `log`, showing now and then where it is; SetupError with the end if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env, stdout=out, stderr=out)
    while True:
        try:
            code = process.wait(timeout=10)
            break
        except subprocess.TimeoutExpired:
            print(f"     {time.monotonic() - begin:3.0f} s: {last_lines(log, 1).strip()[:100]}", flush=True)
    if code != 0:
        raise SetupError(f"{last_lines(log, 25)}\n\n{command[0]} failed with {code}; its whole output is in {log}")


def last_lines(path: Path, number: int) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-number:])


class Environment:
    """The virtual environment at `prefix`, and the record of what has been done to it."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.python = prefix / "bin" / "python"
        self.build = prefix / "build"
        self._stamps = prefix / "stamps.json"
        # A shell with another ROS sourced must not leak in.
        foreign = ["PYTHON", "AMENT_", "CMAKE_PREFIX", "COLCON_", "_ROS_WHEELS"]
        if "AMENT_PREFIX_PATH" in os.environ:
            foreign.append("LD_LIBRARY_PATH")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(tuple(foreign))}
        self.env |= {
            "AMENT_PREFIX_PATH": str(prefix),
            "CMAKE_PREFIX_PATH": str(prefix),
            "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def step(self, name: str, title: str, key: str, action: Callable[[], None]) -> None:
        """Do `action` unless it succeeded before under the same `key`."""
        if self._read_stamps().get(name) == key:
            return
        print(f"  -> {title}", flush=True)
        begin = time.monotonic()
        self.forget(name)
        action()
        self._write_stamp(name, key)
        print(f"     done in {time.monotonic() - begin:.0f} s", flush=True)

    def forget(self, name: str) -> None:
        """Make the step `name` run again."""
        self._write_stamp(name, "")

    def _read_stamps(self) -> dict[str, str]:
        return json.loads(self._stamps.read_text()) if self._stamps.exists() else {}

    def _write_stamp(self, name: str, key: str) -> None:
        self._stamps.write_text(json.dumps(self._read_stamps() | {name: key}, indent=2))

    def create(self) -> None:
        for entry in self.prefix.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        run(self.prefix / "log" / "venv.txt", sys.executable, "-m", "venv", self.prefix, env=self.env)

    def install_packages(self) -> None:
        pip: tuple[str | Path, ...] = (
            self.python,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
        )
        log = self.prefix / "log"
        index = cpu_torch_index()
        run(log / "torch.txt", *pip, *index, "-r", REQUIREMENTS / "torch.txt", env=self.env)
        names = ("torch", "run", "export", "place", "train", "ros", "develop")
        rest = [part for name in names for part in ("-r", REQUIREMENTS / f"{name}.txt")]
        run(log / "packages.txt", *pip, *rest, env=self.env)
        self.mend_exports()

    def mend_exports(self) -> None:
        """Point the CMake exports of the wheels' messages at this environment's headers.

        They name the include folders of Python and numpy on the machine that the wheels were built on.
        """
        query = "import numpy, sysconfig; print(numpy.get_include(), sysconfig.get_path('include'), sep='\\n')"
        answer = subprocess.run([self.python, "-c", query], env=self.env, check=True, capture_output=True, text=True)
        numpy_include, python_include = answer.stdout.splitlines()
        for path in self.prefix.glob("share/*/cmake/export_*__rosidl_generator_pyExport.cmake"):
            text = path.read_text()
            mended = FOREIGN_NUMPY.sub(lambda _: numpy_include, text)
            mended = FOREIGN_PYTHON.sub(lambda _: python_include, mended)
            if mended != text:
                path.write_text(mended)

    def build_package(self, name: str, source: Path, *options: str) -> None:
        """Configure, build and install a CMake package; Ninja redoes only what its changed files ask for."""
        cmake, build = self.prefix / "bin" / "cmake", self.build / name
        configure: tuple[str | Path, ...] = (
            cmake,
            f"-S{source}",
            f"-B{build}",
            "-GNinja",
            f"-DCMAKE_MAKE_PROGRAM={self.prefix / 'bin' / 'ninja'}",
            f"-DCMAKE_INSTALL_PREFIX={self.prefix}",
            f"-DPython3_EXECUTABLE={self.python}",
            f"-DPYTHON_EXECUTABLE={self.python}",
            "-DBUILD_TESTING=OFF",
            *options,
        )
        run(self.prefix / "log" / f"{name}_configure.txt", *configure, env=self.env)
        run(self.prefix / "log" / f"{name}.txt", cmake, "--build", build, "--target", "install", env=self.env)

    def is_linked(self) -> bool:
        """Whether the environment imports the checkout's modules, and not copies that pip has put in their place."""
        modules = self.prefix.glob("lib/python3*/site-packages/cvgeo_ros/__init__.py")
        return any(path.resolve() == ROOT / "cvgeo_ros" / "__init__.py" for path in modules)

    def link_checkout(self) -> None:
        if any(self.prefix.glob("lib/python3*/site-packages/cvgeo_ros-*.dist-info")):
            run(
                self.prefix / "log" / "uninstall.txt",
                self.python,
                "-m",
                "pip",
                "uninstall",
                "-y",
                "cvgeo_ros",
                env=self.env,
            )
        self.build_package("cvgeo_ros", ROOT, "-DCVGEO_VENV=ON", "-DAMENT_CMAKE_SYMLINK_INSTALL=ON")


def cpu_torch_index() -> list[str]:
    """Options for pip that offer the CPU build of torch where there is no GPU and the index of those builds answers.

    The default build for x86-64 Linux brings gigabytes of CUDA libraries.
    """
    if any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvmap", "/dev/dxg")):
        return []
    try:
        urllib.request.urlopen(f"{CPU_TORCH_INDEX}/torch/", timeout=5).close()
    except (OSError, ValueError):
        return []
    return ["--extra-index-url", CPU_TORCH_INDEX]


def check_machine() -> None:
    """SetupError naming what the machine lacks and how to get it."""
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        raise SetupError(
            f"Python 3.11 or 3.12 is needed, but {sys.executable} is {sys.version.split()[0]};"
            " name another one, for instance: make PYTHON=python3.12"
        )
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        raise SetupError("no C++ compiler found; install one, for instance: sudo apt install build-essential")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise SetupError(
            f"the headers of {sys.executable} are missing; install them, for instance: sudo apt install python3-dev"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            f"{sys.executable} cannot create environments; for instance: sudo apt install python3-venv"
        ) from None


def set_up(prefix: Path) -> None:
    """Bring the environment at `prefix` up to date with the checkout."""
    environment = Environment(prefix)
    python_key = f"{sys.version_info.major}.{sys.version_info.minor} {Path(sys.executable).resolve()} {prefix}"
    environment.step("venv", f"Creating {prefix}", python_key, environment.create)

    pins = fingerprint(REQUIREMENTS.glob("*.txt"))
    environment.step(
        "packages", "Installing ROS 2, torch and the rest: some minutes", pins, environment.install_packages
    )

    geographic = ROOT / "interfaces" / "geographic_msgs"
    key = fingerprint([*files_under(geographic), REQUIREMENTS / "ros.txt"])
    environment.step(
        "geographic_msgs",
        "Generating geographic_msgs",
        key,
        lambda: environment.build_package("geographic_msgs", geographic),
    )

    sources = [
        ROOT / "CMakeLists.txt",
        ROOT / "package.xml",
        ROOT / "tools" / "cvgeo_ros_environment.pth",
        ROOT / "tools" / "launcher.py.in",
        *files_under(ROOT / "msg", ROOT / "srv"),
    ]
    names = files_under(*(ROOT / directory for directory in INSTALLED_DIRECTORIES))
    if not environment.is_linked():
        environment.forget("cvgeo_ros")
    environment.step(
        "cvgeo_ros",
        "Generating the messages of cvgeo_ros and linking the package",
        fingerprint(sources, names) + key,
        environment.link_checkout,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Set up the virtual environment of this checkout.")
    parser.add_argument("prefix", nargs="?", type=Path, default=ROOT / ".venv", help="where (default: .venv)")
    prefix = parser.parse_args().prefix.absolute()
    check_machine()
    prefix.mkdir(parents=True, exist_ok=True)
    with (prefix / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up(prefix)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"\n{error}")
