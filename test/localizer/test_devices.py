"""The localizer on a GPU that is pretended, in half precision, and compiled."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretend_gpu import pretended_gpu, put

from cvgeo_ros.localizer import Localizer
from cvgeo_ros.net import CrossViewLocator, NetConfig

from .conftest import Flight

CLICKS = [[300.0, 200.0], [480.0, 270.0], [700.0, 400.0]]


def test_a_gpu_gives_the_answers_of_the_cpu(flight: Flight, small_config: NetConfig) -> None:
    """Nothing on it is mixed with what lies on the CPU, and a frame waits for it a few times only."""
    frame, prior, _ = flight.shoot((500, 480), 60.0, -80.0)
    torch.manual_seed(0)
    # A query of a few cells would not be fitted.
    model = CrossViewLocator(replace(small_config, query_size=256))
    here = Localizer(model)
    here.set_tile(flight.store)
    expected = here.locate(frame, CLICKS, flight.camera, prior, ground=True)
    with pretended_gpu() as gpu:
        there = Localizer(put(model))
        there.set_tile(flight.store)
        found = there.locate(frame, CLICKS, flight.camera, prior, ground=True)
        gpu.waits.clear()
        there.locate(frame, CLICKS * 4, flight.camera, prior)
        assert len(gpu.waits) < 30, "however many clicks there are"
    assert there.device.type == "cuda"
    for a, b in zip(expected.targets, found.targets, strict=True):
        np.testing.assert_allclose(b.bbox, a.bbox, atol=0.05)
        assert b.score == pytest.approx(a.score, abs=1e-3)
    assert found.ground is not None and expected.ground is not None
    np.testing.assert_allclose(found.ground.weights, expected.ground.weights, atol=1e-3)


def test_half_precision_moves_the_answers_little(flight: Flight, localizer: Localizer) -> None:
    frame, prior, _ = flight.shoot((500, 480), 60.0)
    expected = localizer.locate(frame, CLICKS, flight.camera, prior)
    model = CrossViewLocator(localizer.model.config)
    model.load_state_dict(localizer.model.state_dict())
    half = Localizer(model)
    half.tune(half=True)
    half.set_tile(flight.store)
    found = half.locate(frame, CLICKS, flight.camera, prior)
    boxes = np.array([[target.bbox for target in answer.targets] for answer in (expected, found)])
    assert 0 < np.abs(boxes[1, :, :2] + boxes[1, :, 2:] - boxes[0, :, :2] - boxes[0, :, 2:]).max() / 2 < 8.0
    assert all((value == localizer.model.state_dict()[name]).all() for name, value in model.state_dict().items())
