"""The benchmark on images and networks small enough for seconds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from cvgeo_ros.bench import subjects
from cvgeo_ros.bench.ratios import Report, measure, table, text
from cvgeo_ros.cli import app
from cvgeo_ros.errors import CvgeoError, MapError, SceneError
from cvgeo_ros.net import NetConfig
from cvgeo_ros.net.model import CrossViewLocator
from cvgeo_ros.net.weights import save_weights
from cvgeo_ros.scene import Scene


@pytest.fixture
def plan(small_config: NetConfig) -> subjects.Plan:
    large = replace(small_config, name="large", query_size=64, moe_blocks=((), (0, 1), (1,)))
    return subjects.Plan(rounds=2, width=240, clicks=3, large=large, query=64, tile=128)


@pytest.fixture
def weights(tmp_path: Path, small_config: NetConfig) -> str:
    torch.manual_seed(0)
    save_weights(CrossViewLocator(small_config), tmp_path / "small.safetensors")
    return str(tmp_path / "small.safetensors")


def test_every_figure_is_there(scene: Scene, weights: str, plan: subjects.Plan) -> None:
    said: list[str] = []
    report = measure(scene, weights, "cpu", plan, said.append)
    assert len(said) == 3
    names = [(ratio.name, ratio.against, ratio.asked) for ratio in report.ratios]
    assert names == [
        ("small, 240 x 180: 3 clicks", "one click", 1.15),
        ("small, 240 x 180: tile cached", "tile encoded anew", 0.25),
        ("large, layer of 16 x 16 x 16: 2 of 6 experts", "all experts", 0.5),
        ("large, layer of 8 x 8 x 32: 2 of 6 experts", "all experts", 0.5),
        ("large, its 3 expert layers: 2 of 6 experts", "all experts", 0.5),
        ("SMGeo's trunk with 2 of 6 experts", "SMGeo's trunk", None),
        ("large, 64 in 128 px, tile cached", "SMGeo's trunk", 1 / 20),
        ("small, 64 in 128 px, tile cached", "SMGeo's trunk", 1 / 60),
    ]
    assert all((ratio.seconds > 0).all() and (ratio.base > 0).all() for ratio in report.ratios)
    first, second, total = report.ratios[2:5]
    assert (total.seconds == 2 * first.seconds + second.seconds).all()
    assert (total.base == 2 * first.base + second.base).all()
    assert report.ratios[1].value < 0.8, "a cached tile is not encoded again"
    (rate,) = report.rates
    assert (rate.seconds == report.ratios[0].base).all()
    told = json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in told["ratios"]] == [name for name, *_ in names]
    assert told["machine"]["threads"] == torch.get_num_threads() and told["machine"]["clock"] == "wall"
    assert told["smgeo"]["released_trunk_s_elsewhere"] == 5.3
    shown = printed(report)
    assert all(name in shown for name, *_ in names)
    assert "<= 1/60" in shown and ">= 5 Hz" in shown and "measured elsewhere" in shown


def printed(report: Report) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table(report))
    return captured.get()


def test_the_pair_is_searched_whole_and_at_its_own_size(
    scene: Scene, weights: str, plan: subjects.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: set[tuple[int, ...]] = set()
    windows: set[tuple[float, ...]] = set()
    locate, encode = subjects.Localizer.locate, CrossViewLocator.encode_frame

    def spy_locate(self, *arguments):  # type: ignore[no-untyped-def]
        found = locate(self, *arguments)
        windows.add(found.window)
        return found

    def spy_encode(self, image, *arguments):  # type: ignore[no-untyped-def]
        sizes.add(tuple(image.shape[2:]))
        return encode(self, image, *arguments)

    monkeypatch.setattr(subjects.Localizer, "locate", spy_locate)
    monkeypatch.setattr(CrossViewLocator, "encode_frame", spy_encode)
    small = subjects.Localizer.load(weights, "cpu")
    with torch.inference_mode():
        subjects.pairs(small, subjects.open_store(scene.map), plan)
    assert sizes == {(64, 64)}
    assert windows == {(0.0, 0.0, 128.0, 128.0)}


def test_what_cannot_be_measured_is_refused(scene: Scene, weights: str, plan: subjects.Plan) -> None:
    with pytest.raises(MapError, match="does not show 614 m a side"):
        measure(scene, weights, "cpu", replace(plan, tile=2048, large=replace(plan.large, moe_blocks=((), (), ()))))
    lost = replace(scene, frames=[scene.frames[0].model_copy(update={"yaw": None})])
    with pytest.raises(SceneError, match=r"a\.png: a frame with yaw and rel_alt"):
        measure(lost, weights, "cpu", plan)


@pytest.mark.parametrize(
    ("value", "asked", "words"), [(0.31, 0.5, "0.310"), (0.04, 0.05, "1/25"), (0.04, None, "0.040")]
)
def test_small_ratios_read_as_parts(value: float, asked: float | None, words: str) -> None:
    assert text(value, asked) == words


def test_the_command_prints_json(
    scene: Scene, weights: str, plan: subjects.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "Plan", lambda **chosen: replace(plan, **chosen))
    scene.write()
    threads = torch.get_num_threads()
    try:
        options = ["--model", weights, "--device", "cpu", "--rounds", "1", "--threads", "1", "--clock", "cpu", "--json"]
        result = CliRunner().invoke(app, ["bench", "ratios", str(scene.root), *options])
    finally:
        torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    about = {key: told["machine"][key] for key in ("threads", "rounds", "clock")}
    assert about == {"threads": 1, "rounds": 1, "clock": "cpu"}
    assert len(told["ratios"]) == 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cpu_time_is_refused_on_a_gpu(scene: Scene, weights: str, plan: subjects.Plan) -> None:
    with pytest.raises(CvgeoError, match="measure wall time"):
        measure(scene, weights, "cuda", replace(plan, clock="cpu"))
