"""The documents agree with the code they describe."""

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INTERFACES = (ROOT / "docs" / "interfaces.md").read_text()


@pytest.mark.parametrize("node", ["camera", "localizer", "visualizer"])
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


def text(default: bool | int | float | str) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return "NaN" if math.isnan(default) else f"{default:g}"
    return str(default) or '""'


def test_every_interface_is_mentioned() -> None:
    for path in [*ROOT.glob("msg/*Array.msg"), *ROOT.glob("msg/TileInfo.msg"), *ROOT.glob("srv/*.srv")]:
        assert f"cvgeo_ros/{path.stem}" in INTERFACES, path.name


@pytest.mark.parametrize("name", ["README.md", "docs/interfaces.md"])
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / name).parent.joinpath(target).exists(), target
