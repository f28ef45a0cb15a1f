"""Captions: true to their facts, the unusual first, three different ones, and wordings that share nothing."""

import re

import numpy as np
import pytest

from cvgeo_ros.learn.place.captions import WORDINGS, captions_of
from cvgeo_ros.learn.place.facts import COLOURS, WEIGHTS, Facts, Road, Thing, colour_name, relate, wall_name
from cvgeo_ros.learn.place.phrases import definite, listed, with_article
from cvgeo_ros.learn.scenes.roofing import FLATS, SHEETS, TILES

THINGS = (
    Thing(name="stadium", colour="blue", place=(0.2, 0.2), share=0.2, weight=14),
    Thing(name="round pond", place=(0.8, 0.2), share=0.05, weight=11),
    Thing(name="hall", count=3, colour="red", share=0.1, weight=8),
)
SCENE = Facts(
    platform="satellite",
    setting="suburb",
    buildings=22,
    things=THINGS,
    relations=relate(THINGS),
    roofs=(("red", 0.7), ("grey", 0.2)),
    cover=("many trees",),
    road=Road(width="wide", run="up", curved=False),
    streets=4,
    vehicles=9,
)
STREET = Facts(
    platform="ground",
    setting="blocks",
    buildings=5,
    cover=("both sides",),
    vehicles=2,
    car="red",
    facades=(
        Thing(name="house", wall="beige", storeys=1, place=(0.2, 0.5), share=0.2),
        Thing(name="building", wall="red", storeys=12, place=(0.9, 0.5), share=0.1),
        Thing(name="church", wall="white", place=(0.5, 0.5), colour="green", share=0.1),
    ),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spoken(facts: Facts, wording: str, seeds: int = 40) -> list[str]:
    return [text for seed in range(seeds) for text in captions_of(facts, WORDINGS[wording], rng(seed))]


def test_no_phrase_of_the_held_out_wording_is_in_the_training_one() -> None:
    training, held_out = ({text.lower() for text in wording.strings()} for wording in WORDINGS.values())
    assert not training & held_out
    assert len(training) > 200 and len(held_out) > 200


def test_no_held_out_sentence_can_be_a_training_sentence() -> None:
    """A sentence of one wording fits no template of the other: they share at most names, numbers and directions."""
    training = {re.sub(r"\W+", " ", text) for caption in spoken(SCENE, "training", 200) for text in caption.split(". ")}
    held_out = {re.sub(r"\W+", " ", text) for caption in spoken(SCENE, "held-out", 200) for text in caption.split(". ")}
    assert not training & held_out


@pytest.mark.parametrize("wording", WORDINGS)
def test_wordings_know_every_fact(wording: str) -> None:
    """Whatever may be a fact has its words: a key that lacks them raises."""
    words = WORDINGS[wording]
    assert set(words.nouns) == set(WEIGHTS)
    for setting in words.settings:
        for platform in ("satellite", "drone", "ground"):
            facts = Facts(platform=platform, setting=setting, buildings=3, cover=tuple(words.cover))
            assert all(captions_of(facts, words, rng()))
    for name in WEIGHTS:
        for count in (1, 2, 5, 30):
            facts = Facts(
                platform="satellite",
                setting="mixed",
                buildings=3,
                things=(Thing(name=name, count=count, colour="blue", size="large", place=(0.5, 0.5), weight=5),),
            )
            assert all("{" not in text for text in captions_of(facts, words, rng()))


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_most_unusual_is_told(wording: str) -> None:
    nouns = [singular.split()[0] for singular, _ in WORDINGS[wording].nouns["round pond"]]
    for caption in spoken(SCENE, wording):
        assert re.search(
            "stadium|arena|athletics ground|grandstands|sports (bowl|venue)|bowl of seats|match venue|spectator ground",
            caption,
        )
        assert any(noun in caption for noun in nouns)
        assert 3 <= len(caption.split(". ")) <= 6
        assert "{" not in caption and "  " not in caption


@pytest.mark.parametrize("facts", [SCENE, STREET], ids=["satellite", "ground"])
def test_captions_of_a_picture_differ_and_follow_the_seed(facts: Facts) -> None:
    first = captions_of(facts, WORDINGS["training"], rng(5))
    assert first == captions_of(facts, WORDINGS["training"], rng(5))
    assert len({*first}) == 3
    assert first != captions_of(facts, WORDINGS["training"], rng(6))


def test_directions_are_those_of_the_picture() -> None:
    text = " ".join(spoken(SCENE, "training", 400))
    pond, stadium = r"the (?:round pond|circular [\w ]+?)", r"the (?:[\w ]*?stadium[\w ]*?)"
    assert re.search(rf"{pond} (?:is located|lies) (?:east of|to the right of) {stadium}", text, re.IGNORECASE)
    assert not re.search(rf"{pond} (?:is located|lies) (?:west of|to the left of)", text, re.IGNORECASE)
    assert not re.search(rf"{stadium} (?:is located|lies) (?:east of|to the right of)", text, re.IGNORECASE)


def test_places_in_the_picture_are_told() -> None:
    text = " ".join(spoken(SCENE, "training", 400)).lower()
    assert re.search(r"stadium[\w ]* is (in the upper left corner|in the north-west) of the image", text)
    assert not re.search(r"stadium[\w ]* is in the (lower|south)", text)


def test_a_thing_between_two_others_is_told() -> None:
    row = tuple(
        Thing(name=name, place=(u, 0.5), weight=9) for name, u in (("church", 0.1), ("plaza", 0.5), ("round pond", 0.9))
    )
    between = [r for r in relate(row) if r.third is not None]
    assert [(r.first, {r.second, r.third}) for r in between] == [(1, {0, 2})]
    facts = Facts(platform="drone", setting="mixed", buildings=9, things=row, relations=tuple(between))
    assert re.search(
        r"[Tt]he (round plaza|circular square)[\w ]* lies between the", " ".join(spoken(facts, "training"))
    ) or (re.search(r"(plaza|square)[\w ]* lies between the", " ".join(spoken(facts, "training"))))


def test_high_blocks_do_not_stand_on_empty_land() -> None:
    towers = Facts(platform="ground", setting="open", buildings=2, things=(Thing(name="tower block", weight=9),))
    assert "hardly any buildings" in " ".join(spoken(towers.model_copy(update={"things": ()}), "training"))
    assert not re.search("hardly any buildings|mostly unbuilt", " ".join(spoken(towers, "training")))


def test_facades_of_a_street_are_told_with_side_and_storeys() -> None:
    text = " ".join(spoken(STREET, "training"))
    assert re.search(r"(single-storey|low) [\w ]*house with beige walls", text)
    assert "many storeys and red walls" in text
    assert not re.search(r"single-storey [\w ]+ on the right", text)
    assert re.search(r"red (car|vehicle)", text)
    assert "12" not in text and "None" not in text


@pytest.mark.parametrize(
    "rgb, name",
    [
        ((148, 92, 74), "red"),
        ((92, 116, 146), "blue"),
        ((96, 136, 116), "green"),
        ((220, 222, 220), "white"),
        ((140, 142, 140), "grey"),
        ((84, 84, 86), "dark grey"),
        ((226, 178, 58), "yellow"),
        ((206, 112, 50), "orange"),
        ((150, 120, 96), "brown"),
        ((196, 172, 140), "beige"),
    ],
)
def test_colours_have_the_names_people_give_them(rgb: tuple[int, int, int], name: str) -> None:
    assert colour_name(rgb) == name


def test_every_roof_colour_has_a_name() -> None:
    assert {colour_name(rgb) for rgb in TILES + SHEETS + FLATS} <= {*COLOURS}
    assert wall_name((206, 200, 188)) == "beige" and colour_name((206, 200, 188)) == "white"


def test_grammar_of_lists_and_articles() -> None:
    assert listed(["a hall", "two ponds", "a church"]) == "a hall, two ponds and a church"
    assert with_article("oval stadium") == "an oval stadium" and with_article("hall") == "a hall"
    assert with_article("urban house") == "an urban house"
    assert definite("an oval stadium") == "the oval stadium" and definite("two halls") == "the two halls"
