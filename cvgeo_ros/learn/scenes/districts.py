"""Built-up blocks: how each kind is filled with plots, buildings, drives, vehicles and gardens."""

import numpy as np

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.countryside import court_markings
from cvgeo_ros.learn.scenes.halls import apartment_slab, barn, hall, shed
from cvgeo_ros.learn.scenes.houses import detached_house, terrace_house, town_house
from cvgeo_ros.learn.scenes.layout import Box, Polygon, area, inner_box, inset, plots, subdivide
from cvgeo_ros.learn.scenes.planting import avenue, hedge, scatter_trees
from cvgeo_ros.learn.scenes.world import Line


def _kerb(builder: WorldBuilder, block: Polygon, width: float, material: str = "pavement") -> Polygon:
    if width > 0:
        builder.patch(block, material, 0.06)
    return inset(block, width)


def dense_asia(builder: WorldBuilder, block: Polygon) -> None:
    """Rows of narrow town houses back to back, with sheet-metal additions."""
    rng = builder.rng
    inner = _kerb(builder, block, rng.uniform(0, 1.5))
    if len(inner) < 3:
        return
    builder.patch(inner, "concrete" if rng.random() < 0.6 else "yard", 0.12)
    developer, run = int(rng.integers(1 << 30)), 0
    for plot in plots(inner, rng, (4.4, 8.5), rng.uniform(0, 2.5), rng.uniform(13, 22)):
        if run == 0:
            developer, run = int(rng.integers(1 << 30)), int(rng.choice([1, 1, 2, 3, 5, 8]))
        run -= 1
        if rng.random() < 0.06:
            _yard(builder, plot)
            continue
        town_house(builder, builder.bend(plot), np.random.default_rng(developer))


def _yard(builder: WorldBuilder, plot: Polygon) -> None:
    rng = builder.rng
    builder.patch(plot, str(rng.choice(["yard", "soil", "scrub", "concrete", "lawn"])), 0.1)
    scatter_trees(builder, inset(builder.bend(plot), 1.5), 4.0, (0.9, 2.4), share=0.5)
    box = inner_box(builder.bend(plot))
    for _ in range(int(rng.integers(0, 4))):
        place = box.point(rng.uniform(-0.35, 0.35) * box.length, rng.uniform(-0.35, 0.35) * box.width)
        builder.spot(place, box.angle)


def dense_europe(builder: WorldBuilder, block: Polygon) -> None:
    """A perimeter block: tiled terraces along the streets around a court with sheds and trees."""
    rng = builder.rng
    inner = _kerb(builder, block, rng.uniform(1.5, 3))
    if len(inner) < 3:
        return
    builder.patch(inner, str(rng.choice(["lawn", "yard", "pavement"])), 0.1)
    depth = rng.uniform(9, 13)
    court = inset(inner, depth)
    for index in range(len(inner)):
        start, end = inner[index], inner[(index + 1) % len(inner)]
        edge = end - start
        length = float(np.hypot(*edge))
        if length < 12:
            continue
        direction = edge / length
        normal = np.array([-direction[1], direction[0]])
        position = 0.0
        while position < length - depth:
            width = float(rng.uniform(8, 17))
            if length - depth - position - width < 7:
                width = length - depth - position
            if rng.random() < 0.9:
                a, b = start + direction * position, start + direction * (position + width)
                back = normal * depth * rng.uniform(0.85, 1.0)
                terrace_house(
                    builder, builder.bend(np.array([a, b, b + back, a + back])), float(np.arctan2(*edge[::-1]))
                )
            position += width
    if len(court) >= 3 and area(court) > 60:
        for part in subdivide(court, rng, 130, lambda _: 0.0)[0]:
            if rng.random() < 0.35 and len(inset(part, 1.5)) >= 3:
                shed(builder, builder.bend(inset(part, 1.5)))
            else:
                if rng.random() < 0.5:
                    builder.patch(part, str(rng.choice(["lawn", "yard", "concrete", "gravel"])), 0.1)
                scatter_trees(builder, builder.bend(part), 6.0, (1.2, 3.2), share=0.4)


def suburb(builder: WorldBuilder, block: Polygon) -> None:
    """Detached houses with drives, hedges, pools and garden trees."""
    rng = builder.rng
    inner = _kerb(builder, block, float(rng.choice([0.0, 1.5, 2.0])))
    if len(inner) < 3:
        return
    frontage = rng.uniform(13, 20)
    for plot in plots(inner, rng, (frontage, frontage * 1.25), 0.0, 32.0):
        _garden_plot(builder, plot, float(rng.uniform(0.28, 0.42)), 0.12)


