"""A world drawn onto a ground raster: colour, height, object and kind of every cell.

Convention:
    Raster pixel (u, v), centres at .5, u east and v south; (0, 0) is the north-west corner of the world's square.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvgeo_ros.learn.scenes.layout import Box
from cvgeo_ros.learn.scenes.textures import (
    MATERIAL_INDEX,
    MATERIALS,
    SEASON_TINT,
    Colour,
    crowns,
    noise,
    seasonal,
    smooth_noise,
)
from cvgeo_ros.learn.scenes.world import Line, Patch, Roof, Tree, Vehicle, World

GROUND, BUILDING, TREE, VEHICLE = range(4)

_SHIFT = 4


@dataclass(frozen=True)
class Surface:
    """What a world looks like from straight above, without light.

    Attributes:
        extent: Side of the square, m.
        resolution: Side of a cell, m.
        albedo: (N, N, 3) RGB uint8.
        height: (N, N) float32, m above the ground.
        ids: (N, N) uint16, object or 0.
        kind: (N, N) uint8, GROUND, BUILDING, TREE or VEHICLE.
    """

    extent: float
    resolution: float
    albedo: NDArray[np.uint8]
    height: NDArray[np.float32]
    ids: NDArray[np.uint16]
    kind: NDArray[np.uint8]

    @property
    def from_world(self) -> NDArray[np.float64]:
        """The affine map (3, 3) from (x, y) metres to raster pixels."""
        half, scale = self.extent / 2, 1.0 / self.resolution
        return np.array([[scale, 0, half * scale], [0, -scale, half * scale], [0, 0, 1]])

    def cell(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return row and column of the cells at world positions, the nearest cell beyond the rim."""
        half, last = self.extent / 2, self.height.shape[0] - 1
        row = np.floor((half - np.asarray(y)) / self.resolution)
        column = np.floor((half + np.asarray(x)) / self.resolution)
        return np.clip(row, 0, last).astype(np.intp), np.clip(column, 0, last).astype(np.intp)


def rasterise(world: World, resolution: float = 0.15) -> Surface:
    """Draw a world; cells are ``resolution`` metres wide."""
    return _Painter(world, resolution).paint()


