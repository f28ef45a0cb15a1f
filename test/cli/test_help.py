import pytest
from typer.testing import CliRunner

from cvgeo_ros.cli import app


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "locate", "evaluate", "train", "vehicle", "scenes pack", "scenes demo"),
        *("export", "bench latency", "bench ratios", "bench place", "place", "place index"),
    ],
)
def test_help_shows_an_example(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: cvgeo {command} " in result.output
