"""``cvgeo demo``: a scene through the real ROS graph."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvgeo_ros.cli.console import wide_console
from cvgeo_ros.cli.options import Device, Model, ShippedScene
from cvgeo_ros.errors import PlaceError, SceneError
from cvgeo_ros.share import shipped

if TYPE_CHECKING:
    from cvgeo_ros.cli.report import Result
    from cvgeo_ros.demo.replay import Clicks
    from cvgeo_ros.msg import GeoTarget
    from cvgeo_ros.scene import Scene


def demo(
    scene: ShippedScene = None,
    out: Annotated[Path, typer.Option(help="Folder for picture, bag and logs.")] = Path("out/demo"),
    model: Model = "nano",
    device: Device = "auto",
    rate: Annotated[float, typer.Option(min=0.05, max=30.0, help="Frames a second that the camera plays.")] = 1.0,
    sentence: Annotated[
        str, typer.Option(help="Describes a place: it is searched for first, and clicks are made and located there.")
    ] = "",
    place_model: Annotated[
        str, typer.Option(help="Model of sentences: a shipped one, or a .safetensors file.")
    ] = "place",
) -> None:
    """Play a scene through camera, localizer and visualizer over DDS, click its objects and show where they are.

    With a sentence the localizer is told no position: the best place that the sentence may mean is where it searches,
    and clicks are made in the frames taken from above it.

    Ends with a table, a picture (demo.png), and an MCAP bag for Foxglove and "ros2 bag play". The exit code is 0 only
    if every click was answered over DDS and the bag is whole.
    """
    from rich.markup import escape

    from cvgeo_ros.cli import demo_sentence as guided
    from cvgeo_ros.cli.report import best_filled, picture, summary, table, write_picture
    from cvgeo_ros.demo.processes import exit_on_signals, set_up_ros
    from cvgeo_ros.geo import open_store
    from cvgeo_ros.place.query import check_query
    from cvgeo_ros.scene import Scene, read_image

    if sentence:
        check_query(sentence)  # before anything is loaded
    set_up_ros()
    from cvgeo_ros.demo.replay import Sentence, replay

    console = wide_console(132)
    played = Scene.load(scene or shipped_scene())
    tile = open_store(played.map)
    clicks = clicks_of(played)
    (out / "demo.png").unlink(missing_ok=True)
    parameters = {"model": model, "device": device}
    asked: Sentence | None = None
    with exit_on_signals(), console.status("starting") as status:

        def say(text: str) -> None:
            status.update(text) if console.is_terminal else console.print(f"[dim]{escape(text)}[/]")

        if sentence:
            asked = Sentence(sentence, lambda place: guided.clicks_at(played, clicks, place))
            parameters |= guided.prepare(tile, place_model, out, say)
        outcome = replay(played, clicks, out, parameters, rate, say, asked)
    answers = outcome.answers
    if outcome.places is not None:
        for line in guided.told(outcome.places):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        if refused := guided.refusal(outcome):
            raise PlaceError(refused)
        clicks = guided.clicks_at(played, clicks, outcome.places.candidates[0])
    results = results_of(played, clicks, answers)
    console.print(table(results, tile, f"{played.name}: {len(clicks)} frames, map {tile.tile_id}"))
    for frame, answer in answers.items():
        if isinstance(answer, str):
            console.print(f"[red]{escape(f'{frame}: {answer}')}[/]", highlight=False)
    for frame in clicks.keys() - answers.keys():
        console.print(f"[red]{frame}: the camera did not send it[/]", highlight=False)
    received = [result for result in results if result.target is not None]
    complaints = [outcome.bag_failure] if outcome.bag_failure else []
    if received:
        shown = best_filled(results)
        image = read_image(played.frames_dir / shown[0].frame)
        titles = (f"{played.name}: {shown[0].frame}", f"{tile.tile_id}: boxes found, dashed: truth")
        try:
            write_picture(out / "demo.png", picture(image, shown, tile, titles))
            console.print(f"picture  {out / 'demo.png'}", highlight=False, soft_wrap=True)
            if outcome.places is not None:
                write_picture(out / "place.png", guided.picture(image, shown, tile, outcome))
                console.print(f"place    {out / 'place.png'}", highlight=False, soft_wrap=True)
        except SceneError as error:
            complaints.append(str(error))
    for complaint in complaints:
        console.print(f"[red]{escape(complaint)}[/]", highlight=False, soft_wrap=True)
    if not outcome.bag_failure:
        console.print(f"bag      {out / 'bag'}", highlight=False, soft_wrap=True)
    console.print(f"logs     {out / 'log'}", highlight=False, soft_wrap=True)
    if outcome.places is not None:
        console.print(guided.searched(outcome, results, tile), highlight=False, soft_wrap=True)
    console.print(f"[bold]{summary(results, tile)}[/]", highlight=False, soft_wrap=True)
    tile.close()
    if len(received) < len(results) or complaints:
        raise typer.Exit(1)


def shipped_scene() -> Path:
    """Return the folder of the scene that ships with the project. Raises SceneError."""
    for folder in shipped("scenes"):
        if (folder / "demo").is_dir():
            return folder / "demo"
    raise SceneError("the scene that ships with the project is not installed: name the folder of one")


def clicks_of(scene: "Scene") -> "dict[str, Clicks]":
    """Return the clicks on a scene's objects by frame; in a scene without objects, one at each frame's centre."""
    import numpy as np

    from cvgeo_ros.demo.replay import Clicks
    from cvgeo_ros.scene import read_image

    clicks = {}
    for record in scene.frames:
        objects = scene.objects_of(record.file)
        if objects:
            clicks[record.file] = Clicks(np.array([item.click for item in objects]), [item.id for item in objects])
        elif not scene.objects:
            height, width = read_image(scene.frames_dir / record.file).shape[:2]
            centre = np.array([[width / 2, height / 2]])
            clicks[record.file] = Clicks(centre, [f"{Path(record.file).stem} centre"])
    return clicks


def results_of(scene: "Scene", clicks: "dict[str, Clicks]", answers: dict[str, Any]) -> "list[Result]":
    """Return every click with its answer, matched by frame and id, in the order of the clicks."""
    from cvgeo_ros.cli.report import Result

    truths = {item.id: item.bbox for item in scene.objects}
    results = []
    for frame, asked in clicks.items():
        answer = answers.get(frame, "")
        targets = {} if isinstance(answer, str) else {target.id: target for target in answer.targets}
        latency = 0.0 if isinstance(answer, str) else answer.latency.sec + 1e-9 * answer.latency.nanosec
        for number, name in enumerate(asked.ids, start=1):
            target = _Received(targets[name]) if name in targets else None
            results.append(Result(frame, name, number, target, latency, truths.get(name)))
    return results


class _Received:
    """A target of a message, as the localizer itself would have given it."""

    def __init__(self, message: "GeoTarget") -> None:
        self.click: tuple[float, float] = (message.click.x, message.click.y)
        u0, v0, u1, v1 = (float(edge) for edge in message.bbox)
        self.bbox = (u0, v0, u1, v1)
        self.score = float(message.score)
        self.latitude = float(message.position.latitude)
        self.longitude = float(message.position.longitude)
        self.position_std = float(message.position_std)
