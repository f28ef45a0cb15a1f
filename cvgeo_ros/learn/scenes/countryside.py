"""Blocks without dwellings: parks, forests, fields, orchards, greenhouses, sports grounds, vacant land."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cvgeo_ros.learn.scenes.builder import WorldBuilder
from cvgeo_ros.learn.scenes.halls import barn, shed
from cvgeo_ros.learn.scenes.layout import Box, Polygon, axes, bounding_box, clip, ellipse, inner_box, inset, subdivide
from cvgeo_ros.learn.scenes.planting import avenue, hedge, inside, scatter_trees
from cvgeo_ros.learn.scenes.world import Line


def park(builder: WorldBuilder, block: Polygon) -> None:
    """Lawns, winding paths, clumps of trees, sometimes a pond."""
    rng = builder.rng
    builder.patch(block, str(rng.choice(["lawn", "meadow"])), 0.1)
    box = bounding_box(builder.bend(block))
    for _ in range(int(rng.integers(2, 5))):
        s = np.linspace(-0.6, 0.6, 24) * box.length
        t = np.sin(s / box.length * rng.uniform(3, 8) + rng.uniform(0, 6)) * box.width * rng.uniform(0.1, 0.4)
        path = np.array([box.point(a, b) for a, b in zip(s, t, strict=True)])
        path = path[inside(builder.bend(block), path)]
        if len(path) > 2:
            builder.lines.append(Line(path, rng.uniform(1.5, 3.0), (176, 164, 142)))
    if rng.random() < 0.5 and box.width > 30:
        pond(builder, box.point(rng.uniform(-0.2, 0.2) * box.length, 0), box.width * rng.uniform(0.12, 0.25))
    for part in subdivide(block, rng, 500, lambda _: 0.0)[0]:
        share = float(rng.choice([0.0, 0.1, 0.3, 0.8]))
        scatter_trees(builder, builder.bend(part), 5.5, (1.8, 4.6), share=share)


def pond(builder: WorldBuilder, centre: NDArray[np.float64], radius: float) -> None:
    """A pond with a bank; trees on it are removed."""
    rng = builder.rng
    wobble = rng.normal(0, 0.09, 4)
    angle = float(rng.uniform(0, 3))
    stretch = rng.uniform(1.0, 1.8)
    builder.patch(ellipse(centre, radius * stretch + 1.5, radius + 1.5, angle, wobble), "scrub", 0.1, bent=True)
    shore = ellipse(centre, radius * stretch, radius, angle, wobble)
    builder.patch(shore, "water", 0.2, "pond", bent=True)
    reach = float(np.max(np.hypot(*(shore - centre).T))) * 0.8
    builder.trees = [t for t in builder.trees if np.hypot(t.x - centre[0], t.y - centre[1]) > reach]


def forest(builder: WorldBuilder, block: Polygon) -> None:
    """Closed canopy, broad-leaved or coniferous, with a clearing here and there."""
    rng = builder.rng
    builder.patch(block, "forest_floor", 0.1)
    kind = str(rng.choice(["broad", "broad", "conifer"]))
    for part in subdivide(block, rng, 900, lambda _: 0.0)[0]:
        if rng.random() < 0.12:
            builder.patch(part, "scrub", 0.1)
            continue
        spacing = rng.uniform(3.6, 5.5) if kind == "broad" else rng.uniform(2.6, 3.6)
        radius = (1.8, 4.4) if kind == "broad" else (1.2, 2.4)
        scatter_trees(builder, builder.bend(part), spacing, radius, kind, 0.95)


def field(builder: WorldBuilder, block: Polygon) -> None:
    """Strips of crops with furrows and tramlines, edged by tracks and hedges."""
    rng = builder.rng
    builder.patch(block, "meadow", 0.1)
    inner = inset(block, rng.uniform(0.5, 3))
    if len(inner) < 3:
        return
    for part in subdivide(inner, rng, float(rng.choice([700, 2000, 6000])), lambda _: rng.uniform(0.4, 2.0), 0.03)[0]:
        crop = str(rng.choice(["crop_green", "crop_green", "crop_dry", "crop_brown", "meadow"]))
        angle = bounding_box(builder.bend(part)).angle + float(rng.normal(0, 0.04))
        outline = builder.patch(
            part, crop, 0.16, stripes=(angle, float(rng.choice([0.8, 1.6, 2.5])), rng.uniform(0.03, 0.12))
        )
        if rng.random() < 0.6:
            _tramlines(builder, builder.bend(part), angle)
        if rng.random() < 0.06:
            builder.lines.append(Line(np.vstack([outline, outline[:1]]), 1.0, (150, 136, 108)))
    if rng.random() < 0.3:
        hedge(builder, builder.bend(block))


def _tramlines(builder: WorldBuilder, part: Polygon, angle: float) -> None:
    along, across = axes(angle)
    centre = part.mean(axis=0)
    reach = np.abs((part - centre) @ across).max()
    for t in np.arange(-reach + 3, reach - 3, builder.rng.uniform(8, 18)):
        strip = clip(clip(part, centre + across * t, across), centre + across * (t + 0.3), -across)
        for shift in (0.0, 1.9):
            if len(strip) >= 3:
                s = (strip - centre) @ along
                ends = np.array(
                    [centre + along * s.min() + across * (t + shift), centre + along * s.max() + across * (t + shift)]
                )
                builder.lines.append(Line(ends, 0.4, (146, 130, 96)))


def orchard(builder: WorldBuilder, block: Polygon) -> None:
    """Rows of small trees on grass or soil."""
    rng = builder.rng
    builder.patch(block, str(rng.choice(["meadow", "soil", "lawn"])), 0.1)
    bent = builder.bend(inset(block, 2)) if len(inset(block, 2)) >= 3 else builder.bend(block)
    box = bounding_box(bent)
    row, step = rng.uniform(3.6, 5.5), rng.uniform(2.4, 4.0)
    for t in np.arange(-box.width / 2, box.width / 2, row):
        points = np.array([box.point(s, t) for s in np.arange(-box.length / 2, box.length / 2, step)])
        for x, y in points[inside(bent, points)] if len(points) else []:
            if rng.random() < 0.93:
                builder.tree(float(x), float(y), float(rng.uniform(0.9, 1.6)), "bush", 2.0)


def greenhouses(builder: WorldBuilder, block: Polygon) -> None:
    """Rows of greenhouses among crop strips."""
    rng = builder.rng
    builder.patch(block, "soil", 0.1)
    box = inner_box(inset(builder.bend(block), 2)) if len(inset(block, 3)) >= 3 else inner_box(builder.bend(block))
    width = rng.uniform(6, 9)
    for t in np.arange(-box.width / 2 + width / 2, box.width / 2 - width / 2, width + rng.uniform(0.8, 2)):
        if rng.random() < 0.8:
            barn(builder, Box(box.point(0, t), box.angle, box.length * rng.uniform(0.75, 1.0), width), glass=True)


def sports(builder: WorldBuilder, block: Polygon) -> None:
    """A football pitch with a track, or tennis and basketball courts."""
    rng = builder.rng
    builder.patch(block, str(rng.choice(["lawn", "meadow", "pavement"])), 0.1)
    box = inner_box(inset(builder.bend(block), 3)) if len(inset(block, 4)) >= 3 else inner_box(builder.bend(block))
    if box.width > 42 and box.length > 66:
        length, width = min(box.length * 0.8, 100), min(box.width * 0.75, 64)
        if rng.random() < 0.5:
            track = ellipse(box.centre, length * 0.62, width * 0.74, box.angle, np.array([0.0]))
            builder.patch(track, "court_red", 0.05, bent=True)
        pitch = Box(box.centre, box.angle, length * 0.86, width * 0.9)
        builder.patch(pitch.corners(2), "turf", 0.08, "pitch", stripes=(box.angle + np.pi / 2, 11.0, 0.06), bent=True)
        court_markings(builder, pitch, goals=True)
    else:
        rows = list(np.arange(-box.width / 2 + 18, box.width / 2 - 17, 37.0)) if box.width > 36 else [0.0]
        for s in np.arange(-box.length / 2 + 10, box.length / 2 - 9, 19.5):
            for t in rows:
                court = Box(box.point(s, t), box.angle + np.pi / 2, min(30.0, box.width), 16.0)
                surround, inside_court = rng.choice(["court_green", "court_red", "court_blue", "concrete"], 2)
                builder.patch(court.corners(), str(surround), 0.06, "court", bent=True)
                play = Box(court.centre, court.angle, court.length * 0.8, 11.0)
                builder.patch(play.corners(), str(inside_court), 0.06, bent=True)
                builder.patches[-1] = replace(builder.patches[-1], id=builder.patches[-2].id)
                court_markings(builder, play, goals=False)
    scatter_trees(builder, builder.bend(block), 16, (1.8, 3.4), share=0.0 if box.width > 42 else 0.15)
    avenue(builder, block, 8.0)


def court_markings(builder: WorldBuilder, box: Box, goals: bool) -> None:
    """Paint the lines of a court; ``goals`` makes it a football pitch."""
    a, b = box.length / 2, box.width / 2
    white = (228, 228, 224)

    def path(points: list[tuple[float, float]]) -> None:
        builder.lines.append(Line(np.array([box.point(s, t) for s, t in points]), 0.14, white))

    path([(-a, -b), (a, -b), (a, b), (-a, b), (-a, -b)])
    path([(0, -b), (0, b)])
    if goals:
        turn = np.linspace(0, 2 * np.pi, 32)
        path([(9.15 * np.cos(p), 9.15 * np.sin(p)) for p in turn])
        for side in (-1, 1):
            path([(side * a, -20.0), (side * (a - 16.5), -20.0), (side * (a - 16.5), 20.0), (side * a, 20.0)])
            path([(side * a, -9.0), (side * (a - 5.5), -9.0), (side * (a - 5.5), 9.0), (side * a, 9.0)])
    else:
        for side in (-1, 1):
            path([(-a, side * b * 0.75), (a, side * b * 0.75)])
            path([(side * a * 0.54, -b * 0.75), (side * a * 0.54, b * 0.75)])


def vacant(builder: WorldBuilder, block: Polygon) -> None:
    """Bare or overgrown land with tracks, heaps and a few sheds."""
    rng = builder.rng
    builder.patch(block, str(rng.choice(["soil", "scrub", "meadow", "gravel"])), 0.1)
    for part in subdivide(block, rng, 600, lambda _: 0.0, 0.3)[0]:
        if rng.random() < 0.5:
            builder.patch(
                inset(part, 1) if len(inset(part, 1)) >= 3 else part,
                str(rng.choice(["scrub", "meadow", "soil", "yard"])),
                0.1,
            )
        scatter_trees(builder, builder.bend(part), 5.0, (0.8, 3.0), share=float(rng.choice([0, 0.1, 0.4])))
        if rng.random() < 0.2:
            place = builder.bend(part.mean(axis=0)[None])[0]
            shed(builder, Box(place, rng.uniform(0, 3), rng.uniform(4, 9), rng.uniform(3, 6)).corners())
