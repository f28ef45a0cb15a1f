"""The benchmarks of maps run, and what they measure moves with what it depends on."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvgeo_ros.bench.largemap import generate, measure
from cvgeo_ros.cli import app
from cvgeo_ros.geo import open_store

pytestmark = pytest.mark.slow


def test_a_large_map_is_as_large_as_asked_and_memory_follows_cache_bytes(tmp_path: Path) -> None:
    path = tmp_path / "large.mbtiles"
    assert generate(path, 150 << 20) > 5000
    assert path.stat().st_size == pytest.approx(150 << 20, rel=0.05)
    with open_store(path) as store:
        assert store.read(0, 0, 512, 512, (512, 512))[1].all()
    found = measure(path, 8 << 20, 4, "nano", "cpu")
    assert 0 < found["cached_mb"] <= 8.4
    assert found["blocks"] * 1.6 > 8.4  # more than the cache holds was encoded
    assert found["pixels_mb"] < 24


def test_a_restart_is_measured_part_by_part() -> None:
    result = CliRunner().invoke(app, ["bench", "startup", "--rounds", "1", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    for name in ("prepared", "not prepared"):
        for clock in ("wall", "cpu"):
            (parts,) = found[name][clock]
            assert len(parts) == len(found["parts"]) and all(second >= 0.0 for second in parts)
