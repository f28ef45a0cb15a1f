"""Protocols: what the localizer is told, and that the scorer alone sees the truth."""

import math

import numpy as np
import pytest

from cvgeo_ros.errors import SceneError
from cvgeo_ros.geo import compass_to_yaw, distance
from cvgeo_ros.learn.evaluation import Protocol, make_prior
from cvgeo_ros.scene import FrameRecord

RECORD = FrameRecord(file="a.jpg", lat=48.0, lon=11.0, rel_alt=100.0, yaw=90.0, pitch=-80.0, hfov=70.0)


def draw(protocol: Protocol, record: FrameRecord = RECORD, count: int = 2000) -> list:
    rng = np.random.default_rng(0)
    return [make_prior(record, protocol, rng) for _ in range(count)]


def test_prior_errs_uniformly_in_a_disc_of_75_m_and_by_5_degrees() -> None:
    priors = draw(Protocol.PRIOR)
    off = np.array([float(distance([p.latitude, p.longitude], [48.0, 11.0])) for p in priors])
    assert off.max() <= 75.01
    assert (off < 75 / math.sqrt(2)).mean() == pytest.approx(0.5, abs=0.04), "uniform over the area"
    heading = np.degrees([p.yaw - compass_to_yaw(90.0) for p in priors])
    assert heading.std() == pytest.approx(5.0, abs=0.3) and abs(heading.mean()) < 0.4
    assert {(p.height, p.pitch) for p in priors} == {(100.0, math.radians(-80.0))}


def test_wide_has_no_position_and_blind_nothing() -> None:
    wide = draw(Protocol.WIDE, count=5)
    assert {(p.latitude, p.longitude, p.height) for p in wide} == {(None, None, 100.0)}
    assert [p.yaw for p in wide] == [p.yaw for p in draw(Protocol.PRIOR, count=5)], "one seed, one heading error"
    for prior in draw(Protocol.BLIND, count=5):
        assert (prior.latitude, prior.longitude, prior.yaw, prior.pitch, prior.height) == (None,) * 5


def test_what_a_frame_does_not_record_stays_unknown() -> None:
    bare = FrameRecord(file="a.jpg", lat=48.0, lon=11.0)
    (prior,) = draw(Protocol.PRIOR, bare, 1)
    assert (prior.yaw, prior.pitch, prior.height) == (None, None, None)
    with pytest.raises(SceneError, match=r"a\.jpg: protocol 'prior' needs lat and lon"):
        draw(Protocol.PRIOR, FrameRecord(file="a.jpg"), 1)
