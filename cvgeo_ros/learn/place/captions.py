"""Captions: a few sentences of a picture's facts, the most unusual first, in the manner of the picture's platform.

Like the captions of GeoText-1652, which a language model wrote, they open with a filler, tell what stands out and how
the place looks, and say in a sentence of its own what lies where; three of them tell different facts in other words.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from cvgeo_ros.learn.place.facts import Facts, Relation, Thing
from cvgeo_ros.learn.place.phrases import (
    DIRECTIONS,
    NUMBERS,
    RUNS,
    VERBS,
    ZONES,
    Wording,
    definite,
    listed,
    merged,
    sentence,
    with_article,
)
from cvgeo_ros.learn.place.wording_fourth import FOURTH
from cvgeo_ros.learn.place.wording_held_out import HELD_OUT
from cvgeo_ros.learn.place.wording_second import SECOND
from cvgeo_ros.learn.place.wording_third import THIRD
from cvgeo_ros.learn.place.wording_training import TRAINING

WORDINGS: Mapping[str, Wording] = {"training": merged(TRAINING, SECOND, THIRD, FOURTH), "held-out": HELD_OUT}

_ROOFED = ("hall", "house", "building", "apartments", "church", "barn")
_SURFACED = ("court", "helipad", "round tower", "tank")
_STOREYS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}


def captions_of(facts: Facts, wording: Wording, rng: np.random.Generator, count: int = 3) -> list[str]:
    """Write ``count`` captions of a picture, each with a choice of facts and of words of its own."""
    return [_Writer(facts, wording, rng).write(index % 3) for index in range(count)]


class _Writer:
    def __init__(self, facts: Facts, wording: Wording, rng: np.random.Generator) -> None:
        self.facts = facts
        self.words = wording
        self.rng = rng
        # A thing keeps its name within a caption.
        self.names = [self._name(thing) for thing in facts.things]

    def pick(self, choices: Sequence[str]) -> str:
        return str(choices[int(self.rng.integers(len(choices)))])

    def write(self, style: int) -> str:
        """Write a caption; style 0 names most things, 1 opens with them, 2 dwells on the surroundings."""
        facts, rng = self.facts, self.rng
        # High blocks alone are no neighbourhood by their roofs, but open land they are not either.
        high = facts.setting == "open" and any(thing.name == "tower block" for thing in facts.things)
        setting = self.pick(self.words.settings["slabs" if high else facts.setting])
        shown = self._chosen(4 if style == 0 else 3)
        names = [self.names[index] for index in shown]
        parts: list[str] = []
        if style == 1 and names:
            setting = self.pick(self.words.joined).format(setting=setting, things=listed(names))
        parts.append(self.pick(self.words.openings[facts.platform]).format(setting=setting))
        if style != 1 and names:
            parts.append(self.pick(self.words.tells[facts.platform]).format(things=listed(names)))
        about = self._surroundings()
        parts += about[: (1 if len(names) > 1 else 3) if style == 0 else 2]
        parts += self._where(shown, 2 if style == 1 or facts.platform == "ground" else 1)
        if style == 2 and len(parts) < 5 and rng.random() < 0.5:
            parts += self._road(True)
        return " ".join(sentence(part) for part in parts)

    def _chosen(self, most: int) -> list[int]:
        """Return the most unusual things, now and then without one of them, in nearly their order."""
        count = len(self.facts.things)
        order = sorted(range(count), key=lambda i: -self.facts.things[i].weight * float(self.rng.uniform(0.75, 1.25)))
        return order[:most]

    def _name(self, thing: Thing) -> str:
        many = thing.count > 1
        noun = self.words.nouns[thing.name][int(self.rng.integers(len(self.words.nouns[thing.name])))][many]
        if thing.colour is not None:
            forms = (
                self.words.seated
                if thing.name == "stadium"
                else self.words.domed
                if thing.name == "domed hall"
                else self.words.roofed
                if thing.name in _ROOFED
                else self.words.surfaced
                if thing.name in _SURFACED
                else ()
            )
            if forms:
                noun = forms[int(self.rng.integers(len(forms)))][many].format(noun=noun, colour=thing.colour)
        if thing.size is not None and not many and self.rng.random() < 0.8:
            noun = f"{self.pick(self.words.sizes[thing.size])} {noun}"
        if not many:
            return with_article(noun)
        return f"{NUMBERS.get(thing.count, 'many' if thing.count > 9 else 'several')} {noun}"

    def _surroundings(self) -> list[str]:
        """Return sentences on roofs, ground, number of buildings, streets and vehicles, in random order of weight."""
        facts, words = self.facts, self.words
        found: list[tuple[float, str]] = []
        if facts.roofs:
            first, share = facts.roofs[0]
            if share > 0.5 or len(facts.roofs) == 1:
                found.append((1.2, self.pick(words.roofs).format(first=first)))
            else:
                found.append((1.2, self.pick(words.two_roofs).format(first=first, second=facts.roofs[1][0])))
        for rank, key in enumerate(facts.cover):
            weight = 0.5 if key == "no trees" else 1.1 - 0.2 * rank
            found.append((weight, self.pick(words.cover[key])))
        if facts.platform != "ground" and facts.setting != "open":
            found.append((0.8, self.pick(words.counts[_bucket(facts.buildings)])))
        vehicles = "none" if facts.vehicles == 0 else "few" if facts.vehicles < 5 else "some"
        vehicles = "many" if facts.vehicles > (9 if facts.platform == "ground" else 24) else vehicles
        found.append((0.6, self.pick(words.vehicles[vehicles])))
        if facts.car is not None:
            found.append((1.1, self.pick(words.car).format(colour=facts.car)))
        found += [(0.8, text) for text in self._road(False)]
        if facts.platform == "satellite" and facts.streets >= 7:
            found.append((0.5, self.pick(words.dense_streets)))
        if facts.facades and facts.platform == "drone":
            found.append((1.0, self.pick(words.close).format(facade=self._facade(facts.facades[0]))))
        found.sort(key=lambda pair: -pair[0] * float(self.rng.uniform(0.4, 1.6)))
        return [text for _, text in found]

    def _road(self, oriented: bool) -> list[str]:
        road = self.facts.road
        if road is None or self.facts.platform == "ground":
            return []
        noun = self.pick(self.words.roads[road.width])
        if road.curved:
            noun = self.pick(self.words.bends).format(road=noun)
        if oriented:
            run = self.pick(RUNS[self.facts.platform][road.run])
            return [self.pick(self.words.runs).format(road=noun, run=run)]
        return [self.pick(self.words.passes).format(road=noun)]

    def _where(self, shown: list[int], most: int) -> list[str]:
        """Return sentences on what lies where, of the things just named, or of facades."""
        facts, found = self.facts, []
        relations = [r for r in facts.relations if {r.first, r.second} <= {*shown} and (r.third or r.first) in shown]
        # Each direction is told once, from the side of the more unusual thing or of the other.
        if relations:
            found.append(self._relation(relations[int(self.rng.integers(len(relations)))]))
        if facts.facades and facts.platform == "ground":
            rest = [facts.facades[int(i)] for i in 1 + self.rng.permutation(len(facts.facades) - 1)[:1]]
            found = [self._stands(thing) for thing in (facts.facades[0], *rest)] + found
        placed = [index for index in shown if facts.things[index].place is not None]
        if placed and (facts.platform != "ground" or not found):
            index = placed[int(self.rng.integers(min(2, len(placed))))]
            zone = self.pick(ZONES[facts.platform][_zone(facts.things[index], facts.platform)])
            name = self.names[index]
            text = self.pick(self.words.zoned).format(first=name, zone=zone, **self._verbs(index))
            whole = facts.platform == "ground" or "of the frame" in zone
            found.append(re.sub(" of the (image|scene)", "", text) if whole else text)
        return [text for text in found if text][: most + (facts.platform == "ground")]

    def _verbs(self, index: int) -> dict[str, str]:
        return VERBS if self.facts.things[index].count > 1 else {verb: verb for verb in VERBS}

    def _relation(self, relation: Relation) -> str:
        verbs = self._verbs(relation.first)
        first, second = self.names[relation.first], self.names[relation.second]
        if relation.third is not None:
            third = definite(self.names[relation.third])
            return self.pick(self.words.between).format(first=first, second=definite(second), third=third, **verbs)
        if relation.near and self.rng.random() < 0.45:
            return self.pick(self.words.near).format(first=definite(first), second=definite(second), **verbs)
        directions = DIRECTIONS[self.facts.platform].get(relation.direction)
        if directions is None:
            return ""
        return self.pick(self.words.towards).format(
            first=definite(first), second=definite(second), direction=self.pick(directions), **verbs
        )

    def _stands(self, thing: Thing) -> str:
        zone = self.pick(ZONES["ground"][_zone(thing, "ground")])
        if self.rng.random() < 0.3:
            return self.pick(self.words.close).format(facade=self._facade(thing))
        return self.pick(self.words.stands).format(facade=self._facade(thing), zone=zone)

    def _facade(self, thing: Thing) -> str:
        noun = self.words.nouns[thing.name][int(self.rng.integers(len(self.words.nouns[thing.name])))][0]
        if thing.storeys is None:
            text = self.pick(self.words.plain).format(noun=noun, wall=thing.wall)
        elif thing.storeys == 1:
            text = self.pick(self.words.low).format(noun=noun, wall=thing.wall)
        elif thing.storeys > 8:
            text = self.pick(self.words.high).format(noun=noun, wall=thing.wall)
        else:
            text = self.pick(self.words.facades).format(noun=noun, wall=thing.wall, storeys=_STOREYS[thing.storeys])
        if thing.colour is not None:
            text = f"{text} {self.pick(self.words.roof_of).format(colour=thing.colour)}"
        return with_article(text)


def _bucket(buildings: int) -> str:
    for least, name in ((60, "hundred"), (30, "dozens"), (15, "twenty"), (7, "ten"), (2, "few")):
        if buildings >= least:
            return name
    return "none"


def _zone(thing: Thing, platform: str) -> str:
    assert thing.place is not None
    u, v = thing.place
    across = "left" if u < 0.36 else "right" if u > 0.64 else ""
    along = "" if platform == "ground" else "above" if v < 0.36 else "below" if v > 0.64 else ""
    return f"{along} {across}".strip()
