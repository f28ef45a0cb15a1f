"""The one place that imports timm.

timm imports torchvision, whose compiled operators are absent where a CPU-only torch is paired with the PyPI build of
torchvision; its import then stops at a missing operator schema. timm uses neither operator, so declaring their schemas
is enough. Nothing is declared where the operators exist.
"""

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _torchvision_operators_load() -> bool:
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        return False
    return True


if not _torchvision_operators_load():
    _library = torch.library.Library("torchvision", "DEF")  # must outlive the import
    for _schema in _SCHEMAS:
        _library.define(_schema)

from timm.models.swin_transformer import SwinTransformer  # noqa: E402

__all__ = ["SwinTransformer"]
