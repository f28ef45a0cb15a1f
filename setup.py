"""`pip install .` into an environment that has ROS 2: the generated interfaces go into the wheel beside the modules.

CMakeLists.txt says what is installed, here as for colcon; the wheel carries what it installs.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithInterfaces(build_py):
    """Add to the wheel what CMake installs: the import package to its root, the rest below the environment's prefix."""

    def run(self) -> None:
        super().run()
        stage = self.install_with_cmake()
        packages = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(stage)}))
        for source in files_under(packages):
            if not source.relative_to(packages).parts[0].endswith(".egg-info"):
                target = Path(self.build_lib, source.relative_to(packages))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        folders: dict[str, list[str]] = {}
        for source in files_under(stage):
            # pip writes bin/cvgeo itself.
            if not source.is_relative_to(packages) and source.parent != stage / "bin":
                folders.setdefault(str(source.parent.relative_to(stage)), []).append(str(source.relative_to(ROOT)))
        self.distribution.data_files = list(folders.items())

    def install_with_cmake(self) -> Path:
        """Folder that stands for the environment's prefix, with the whole package built and installed into it."""
        # Staged by DESTDIR: with another prefix, CMake refuses the headers of an environment that lies in the checkout.
        build, stage = (ROOT / "build" / f"{name}-{sys.implementation.cache_tag}" for name in ("cmake", "stage"))
        shutil.rmtree(stage, ignore_errors=True)
        env = dict(os.environ)
        # The generators are in the environment itself, which pip hides from a build in isolation.
        python_path = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if "pip-build-env" not in entry]
        env["PYTHONPATH"] = os.pathsep.join(entry for entry in python_path if entry)
        env["DESTDIR"] = str(stage)
        env["PATH"] = os.pathsep.join([str(Path(sys.prefix, "bin")), env.get("PATH", os.defpath)])
        prefixes = [sys.prefix, *env.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = os.pathsep.join(dict.fromkeys(filter(None, prefixes)))
        python = Path(sys.prefix, "bin", "python")
        in_wheels = Path(sysconfig.get_path("purelib"), "ros_wheels_bootstrapper").exists()
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            f"-DCMAKE_INSTALL_PREFIX={sys.prefix}",
            f"-DPython3_EXECUTABLE={python}",
            f"-DPYTHON_EXECUTABLE={python}",
            f"-DCVGEO_VENV={'ON' if in_wheels else 'OFF'}",
            "-DBUILD_TESTING=OFF",
        ]
        for command in (configure, ["cmake", "--build", str(build), "--parallel", "--target", "install"]):
            try:
                subprocess.run(command, env=env, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SystemExit(
                    f"{error}\ncvgeo_ros generates ROS messages while it is installed: it needs CMake, a C++ compiler"
                    " and an environment with ROS 2, as `make setup` creates it or a sourced ROS 2 setup file names it."
                ) from error
        return stage / Path(sys.prefix).relative_to("/")


class PlatformDistribution(Distribution):
    """A wheel that holds compiled message types, for one Python and platform."""

    def has_ext_modules(self) -> bool:
        return True


def files_under(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


setup(cmdclass={"build_py": BuildWithInterfaces}, distclass=PlatformDistribution)
