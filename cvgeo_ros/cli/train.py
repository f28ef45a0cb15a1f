"""``cvgeo train``: weights from photographs and rendered worlds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvgeo_ros.cli.configfile import read_config_file
from cvgeo_ros.errors import TrainingError

if TYPE_CHECKING:
    from cvgeo_ros.learn.training import TrainConfig


def train(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")],
    config: Annotated[Path | None, typer.Option(help="YAML with fields of TrainConfig; options go before it.")] = None,
    model: Annotated[str | None, typer.Option(help="Size of the network: nano or tiny.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin from: a file or the name of a model.")] = None,
    real: Annotated[Path | None, typer.Option(help="Folder of photographs.")] = None,
    rendered: Annotated[Path | None, typer.Option(help='Folder of rendered worlds: see "cvgeo scenes pack".')] = None,
    samples: Annotated[Path | None, typer.Option(help="Folder of image pairs with boxes, instead of those.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="End after this time, if before the steps.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of data and weights.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
) -> None:
    """Train a model; a run that was stopped goes on where it was when it is started again with the same folder.

    On several GPUs: torchrun --nproc-per-node 4 --no-python cvgeo train ...
    """
    from rich.console import Console

    options: dict[str, Any] = {"model": model, "start": start, "real": real, "rendered": rendered}
    options |= {"samples": samples, "steps": steps, "minutes": minutes, "seed": seed, "device": device}
    settings = read_config(config, {key: value for key, value in options.items() if value is not None})

    if not (settings.real or settings.rendered or settings.samples):
        raise TrainingError("nothing to train on: give --real, --rendered or both, or --samples")

    from cvgeo_ros.learn.distributed import team
    from cvgeo_ros.learn.interrupts import Stopped
    from cvgeo_ros.learn.training import Trainer

    with team(settings.device) as members:
        console = Console(quiet=not members.leads, highlight=False, soft_wrap=True)
        trainer = Trainer(settings, out, members)
        if trainer.resume():
            console.print(f"going on with {trainer.checkpoint} from step {trainer.step}")
        if members.leads:
            write_config(settings, out / "config.yaml")
        try:
            weights = trainer.run(console)
        except Stopped as stop:
            console.print(
                f"stopped by {stop.signal.name} after step {trainer.step}; the same command goes on from there"
            )
            raise typer.Exit(128 + stop.signal) from stop
        console.print(f"weights  {weights}")


def read_config(path: Path | None, overrides: dict[str, Any]) -> "TrainConfig":
    """Read a configuration and put options over it; paths in the file are relative to the working directory.

    Raises:
        TrainingError: The file is missing or not YAML, or holds an unknown field or a wrong value; names it.
    """
    from cvgeo_ros.learn.training import TrainConfig
    from cvgeo_ros.net import CONFIGS

    config = read_config_file(TrainConfig, path, "steps: 6000", overrides)
    if config.model not in CONFIGS:
        raise TrainingError(f"{path or 'options'}: field 'model': {config.model!r} is none of {', '.join(CONFIGS)}")
    return config


def write_config(config: "TrainConfig", path: Path) -> None:
    """Write all fields of a configuration, as `read_config` reads them."""
    import yaml
    from pydantic import TypeAdapter

    from cvgeo_ros.learn.training import TrainConfig

    path.write_text(yaml.safe_dump(TypeAdapter(TrainConfig).dump_python(config, mode="json"), sort_keys=False))
