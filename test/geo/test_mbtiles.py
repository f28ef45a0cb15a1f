"""MBTiles files and XYZ folders: zooms, gaps, formats, damage."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.store import open_store


def lower_zoom(maps: SimpleNamespace, colour: int) -> dict[tuple[int, int, int], bytes]:
    """Plain tiles one zoom below the scene."""
    tile = np.full((256, 256, 3), colour, np.uint8)
    xs, ys = {(maps.X + i) // 2 for i in range(maps.COLUMNS)}, {(maps.Y + i) // 2 for i in range(maps.ROWS)}
    return {(maps.ZOOM - 1, x, y): maps.encode(tile) for x in xs for y in ys}


@pytest.mark.parametrize("kind", ["mbtiles", "xyz"])
def test_lower_zooms_are_the_overviews(maps: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    content = maps.at_zoom(maps.scene()) | lower_zoom(maps, 77)
    path = (
        maps.write_mbtiles(tmp_path / "m.mbtiles", content)
        if kind == "mbtiles"
        else maps.write_xyz(tmp_path / "m", content)
    )
    with open_store(path) as store:
        assert (store.width, store.height) == (maps.COLUMNS * 256, maps.ROWS * 256)
        np.testing.assert_array_equal(store.read(0, 0, 64, 64, (64, 64))[0], maps.scene()[:64, :64])
        assert (store.read(0, 0, 1280, 768, (384, 640))[0] == 77).all()
        assert (store.read(0, 0, 1280, 768, (96, 160))[0] == 77).all()


@pytest.mark.parametrize("kind", ["mbtiles", "xyz"])
def test_gaps_are_invalid(maps: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    content = maps.at_zoom(maps.scene())
    del content[maps.ZOOM, maps.X + 1, maps.Y]
    path = (
        maps.write_mbtiles(tmp_path / "m.mbtiles", content)
        if kind == "mbtiles"
        else maps.write_xyz(tmp_path / "m", content)
    )
    with open_store(path) as store:
        for factor in (1, 2, 3.2, 8):
            h, w = int(768 / factor), int(1280 / factor)
            rgb, valid = store.read(0, 0, 1280, 768, (h, w))
            expected = np.ones((h, w), bool)
            expected[: int(256 / factor), int(256 / factor) : int(512 / factor)] = False
            np.testing.assert_array_equal(valid, expected)
            assert not rgb[~valid].any()


def test_transparent_pixels_are_invalid(maps: SimpleNamespace, tmp_path: Path) -> None:
    rgba = np.dstack([maps.scene()[:256, :256], np.full((256, 256), 255, np.uint8)])
    rgba[:, :100, 3] = 0
    with open_store(
        maps.write_mbtiles(tmp_path / "m.mbtiles", {(maps.ZOOM, maps.X, maps.Y): maps.encode(rgba)})
    ) as store:
        _, valid = store.read(0, 0, 256, 256, (256, 256))
    np.testing.assert_array_equal(valid, rgba[..., 3] > 0)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_formats(maps: SimpleNamespace, tmp_path: Path, suffix: str) -> None:
    path = maps.write_mbtiles(tmp_path / "m.mbtiles", maps.at_zoom(maps.scene(), suffix), {"format": suffix[1:]})
    with open_store(path) as store:
        rgb, valid = store.read(0, 0, 1280, 768, (768, 1280))
    assert valid.all()
    assert np.abs(rgb.astype(int) - maps.scene()).mean() < 3


def test_grey_and_large_tiles(maps: SimpleNamespace, tmp_path: Path) -> None:
    grey = maps.scene()[:512, :512, 0]
    with open_store(
        maps.write_mbtiles(tmp_path / "m.mbtiles", {(maps.ZOOM, maps.X, maps.Y): maps.encode(grey)})
    ) as store:
        assert (store.width, store.height) == (512, 512)
        np.testing.assert_array_equal(store.read(0, 0, 512, 512, (512, 512))[0], np.repeat(grey[..., None], 3, axis=2))
        # A tile of 512 pixels covers the ground of one of 256: its pixels are half as large.
        large = store.transform.gsd((0.0, 0.0))[0]
    with open_store(
        maps.write_mbtiles(tmp_path / "n.mbtiles", {(maps.ZOOM, maps.X, maps.Y): maps.encode(grey[:256, :256])})
    ) as store:
        assert store.transform.gsd((0.0, 0.0))[0] == pytest.approx(2 * large, rel=1e-6)


def test_attribution_without_markup(maps: SimpleNamespace, tmp_path: Path) -> None:
    metadata = {"format": "png", "attribution": '<a href="https://example.org">© Land Board</a>'}
    with open_store(maps.write_mbtiles(tmp_path / "m.mbtiles", maps.at_zoom(maps.scene()), metadata)) as store:
        assert store.attribution == "© Land Board"
    path = maps.write_xyz(tmp_path / "m", maps.at_zoom(maps.scene()))
    (path / "metadata.json").write_text(json.dumps({"attribution": "Land Board", "minzoom": 3}))
    with open_store(path) as store:
        assert store.attribution == "Land Board"


def test_tms_folder(maps: SimpleNamespace, tmp_path: Path) -> None:
    content = {(z, x, (1 << z) - 1 - y): data for (z, x, y), data in maps.at_zoom(maps.scene()).items()}
    path = maps.write_xyz(tmp_path / "m", content)
    (path / "metadata.json").write_text('{"scheme": "tms"}')
    with (
        open_store(path) as tms,
        open_store(maps.write_mbtiles(tmp_path / "m.mbtiles", maps.at_zoom(maps.scene()))) as truth,
    ):
        assert tms.transform == truth.transform
        np.testing.assert_array_equal(tms.read(0, 0, 1280, 768, (768, 1280))[0], maps.scene())
    (path / "metadata.json").write_text("[")
    with pytest.raises(MapError, match=r"metadata\.json"):
        open_store(path)


def test_damaged_files(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "m.mbtiles"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(MapError, match=r"m\.mbtiles: not an MBTiles file, or damaged"):
        open_store(path)
    path.write_bytes(b"")
    with pytest.raises(MapError, match="no such table"):
        open_store(path)
    path.unlink()
    whole = maps.write_mbtiles(path, maps.at_zoom(maps.scene())).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MapError), open_store(path) as store:
        store.read(0, 0, 1280, 768, (768, 1280))


def test_databases_that_are_no_map(maps: SimpleNamespace, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.mbtiles").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(MapError, match="no such table: tiles"):
        open_store(tmp_path / "other.mbtiles")
    with pytest.raises(MapError, match="no tiles in it"):
        open_store(maps.write_mbtiles(tmp_path / "empty.mbtiles", {}))
    with pytest.raises(MapError, match="vector tiles"):
        open_store(maps.write_mbtiles(tmp_path / "v.mbtiles", {(3, 1, 1): b"\x1f\x8b"}, {"format": "pbf"}))
    with pytest.raises(MapError, match="not a PNG"):
        open_store(maps.write_mbtiles(tmp_path / "w.mbtiles", {(3, 1, 1): b"\x1f\x8b"}))
    with pytest.raises(MapError, match="outside the web mercator grid"):
        open_store(maps.write_mbtiles(tmp_path / "g.mbtiles", {(3, 9, 1): maps.encode(maps.scene()[:256, :256])}))
    with pytest.raises(MapError, match="square"):
        open_store(maps.write_mbtiles(tmp_path / "s.mbtiles", {(3, 1, 1): maps.encode(maps.scene()[:256, :200])}))


def test_a_damaged_tile_is_named(maps: SimpleNamespace, tmp_path: Path) -> None:
    content = maps.at_zoom(maps.scene())
    content[maps.ZOOM, maps.X + 2, maps.Y + 1] = b"broken"
    content[maps.ZOOM, maps.X + 3, maps.Y + 1] = maps.encode(maps.scene()[:128, :128])
    for path in (maps.write_mbtiles(tmp_path / "m.mbtiles", content), maps.write_xyz(tmp_path / "m", content)):
        with open_store(path) as store:
            assert store.read(0, 0, 512, 768, (768, 512))[1].all()
            with pytest.raises(MapError, match=f"{maps.ZOOM}/{maps.X + 2}/{maps.Y + 1}"):
                store.read(512, 256, 768, 512, (256, 256))
            with pytest.raises(MapError, match="128 px wide"):
                store.read(768, 256, 1024, 512, (256, 256))
