"""Where the files lie that ship with the project: models, scenes, configuration.

They lie beside the package in a checkout, and below ``share/cvgeo_ros`` of an ament prefix or of the Python environment
once installed.
"""

import os
import sys
from pathlib import Path


def prefixes() -> list[Path]:
    """Return the prefixes that packages are installed below, the one that counts first."""
    paths = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    return [Path(path) for path in dict.fromkeys(paths)]


def shipped(folder: str) -> list[Path]:
    """Return the folders of this name ("models", "scenes", "config") that exist, the one that counts first."""
    places = [Path(__file__).resolve().parents[1] / folder]
    places += [prefix / "share" / "cvgeo_ros" / folder for prefix in prefixes()]
    return [place for place in places if place.is_dir()]
