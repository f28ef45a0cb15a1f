import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cvgeo_ros.bench.placeworld import make_world
from cvgeo_ros.cli import app


def test_the_made_up_world_is_like_a_real_one() -> None:
    world = make_world(4900, 64)
    vectors = world.vectors.reshape(-1, 3, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1.0, rtol=1e-5)
    grid = world.vectors.reshape(70, 70, -1)
    beside = (grid[:, 1:] * grid[:, :-1]).sum(axis=-1).mean() / 3
    far = (grid[:, 35:] * grid[:, :35]).sum(axis=-1).mean() / 3
    assert 0.5 < beside < 0.95 and abs(far) < 0.3
    queries, told = world.sentences(100)
    scores = queries @ world.vectors.T
    own = scores[np.arange(100), told]
    ranks = (scores > own[:, None]).sum(axis=1)
    assert np.median(ranks) < 20 and (ranks > 0).mean() > 0.2  # neither hopeless nor trivial


def test_the_benchmark_prints_what_it_measured(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr("os.sched_setaffinity", lambda process, cores: None)
    monkeypatch.chdir(str(tmp_path))
    arguments = ["bench", "place", "--windows", "22000", "--queries", "20", "--radius", "3000", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["windows"] == 22000 and found["dim"] == 384 and found["memory_mb"] > 0 and found["open_s"] > 0
    assert found["megabytes"] == pytest.approx(22000 * (384 * 3 + 40) / 1e6, rel=0.15)
    searches = found["searches"]
    assert searches["exact"]["recall"] == 1.0 and searches["exact"]["ratio"] == 1.0
    assert searches["index"]["recall"] > 0.95 and searches["index, near"]["recall"] > 0.95
    assert all(0 < cost["median"] <= cost["p99"] for cost in searches.values())
    assert not list(tmp_path.glob("out/*"))  # type: ignore[attr-defined]
