"""Whole worlds: a theme, a street network, blocks, a river, a roundabout."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes import countryside, districts
from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.landmarks import name_river, railway, set_landmarks
from cvgeo_ros.learn.scenes.layout import Bend, Cut, Polygon, area, axes, densify, ellipse
from cvgeo_ros.learn.scenes.roads import furnish, roundabout, street_network
from cvgeo_ros.learn.scenes.textures import SEASON_TINT
from cvgeo_ros.learn.scenes.world import Line, Patch, Street, World, park

District = Callable[[WorldBuilder, Polygon], None]

SEASONS = tuple(SEASON_TINT)

_Mix = tuple[tuple[District, float], ...]

THEMES: dict[str, tuple[float, _Mix]] = {
    "asian_town": (
        4200,
        (
            (districts.dense_asia, 0.66),
            (districts.slabs, 0.05),
            (districts.industrial, 0.05),
            (countryside.park, 0.04),
            (districts.school, 0.05),
            (countryside.vacant, 0.05),
            (countryside.field, 0.04),
            (districts.parking, 0.03),
            (countryside.sports, 0.03),
        ),
    ),
    "european_town": (
        5200,
        (
            (districts.dense_europe, 0.6),
            (districts.slabs, 0.08),
            (countryside.park, 0.08),
            (districts.school, 0.06),
            (districts.suburb, 0.08),
            (districts.parking, 0.05),
            (countryside.sports, 0.05),
        ),
    ),
    "suburb": (
        6500,
        (
            (districts.suburb, 0.66),
            (countryside.park, 0.08),
            (countryside.forest, 0.06),
            (districts.slabs, 0.05),
            (districts.school, 0.04),
            (countryside.sports, 0.05),
            (districts.parking, 0.06),
        ),
    ),
    "village": (
        12000,
        (
            (districts.village, 0.42),
            (countryside.field, 0.28),
            (countryside.forest, 0.10),
            (countryside.orchard, 0.08),
            (countryside.vacant, 0.06),
            (countryside.greenhouses, 0.06),
        ),
    ),
    "industry": (
        13000,
        (
            (districts.industrial, 0.62),
            (districts.parking, 0.10),
            (countryside.vacant, 0.10),
            (countryside.field, 0.08),
            (districts.slabs, 0.05),
            (countryside.forest, 0.05),
        ),
    ),
    "mixed": (
        6500,
        (
            (districts.dense_asia, 0.18),
            (districts.dense_europe, 0.10),
            (districts.suburb, 0.16),
            (districts.industrial, 0.12),
            (districts.slabs, 0.08),
            (countryside.park, 0.07),
            (districts.school, 0.06),
            (countryside.field, 0.07),
            (countryside.greenhouses, 0.03),
            (countryside.sports, 0.05),
            (countryside.vacant, 0.05),
            (countryside.forest, 0.03),
        ),
    ),
}
_SHARES = (0.34, 0.14, 0.16, 0.10, 0.10, 0.16)


def build_world(seed: int, extent: float = 400.0, theme: str | None = None, landmarks: bool = False) -> World:
    """Lay out a world.

    Args:
        seed: Every draw follows from it.
        extent: Side of the square, m.
        theme: Key of THEMES; None draws one.
        landmarks: Set in stadiums, churches, round ponds and the like, and more rivers; a world without them is not
            changed by this option.
    """
    rng = np.random.default_rng(seed)
    if theme is None:
        theme = str(rng.choice(list(THEMES), p=_SHARES))
    target, mix = THEMES[theme]
    builder = WorldBuilder(rng, Bend.draw(rng, float(rng.uniform(1.0, 7.0))), unique=landmarks)
    blocks, cuts = street_network(rng, extent, target * float(rng.uniform(0.7, 1.4)), rural=theme == "village")
    builder.patch(ellipse(np.zeros(2), extent, extent, 0.0, np.zeros(1)), "asphalt", 0.06, bent=True)
    kinds, weights = zip(*mix, strict=True)
    for block in blocks:
        reach = extent / 2 + 12
        if (
            len(block) < 3
            or area(block) < 60
            or (block.min(axis=0) > reach).any()
            or (block.max(axis=0) < -reach).any()
        ):
            continue
        kind = kinds[int(rng.choice(len(kinds), p=np.array(weights) / sum(weights)))]
        if area(block) < 900 and kind not in (districts.dense_asia, districts.suburb):
            kind = countryside.park
        kind(builder, block)
    furnish(builder, cuts, extent)
    own = np.random.default_rng([seed, 23])
    if rng.random() < 0.22 or (landmarks and own.random() < 0.3):
        shore, decks = _river(builder, extent, cuts)
        if landmarks:
            name_river(builder, shore, decks)
    elif landmarks and own.random() < 0.4:
        railway(builder, extent, own)
    if rng.random() < 0.35:
        roundabout(builder, cuts, extent)
    if landmarks:
        set_landmarks(builder, blocks, extent, own)
    season = str(rng.choice(SEASONS, p=[0.2, 0.4, 0.18, 0.12, 0.10]))
    return World(
        extent,
        season,
        seed,
        tuple(builder.patches),
        tuple(builder.lines),
        tuple(builder.buildings),
        tuple(builder.trees),
        park(builder.spots, rng, 0.55),
        tuple(builder.spots),
        builder.objects,
        tuple(builder.streets),
    )


def _river(
    builder: WorldBuilder, extent: float, cuts: list[Cut]
) -> tuple[Polygon, list[tuple[NDArray[np.float64], float]]]:
    """Let a river flow through the town; return its shore and its bridges' centre lines and widths."""
    rng = builder.rng
    angle = float(rng.uniform(0, np.pi))
    along, across = axes(angle)
    s = np.linspace(-0.75, 0.75, 60) * extent
    offset = rng.uniform(-0.3, 0.3) * extent
    t = offset + sum(
        rng.uniform(4, 16) * np.sin(s * 2 * np.pi / rng.uniform(150, 400) + rng.uniform(0, 6)) for _ in range(2)
    )
    centre = s[:, None] * along + np.asarray(t)[:, None] * across
    half = float(rng.uniform(4, 16))

    def band(reach: float) -> Polygon:
        return np.concatenate([centre - across * reach, (centre + across * reach)[::-1]])

    def clear(points: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
        position = points @ along
        return np.abs(points @ across - np.interp(position, s, np.asarray(t))) > reach

    builder.patch(band(half + 4), str(rng.choice(["scrub", "meadow", "concrete"])), 0.1, bent=True)
    builder.patch(band(half), "water", 0.2, bent=True)
    gone = {b.id for b in builder.buildings if not all(clear(r.box.corners(), half + 4).all() for r in b.roofs)}
    builder.buildings = [b for b in builder.buildings if b.id not in gone]
    drowned = {k for k, o in builder.objects.items() if o.height == 0 and not clear(o.corners[:, :2], half + 4).all()}
    builder.patches = [
        Patch(p.polygon, p.material, p.tint, 0 if p.id in drowned else p.id, p.stripes) for p in builder.patches
    ]
    for key in gone | drowned:
        del builder.objects[key]
    builder.trees = [t for t in builder.trees if clear(np.array([[t.x, t.y]]), half - 1)[0]]
    builder.spots = [v for v in builder.spots if clear(v.box.centre[None], half + 5)[0]]
    builder.streets = [
        Street(part, street.width)
        for street in builder.streets
        for part in np.split(street.points, np.flatnonzero(np.diff(clear(street.points, half + 5))) + 1)
        if len(part) > 1 and clear(part, half + 5).all()
    ]
    old_lines, builder.lines = builder.lines, []
    for line in old_lines:
        keep = clear(line.points, half + 4)
        if keep.all():
            builder.lines.append(line)
    decks: list[tuple[NDArray[np.float64], float]] = []
    for cut in cuts[:7]:
        road = builder.bend(densify(np.array([cut.start, cut.end]), closed=False))
        wet = ~clear(road, half + 8)
        if wet.any() and (~wet).any():
            deck = road[wet]
            direction = deck[-1] - deck[0]
            if np.hypot(*direction) > 1 and abs(direction @ across) > 0.5 * np.hypot(*direction):
                builder.lines.append(Line(deck, cut.width * 0.9, (150, 148, 142)))
                builder.lines.append(Line(deck, cut.width * 0.72, (100, 100, 100)))
                decks.append((deck, cut.width))
    return band(half), decks
