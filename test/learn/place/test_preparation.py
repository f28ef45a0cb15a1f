import json
import sys
from pathlib import Path

import pytest

from cvgeo_ros.errors import TrainingError
from cvgeo_ros.learn.place.data import PlaceImage
from cvgeo_ros.learn.place.preparation import prepare, refine, refine_by_command, without_orientation


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("In the upper left corner of the image there is a red hall.", "There is a red hall."),
        ("A church stands in the north-east, beside a pond.", "A church stands beside a pond."),
        ("A pond, in the bottom right of the picture, reflects light.", "A pond reflects light."),
        ("On the right side, a river winds between trees.", "A river winds between trees."),
        ("Houses line the street on the left.", "Houses line the street."),
        ("A red hall stands north of a round pond.", "A red hall stands near a round pond."),
        ("The stadium lies to the north-west of the tower.", "The stadium lies near the tower."),
        ("To the left of the stadium lies a large car park.", "Near the stadium lies a large car park."),
        ("A tank stands to the upper right of the hall.", "A tank stands near the hall."),
        ("The track lies above the pond.", "The track lies near the pond."),
        ("In the east of the image there is a large warehouse.", "There is a large warehouse."),
        ("On the right stands a house with two storeys.", "There stands a house with two storeys."),
        ("Three blue-roofed halls are in the north-east of the image.", "Three blue-roofed halls are visible."),
        ("A wide road crosses the area from the lower left to the upper right.", "A wide road crosses the area."),
        ("A road runs from north to south past a church.", "A road runs past a church."),
        ("A road crosses the scene diagonally.", "A road crosses the scene."),
    ],
)
def test_orientation_is_cut_out_and_the_sentence_stays_readable(sentence: str, left: str) -> None:
    assert without_orientation(sentence) == left


@pytest.mark.parametrize(
    "sentence",
    [
        "The northern houses are red.",
        "The western half is covered by fields.",
        "A road leads north.",
        "The leftmost house is green.",
        "There is a hall on the left and a pond on the right.",
        "Most roads are vertical.",
        "The upper half is built up.",
        "On the left.",
    ],
)
def test_sentences_that_are_about_orientation_go(sentence: str) -> None:
    assert without_orientation(sentence) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "A tower stands right next to the pond.",
        "A village seen from straight above.",
        "The image is a top-down view of a town.",
        "Leftover building material lies on the bright ground.",
        "The northerners' hall has a flat top and 4 storeys.",
        "A hall lies in the centre of the image.",
    ],
)
def test_words_that_only_look_like_orientation_stay(sentence: str) -> None:
    assert without_orientation(sentence) == sentence


def test_refinement_drops_filler_and_repetition() -> None:
    caption = (
        "The image shows a bird's-eye view of a village with red roofs. Overall, the scene is peaceful. "
        "We can see a round pond. There is a hall. There is a hall!"
    )
    assert refine(caption, "satellite") == "A village with red roofs. A round pond. There is a hall."


@pytest.mark.parametrize(
    ("opening", "left"),
    [
        ("This is a satellite view of a village with barns.", "A village with barns."),
        ("The picture is a top-down view of a village with barns.", "A village with barns."),
        ("The image is an aerial view of a village, taken by a drone.", "A village, taken by a drone."),
        ("The image is peaceful. A village with barns.", "A village with barns."),
    ],
)
def test_refinement_keeps_what_an_opening_tells(opening: str, left: str) -> None:
    assert refine(opening, "satellite") == left


def test_refinement_drops_what_a_platform_cannot_show() -> None:
    caption = "A red hall stands here. It has large windows. The sky is blue."
    assert refine(caption, "satellite") == "A red hall stands here."
    assert refine(caption, "drone") == "A red hall stands here. It has large windows."
    assert refine(caption, "ground") == caption


def test_refinement_never_leaves_nothing() -> None:
    assert refine("overall, the scene is peaceful", "drone") == "Overall, the scene is peaceful."


def image(*captions: str) -> PlaceImage:
    return PlaceImage(Path("a.png"), "satellite", "1", None, captions)


def test_only_turned_copies_lose_orientation() -> None:
    (wording,) = prepare([image("This image shows a hall in the north. A road leads west.", "A road leads east.")])
    assert wording.raw[0] == ["This image shows a hall in the north.", "A road leads west."]
    assert wording.refined == [["A hall in the north.", "A road leads west."], ["A road leads east."]]
    assert wording.turned == [] or wording.turned == [["A hall."]]


def test_refinement_by_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    told = json.loads(line)\n"
        "    print(json.dumps({'caption': told['platform'] + ': ' + told['caption'].upper()}))\n"
    )
    (wording,) = prepare([image("a hall.", "a pond.")], refine_by_command(f"{sys.executable} {program}"))
    assert wording.refined == [["satellite: A HALL."], ["satellite: A POND."]]
    assert wording.raw == [["a hall."], ["a pond."]]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("echo no JSON", "no JSON object with 'caption'"),
        (f"echo '{json.dumps({'caption': 'a'})}'", "answered 1 of 2"),
        ("echo broken >&2; exit 3", "status 3: broken"),
    ],
)
def test_a_program_that_fails_is_named(program: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        prepare([image("a hall.", "a pond.")], refine_by_command(program))
