"""Weights on disk: safetensors with the configuration in the header, so that a file is all a robot needs."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import WeightsError
from ..share import shipped
from .config import NetConfig
from .model import CrossViewLocator


def save_weights(model: CrossViewLocator, path: Path, half: bool = True, **about: str) -> None:
    """Write a model; `half` stores float16, which costs no accuracy and halves the file.

    Args:
        model: the model.
        path: a .safetensors file.
        half: store float16.
        **about: facts for the header, such as `steps` or `data`.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(kind).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, path, metadata={"config": json.dumps(model.config.to_dict()), **about})


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file's tensors, in float32 on the CPU, and its header.

    Raises:
        WeightsError: no such file, damaged, or of another program.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; give the name of a shipped model or a .safetensors file")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged weights file ({error}); copy it again") from error
    if "config" not in about:
        raise WeightsError(f"{path}: weights of another program; the header has no 'config'")
    return tensors, about


def read_facts(path: Path) -> dict[str, str]:
    """What a file's header tells besides the architecture, for weights that are made of it: what `save_weights` took.

    Raises:
        WeightsError: as `read_weights` does.
    """
    return {name: fact for name, fact in read_weights(path)[1].items() if name != "config"}


def load_weights(path: Path) -> CrossViewLocator:
    """Read a model in float32, ready to infer.

    Raises:
        WeightsError: no such file, damaged, or of another architecture.
    """
    tensors, about = read_weights(path)
    try:
        model = CrossViewLocator(NetConfig.from_dict(json.loads(about["config"])))
        model.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: weights of another version of the network ({error}); train or fetch anew"
        ) from error
    return model.eval()


def find_weights(model: str | Path) -> Path:
    """Path of a shipped model's weights by name (see `cvgeo_ros.share`), or the path given where it names a file.

    Raises:
        WeightsError: no such model.
    """
    if Path(model).suffix == ".safetensors":
        return Path(model)
    folders = shipped("models")
    for folder in folders:
        path = folder / f"{model}.safetensors"
        if path.is_file():
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.safetensors")})
    raise WeightsError(
        f"model {str(model)!r} is not shipped; known: {', '.join(known) or 'none'}; or give a .safetensors file"
    )