class _Painter:
    def __init__(self, world: World, resolution: float) -> None:
        self.world = world
        self.resolution = resolution
        self.n = n = round(world.extent / resolution)
        self.rng = rng = np.random.default_rng(world.seed + 77)
        self.albedo = np.zeros((n, n, 3), np.uint8)
        self.material = np.zeros((n, n), np.uint8)
        self.height = np.zeros((n, n), np.float32)
        self.ids = np.zeros((n, n), np.uint16)
        self.kind = np.zeros((n, n), np.uint8)
        self.fine = (noise((n, n), 2, rng) + noise((n, n), 4, rng)) * np.float32(0.7)
        self.middle = (noise((n, n), 16, rng) + noise((n, n), 64, rng)) * np.float32(0.7)
        self.coarse = smooth_noise((n, n), 40.0 / resolution, rng)
        self.hue = noise((n, n), 64, rng)

    def paint(self) -> Surface:
        world = self.world
        for patch in world.patches:
            self._patch(patch)
        for line in world.lines:
            self._line(line)
        self._weather()
        for vehicle in world.vehicles:
            self._vehicle(vehicle)
        for building in world.buildings:
            for roof in building.roofs:
                self._roof(roof, building.id)
            for box, top, colour in building.clutter:
                self._block(box, top, colour, building.id)
        for tree in sorted(world.trees, key=lambda t: t.height):
            self._tree(tree)
        return Surface(world.extent, self.resolution, self.albedo, self.height, self.ids, self.kind)

    def _pixels(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        half = self.world.extent / 2
        uv = np.stack([points[:, 0] + half, half - points[:, 1]], 1) / self.resolution - 0.5
        return np.clip(np.round(uv * (1 << _SHIFT)), -(1 << 22), 1 << 22).astype(np.int32)

    def _patch(self, patch: Patch) -> None:
        half = self.world.extent / 2
        low, high = patch.polygon.min(axis=0), patch.polygon.max(axis=0)
        if (low > half).any() or (high < -half).any():
            return
        material = MATERIALS[patch.material]
        colour = np.clip(seasonal(material, self.world.season) * patch.tint, 0, 255)
        outline = [self._pixels(patch.polygon)]
        cv2.fillPoly(self.albedo, outline, [float(c) for c in colour], cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.material, outline, MATERIAL_INDEX[patch.material], cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.ids, outline, patch.id, cv2.LINE_8, _SHIFT)
        if patch.stripes is not None:
            self._stripes(patch, outline[0])

    def _stripes(self, patch: Patch, outline: NDArray[np.int32]) -> None:
        assert patch.stripes is not None
        angle, period, contrast = patch.stripes
        low = np.maximum(outline.min(axis=0) >> _SHIFT, 0)
        high = np.minimum((outline.max(axis=0) >> _SHIFT) + 1, self.n)
        if (high <= low).any():
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillPoly(mask, [outline - (low << _SHIFT).astype(np.int32)], 1, cv2.LINE_8, _SHIFT)
        x = np.arange(low[0], high[0], dtype=np.float32) * self.resolution
        y = np.arange(low[1], high[1], dtype=np.float32) * -self.resolution
        across = y[:, None] * np.float32(np.cos(angle)) - x[None, :] * np.float32(np.sin(angle))
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        wave = np.sin(across * np.float32(2 * np.pi / period) + self.middle[window] * np.float32(0.25))
        gain = 1 + np.float32(contrast) * wave * mask
        self.albedo[window] = np.clip(self.albedo[window] * gain[:, :, None], 0, 255)

    def _line(self, line: Line) -> None:
        thickness = line.width / self.resolution
        colour = [float(c) for c in line.colour]
        if thickness < 1.5:
            asphalt = np.array(MATERIALS["asphalt"].colour)
            share = min(1.0, thickness / 1.2)
            colour = [float(c) for c in asphalt + (np.array(line.colour) - asphalt) * share]
        pieces = [line.points] if line.dash is None else _dashes(line.points, *line.dash)
        outlines = [self._pixels(piece) for piece in pieces]
        cv2.polylines(self.albedo, outlines, False, colour, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)

    def _weather(self) -> None:
        """Multiply the flat colours by each material's noise."""
        table = {
            name: np.array([getattr(m, name) for m in MATERIALS.values()] + [0.0] * (256 - len(MATERIALS)), np.float32)
            for name in ("fine", "middle", "coarse", "hue")
        }
        gain = cv2.multiply(cv2.LUT(self.material, table["fine"]), self.fine)
        gain = cv2.add(gain, cv2.multiply(cv2.LUT(self.material, table["middle"]), self.middle))
        gain = cv2.add(gain, cv2.multiply(cv2.LUT(self.material, table["coarse"]), self.coarse))
        drift = cv2.multiply(cv2.LUT(self.material, table["hue"]), self.hue)
        channels = [
            cv2.multiply(colour, cv2.addWeighted(gain, 1.0, drift, share, 1.0), dtype=cv2.CV_8U)
            for colour, share in zip(cv2.split(self.albedo), (1.0, 0.2, -1.2), strict=True)
        ]
        self.albedo = np.asarray(cv2.merge(channels), np.uint8)

    def _window(self, box: Box) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the raster window of a box and its cells' coordinates along and across the box, m."""
        half = self.world.extent / 2
        c, s = np.cos(box.angle), np.sin(box.angle)
        reach_x = (abs(c) * box.length + abs(s) * box.width) / 2
        reach_y = (abs(s) * box.length + abs(c) * box.width) / 2
        u0 = max(0, int((box.centre[0] - reach_x + half) / self.resolution))
        u1 = min(self.n, int((box.centre[0] + reach_x + half) / self.resolution) + 1)
        v0 = max(0, int((half - box.centre[1] - reach_y) / self.resolution))
        v1 = min(self.n, int((half - box.centre[1] + reach_y) / self.resolution) + 1)
        if u0 >= u1 or v0 >= v1:
            return None
        x = ((np.arange(u0, u1) + 0.5) * self.resolution - half - box.centre[0]).astype(np.float32)
        y = (half - (np.arange(v0, v1) + 0.5) * self.resolution - box.centre[1]).astype(np.float32)
        along = x[None, :] * np.float32(c) + y[:, None] * np.float32(s)
        across = y[:, None] * np.float32(c) - x[None, :] * np.float32(s)
        return (slice(v0, v1), slice(u0, u1)), along, across

    def _put(
        self,
        window: tuple[slice, slice],
        mask: NDArray[np.bool_],
        height: NDArray[np.float32] | np.float32,
        colour: NDArray[np.float32],
        key: int,
        kind: int,
    ) -> None:
        mask = mask & (height > self.height[window])
        np.copyto(self.height[window], height, where=mask)
        self.albedo[window][mask] = np.minimum(np.maximum(colour[mask], 0), 255).astype(np.uint8)
        self.kind[window][mask] = kind
        if kind != VEHICLE:
            self.ids[window][mask] = key

    def _roof(self, roof: Roof, key: int) -> None:
        box = roof.box
        found = self._window(box)
        if found is None:
            return
        window, s, t = found
        a, b = np.float32(box.length / 2), np.float32(box.width / 2)
        abs_s, abs_t = np.abs(s), np.abs(t)
        mask = (abs_s <= a) & (abs_t <= b)
        fine, middle = self.fine[window], self.middle[window]
        rise = np.float32(roof.rise)
        if roof.kind == "gable":
            height = roof.eave + rise * np.clip(1 - abs_t / b, 0, 1)
        elif roof.kind == "hip":
            height = roof.eave + rise * np.clip(np.minimum(b - abs_t, a - abs_s) / b, 0, 1)
        elif roof.kind == "shed":
            height = roof.eave + rise * np.clip(0.5 + t / (2 * b), 0, 1)
        else:
            height = np.full_like(s, roof.eave)
        tone = 1 + np.float32(0.025) * fine + np.float32(0.03) * middle
        if roof.texture == "tile":
            tone *= 1 + np.float32(0.06) * np.sin(t * np.float32(2 * np.pi / 0.5))
            if roof.kind == "gable":
                tone += np.float32(0.14) * (abs_t < 0.18)
        elif roof.texture == "sheet":
            panel = np.floor((s + np.float32(500)) / np.float32(1.0)).astype(np.int32)
            tone *= 1 + np.float32(0.045) * (np.sin(panel * 12.9898 + key).astype(np.float32))
            tone *= 1 + np.float32(0.05) * np.sin(s * np.float32(2 * np.pi / 0.55))
        else:
            rim = np.minimum(a - abs_s, b - abs_t)
            tone -= np.float32(0.16) * np.exp(-np.clip(rim, 0, 9) / np.float32(0.8)) * (1 + np.float32(0.4) * middle)
            tone -= np.float32(0.10) * np.clip(self.hue[window] + middle - 0.9, 0, 1)
            seam = np.float32(3.1 + key % 5)
            tone -= np.float32(0.07) * ((s % seam < 0.16) | (t % (seam * 1.3) < 0.16))
            if roof.parapet > 0:
                edge = (rim < 0.36) & mask
                height = (height + np.float32(roof.parapet) * edge).astype(np.float32)
                tone += np.float32(0.30) * edge
        colour = tone[:, :, None] * np.array(roof.colour, np.float32)
        self._put(window, mask, height.astype(np.float32), colour, key, BUILDING)

    def _block(self, box: Box, top: float, colour: Colour, key: int) -> None:
        found = self._window(box)
        if found is None:
            return
        window, s, t = found
        mask = (np.abs(s) <= box.length / 2) & (np.abs(t) <= box.width / 2)
        tone = 1 + np.float32(0.04) * self.fine[window]
        if colour[2] > colour[0] * 1.4:
            tone = tone + np.float32(0.5) * ((s % np.float32(1.05) < 0.1) | (np.abs(t) < 0.05))
        self._put(window, mask, np.float32(top), tone[:, :, None] * np.array(colour, np.float32), key, BUILDING)

    def _vehicle(self, vehicle: Vehicle) -> None:
        box = vehicle.box
        found = self._window(box)
        if found is None:
            return
        window, along, across = found
        s, t = along / np.float32(box.length / 2), np.abs(across) / np.float32(box.width / 2)
        mask = (np.abs(s) <= 1) & (t <= 1 - 0.25 * np.clip(np.abs(s) - 0.8, 0, 1))
        colour = np.broadcast_to(np.array(vehicle.colour, np.float32), (*s.shape, 3)).copy()
        if box.length > 6:
            cab = s > 1 - 4.4 / box.length
            colour[cab] = colour[cab][:, ::-1] * 0.8
            colour[(s > 1 - 4.8 / box.length) & ~(s > 1 - 4.2 / box.length)] = 40
            low, share = cab, 0.85
        else:
            cabin = (s > -0.72) & (s < 0.36)
            roof = (s > -0.48) & (s < 0.10) & (t < 0.76)
            glass = cabin & ~roof
            colour[glass] = colour[glass] * 0.15 + 34
            low, share = ~cabin, 0.62
        height = np.where(low, np.float32(vehicle.height * share), np.float32(vehicle.height))
        self._put(window, mask, height, colour, 0, VEHICLE)

    def _tree(self, tree: Tree) -> None:
        size = max(4, round(2 * tree.radius / self.resolution))
        half = self.world.extent / 2
        u0 = round((tree.x + half) / self.resolution - size / 2)
        v0 = round((half - tree.y) / self.resolution - size / 2)
        if u0 >= self.n or v0 >= self.n or u0 + size <= 0 or v0 + size <= 0:
            return
        crown = crowns(tree.kind)[tree.crown]
        shape = cv2.resize(crown.height, (size, size), interpolation=cv2.INTER_AREA)
        tone = cv2.resize(crown.tone, (size, size), interpolation=cv2.INTER_AREA)
        cut = (slice(max(0, -v0), min(size, self.n - v0)), slice(max(0, -u0), min(size, self.n - u0)))
        window = (slice(max(0, v0), min(self.n, v0 + size)), slice(max(0, u0), min(self.n, u0 + size)))
        shape, tone = shape[cut], tone[cut] * (1 + np.float32(0.05) * self.fine[window])
        height = shape * np.float32(tree.height)
        tint = np.array(SEASON_TINT[self.world.season], np.float32) if tree.kind in ("broad", "bush") else np.float32(1)
        colour = tone[:, :, None] * (np.array(tree.colour, np.float32) * tint)
        self._put(window, shape > 0.05, height, colour, 0, TREE)


def _dashes(points: NDArray[np.float64], on: float, off: float) -> list[NDArray[np.float64]]:
    steps = np.hypot(*np.diff(points, axis=0).T)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0.0, way[-1], on + off)
    ends = np.minimum(starts + on, way[-1])
    return [
        np.column_stack([np.interp((a, b), way, points[:, 0]), np.interp((a, b), way, points[:, 1])])
        for a, b in zip(starts, ends, strict=True)
    ]
