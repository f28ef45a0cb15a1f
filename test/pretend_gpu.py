"""A GPU that is only pretended: what runs on it is computed on the CPU, but may not be mixed with what lies there.

It finds a forgotten move between devices on a machine without a GPU, and counts what a GPU would be waited for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
WAITS = ("item", "tolist", "nonzero", "__bool__", "__int__", "__float__", "__index__", "bincount", "unique", "cpu")
"""Of what needs values or sizes from the device."""
MIXED = ("__getitem__", "__setitem__", "copy_", "set_", "load_state_dict")
"""Of what may read indices or values from the CPU, and moves them by itself."""


def put(value: Any) -> Any:
    """Tensors, or a module's parameters and buffers, on the pretended GPU."""
    if isinstance(value, torch.nn.Module):
        for part in (*value.parameters(), *value.buffers()):
            part.pretended = True
        return value
    moved = value.view_as(value)
    moved.pretended = True
    return moved


def is_there(value: Any) -> bool:
    return isinstance(value, Tensor) and getattr(value, "pretended", False)


class PretendedGpu(TorchFunctionMode):
    """While it is entered, "cuda" is the pretended GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = any(is_there(tensor) for tensor in tensors)
        name = getattr(func, "__name__", str(func))
        full = resolve_name(func) or name
        if name == "__get__":
            value = func(*args, **kwargs)
            if there and isinstance(value, torch.device):
                return DEVICE
            return tree_map(lambda leaf: put(leaf) if there and isinstance(leaf, Tensor) else leaf, value)
        if full.endswith("device.__get__"):
            return DEVICE if there else func(*args, **kwargs)
        wanted = self._wanted(name, args, kwargs)
        if wanted is not None:
            args = tuple(torch.device("cpu") if _is_device(a) else a for a in args)
            if "device" in kwargs:
                kwargs["device"] = torch.device("cpu")
        if there and name == "numpy":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if there and (name in WAITS or (name == "to" and wanted is not None and wanted.type == "cpu")):
            self.waits.append(name)
        elsewhere = [t for t in tensors if not is_there(t) and t.dim() > 0]
        moving = name in ("to", "cpu", "new_tensor", *MIXED)
        if there and elsewhere and not moving:
            raise RuntimeError(f"{full}: tensors on cuda:0 and on the CPU, {[tuple(t.shape) for t in elsewhere]}")
        result = func(*args, **kwargs)
        stays = there if wanted is None else wanted.type == "cuda"
        if name == "cpu":
            stays = False

        def settle(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor) or is_there(leaf) == stays:
                return leaf
            if stays:
                if any(leaf is t for t in tensors):
                    return put(leaf) if moving else leaf
                leaf.pretended = True
                return leaf
            return leaf.detach().clone()

        return tree_map(settle, result)

    @staticmethod
    def _wanted(name: str, args: Any, kwargs: Any) -> torch.device | None:
        """Device that a call asks for."""
        if name == "device":
            return None
        if "device" in kwargs and kwargs["device"] is not None:
            return torch.device(kwargs["device"])
        if name == "to":
            return next((torch.device(a) for a in args[1:] if _is_device(a)), None)
        return None


def _is_device(value: Any) -> bool:
    return isinstance(value, torch.device) or (isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda"))


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    with PretendedGpu() as mode:
        yield mode