def village(builder: WorldBuilder, block: Polygon) -> None:
    """Large plots with houses, barns, vegetable rows and orchards."""
    rng = builder.rng
    for plot in plots(block, rng, (20, 34), 0.0):
        _garden_plot(builder, plot, float(rng.uniform(0.14, 0.24)), 0.01)
        if rng.random() < 0.6:
            box = inner_box(builder.bend(plot))
            place = Box(
                box.point(box.length * rng.choice([-0.33, 0.33]), box.width * rng.uniform(-0.2, 0.2)), box.angle, 0, 0
            )
            barn(builder, place)


def _garden_plot(builder: WorldBuilder, plot: Polygon, cover: float, pool: float) -> None:
    rng = builder.rng
    material = str(rng.choice(["lawn", "lawn", "meadow", "yard", "scrub"]))
    outline = builder.patch(plot, material, 0.12)
    bent = builder.bend(plot)
    ground = inner_box(inset(bent, 1.5)) if len(inset(bent, 1.5)) >= 3 else inner_box(bent)
    if rng.random() < 0.6:
        builder.lines.append(Line(np.vstack([outline, outline[:1]]), rng.uniform(0.25, 0.8), (88, 92, 64)))
    side = float(rng.choice([-1.0, 1.0]))
    width = min(ground.width * 0.75, np.sqrt(ground.length * ground.width * cover) * rng.uniform(0.75, 1.0))
    length = min(ground.length * 0.6, cover * ground.length * ground.width / max(width, 1.0))
    centre = ground.point(
        side * (ground.length - length) / 2 * rng.uniform(0.45, 0.85), rng.uniform(-0.1, 0.1) * ground.width
    )
    drive = Box(ground.point(side * ground.length * 0.33, ground.width * 0.36), ground.angle, ground.length * 0.34, 3.4)
    builder.patch(drive.corners(), str(rng.choice(["concrete", "gravel", "asphalt", "pavement"])), 0.1, bent=True)
    builder.spot(drive.centre, drive.angle)
    terrace = Box(centre, ground.angle, length + 4, width + 3)
    if rng.random() < 0.5:
        builder.patch(terrace.corners(), "pavement", 0.1, bent=True)
    detached_house(builder, Box(centre, ground.angle + float(rng.normal(0, 0.03)), length, width))
    back = ground.point(-side * ground.length * 0.28, rng.uniform(-0.25, 0.25) * ground.width)
    chance = rng.random()
    if chance < pool:
        spa = Box(back, ground.angle, 8, 4)
        builder.patch(spa.corners(1.2), "pavement", 0.1, bent=True)
        builder.patch(spa.corners(), "pool", 0.1, cls="pool", bent=True)
    elif chance < pool + 0.2:
        garden = Box(back, ground.angle, ground.length * 0.2, ground.width * 0.4)
        builder.patch(garden.corners(), "soil", 0.1, stripes=(garden.angle, 1.2, 0.12), bent=True)
    elif chance < pool + 0.5:
        shed(builder, Box(back, ground.angle, rng.uniform(2.5, 6), rng.uniform(2.2, 4)).corners())
    rim = inset(bent, 1.0)
    for _ in range(int(rng.poisson(2.5))):
        if len(rim) >= 3:
            corner = int(rng.integers(len(rim)))
            x, y = rim[corner] + (rim[(corner + 1) % len(rim)] - rim[corner]) * rng.random()
            kind = str(rng.choice(["broad", "broad", "conifer", "bush"]))
            builder.tree(float(x), float(y), float(rng.uniform(1.0, 3.6)), kind)
    if rng.random() < 0.4:
        hedge(builder, bent)


def industrial(builder: WorldBuilder, block: Polygon) -> None:
    """Halls on paved yards with lorries, stacked goods and parking rows."""
    rng = builder.rng
    inner = _kerb(builder, block, rng.uniform(0, 3), "lawn")
    if len(inner) < 3:
        return
    for plot in subdivide(inner, rng, float(rng.uniform(1200, 4500)), lambda _: 0.0, 0.03)[0]:
        builder.patch(plot, str(rng.choice(["concrete", "concrete", "asphalt", "gravel", "yard"])), 0.1)
        room = inset(builder.bend(plot), rng.uniform(3, 9))
        if len(room) < 3 or area(room) < 150:
            _goods(builder, plot)
            continue
        box = inner_box(room)
        share = rng.uniform(0.55, 1.0)
        hall(builder, Box(box.point((1 - share) / 2 * box.length, 0), box.angle, box.length * share, box.width))
        if share < 0.75:
            rest = Box(box.point(-share / 2 * box.length, 0), box.angle, box.length * (0.95 - share), box.width)
            if rng.random() < 0.5:
                parking_rows(builder, rest)
            else:
                _goods(builder, rest.corners())


