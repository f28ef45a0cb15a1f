"""``cvgeo replay`` as a regression test in somebody's CI."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from bag_flight import Flight, Oracle
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.errors import BagError
from cvgeo_ros.localizer import Localizer
from cvgeo_ros.replay.settings import Settings, read_parameters, settings_from


class Cli:
    """The command with an oracle for a localizer."""

    def __init__(self, folder: Path, map_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.map_path = folder, map_path
        self.flight = Flight(frames=24, blank=range(14, 17))
        self.bag = self.flight.write(folder / "flight.mcap")
        self.noise = 0.3
        monkeypatch.setattr(Localizer, "load", classmethod(lambda *_: Oracle(self.flight, self.noise)))

    def __call__(self, *options: str, code: int = 0) -> Any:
        arguments = ["replay", str(self.bag), "--map", str(self.map_path), *options]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, result.output
        return result


@pytest.fixture
def cli(tmp_path: Path, map_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, map_path, monkeypatch)


def test_a_report_tells_by_itself_what_was_found(cli: Cli, tmp_path: Path) -> None:
    said = cli("--out", str(tmp_path / "found")).stdout
    assert "position error of the track" in said and "24, of these placed 21" in said
    page = (tmp_path / "found" / "index.html").read_text()
    assert page.count("<img") == 5 and 'src="data:image' in page and 'src="http' not in page
    told = json.loads((tmp_path / "found" / "replay.json").read_text())
    assert len(told["frames"]) == 24 and len(told["answers"]) == 2
    assert told["summary"]["position_error"]["median"] < 2.0
    assert (tmp_path / "found" / "results" / "metadata.yaml").is_file()
    assert (tmp_path / "found" / "track.jpg").stat().st_size > 10_000


def test_json_goes_to_the_standard_output_alone(cli: Cli) -> None:
    told = json.loads(cli("--json").stdout)
    assert told["summary"]["frames"] == 24
    assert told["told"]["topics"]["image"] == "/cvgeo/image/compressed"


def test_what_was_expected_is_found_again(cli: Cli, tmp_path: Path) -> None:
    expected = tmp_path / "expected.json"
    cli("--write-expected", str(expected))
    assert "is as" in cli("--regress", str(expected)).output
    # Another machine rounds otherwise: a little is tolerated.
    content = json.loads(expected.read_text())
    for frame in content["frames"]:
        if frame["latitude"] is not None:
            frame["latitude"] += 0.5 / 111_000
    expected.write_text(json.dumps(content))
    cli("--regress", str(expected))


def test_what_has_changed_fails_and_is_told(cli: Cli, tmp_path: Path) -> None:
    expected = tmp_path / "expected.json"
    cli("--write-expected", str(expected))
    content = json.loads(expected.read_text())
    content["frames"][5]["latitude"] += 3.1 / 111_000
    content["frames"][6]["heading"] += 358.0
    content["frames"][7]["state"] = "lost"
    content["frames"][8]["stamp"] += 1
    content["targets"][0]["longitude"] += 9.0 / 101_000
    content["targets"][1]["id"] = "tower"
    expected.write_text(json.dumps(content))
    said = cli("--regress", str(expected), code=1).output
    for words in (
        "4 of 24 frames differ; 2% may",
        "frame at 2.500 s: position 3.0",
        "frame at 3.000 s: heading 2.00 deg off (tolerance 1 deg)",
        "frame at 3.500 s: tracking, expected lost",
        "frame at 4.000 s: is missing",
        "target roof-2: 9.0",
        "target tower: is missing",
        "differs from",
    ):
        assert words in said
    content["tolerances"] |= {"frames": 1.0}
    expected.write_text(json.dumps(content))
    cli("--regress", str(expected))


def test_a_worse_localizer_is_noticed(cli: Cli, tmp_path: Path) -> None:
    expected = tmp_path / "expected.json"
    cli("--write-expected", str(expected))
    content = json.loads(expected.read_text())
    content["tolerances"] = {"frames": 1.0, "error": 0.1}
    content["position_error"] |= {"median": 0.0, "p95": 0.0}
    expected.write_text(json.dumps(content))
    cli.noise = 2.0  # m; matches that miss by much more are not believed at all
    assert "position error, 95 %:" in cli("--regress", str(expected), code=1).output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "--write-expected"),
        ("{", "not JSON"),
        ('{"format": 9}', "no expectation of this version"),
        ('{"format": 1, "tolerances": {"speed": 1}, "frames": [], "targets": []}', "unknown tolerances ['speed']"),
        ('{"format": 1}', "frames or targets missing"),
    ],
)
def test_an_expectation_that_is_none_is_refused_before_the_replay(
    cli: Cli, tmp_path: Path, content: str | None, words: str
) -> None:
    expected = tmp_path / "expected.json"
    if content is not None:
        expected.write_text(content)
    assert words in cli("--regress", str(expected), code=1).output
    assert not list(tmp_path.glob("replay_*"))


def test_parameters_are_those_of_the_node(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "/cvgeo/localizer:\n  ros__parameters: {prior_radius: 40.0, vehicle_tilt_std: 3.0, queue_size: 2}\n"
        "/**:\n  ros__parameters: {prior_radius: 90.0, use_position: false}\n"
        "/cvgeo/camera:\n  ros__parameters: {prior_radius: 1.0}\n"
    )
    settings = settings_from(read_parameters(file))
    assert settings.priors.prior_radius == 40.0 and not settings.priors.use_position
    assert settings.navigator.tilt_std == pytest.approx(math.radians(3.0))
    told = json.loads(cli("--json", "--params", str(file), "--set", "vehicle_min_score=0.95").stdout)
    assert told["told"]["parameters"]["priors"]["prior_radius"] == 40.0
    assert told["summary"]["accepted"] == 0
    with pytest.raises(BagError, match="vehicle_confirm: 'many' is no int"):
        settings_from({"vehicle_confirm": "many"})
    with pytest.raises(BagError, match="No such file"):
        read_parameters(tmp_path / "none.yaml")


def test_defaults_are_those_of_the_node() -> None:
    pytest.importorskip("rclpy")
    from cvgeo_ros.nodes.localizer import SPECS

    found = settings_from({spec.name: spec.default for spec in SPECS})
    # The node's are degrees, rounded.
    assert asdict(found.navigator) == pytest.approx(asdict(Settings().navigator), rel=1e-6)
    assert str(found.priors) == str(Settings().priors) and found.stamp_slop == Settings().stamp_slop
