"""Buildings that a person would name from the air: churches, domes, towers, tower blocks, coloured halls."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.halls import hall
from cvgeo_ros.learn.scenes.layout import Box, axes
from cvgeo_ros.learn.scenes.planting import scatter_trees
from cvgeo_ros.learn.scenes.roofing import FLATS, WALLS, clutter_on, pick
from cvgeo_ros.learn.scenes.textures import Colour
from cvgeo_ros.learn.scenes.world import Roof

VIVID: tuple[Colour, ...] = (
    (186, 58, 48),
    (44, 98, 172),
    (54, 138, 84),
    (226, 178, 58),
    (238, 238, 236),
    (206, 112, 50),
)
_CHURCH_ROOFS: tuple[Colour, ...] = ((152, 74, 58), (74, 78, 86), (92, 146, 114))
_DOMES: tuple[Colour, ...] = ((206, 166, 74), (84, 150, 108), (226, 226, 220), (70, 116, 172))


def disc(centre: NDArray[np.float64], radius: float, top: float, colour: Colour, sides: int = 16) -> list[Roof]:
    """Return flat roofs whose union is a regular polygon: each pair of opposite sides spans a rectangle."""
    half = np.pi / sides
    length, width = 2 * radius * np.cos(half), 2 * radius * np.sin(half) + 0.1
    return [
        Roof(Box(centre, 2 * half * index, float(length), float(width)), "flat", top, 0.0, colour, "sheet")
        for index in range(sides // 2)
    ]


def church(builder: WorldBuilder, box: Box) -> None:
    """A nave with a steep roof, a square tower with a spire, often a transept, in a churchyard."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["lawn", "pavement"])), 0.08, bent=True)
    colour = pick(rng, _CHURCH_ROOFS, 0.05)
    wall = pick(rng, ((224, 218, 204), (176, 164, 148), (160, 108, 86)), 0.05)
    width = float(rng.uniform(11, 15))
    nave = Box(box.point(box.length * 0.04, 0), box.angle, box.length * 0.62, width)
    eave, rise = float(rng.uniform(8, 11)), width * float(rng.uniform(0.5, 0.7))
    roofs = [Roof(nave, "gable", eave, rise, colour, "tile")]
    if rng.random() < 0.5:
        arm = Box(nave.point(nave.length * 0.22, 0), box.angle + np.pi / 2, width * 1.9, width * 0.7)
        roofs.append(Roof(arm, "gable", eave, rise * 0.8, colour, "tile"))
    side = float(rng.uniform(6, 8))
    tower = Box(nave.point(-nave.length / 2 - side * 0.4, 0), box.angle, side, side)
    roofs.append(Roof(tower, "hip", float(rng.uniform(20, 28)), float(rng.uniform(6, 12)), colour, "tile"))
    builder.building(roofs, [], wall, "church")
    scatter_trees(builder, box.corners(-2.0), 8.0, (1.6, 3.2), share=0.35)
    builder.trees = [t for t in builder.trees if not _covers(nave, t.x, t.y, 5.0)]


def domed_hall(builder: WorldBuilder, box: Box) -> None:
    """A square hall under a dome on a paved court."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["pavement", "concrete"])), 0.05, bent=True)
    side = box.width * float(rng.uniform(0.55, 0.72))
    colour, wall = pick(rng, _DOMES, 0.04), pick(rng, WALLS)
    eave = float(rng.uniform(7, 10))
    roofs = [Roof(Box(box.centre, box.angle, side, side), "flat", eave, 0.0, pick(rng, FLATS), "plain", 0.6)]
    radius = side * 0.4
    for step in np.linspace(0, 1.35, 8):
        roofs += disc(box.centre, radius * float(np.cos(step)), eave + 1.5 + radius * 0.9 * float(np.sin(step)), colour)
    for s, t in ((-0.44, -0.44), (0.44, -0.44), (-0.44, 0.44), (0.44, 0.44)):
        if rng.random() < 0.75:
            roofs += disc(box.point(s * side, t * side), 1.8, eave + 8, colour, 8)
    builder.building(roofs, [], wall, "domed hall")


def round_tower(builder: WorldBuilder, box: Box) -> None:
    """A tall round tower with a ring at its top: a water tower, a silo, a lookout."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["pavement", "lawn", "gravel"])), 0.06, bent=True)
    colour = pick(rng, ((214, 212, 206), (176, 110, 86), (150, 150, 148), (196, 176, 140)), 0.04)
    radius, top = box.width * 0.3, float(rng.uniform(20, 36))
    roofs = disc(box.centre, radius, top, colour)
    roofs += disc(box.centre, radius * 0.72, top + 2.5, pick(rng, VIVID, 0.05))
    builder.building(roofs, [], colour, "round tower", windows=float(rng.choice([0.0, 4.0])))
    annex = Box(box.point(box.width * 0.42, 0), box.angle, 5.0, 6.0)
    builder.building([Roof(annex, "flat", 3.0, 0.0, pick(rng, FLATS), "plain")], [], colour, "shed", windows=0.0)


def tower_block(builder: WorldBuilder, box: Box) -> None:
    """One to three high blocks of flats on a lawn; they stay below a drone that flies at 50 m."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["lawn", "pavement"])), 0.06, bent=True)
    count = max(1, round(box.length / box.width))
    floors, wall, roof = int(rng.integers(9, 14)), pick(rng, WALLS), pick(rng, FLATS)
    side = min(box.width, box.length / count) - 9
    for index in range(count):
        block = Box(box.point(((index + 0.5) / count - 0.5) * box.length, 0), box.angle, side, side * 0.8)
        eave = floors * 2.9 + 0.6
        lift = Box(block.centre, block.angle, side * 0.35, side * 0.3)
        roofs = [Roof(block, "flat", eave, 0.0, roof, "plain", 0.8), Roof(lift, "flat", eave + 3, 0.0, roof, "plain")]
        builder.building(roofs, clutter_on(rng, block, eave, 0.5), wall, "tower block")


def coloured_hall(builder: WorldBuilder, box: Box) -> None:
    """A large hall whose roof has a loud colour, on asphalt."""
    rng = builder.rng
    builder.patch(box.corners(), str(rng.choice(["asphalt", "concrete"])), 0.05, bent=True)
    inner = Box(box.centre, box.angle, box.length - 12, box.width - 10)
    before = len(builder.buildings)
    hall(builder, inner)
    colour = pick(rng, VIVID, 0.04)
    for index in range(before, len(builder.buildings)):
        building = builder.buildings[index]
        roofs = tuple(replace(roof, colour=colour) if roof.eave > 4.0 else roof for roof in building.roofs)
        builder.buildings[index] = replace(building, roofs=roofs)
    for s in np.arange(-box.length / 2 + 4, box.length / 2 - 3, 3.4):
        builder.spot(box.point(s, -box.width / 2 + 2.6), box.angle + np.pi / 2)


def _covers(box: Box, x: float, y: float, margin: float) -> bool:
    along, across = axes(box.angle)
    offset = np.array([x, y]) - box.centre
    return bool(abs(offset @ along) < box.length / 2 + 8 + margin and abs(offset @ across) < box.width / 2 + margin)
