"""The words of captions: what a wording holds, and the closed classes (numbers, directions) that all wordings share.

A wording's templates and names for things are its own: those of the held-out wording occur in no training caption.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

Choices = tuple[str, ...]
Names = tuple[tuple[str, str], ...]

_VOWEL_AHEAD = re.compile(r"\b([Aa])(?= (?!uni|one\b|eu)[aeiou])")

VERBS = {"is": "are", "lies": "lie", "sits": "sit", "adjoins": "adjoin"}

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

# Where a thing lies, by platform and by column and row of a three by three grid; "" is the middle.
ZONES: Mapping[str, Mapping[str, Choices]] = {
    "satellite": {
        "": ("in the centre", "in the middle"),
        "left": ("on the left side", "in the west"),
        "right": ("on the right side", "in the east"),
        "above": ("at the top", "in the north"),
        "below": ("at the bottom", "in the south"),
        "above left": ("in the upper left corner", "in the north-west"),
        "above right": ("in the upper right corner", "in the north-east"),
        "below left": ("in the lower left corner", "in the south-west"),
        "below right": ("in the lower right corner", "in the south-east"),
    },
    "drone": {
        "": ("in the centre", "in the middle of the frame"),
        "left": ("on the left", "on the left side"),
        "right": ("on the right", "on the right side"),
        "above": ("in the background", "at the top"),
        "below": ("in the foreground", "at the bottom"),
        "above left": ("in the background on the left", "in the upper left"),
        "above right": ("in the background on the right", "in the upper right"),
        "below left": ("in the foreground on the left", "in the lower left"),
        "below right": ("in the foreground on the right", "in the lower right"),
    },
    "ground": {
        "": ("straight ahead", "in the middle"),
        "left": ("on the left", "on the left side"),
        "right": ("on the right", "on the right side"),
    },
}

DIRECTIONS: Mapping[str, Mapping[str, Choices]] = {
    "satellite": {
        "left": ("to the left of", "west of"),
        "right": ("to the right of", "east of"),
        "above": ("above", "north of"),
        "below": ("below", "south of"),
        "above left": ("to the upper left of", "north-west of"),
        "above right": ("to the upper right of", "north-east of"),
        "below left": ("to the lower left of", "south-west of"),
        "below right": ("to the lower right of", "south-east of"),
    },
    "drone": {
        "left": ("to the left of",),
        "right": ("to the right of",),
        "above": ("behind", "beyond"),
        "below": ("in front of",),
        "above left": ("behind and to the left of",),
        "above right": ("behind and to the right of",),
        "below left": ("in front and to the left of",),
        "below right": ("in front and to the right of",),
    },
    "ground": {
        "left": ("to the left of",),
        "right": ("to the right of",),
        "above left": ("to the left of",),
        "above right": ("to the right of",),
        "below left": ("to the left of",),
        "below right": ("to the right of",),
    },
}

RUNS: Mapping[str, Mapping[str, Choices]] = {
    "satellite": {
        "across": ("from left to right", "from west to east"),
        "up": ("from top to bottom", "from north to south"),
        "rising": ("from the lower left to the upper right", "from the south-west to the north-east"),
        "falling": ("from the upper left to the lower right", "from the north-west to the south-east"),
    },
    "drone": {
        "across": ("from left to right",),
        "up": ("from the foreground into the background",),
        "rising": ("from the lower left to the upper right",),
        "falling": ("from the upper left to the lower right",),
    },
}


@dataclass(frozen=True)
class Wording:
    """One way of saying things.

    Attributes:
        nouns: By name of a thing: singular and plural, without article.
        roofed, domed, seated, surfaced: Forms of a thing with a colour: (of one, of several), with {noun} and {colour}.
        settings: By setting: noun phrases with article.
        openings: By platform: sentences with {setting}.
        tells: By platform: sentences with {things}, a list.
        joined: Clauses after a setting, with {things}.
        near, between, towards: Sentences with {first}, {second}, {third}, {direction}, and a key of VERBS.
        zoned: Sentences with {first} and {zone}.
        roofs, two_roofs: Sentences with {first}, {second}: colours.
        cover: By key of Facts.cover: sentences.
        counts: By bucket of the number of buildings: sentences.
        vehicles: By "none", "few", "some", "many": sentences; ``car`` with {colour} of the nearest.
        roads: By width: noun phrases with article; ``bends`` for a curved one, with {road}.
        passes: Sentences with {road}; ``runs`` with {road} and {run}.
        dense_streets: Sentences.
        facades: Noun phrases with {storeys}, {wall} and {noun}; ``plain`` without storeys, ``low`` for one, ``high``
            for many.
        roof_of: A clause with {colour}.
        stands: By platform: sentences with {facade} and {zone}; ``close`` with {facade} alone.
        sizes: "small" and "large": words.
    """

    nouns: Mapping[str, Names]
    roofed: Names
    domed: Names
    seated: Names
    surfaced: Names
    settings: Mapping[str, Choices]
    openings: Mapping[str, Choices]
    tells: Mapping[str, Choices]
    joined: Choices
    near: Choices
    between: Choices
    towards: Choices
    zoned: Choices
    roofs: Choices
    two_roofs: Choices
    cover: Mapping[str, Choices]
    counts: Mapping[str, Choices]
    vehicles: Mapping[str, Choices]
    car: Choices
    roads: Mapping[str, Choices]
    bends: Choices
    passes: Choices
    runs: Choices
    dense_streets: Choices
    facades: Choices
    plain: Choices
    low: Choices
    high: Choices
    roof_of: Choices
    stands: Choices
    close: Choices
    sizes: Mapping[str, Choices]

    def strings(self) -> Iterator[str]:
        """Yield every template and name."""
        for field in fields(self):
            yield from _strings(getattr(self, field.name))


def merged(*wordings: Wording) -> Wording:
    """Return a wording with the choices of all."""

    def both(first: Wording, second: Wording) -> Wording:
        parts = (part.name for part in fields(Wording))
        return Wording(**{name: _both(getattr(first, name), getattr(second, name)) for name in parts})

    return reduce(both, wordings)


def _both(first: Any, second: Any) -> Any:
    if isinstance(first, Mapping):
        return {key: _both(first[key], second[key]) for key in first}
    return (*first, *second)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _strings(part)


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun phrase."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def definite(phrase: str) -> str:
    """Turn "a hall", "two halls" into "the hall", "the two halls"."""
    first, _, rest = phrase.partition(" ")
    return f"the {rest}" if first in ("a", "an") else f"the {phrase}"


def listed(parts: Sequence[str]) -> str:
    """Join as in "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence(text: str) -> str:
    """Give a sentence its capital and full stop, and "a" its n before a vowel: templates do not know their colours."""
    text = _VOWEL_AHEAD.sub(r"\1n", text)
    return text[0].upper() + text[1:].rstrip(".") + "."
