"""Packages a robot may have and a plain virtual environment lacks: what is lost without each is decided here alone."""

import importlib
from types import ModuleType


def cv_bridge() -> ModuleType | None:
    """Return cv_bridge, or None where it is missing or broken (it does not load beside numpy 2 on Jazzy).

    Without it only the image encodings of :mod:`cvgeo_ros.nodes.images` are understood.
    """
    try:
        return importlib.import_module("cv_bridge")
    except (ImportError, AttributeError, RuntimeError):
        return None


def px4_messages() -> ModuleType | None:
    """Return px4_msgs.msg, or None where it is missing; the px4 node then says so and does not start."""
    try:
        return importlib.import_module("px4_msgs.msg")
    except ImportError:
        return None
