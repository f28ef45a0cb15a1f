"""What a picture shows, in plain facts: the kinds, numbers and colours of things, how they lie, what covers the ground.

Convention:
    Places in a picture are (u, v) in 0..1 from its top-left corner. A satellite picture has north up.
"""

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

COLOURS = ("red", "orange", "yellow", "green", "blue", "white", "grey", "dark grey", "brown", "beige")

# How unusual a thing is: what singles a picture out is named first.
WEIGHTS: dict[str, float] = {
    "stadium": 12,
    "round pond": 10,
    "plaza": 10,
    "helipad": 10,
    "baths": 10,
    "solar farm": 10,
    "container yard": 10,
    "tank": 9,
    "church": 10,
    "domed hall": 10,
    "round tower": 10,
    "tower block": 9,
    "river": 9,
    "railway": 9,
    "bridge": 8,
    "roundabout": 8,
    "pond": 7,
    "pitch": 7,
    "track": 8,
    "court": 6,
    "greenhouse": 6,
    "hall": 5.5,
    "parking": 5,
    "pool": 4.5,
    "apartments": 4.5,
    "barn": 2.5,
    "house": 2,
    "building": 2,
}


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class Thing(_Facts):
    """A thing, or several of one kind and colour.

    Attributes:
        name: Key of WEIGHTS.
        count: How many show.
        colour: Of the roof or the surface, one of COLOURS, where it is worth naming.
        size: "small" or "large" for its kind, else None.
        place: Where its middle is; None where several are scattered.
        share: Share of the picture that it fills.
        wall: Colour of the facade, and its storeys, where a facade shows.
        weight: How much it singles the picture out.
    """

    name: str
    count: int = 1
    colour: str | None = None
    size: str | None = None
    place: tuple[float, float] | None = None
    share: float = 0.0
    wall: str | None = None
    storeys: int | None = None
    weight: float = 0.0


class Relation(_Facts):
    """How thing ``first`` lies to thing ``second`` (indices): a direction in the picture, close by or not, or between.

    Attributes:
        direction: "left", "right", "above", "below", "above left", "above right", "below left", "below right".
        near: Their middles are less than a third of the picture apart.
        third: Where set, ``first`` lies between ``second`` and ``third``.
    """

    first: int
    second: int
    direction: str
    near: bool
    third: int | None = None


class Road(_Facts):
    """The main street in a picture: "wide", "medium" or "narrow"; its run: "across", "up", "rising" or "falling"."""

    width: str
    run: str
    curved: bool


class Facts(_Facts):
    """All that a caption may tell of a picture.

    Attributes:
        platform: "satellite", "drone" or "ground".
        setting: "suburb", "village", "packed", "blocks", "slabs", "industry", "open" or "mixed".
        buildings: How many show.
        things: The most unusual first.
        relations: Between them.
        roofs: Colours of ordinary roofs with their share 0..1, commonest first.
        cover: What covers the ground, keys of the wordings.
        road: The main street, or None.
        streets: How many streets show.
        vehicles: How many show.
        car: Colour of a vehicle near by in a view from the street, or None.
        facades: Things with ``wall`` and ``storeys``, the most prominent first.
        steep: Whether a drone looks nearly straight down.
    """

    platform: str
    setting: str
    buildings: int
    things: tuple[Thing, ...] = ()
    relations: tuple[Relation, ...] = ()
    roofs: tuple[tuple[str, float], ...] = ()
    cover: tuple[str, ...] = ()
    road: Road | None = None
    streets: int = 0
    vehicles: int = 0
    car: str | None = None
    facades: tuple[Thing, ...] = ()
    steep: bool = False


def colour_name(rgb: ArrayLike) -> str:
    """Name an RGB colour in 0..255 as one of COLOURS."""
    r, g, b = (float(c) for c in np.asarray(rgb, float))
    top, low = max(r, g, b), min(r, g, b)
    saturation = (top - low) / max(top, 1.0)
    if saturation < 0.13 or (saturation < 0.2 and top > 180):
        return "white" if top > 190 else "grey" if top > 112 else "dark grey"
    if top == r:
        hue = 60 * ((g - b) / (top - low))
    elif top == g:
        hue = 120 + 60 * ((b - r) / (top - low))
    else:
        hue = 240 + 60 * ((r - g) / (top - low))
    hue %= 360
    if 75 <= hue < 170:
        return "green"
    if 170 <= hue < 270:
        return "blue"
    if hue >= 345 or hue < 20:
        return "red" if saturation > 0.38 else "brown"
    if saturation > 0.6 and top > 170:
        return "orange" if hue < 33 else "yellow"
    return "beige" if top > 165 else "brown"


def wall_name(rgb: ArrayLike) -> str:
    """Name the colour of a plastered wall; there a trace of warmth counts, where a roof would be called grey."""
    r, g, b = (float(c) for c in np.asarray(rgb, float))
    top, low = max(r, g, b), min(r, g, b)
    name = colour_name((r, g, b))
    if name in ("white", "grey", "dark grey") and r >= g >= b and top - low > 0.065 * top and top > 95:
        return "beige" if top > 128 else "brown"
    return name


def relate(things: tuple[Thing, ...], most: int = 5) -> tuple[Relation, ...]:
    """Return how the most unusual things that have a place lie to each other."""
    placed = [index for index, thing in enumerate(things) if thing.place is not None and thing.weight > 3][:most]
    found = []
    for first in placed:
        for second in placed:
            names = {things[first].name, things[second].name}
            if len(names) == 1 or names == {"river", "bridge"}:
                continue
            offset = np.subtract(things[first].place, things[second].place)  # type: ignore[arg-type]
            far = float(np.hypot(*offset))
            if far < 0.08:
                continue
            found.append(Relation(first=first, second=second, direction=direction_of(offset), near=far < 0.33))
            for third in placed:
                if third <= second or third == first or things[third].name == things[second].name:
                    continue
                a, b, c = (np.array(things[index].place) for index in (second, first, third))
                if np.hypot(*(c - a)) > 0.3 and np.hypot(*(b - (a + c) / 2)) < 0.2 * np.hypot(*(c - a)):
                    found.append(Relation(first=first, second=second, third=third, direction="between", near=True))
    return tuple(found)


def direction_of(offset: ArrayLike) -> str:
    """Name the direction of an offset (u to the right, v down) as in Relation."""
    du, dv = (float(c) for c in np.asarray(offset))
    across = "left" if du < 0 else "right"
    along = "above" if dv < 0 else "below"
    if abs(du) > 2 * abs(dv):
        return across
    if abs(dv) > 2 * abs(du):
        return along
    return f"{along} {across}"
