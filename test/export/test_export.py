"""Exported branches: they compute what the network does at sizes that were never traced, or they are not written."""

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.errors import ExportError, WeightsError
from cvgeo_ros.export import exporting, formats
from cvgeo_ros.export.branches import BRANCHES, Branch, trace
from cvgeo_ros.export.comparison import compare
from cvgeo_ros.export.examples import examples, pattern
from cvgeo_ros.export.layers import traceable
from cvgeo_ros.net import NANO, CrossViewLocator, NetConfig, View
from cvgeo_ros.net.encoder import Encoder

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "export.md"
Written = tuple[Branch, Path, formats.Runner]


@pytest.fixture(scope="session")
def model() -> CrossViewLocator:
    """Every kind of layer, and few of each: tracing takes its time by layers."""
    config = NetConfig(
        name="mini",
        embed_dim=8,
        depths=(0, 2),
        num_heads=(1, 2),
        window_size=4,
        conv_stem=True,
        moe_blocks=((), (1,)),
        expert_ratio=2.0,
        mlp_ratio=2.0,
        match_dim=16,
        context_dim=16,
        query_size=64,
        close_look=True,
    )
    torch.manual_seed(0)
    return CrossViewLocator(config).eval()


@pytest.fixture(scope="session")
def programs(model: CrossViewLocator) -> dict[str, ExportedProgram]:
    return {name: trace(BRANCHES[name](model), examples(model, name)[0]) for name in ("tile", "clicks", "close")}


@pytest.fixture(scope="session")
def written(
    model: CrossViewLocator, programs: dict[str, ExportedProgram], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Written]:
    """Branches by name, as ONNX."""
    folder = tmp_path_factory.mktemp("exported")

    @cache
    def give(name: str) -> Written:
        for package in formats.PACKAGES["onnx"]:
            pytest.importorskip(package)
        branch, path = BRANCHES[name](model), folder / f"mini-{name}.onnx"
        formats.write("onnx", branch, programs[name], path, formats.about(branch, model.config, "digest"))
        return branch, path, formats.load("onnx", branch, path)

    return give


@pytest.mark.parametrize("name", ["tile", "clicks", "close"])
def test_a_file_computes_what_the_network_does(
    model: CrossViewLocator, written: Callable[[str], Written], name: str
) -> None:
    branch, _, run = written(name)
    for difference in compare(branch, run, examples(model, name)):
        assert difference.largest < 1e-4, difference


def test_onnx_says_what_it_is_and_names_its_ports(written: Callable[[str], Written], model: CrossViewLocator) -> None:
    onnx = pytest.importorskip("onnx")
    branch, path, _ = written("tile")
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert (facts["branch"], facts["view"], facts["weights"]) == ("tile", "satellite", "digest")
    assert NetConfig.from_dict(json.loads(facts["config"])) == model.config
    assert facts["opset"] == str({entry.domain: entry.version for entry in graph.opset_import}[""])
    assert [value.name for value in graph.graph.input] == [port.name for port in branch.inputs]
    assert [value.name for value in graph.graph.output] == [port.name for port in branch.outputs]
    batch, _, height, width = graph.graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param for side in (batch, height, width)] == ["batch", "height", "width"]
    assert {node.domain for node in graph.graph.node} == {""}, "operators of its own would need plug-ins"


def test_a_program_can_be_kept_and_says_what_it_is(
    model: CrossViewLocator, programs: dict[str, ExportedProgram], tmp_path: Path
) -> None:
    """What can be traced may still not be written. Reading back takes long, and is done for clicks alone."""
    branch, path = BRANCHES["tile"](model), tmp_path / "mini-tile.pt2"
    formats.write("torch-export", branch, programs["tile"], path, formats.about(branch, model.config, "digest"))
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(formats.ABOUT)]
        assert json.loads(archive.read(name))["branch"] == "tile"


@pytest.mark.parametrize("size", [(64, 96), (128, 256), (160, 224)])
def test_layers_written_anew_compute_the_same(small_config: NetConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = CrossViewLocator(small_config).eval()
    anew = traceable(model, ("encoder",)).encoder
    assert isinstance(anew, Encoder)
    image, gsd = pattern(2, *size, 0), torch.tensor([0.3, 0.5])
    with torch.no_grad():
        for a, b in zip(model.encoder(image, View.DRONE, gsd)[0], anew(image, View.DRONE, gsd)[0], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=2e-5)


def test_a_file_that_differs_is_refused_and_nothing_is_left(
    model: CrossViewLocator, programs: dict[str, ExportedProgram], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "trace", lambda branch, _: programs[branch.name])
    right = formats.load

    def wrong(form: formats.Format, branch: Branch, path: Path) -> formats.Runner:
        return lambda inputs: [value + 0.01 * (value == value.max()) for value in branch(*inputs)]

    monkeypatch.setattr(exporting, "load", wrong)
    with pytest.raises(ExportError, match=r"mini-clicks.pt2 computes something else .* score is off by"):
        exporting.export(model, "", "torch-export", ["clicks"], tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(exporting, "load", right)
    (done,) = exporting.export(model, "", "torch-export", ["clicks"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [done.path.name] and done.bytes == done.path.stat().st_size
    assert max(difference.largest for difference in done.differences) < 1e-4


@pytest.mark.parametrize("step", ["trace", "write", "load"])
def test_a_failure_within_tells_branch_and_format(
    model: CrossViewLocator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("op ceil is not in _SYM_OPS\nand much more")

    for name in ("trace", "write", "load"):
        monkeypatch.setattr(exporting, name, fail if name == step else lambda *_: None)
    expected = "branch tile cannot be exported as torch-export: AssertionError: op ceil is not in _SYM_OPS; nothing"
    with pytest.raises(ExportError, match=expected):
        exporting.export(model, "", "torch-export", ["tile"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(formats.PACKAGES, "onnx", ("onnx_of_no_such_name",))
    result = CliRunner().invoke(app, ["export", "--out", str(tmp_path / "out")])
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert "needs onnx_of_no_such_name: pip install -r requirements/export.txt" in result.stderr


def test_a_branch_that_a_model_lacks_is_told_of(small_config: NetConfig, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no branch close; it has frame, tile, clicks\. .*close look"):
        exporting.export(CrossViewLocator(small_config).eval(), "", "onnx", ["close"], tmp_path)


def test_random_weights_are_those_of_a_known_size() -> None:
    with pytest.raises(WeightsError, match="known: nano, tiny"):
        exporting.open_model("huge", untrained=True)


def test_every_port_is_in_the_document() -> None:
    told = re.findall(
        r"^\| (\w+) \| (in|out) `(\w+)` \| (.*?) \| (\w+) \| (.*?) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    model = CrossViewLocator(replace(NANO, close_look=True))
    wanted = []
    for name, kind in BRANCHES.items():
        branch = kind(model)
        for way, ports in (("in", branch.inputs), ("out", branch.outputs)):
            for port in ports:
                shape = " x ".join(str(size).replace(" / ", "/") for size in port.shape)
                wanted.append((name, way, port.name, shape, port.kind, port.meaning))
    assert told == wanted


def test_the_example_finds_where_a_frame_lies(
    written: Callable[[str], Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path, _ = written("tile")
    for name in ("frame", "tile"):
        (tmp_path / f"nano-{name}.onnx").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    tile = (pattern(1, 256, 320, 0)[0].permute(1, 2, 0).numpy() * 255).astype("uint8")
    assert names["locate"](tile[96:192, 128:256], tile, 0.3) == (128, 96)
