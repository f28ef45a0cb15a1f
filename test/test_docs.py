"""The documents agree with the code they describe."""

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
INTERFACES = (ROOT / "docs" / "interfaces.md").read_text()


@pytest.mark.parametrize("node", ["camera", "localizer", "visualizer", "mavlink", "px4"])
def test_every_parameter_is_listed_with_its_default(node: str) -> None:
    pytest.importorskip("rclpy")
    import importlib

    specs = importlib.import_module(f"cvgeo_ros.nodes.{node}").SPECS
    (section,) = re.findall(rf"^### {node}$(.*?)(?=^### |\Z)", INTERFACES, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    assert [name for name, *_ in rows] == [spec.name for spec in specs]
    for (_, default, description, _, when), spec in zip(rows, specs, strict=True):
        assert default == text(spec.default)
        assert description == spec.description
        assert (when.strip() == "start") == spec.held


def test_every_field_of_a_training_is_listed_with_its_default() -> None:
    from cvgeo_ros.learn.training import TrainConfig

    told = (ROOT / "docs" / "training.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|$", told[told.index("## Configuration") :], re.MULTILINE)
    wanted = list(settings(TrainConfig()))
    assert [(name, default) for name, default, _ in rows] == [(name, default) for name, default, _ in wanted]
    for (name, _, meaning), (*_, docstring) in zip(rows, wanted, strict=True):
        assert meaning == docstring or not docstring, name


def settings(config: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each field of a dataclass, those of the dataclasses in it after the others."""
    parts = [field.name for field in fields(config) if is_dataclass(getattr(config, field.name))]
    for field in fields(config):
        if field.name not in parts:
            default = yaml.safe_dump(getattr(config, field.name), default_flow_style=True).splitlines()[0]
            yield prefix + field.name, default, meanings(config).get(field.name, "")
    for name in parts:
        yield from settings(getattr(config, name), f"{prefix}{name}.")


def meanings(config: Any) -> dict[str, str]:
    """What the docstring's section "Attributes" says of each."""
    entries = re.findall(r"^ {8}([\w, ]+): (.*(?:\n {12}.*)*)", config.__doc__ or "", re.MULTILINE)
    return {name: " ".join(meaning.split()) for names, meaning in entries for name in names.split(", ")}


def text(default: bool | int | float | str) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return "NaN" if math.isnan(default) else f"{default:g}"
    return str(default) or '""'


def test_every_interface_is_mentioned() -> None:
    for path in [*ROOT.glob("msg/*Array.msg"), *ROOT.glob("msg/TileInfo.msg"), *ROOT.glob("srv/*.srv")]:
        assert f"cvgeo_ros/{path.stem}" in INTERFACES, path.name


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/autopilots.md",
        "docs/export.md",
        "docs/interfaces.md",
        "docs/maps.md",
        "docs/performance.md",
        "docs/place.md",
        "docs/reliability.md",
        "docs/replay.md",
        "docs/training.md",
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / name).parent.joinpath(target).exists(), target
