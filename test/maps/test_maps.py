"""Import, survey and preview: what comes out is where and what the source was."""

import json
import math
import sqlite3
from pathlib import Path

import cv2
import mercantile
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from typer.testing import CliRunner

from cvgeo_ros.cli import app
from cvgeo_ros.geo import distance, open_store
from cvgeo_ros.maps.overviews import encode
from cvgeo_ros.maps.preview import GAP, preview
from cvgeo_ros.maps.survey import survey

from .conftest import picture

ZOOM, X, Y = 17, 66540, 46100


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def texture(size: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 255, (size // 20, size // 20, 3), np.uint8), (size, size))


def write_tif(path: Path, bands: NDArray[np.uint8], **options: object) -> Path:
    profile = {
        "driver": "GTiff", "count": len(bands), "dtype": "uint8", "height": bands.shape[1], "width": bands.shape[2],
        "crs": "EPSG:32632", "transform": from_origin(500_000, 5_050_000, 0.5, 0.5), "tiled": True,
        "blockxsize": 256, "blockysize": 256, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
        file.update_tags(TIFFTAG_COPYRIGHT="© Survey Office")
    return path


def write_xyz(root: Path, places: list[tuple[int, int]], suffix: str = ".jpg") -> Path:
    for x, y in places:
        file = root / str(ZOOM) / str(x) / f"{y}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(ZOOM, x, y, suffix))
    return root


BLOCK = [(X + c, Y + r) for c in range(6) for r in range(4)]


def test_a_geotiff_is_warped_to_where_it_was(runner: CliRunner, tmp_path: Path) -> None:
    source = write_tif(tmp_path / "ortho.tif", texture(800).transpose(2, 0, 1))
    result = runner.invoke(app, ["map", "import", str(source), "--out", "area.mbtiles", "--licence", "CC BY 4.0"])
    assert result.exit_code == 0, result.output
    with open_store(source) as before, open_store(tmp_path / "area.mbtiles") as after:
        assert after.attribution == "© Survey Office"
        assert after.transform.gsd((0, 0))[0] == pytest.approx(0.42, abs=0.03)  # zoom 18 at latitude 45.6
        south, west, north, east = after.transform.bounds(0, 0, after.width, after.height)
        for u, v in ((40.0, 60.0), (400.0, 400.0), (700.0, 300.0)):
            place = before.transform.pixel_to_geodetic([u, v])
            assert south < place[0] < north and west < place[1] < east
            there = after.transform.geodetic_to_pixel(place)
            span = 20.0 * before.transform.gsd((u, v))[0] / after.transform.gsd(there)[0]
            ours, _ = before.read(u - 20, v - 20, u + 20, v + 20, (20, 20))
            theirs, valid = after.read(*(there - span), *(there + span), (20, 20))
            assert valid.all() and np.abs(ours.astype(int) - theirs).mean() < 4.0
        _, valid = after.read(0, 0, after.width, after.height, (after.height, after.width))
        ground = valid.sum() * np.prod(after.transform.gsd((after.width / 2, after.height / 2)))
        assert ground == pytest.approx(800 * 800 * 0.25, rel=0.01)
    with sqlite3.connect(tmp_path / "area.mbtiles") as file:
        assert dict(file.execute("SELECT * FROM metadata").fetchall())["license"] == "CC BY 4.0"
    file.close()


@pytest.mark.parametrize("kind", ["alpha", "nodata", "grey"])
def test_what_a_geotiff_does_not_show_stays_invalid(runner: CliRunner, tmp_path: Path, kind: str) -> None:
    image = np.maximum(texture(800).transpose(2, 0, 1), 1)
    hole = np.ones((800, 800), bool)
    hole[200:600, 200:600] = False
    options: dict[str, object] = {}
    if kind == "alpha":
        image = np.concatenate([image, np.where(hole, 255, 0)[None].astype(np.uint8)])
        options = {"photometric": "RGB", "alpha": "YES"}
    else:
        image, options = np.where(hole, image, 0).astype(np.uint8), {"nodata": 0}
        image = image[:1] if kind == "grey" else image
    source = write_tif(tmp_path / "ortho.tif", image, **options)
    assert runner.invoke(app, ["map", "import", str(source), "--out", "a.mbtiles"]).exit_code == 0
    with open_store(source) as before, open_store(tmp_path / "a.mbtiles") as after:
        for u, v, shown in ((100.0, 100.0, True), (400.0, 400.0, False), (210.0, 400.0, False), (190.0, 400.0, True)):
            there = after.transform.geodetic_to_pixel(before.transform.pixel_to_geodetic([u, v]))
            rgb, valid = after.read(*(there - 2), *(there + 2), (4, 4))
            assert valid.all() == shown and valid.any() == shown
            if kind == "grey" and shown:
                assert np.ptp(rgb.astype(int), axis=2).max() <= 3


@pytest.mark.parametrize("kind", ["xyz", "tms", "mbtiles"])
def test_tiles_are_copied_as_they_are_and_damaged_ones_left_out(runner: CliRunner, tmp_path: Path, kind: str) -> None:
    source = write_xyz(tmp_path / "tiles", BLOCK)
    bad = source / str(ZOOM) / str(X + 1) / f"{Y + 1}.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    (source / "metadata.json").write_text(json.dumps({"attribution": "Land Board", "license": "CC0"}))
    if kind == "tms":
        for column in (source / str(ZOOM)).iterdir():
            for file in sorted(column.iterdir()):
                file.rename(file.with_name(f"t{(1 << ZOOM) - 1 - int(file.stem)}.jpg"))
            for file in sorted(column.iterdir()):
                file.rename(file.with_name(file.name[1:]))
        (source / "metadata.json").write_text(json.dumps({"attribution": "Land Board", "scheme": "tms"}))
    if kind == "mbtiles":
        with sqlite3.connect(tmp_path / "source.mbtiles") as file:
            file.execute("CREATE TABLE metadata (name text, value text)")
            file.execute("INSERT INTO metadata VALUES ('attribution', 'Land Board')")
            file.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
            for x, y in BLOCK:
                data = (source / str(ZOOM) / str(x) / f"{y}.jpg").read_bytes()
                file.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (ZOOM, x, (1 << ZOOM) - 1 - y, data))
        file.close()
        source = tmp_path / "source.mbtiles"
    result = runner.invoke(app, ["map", "import", str(source), "--out", "a.mbtiles"])
    assert result.exit_code == 0, result.output
    assert "refused  1 x truncated or damaged" in result.stdout
    with sqlite3.connect(tmp_path / "a.mbtiles") as file:
        rows = file.execute("SELECT tile_column, tile_row, tile_data FROM tiles WHERE zoom_level = ?", (ZOOM,))
        found = {(x, (1 << ZOOM) - 1 - row): data for x, row, data in rows.fetchall()}
        zooms = [zoom for (zoom,) in file.execute("SELECT DISTINCT zoom_level FROM tiles").fetchall()]
    file.close()
    assert found == {place: picture(ZOOM, *place) for place in BLOCK if place != (X + 1, Y + 1)}
    assert min(zooms) < ZOOM - 1
    with open_store(tmp_path / "a.mbtiles") as store:
        assert store.attribution == "Land Board"


def test_a_part_of_a_map(runner: CliRunner, tmp_path: Path) -> None:
    source = write_xyz(tmp_path / "tiles", BLOCK)
    box = mercantile.bounds(X + 2, Y + 1, ZOOM)
    area = f"{box.west},{box.south},{box.east},{box.north}"
    assert runner.invoke(app, ["map", "import", str(source), "--out", "a.mbtiles", "--bbox", area]).exit_code == 0
    with open_store(tmp_path / "a.mbtiles") as store:
        assert (store.width, store.height) == (256, 256)
    result = runner.invoke(app, ["map", "import", str(source), "--out", "b.mbtiles", "--bbox", "1,1,2,2"])
    assert result.exit_code == 1 and "not one tile" in result.stderr
    assert not list(tmp_path.glob("b.mbtiles*"))


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"SQLite format 3\0" + b"\1" * 5000])
def test_sources_that_are_none(runner: CliRunner, tmp_path: Path, content: bytes) -> None:
    for name in ("a.mbtiles", "a.tif"):
        (tmp_path / name).write_bytes(content)
        for command in (["import", name, "--out", "out.mbtiles"], ["info", name], ["prepare", name]):
            result = runner.invoke(app, ["map", *command])
            assert result.exit_code == 1, result.output
            assert "error:" in result.stderr and name in result.stderr and "Traceback" not in result.output
    assert not list(tmp_path.glob("out.mbtiles*"))


