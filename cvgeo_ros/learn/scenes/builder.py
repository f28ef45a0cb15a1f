"""Collects the parts of a world while it is laid out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.layout import Bend, Box, Polygon, densify
from cvgeo_ros.learn.scenes.textures import Colour
from cvgeo_ros.learn.scenes.world import Building, Line, Patch, Roof, Street, Tree, Vehicle, WorldObject, colour_of


class WorldBuilder:
    """Collects the parts of a world; patches and lines are bent, boxes must be laid out on bent plots already.

    Ids are given in order; unless ``unique``, the count of what is there makes them, so that after a removal an id may
    be given twice: the worlds of older benchmarks keep theirs so.
    """

    def __init__(self, rng: np.random.Generator, bend: Bend, unique: bool = False) -> None:
        self.rng = rng
        self.unique = unique
        self._last = 0
        self.bend = bend
        self.patches: list[Patch] = []
        self.lines: list[Line] = []
        self.buildings: list[Building] = []
        self.trees: list[Tree] = []
        self.spots: list[Vehicle] = []
        self.streets: list[Street] = []
        self.objects: dict[int, WorldObject] = {}

    def register(self, cls: str, corners: NDArray[np.float64], height: float = 0.0) -> int:
        """Make an object of points (N, 2) on the ground or (N, 3), and return its id."""
        if corners.shape[1] == 2:
            corners = np.column_stack([corners, np.zeros(len(corners))])
        self._last += 1
        key = self._last if self.unique else len(self.objects) + 1
        self.objects[key] = WorldObject(key, cls, corners, height)
        return key

    def patch(
        self,
        polygon: Polygon,
        material: str,
        tint: float = 0.05,
        cls: str | None = None,
        stripes: tuple[float, float, float] | None = None,
        bent: bool = False,
    ) -> Polygon:
        """Add ground; ``tint`` is the 1-sigma spread of its brightness. Returns the bent outline."""
        outline = polygon if bent else self.bend(densify(polygon))
        brightness = np.exp(self.rng.normal(0, tint)) * np.exp(self.rng.normal(0, tint / 3, 3))
        key = 0 if cls is None else self.register(cls, outline)
        r, g, b = brightness
        self.patches.append(Patch(outline, material, (float(r), float(g), float(b)), key, stripes))
        return outline

    def building(
        self,
        roofs: Sequence[Roof],
        clutter: Sequence[tuple[Box, float, Colour]],
        wall: Colour,
        cls: str = "building",
        windows: float = 3.0,
    ) -> None:
        """Add a building and register it as an object."""
        corners = []
        for roof in roofs:
            base = roof.box.corners()
            corners += [np.column_stack([base, np.full(4, z)]) for z in (0.0, roof.eave + roof.parapet)]
            if roof.rise > 0:
                corners.append(_ridge(roof))
        top = max(roof.eave + roof.rise for roof in roofs)
        key = self.register(cls, np.concatenate(corners), top)
        self.buildings.append(Building(key, tuple(roofs), tuple(clutter), wall, windows=windows))

    def tree(self, x: float, y: float, radius: float, kind: str = "broad", tall: float = 1.7) -> None:
        """Add a tree with a crown radius in metres; its height is about ``tall`` radii."""
        rng = self.rng
        base = {"broad": (74, 96, 48), "conifer": (52, 76, 50), "bush": (84, 104, 56), "bare": (120, 108, 92)}[kind]
        colour = np.array(base) * np.exp(rng.normal(0, 0.13)) * np.exp(rng.normal(0, 0.06, 3))
        height = radius * tall * rng.uniform(0.85, 1.2)
        self.trees.append(Tree(x, y, radius, height, kind, int(rng.integers(16)), colour_of(colour)))

    def spot(self, centre: NDArray[np.float64], angle: float, lorry: bool = False) -> None:
        """Add a place where a vehicle may stand."""
        rng = self.rng
        if lorry:
            box, height = Box(centre, angle, rng.uniform(7, 14), 2.5), rng.uniform(2.6, 3.8)
        else:
            box, height = Box(centre, angle, rng.uniform(3.9, 4.8), rng.uniform(1.7, 1.9)), rng.uniform(1.4, 1.8)
        self.spots.append(Vehicle(box, float(height), (128.0, 128.0, 128.0)))


def _ridge(roof: Roof) -> NDArray[np.float64]:
    half = roof.box.length / 2
    top = roof.eave + roof.rise
    if roof.kind == "shed":
        ends = [roof.box.point(s, roof.box.width / 2) for s in (-half, half)]
    else:
        if roof.kind == "hip":
            half = max(0.0, half - roof.box.width / 2)
        ends = [roof.box.point(s, 0.0) for s in (-half, half)]
    return np.column_stack([np.array(ends), np.full(2, top)])
