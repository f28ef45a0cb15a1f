"""Begin a training from weights of another one: fine-tuning, or a network that has grown new parts."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..errors import WeightsError
from ..net.weights import find_weights, read_weights


@dataclass(frozen=True)
class Start:
    """What a model took over.

    Attributes:
        path: weights file.
        taken: number of parameters with the file's values.
        missing: that the file lacks; they keep the values they had.
        reshaped: that the file has in another shape; they keep the values they had.
        unexpected: in the file only.
    """

    path: Path
    taken: int
    missing: tuple[str, ...]
    reshaped: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        kept = [f"{name} (of another shape)" for name in self.reshaped]
        fresh = ", ".join([*self.missing, *kept]) or "none"
        left = ", ".join(self.unexpected) or "none"
        return f"starts from {self.path}: {self.taken} parameters; fresh: {fresh}; not used: {left}"


def start_from(model: nn.Module, weights: str | Path) -> Start:
    """Put a file's values into the parameters of a model that have the same name and shape.

    Args:
        model: changed in place.
        weights: .safetensors file, or name of a shipped model.

    Raises:
        WeightsError: no such file, damaged, or nothing of it fits.
    """
    path = find_weights(weights)
    tensors, _ = read_weights(path)
    own = model.state_dict()
    fitting = {name: value for name, value in tensors.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise WeightsError(f"{path}: no parameter fits the network that is trained; start from weights of its kind")
    with torch.no_grad():
        model.load_state_dict(fitting, strict=False)
    return Start(
        path,
        len(fitting),
        tuple(name for name in own if name not in tensors),
        tuple(name for name in own if name in tensors and name not in fitting),
        tuple(name for name in tensors if name not in own),
    )
