"""A network as files that were compared with it, or none at all."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import ExportError, WeightsError
from ..net import CONFIGS, CrossViewLocator
from ..net.weights import find_weights, load_weights
from .branches import BRANCHES, branches_of, trace
from .comparison import TOLERANCE, Difference, compare
from .examples import examples
from .formats import SUFFIXES, Format, about, load, require, write


@dataclass(frozen=True)
class Written:
    """A branch that was written and compared.

    Attributes:
        path: its file.
        bytes: its size.
        seconds: it took, comparison included.
        differences: from the network, by output.
    """

    path: Path
    bytes: int
    seconds: float
    differences: tuple[Difference, ...]


def open_model(model: str, untrained: bool) -> tuple[CrossViewLocator, str]:
    """The network to export, and the digest of its weights file; `untrained` takes random weights of a known size.

    Raises:
        WeightsError: no such weights, or no such size.
    """
    if not untrained:
        path = find_weights(model)
        network = load_weights(path)
        return network, hashlib.sha256(path.read_bytes()).hexdigest()
    if model not in CONFIGS:
        raise WeightsError(f"no size of the network is called {model!r}; known: {', '.join(CONFIGS)}")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CrossViewLocator(CONFIGS[model]).eval(), "untrained"


def export(
    model: CrossViewLocator,
    weights: str,
    form: Format,
    branches: Sequence[str],
    out: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Written]:
    """Write branches of a network to `out` once all of them agree with it; older files of theirs are replaced.

    Args:
        model: the network, on the CPU.
        weights: digest of its weights, kept in the files.
        form: format of the files.
        branches: names out of `BRANCHES`.
        out: folder, made where there is none.
        tell: is told what is being done.

    Raises:
        ExportError: a package is missing, the exporter or runtime fails, or a file computes something else than the
            network; none is left then.
    """
    require(form)
    if lacking := [name for name in branches if name not in branches_of(model)]:
        raise ExportError(
            f"{model.config.name} has no branch {', '.join(lacking)}; it has {', '.join(branches_of(model))}. "
            "Another model, or the training of a close look (docs/training.md), gives it"
        )
    model = model.eval()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as folder:
        written = []
        for name in branches:
            began = time.perf_counter()
            branch = BRANCHES[name](model)
            inputs = examples(model, name)
            path = Path(folder, f"{model.config.name}-{name}{SUFFIXES[form]}")
            with _named(name, form):
                tell(f"{name}: tracing")
                program = trace(branch, inputs[0])
                tell(f"{name}: writing")
                write(form, branch, program, path, about(branch, model.config, weights))
                tell(f"{name}: comparing")
                differences = compare(branch, load(form, branch, path), inputs)
            if bad := [difference for difference in differences if not difference.passed]:
                raise ExportError(
                    f"{path.name} computes something else than the network: "
                    + ", ".join(f"{d.output} is off by {d.largest:.1e}" for d in bad)
                    + f", allowed are {TOLERANCE:g}; nothing was written. Set up the versions of requirements/"
                )
            seconds = time.perf_counter() - began
            written.append(Written(out / path.name, path.stat().st_size, seconds, tuple(differences)))
        for done in written:
            Path(folder, done.path.name).replace(done.path)
    return written


@contextmanager
def _named(branch: str, form: Format) -> Iterator[None]:
    """Tell by branch and format of an error of any kind, which exporters and runtimes raise; one of the disk passes."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ExportError(
            f"branch {branch} cannot be exported as {form}: {type(error).__name__}{f': {lines[0]}' if lines else ''}; "
            "nothing was written. Set up the versions of requirements/"
        ) from error
