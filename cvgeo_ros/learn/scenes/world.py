"""What a rendered world is made of, and how it ages between two visits.

Convention:
    Points are (x, y) in metres from the world's centre, x east and y north; the ground is z = 0. Colours are RGB in
    0..255. Object id 0 means "no object".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.layout import Box, Polygon
from cvgeo_ros.learn.scenes.textures import Colour

VEHICLE_COLOURS: tuple[Colour, ...] = (
    (226, 226, 224),
    (218, 218, 216),
    (176, 178, 180),
    (120, 122, 126),
    (58, 60, 64),
    (36, 37, 40),
    (150, 36, 34),
    (44, 68, 124),
    (196, 176, 140),
)


@dataclass(frozen=True)
class Patch:
    """A piece of ground of one material; later patches cover earlier ones.

    Attributes:
        polygon: (N, 2) outline.
        material: Key of textures.MATERIALS.
        tint: Factor on the material's colour.
        id: Object id or 0.
        stripes: (direction along the stripes rad, period m, contrast) of rows, or None.
    """

    polygon: Polygon
    material: str
    tint: Colour = (1.0, 1.0, 1.0)
    id: int = 0
    stripes: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Line:
    """A painted line (N, 2) of a width in metres; ``dash`` gives painted and free lengths, m."""

    points: NDArray[np.float64]
    width: float
    colour: Colour = (214, 214, 208)
    dash: tuple[float, float] | None = None


@dataclass(frozen=True)
class Roof:
    """A roof over a rectangle, with its walls down to the ground.

    Attributes:
        box: Footprint.
        kind: "flat", "gable" (ridge along the length), "hip" or "shed" (rises across the width).
        eave: Height of the walls, m.
        rise: Height of the ridge above the eave, m.
        colour: RGB.
        texture: "tile", "sheet" or "plain".
        parapet: Height of a rim on a flat roof, m.
    """

    box: Box
    kind: str
    eave: float
    rise: float
    colour: Colour
    texture: str
    parapet: float = 0.0


@dataclass(frozen=True)
class Building:
    """A building: roofs, and boxes of clutter (air conditioners, stair heads, solar panels, skylights) upon them.

    Attributes:
        id: Object id.
        roofs: At least one.
        clutter: (footprint, height of its top above the ground m, RGB).
        wall: RGB of the facade.
        floor: Height of a floor, m.
        windows: Spacing of windows along the facade, m; 0 = none.
    """

    id: int
    roofs: tuple[Roof, ...]
    clutter: tuple[tuple[Box, float, Colour], ...]
    wall: Colour
    floor: float = 3.1
    windows: float = 3.0

    @property
    def height(self) -> float:
        """Height of the highest roof, m."""
        return max(roof.eave + roof.rise for roof in self.roofs)


@dataclass(frozen=True)
class Tree:
    """A tree: place, crown radius m, height m, kind of crown, bank entry and RGB."""

    x: float
    y: float
    radius: float
    height: float
    kind: str
    crown: int
    colour: Colour


@dataclass(frozen=True)
class Vehicle:
    """A vehicle: footprint (length forwards), height m and RGB."""

    box: Box
    height: float
    colour: Colour


@dataclass(frozen=True)
class Street:
    """A street: its centre line (N, 2) and its width, m."""

    points: NDArray[np.float64]
    width: float


@dataclass(frozen=True)
class WorldObject:
    """Something an operator may click.

    Attributes:
        id: Unique in the world, > 0.
        cls: Class name.
        corners: (N, 3) points x, y, z whose hull in a view is the visible extent (footprint and roof).
        height: Of its top, m.
    """

    id: int
    cls: str
    corners: NDArray[np.float64]
    height: float


@dataclass(frozen=True)
class World:
    """A square world at one moment.

    Attributes:
        extent: Side of the square, m.
        season: Key of textures.SEASON_TINT.
        seed: Seed of the textures, so that two moments of one world share their grain where nothing changed.
    """

    extent: float
    season: str
    seed: int
    patches: tuple[Patch, ...]
    lines: tuple[Line, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    vehicles: tuple[Vehicle, ...]
    spots: tuple[Vehicle, ...] = field(repr=False)
    objects: dict[int, WorldObject] = field(default_factory=dict, repr=False)
    streets: tuple[Street, ...] = field(default=(), repr=False)

    def aged(self, rng: np.random.Generator, amount: float, season: str) -> "World":
        """Return the world at another moment.

        Args:
            rng: Source of chance.
            amount: Share of buildings demolished; repainted roofs, changed clutter and trees follow from it.
            season: Season of that moment.

        Vehicles are drawn anew among the world's parking spots, whatever the amount.
        """
        gone = {b.id for b in self.buildings if rng.random() < amount}
        buildings = tuple(_repainted(b, rng, amount) for b in self.buildings if b.id not in gone)
        cleared = tuple(
            Patch(roof.box.corners(0.4), "soil" if rng.random() < 0.5 else "yard")
            for b in self.buildings
            if b.id in gone
            for roof in b.roofs
        )
        trees = tuple(
            replace(t, radius=t.radius * (grown := rng.uniform(0.9, 1.1)), height=t.height * grown)
            for t in self.trees
            if rng.random() > 2 * amount
        )
        if season == "winter":
            trees = tuple(replace(t, kind="bare") if t.kind == "broad" and t.crown % 2 else t for t in trees)
        objects = {key: value for key, value in self.objects.items() if key not in gone}
        return replace(
            self,
            season=season,
            patches=self.patches + cleared,
            buildings=buildings,
            trees=trees,
            vehicles=park(self.spots, rng, rng.uniform(0.3, 0.8)),
            objects=objects,
        )


def _repainted(building: Building, rng: np.random.Generator, amount: float) -> Building:
    roofs, clutter = building.roofs, building.clutter
    if rng.random() < 2 * amount:
        fresh = np.clip(rng.normal(130, 40) + rng.normal(0, 14, 3), 30, 235)
        roofs = tuple(replace(roof, colour=colour_of(fresh)) for roof in roofs)
    else:
        tone = np.exp(rng.normal(0, 0.05, 3) * 0.6 + rng.normal(0, 0.06))
        roofs = tuple(replace(roof, colour=colour_of(np.array(roof.colour) * tone)) for roof in roofs)
    if clutter and rng.random() < 4 * amount:
        clutter = tuple(item for item in clutter if rng.random() < 0.6)
    return replace(building, roofs=roofs, clutter=clutter)


def park(spots: Sequence[Vehicle], rng: np.random.Generator, share: float) -> tuple[Vehicle, ...]:
    """Fill a share of the spots with vehicles of random colour, slightly out of line."""
    result = []
    for spot in spots:
        if rng.random() < share:
            colour = VEHICLE_COLOURS[int(rng.integers(len(VEHICLE_COLOURS)))]
            box = replace(
                spot.box, centre=spot.box.centre + rng.normal(0, 0.15, 2), angle=spot.box.angle + rng.normal(0, 0.03)
            )
            result.append(replace(spot, box=box, colour=colour))
    return tuple(result)


def colour_of(rgb: NDArray[np.float64]) -> Colour:
    """Return an RGB array as a colour clipped to 0..255."""
    r, g, b = np.clip(rgb, 0, 255)
    return float(r), float(g), float(b)
