"""The files that branches are written to, and how each is run."""

import importlib.util
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ..errors import ExportError
from ..net import STRIDE, NetConfig
from .branches import Branch

Format = Literal["onnx", "torch-export"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
OPSET = 18
"""Of ONNX: the one that torch's own translations are written for."""
PACKAGES: dict[Format, tuple[str, ...]] = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch-export": ()}
ABOUT = "cvgeo.json"
"""The file within a torch.export program that holds what `about` says."""
Runner = Callable[[Sequence[Tensor]], list[Tensor]]
"""Runs a written file on the CPU."""


def require(form: Format) -> None:
    """Raise ExportError where a package is missing that the format needs."""
    missing = [name for name in PACKAGES[form] if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"--format {form} needs {', '.join(missing)}: pip install -r requirements/export.txt, "
            "or pip install 'cvgeo_ros[export]'"
        )


def about(branch: Branch, config: NetConfig, weights: str) -> dict[str, str]:
    """What is written into a file of a branch: enough to feed it without the documents.

    Args:
        branch: the branch.
        config: of the network.
        weights: digest of the weights file, or a word where there is none.
    """
    return {
        "branch": branch.name,
        "view": "" if branch.view is None else branch.view.name.lower(),
        "model": config.name,
        "config": json.dumps(config.to_dict()),
        "weights": weights,
        "stride": str(STRIDE),
        "inputs": json.dumps([asdict(port) for port in branch.inputs]),
        "outputs": json.dumps([asdict(port) for port in branch.outputs]),
        "torch": torch.__version__,
    }


def write(form: Format, branch: Branch, program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """Write a traced branch; the weights are in the file."""
    if form == "torch-export":
        program.example_inputs = None  # they would be kept, too, and outweigh the click branch
        torch.export.save(program, path, extra_files={ABOUT: json.dumps(facts)})
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own making
        graph = torch.onnx.export(
            program,
            input_names=[port.name for port in branch.inputs],
            output_names=[port.name for port in branch.outputs],
            opset_version=OPSET,
            verbose=False,
        )
    assert graph is not None
    for values, ports in ((graph.model.graph.inputs, branch.inputs), (graph.model.graph.outputs, branch.outputs)):
        for value, port in zip(values, ports, strict=True):
            assert value.shape is not None
            value.shape = type(value.shape)(port.shape)  # torch calls free sizes s40 and the like
    graph.model.metadata_props.update({**facts, "opset": str(OPSET)})
    graph.save(path, external_data=False)


def load(form: Format, branch: Branch, path: Path) -> Runner:
    """A written file, to be run as its users do."""
    if form == "torch-export":
        module = torch.export.load(path).module()

        def run_program(inputs: Sequence[Tensor]) -> list[Tensor]:
            with torch.no_grad():
                return list(module(*inputs))

        return run_program

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run_session(inputs: Sequence[Tensor]) -> list[Tensor]:
        feed: dict[str, Any] = {port.name: value.numpy() for port, value in zip(branch.inputs, inputs, strict=True)}
        return [torch.from_numpy(value) for value in session.run([port.name for port in branch.outputs], feed)]

    return run_session