@pytest.mark.parametrize("kind", ["xyz", "mbtiles"])
def test_gaps_are_found_where_they_are_and_seen_in_the_preview(runner: CliRunner, tmp_path: Path, kind: str) -> None:
    missing = {(X + 2, Y + 1), (X + 3, Y + 1), (X, Y + 3)}
    path = write_xyz(tmp_path / "tiles", [place for place in BLOCK if place not in missing])
    if kind == "mbtiles":
        options = ["--out", "a.mbtiles", "--no-overviews", "--attribution", "me"]
        assert runner.invoke(app, ["map", "import", str(path), *options]).exit_code == 0
        path = tmp_path / "a.mbtiles"
    result = runner.invoke(app, ["map", "info", str(path), "--json", "--preview", "p.png", "--size", "600"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["zooms"] == [{"zoom": ZOOM, "tiles": 21, "missing": 3}]
    assert told["coverage"] == pytest.approx(21 / 24) and told["coverage_exact"]
    assert [gap["share"] for gap in told["gaps"]] == pytest.approx([2 / 24, 1 / 24])
    first, last = mercantile.bounds(X + 2, Y + 1, ZOOM), mercantile.bounds(X + 3, Y + 1, ZOOM)
    assert told["gaps"][0]["bounds"] == pytest.approx([first.west, first.south, last.east, last.north], abs=1e-7)
    latitude = math.radians(mercantile.bounds(X + 3, Y + 2, ZOOM).north)
    assert told["gsd"] == pytest.approx(156543.034 * math.cos(latitude) / 2**ZOOM, rel=0.01)
    assert told["attribution"] == ("me" if kind == "mbtiles" else "")
    image = cv2.cvtColor(cv2.imread("p.png"), cv2.COLOR_BGR2RGB)
    body = image[-400:]
    pink = (np.abs(body.astype(int) - GAP) < 12).all(-1)
    assert pink[110:190, 210:390].mean() > 0.4  # the gap of two tiles
    assert pink[10:90, 110:590].mean() < 0.01


def test_a_small_gap_of_a_large_map_can_be_seen(tmp_path: Path) -> None:
    file = sqlite3.connect(tmp_path / "a.mbtiles")
    file.execute("CREATE TABLE metadata (name text, value text)")
    file.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
    file.execute("CREATE UNIQUE INDEX i ON tiles (zoom_level, tile_column, tile_row)")
    data = encode(np.full((256, 256, 4), 255, np.uint8))
    columns, rows, gap = 600, 100, (350, 30)
    places = ((x, y) for x in range(columns) for y in range(rows) if (x, y) != gap)
    file.executemany("INSERT INTO tiles VALUES (20, ?, ?, ?)", ((1000 + x, 5000 - y, data) for x, y in places))
    file.commit()
    file.close()
    with open_store(tmp_path / "a.mbtiles") as store:
        found = survey(store)
        assert found.zooms[0].expected - found.zooms[0].tiles == 1
        assert max(found.coverage.shape) <= 512 and found.covered < 1.0
        (told,) = found.gaps
        assert told.share == pytest.approx(1 / (columns * rows))
        assert told.box[0] <= gap[0] * 256 < (gap[0] + 1) * 256 <= told.box[2] <= (gap[0] + 3) * 256
        image = preview(store, found, columns)
    pink = (np.abs(image.astype(int) - GAP) < 12).all(-1)
    v, u = np.argwhere(pink).mean(0)
    assert (u, v - (image.shape[0] - rows)) == pytest.approx(np.add(gap, 0.5), abs=4)


def test_raster_coverage_is_sampled_from_the_mask(tmp_path: Path) -> None:
    image = np.maximum(texture(1000).transpose(2, 0, 1), 1)
    image[:, :, 750:] = 0
    with open_store(write_tif(tmp_path / "a.tif", image, nodata=0)) as store:
        found = survey(store)
    assert found.covered == pytest.approx(0.75, abs=0.01) and not found.exact
    (gap,) = found.gaps
    assert gap.box == pytest.approx((750, 0, 1000, 1000), abs=3)
    west, south, east, north = found.bounds
    sides = distance([south, west], [south, east]), distance([south, west], [north, west])
    assert found.area == pytest.approx(float(sides[0] * sides[1]), rel=0.01)


def test_prepare_tells_why_and_info_tells_the_state(runner: CliRunner, tmp_path: Path) -> None:
    source = write_tif(tmp_path / "a.tif", texture(300).transpose(2, 0, 1))

    def prepared(*options: str) -> str:
        result = runner.invoke(app, ["map", "prepare", str(source), *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    def state(*options: str) -> str:
        result = runner.invoke(app, ["map", "info", str(source), "--json", *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["features"][0]["state"]

    assert "(there were none)" in prepared()
    assert "there already and whole" in prepared()
    assert state() == "fresh"
    file = tmp_path / "a.tif.nano.features"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert state() == "fresh" and "damaged; run `cvgeo map prepare`" in state("--check")
    assert "(they were damaged)" in prepared()
    file.write_bytes(data[:-100])
    assert "are damaged (cut short)" in state()
    write_tif(source, texture(300).transpose(2, 0, 1) // 2)
    file.write_bytes(
        bytes(data[: len(data) // 2]) + bytes([data[len(data) // 2] ^ 1]) + bytes(data[len(data) // 2 + 1 :])
    )
    assert "the map has changed since" in state()


def test_fetching_much_needs_a_yes(runner: CliRunner) -> None:
    options = ["--bbox", "9,45,10,46", "--zoom", "19", "--url", "http://127.0.0.1:9/{z}/{x}/{y}", "--attribution", "x"]
    result = runner.invoke(app, ["map", "fetch", *options, "--out", "a.mbtiles"])
    assert result.exit_code == 1
    assert "tiles" in result.stderr and "GB" in result.stderr and "--yes" in result.stderr
    assert not list(Path().iterdir())