def _goods(builder: WorldBuilder, plot: Polygon) -> None:
    rng = builder.rng
    box = inner_box(plot)
    for _ in range(int(rng.integers(3, 18))):
        place = box.point(rng.uniform(-0.45, 0.45) * box.length, rng.uniform(-0.45, 0.45) * box.width)
        angle = box.angle + float(rng.choice([0, np.pi / 2]))
        if rng.random() < 0.5:
            builder.spot(place, angle, lorry=True)
        else:
            shed(builder, Box(place, angle, 6.1, 2.4).corners())


def parking_rows(builder: WorldBuilder, box: Box) -> None:
    """Fill a box with rows of marked parking bays and register it as an object when it is large."""
    rng = builder.rng
    if box.width < 6 or box.length < 8:
        return
    large = box.length * box.width > 350
    builder.patch(
        box.corners(),
        str(rng.choice(["asphalt", "asphalt_new", "concrete"])),
        0.08,
        "parking" if large else None,
        bent=True,
    )
    rows = max(1, int((box.width + 5) // 16.5) * 2)
    pitch = box.width / rows if rows > 1 else box.width
    for row in range(rows):
        offset = -box.width / 2 + pitch * row + (2.5 if row % 2 == 0 else pitch - 2.5)
        for s in np.arange(-box.length / 2 + 1.5, box.length / 2 - 1.0, 2.5):
            builder.lines.append(
                Line(np.array([box.point(s - 1.25, offset - 2.4), box.point(s - 1.25, offset + 2.4)]), 0.12)
            )
            builder.spot(box.point(s, offset), box.angle + np.pi / 2 * (1 if rng.random() < 0.5 else -1))


def parking(builder: WorldBuilder, block: Polygon) -> None:
    """A car park with a rim of trees, beside a shop."""
    rng = builder.rng
    inner = _kerb(builder, block, 2.5, "lawn")
    if len(inner) < 3:
        return
    builder.patch(inner, "asphalt", 0.1)
    box = inner_box(inset(builder.bend(inner), 2)) if len(inset(inner, 3)) >= 3 else inner_box(builder.bend(inner))
    share = rng.uniform(0.3, 0.55)
    hall(builder, Box(box.point((1 - share) / 2 * box.length, 0), box.angle, box.length * share, box.width * 0.9))
    parking_rows(builder, Box(box.point(-share / 2 * box.length, 0), box.angle, box.length * (0.94 - share), box.width))
    avenue(builder, inner, 9.0)


def slabs(builder: WorldBuilder, block: Polygon) -> None:
    """Apartment slabs on lawns with parking rows between."""
    rng = builder.rng
    inner = _kerb(builder, block, 2.0)
    if len(inner) < 3:
        return
    builder.patch(inner, "lawn", 0.1)
    box = inner_box(inset(builder.bend(inner), 4)) if len(inset(inner, 6)) >= 3 else inner_box(builder.bend(inner))
    depth, gap = rng.uniform(10, 14), rng.uniform(16, 26)
    floors = int(rng.integers(3, 10))
    for index, t in enumerate(np.arange(-box.width / 2 + depth / 2, box.width / 2 - depth / 2 + 1, depth + gap)):
        apartment_slab(
            builder,
            Box(box.point(rng.uniform(-2, 2), t), box.angle, box.length * rng.uniform(0.7, 0.98), depth),
            floors,
        )
        strip = Box(box.point(0, t + (depth + gap) / 2), box.angle, box.length * 0.8, 10)
        if t + depth / 2 + gap < box.width / 2:
            if index % 2 == 0:
                parking_rows(builder, strip)
            else:
                scatter_trees(builder, strip.corners(), 7, (1.5, 4.0), share=0.6)
    avenue(builder, inner, 11.0)


def school(builder: WorldBuilder, block: Polygon) -> None:
    """A winged building with a court and a sports field."""
    rng = builder.rng
    inner = _kerb(builder, block, 2.0)
    if len(inner) < 3:
        return
    builder.patch(inner, str(rng.choice(["pavement", "lawn"])), 0.1)
    box = inner_box(inset(builder.bend(inner), 3)) if len(inset(inner, 5)) >= 3 else inner_box(builder.bend(inner))
    depth = float(np.clip(box.width * 0.25, 8, 16))
    wing = Box(box.point(0, (box.width - depth) / 2), box.angle, box.length * 0.9, depth)
    apartment_slab(builder, wing, int(rng.integers(2, 5)), extra_wing=box.width * 0.45)
    ground = Box(box.point(box.length * 0.1, -box.width * 0.22), box.angle, box.length * 0.6, box.width * 0.45)
    builder.patch(ground.corners(), str(rng.choice(["court_red", "turf", "court_green"])), 0.06, "court", bent=True)
    court_markings(
        builder, Box(ground.centre, ground.angle, ground.length * 0.9, ground.width * 0.85), goals=ground.width > 45
    )
    avenue(builder, inner, 8.0)
