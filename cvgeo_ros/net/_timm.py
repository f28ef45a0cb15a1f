"""The one place that imports timm: Swin alone for the localizer, all of it where a place model asks for another tower.

timm's packages import all of its models, torchvision, and with that torch's compiler: at every start of a robot, and
twice as long as torch itself takes. So the packages are entered without running their `__init__`, and what Swin can do
without is left out. Where timm is laid out otherwise than the version that is pinned, it is imported whole.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from timm.models.swin_transformer import SwinTransformer

__all__ = ["SwinTransformer"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _package(name: str, *path: Path) -> ModuleType:
    package = ModuleType(name)
    package.__path__ = [str(part) for part in path]
    return package


@contextmanager
def _stand_ins(root: Path) -> Iterator[None]:
    """Packages in place of the real ones while Swin is imported; afterwards others may import these."""
    misc = ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = type("FrozenBatchNorm2d", (torch.nn.Module,), {})  # type: ignore[attr-defined]
    names: dict[str, ModuleType | None] = {
        "timm": _package("timm", root),
        "timm.models": _package("timm.models", root / "models"),
        "timm.data": _package("timm.data", root / "data"),
        "torchvision": _package("torchvision"),
        "torchvision.ops": _package("torchvision.ops"),
        "torchvision.ops.misc": misc,
        "torchvision.models": None,
        "huggingface_hub": None,
    }
    sys.modules.update(names)  # type: ignore[arg-type]  # None: cannot be imported
    try:
        timm, data = names["timm"], names["timm.data"]
        vars(timm)["__version__"] = importlib.import_module("timm.version").__version__
        vars(data).update(vars(importlib.import_module("timm.data.constants")))
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _import_swin() -> type:
    if "timm" not in sys.modules and "torchvision" not in sys.modules:
        found = importlib.util.find_spec("timm")
        try:
            if found is not None and found.submodule_search_locations:
                with _stand_ins(Path(found.submodule_search_locations[0])):
                    return importlib.import_module("timm.models.swin_transformer").SwinTransformer
        except (ImportError, AttributeError):
            for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
                del sys.modules[name]
    return _import_whole()


def import_timm() -> ModuleType:
    """All of timm.

    The compiled operators of torchvision are absent where a CPU-only torch is paired with the build from PyPI; its
    import then stops at a missing operator schema. timm uses neither operator, so declaring their schemas is enough.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        _LIBRARIES.append(library)
        for schema in _SCHEMAS:
            library.define(schema)
    return importlib.import_module("timm")


def _import_whole() -> type:
    return importlib.import_module(f"{import_timm().__name__}.models.swin_transformer").SwinTransformer


_LIBRARIES: list[torch.library.Library] = []
"""Must outlive the import."""
if not TYPE_CHECKING:
    SwinTransformer = _import_swin()
