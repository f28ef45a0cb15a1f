"""Swin is imported without what it does not need, and whole where that cannot be."""

import subprocess
import sys

import pytest

HEAVY = ("torchvision", "torch._dynamo", "sympy", "huggingface_hub", "timm.models.resnet")


def run(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_the_network_starts_without_compilers_and_other_models() -> None:
    loaded = run(f"import sys, cvgeo_ros.net; print(*(name for name in {HEAVY!r} if name in sys.modules), 'done')")
    assert loaded == ["done"]


@pytest.mark.slow
def test_both_ways_build_the_same_network() -> None:
    code = """
import hashlib, sys, torch
if {whole}:
    import cvgeo_ros.net._timm as light
    for name in [name for name in sys.modules if name.split('.')[0] in ('timm', 'cvgeo_ros')]:
        del sys.modules[name]
    import importlib.util
    importlib.util.find_spec = lambda name: None  # as if timm were laid out otherwise
from cvgeo_ros.net import NANO, CrossViewLocator
torch.manual_seed(0)
model = CrossViewLocator(NANO).eval()
with torch.inference_mode():
    features = model.encode_tile(torch.rand(1, 3, 128, 128), torch.tensor([0.3]))[0]
print(hashlib.sha256(features.match.numpy().tobytes()).hexdigest(), 'timm.models.resnet' in sys.modules)
"""
    light, whole = run(code.format(whole=False)), run(code.format(whole=True))
    assert light[0] == whole[0]
    assert (light[1], whole[1]) == ("False", "True")
