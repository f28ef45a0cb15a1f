"""Fetching from a server that fails in every way it can."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mercantile
import numpy as np
import pytest

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo import open_store
from cvgeo_ros.geo.mbtiles_writer import MbtilesWriter
from cvgeo_ros.maps.fetch import Manners, Tally, fetch, finish, request_of
from cvgeo_ros.maps.overviews import build_overviews
from cvgeo_ros.maps.pace import retry_after
from cvgeo_ros.maps.template import Template
from cvgeo_ros.maps.tiles import Area, check_tile, parse_bounds

from .conftest import Answer, Place, TileServer, picture

ZOOM, X, Y = 16, 34400, 23400
COLUMNS, ROWS = 4, 3
FIRST, LAST = mercantile.bounds(X, Y, ZOOM), mercantile.bounds(X + COLUMNS - 1, Y + ROWS - 1, ZOOM)
BOUNDS = (FIRST.west, LAST.south, LAST.east, FIRST.north)
AREA = Area(BOUNDS, (ZOOM,))
QUICK = Manners(rate=1000.0, backoff=0.001, timeout=5.0)


def run(server: TileServer, path: Path, manners: Manners = QUICK, area: Area = AREA, url: str = "") -> Tally:
    template = Template(url or server.url)
    with MbtilesWriter(path, request_of(template, area)) as writer:
        tally = fetch(template, area, writer, manners)
        finish(writer, tally, {"attribution": "© Test"}, accept_gaps=False)
    return tally


def tiles_of(path: Path, zoom: int = ZOOM) -> dict[tuple[int, int], bytes]:
    query = "SELECT tile_column, tile_row, tile_data FROM tiles WHERE zoom_level = ?"
    with sqlite3.connect(path) as file:
        rows = file.execute(query, (zoom,)).fetchall()
    file.close()
    return {(x, (1 << zoom) - 1 - row): data for x, row, data in rows}


def expected() -> dict[tuple[int, int], bytes]:
    return {(X + c, Y + r): picture(ZOOM, X + c, Y + r) for c in range(COLUMNS) for r in range(ROWS)}


def test_every_tile_is_asked_for_once_and_kept_byte_by_byte(server: TileServer, tmp_path: Path) -> None:
    tally = run(server, tmp_path / "m.mbtiles")
    assert tally.received == COLUMNS * ROWS and not tally.refused
    assert set(server.asked.values()) == {1}
    assert tiles_of(tmp_path / "m.mbtiles") == expected()
    assert list(tmp_path.iterdir()) == [tmp_path / "m.mbtiles"]
    with open_store(tmp_path / "m.mbtiles") as store:
        assert (store.width, store.height) == (COLUMNS * 256, ROWS * 256)
        assert store.attribution == "© Test"
        south, west, north, east = store.transform.bounds(0, 0, store.width, store.height)
        assert (west, south, east, north) == pytest.approx(BOUNDS, abs=1e-9)


@pytest.mark.parametrize(
    ("path", "parse"),
    [
        ("/{z}/{x}/{-y}.png", lambda p: (int(p[1]), int(p[2]), (1 << int(p[1])) - 1 - int(p[3].split(".")[0]))),
        (
            "/wmts?SERVICE=WMTS&REQUEST=GetTile&TileMatrixSet=GoogleMapsCompatible&TileMatrix=EPSG:3857:{TileMatrix}"
            "&TileCol={TileCol}&TileRow={TileRow}",
            None,
        ),
        ("/wmts/1.0.0/layer/{TileMatrix}/{TileRow}/{TileCol}.jpg", lambda p: (int(p[4]), int(p[6][:-4]), int(p[5]))),
    ],
)
def test_templates_reach_the_same_tiles(server: TileServer, tmp_path: Path, path: str, parse: object) -> None:
    def place(text: str) -> Place:
        if callable(parse):
            return parse(text.split("/"))
        values = dict(pair.split("=") for pair in text.split("?")[1].split("&"))
        return int(values["TileMatrix"].rsplit(":")[-1]), int(values["TileCol"]), int(values["TileRow"])

    server.parse = place
    run(server, tmp_path / "m.mbtiles", url=f"http://127.0.0.1:{server.port}{path}")
    assert tiles_of(tmp_path / "m.mbtiles") == expected()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/{z}/{x}/{y}", "no http"),
        ("http://host/{z}/{x}", "places of zoom, column and row"),
        ("http://host/{z}/{x}/{y}/{-y}", "places of zoom, column and row"),
        ("http://host/{z}/{x}/{y}?key={apikey}", "{apikey} is not known"),
    ],
)
def test_templates_that_cannot_work(url: str, words: str) -> None:
    with pytest.raises(MapError, match=words):
        Template(url)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"oops", 500), "HTTP 500"),
        (Answer(b"", 503), "HTTP 503"),
        (Answer(b""), "empty"),
        (Answer(b"<!DOCTYPE html><title>Log in</title>", headers={"Content-Type": "text/html"}), "a web page"),
        (Answer(picture(ZOOM, X, Y), sent=300), "cut short"),
        (Answer(picture(ZOOM, X, Y)[:900]), "truncated or damaged"),
        (Answer(picture(ZOOM, X, Y, ".png")[:-20]), "truncated or damaged"),
        (Answer(picture(ZOOM, X, Y, ".webp")[:-40]), "truncated or damaged"),
        (Answer(b"\x1f\x8b" + bytes(200)), "no image"),
        (Answer(picture(ZOOM, X, Y, size=128)), "128 x 128 px"),
        (Answer(picture(ZOOM, X, Y), delay=1.5), "no answer in time"),
    ],
)
def test_bad_answers_are_refused_counted_and_asked_for_again(
    server: TileServer, tmp_path: Path, answer: Answer, reason: str
) -> None:
    bad = (ZOOM, X + 2, Y + 1)
    server.rule = lambda place, before: answer if place == bad and before < 2 else None
    # One at a time, so that a tile of the right size comes first.
    tally = run(server, tmp_path / "m.mbtiles", Manners(rate=1000.0, backoff=0.001, timeout=1.0, concurrency=1))
    assert tally.refused == {reason: 2} and not tally.failed
    assert server.asked[bad] == 3
    assert tiles_of(tmp_path / "m.mbtiles") == expected()


def test_a_429_with_retry_after_holds_all_requests(server: TileServer, tmp_path: Path) -> None:
    busy = (ZOOM, X + 1, Y)
    server.rule = lambda place, before: (
        Answer(b"slow down", 429, {"Retry-After": "2"}) if place == busy and not before else None
    )
    tally = run(server, tmp_path / "m.mbtiles", Manners(rate=1000.0, concurrency=2, backoff=0.001))
    assert tally.refused == {"HTTP 429": 1} and tally.received == COLUMNS * ROWS
    gaps = np.diff(sorted(server.times))
    assert gaps.max() > 1.5  # nobody asked meanwhile


def test_a_wait_beyond_patience_ends_the_fetch_and_keeps_the_tiles(server: TileServer, tmp_path: Path) -> None:
    refuse = True
    server.rule = lambda place, before: (
        Answer(b"", 429, {"Retry-After": "3600"}) if refuse and place[1] == X + 2 else None
    )
    with pytest.raises(MapError, match=r"asks to wait 3600 s.*same command"):
        run(server, tmp_path / "m.mbtiles", Manners(rate=1000.0, concurrency=1))
    assert not (tmp_path / "m.mbtiles").exists()
    refuse = False
    assert run(server, tmp_path / "m.mbtiles").known == 2 * ROWS
    assert tiles_of(tmp_path / "m.mbtiles") == expected()


def test_tiles_the_server_does_not_have_are_gaps(server: TileServer, tmp_path: Path) -> None:
    gone = {(ZOOM, X, Y): 404, (ZOOM, X + 1, Y + 1): 204}
    server.rule = lambda place, before: Answer(b"", gone[place]) if place in gone else None
    tally = run(server, tmp_path / "m.mbtiles")
    assert tally.absent == 2 and set(server.asked.values()) == {1}
    assert tiles_of(tmp_path / "m.mbtiles").keys() == {place for place in expected() if (ZOOM, *place) not in gone}


def test_tiles_that_keep_failing_are_asked_for_alone_by_the_next_run(server: TileServer, tmp_path: Path) -> None:
    bad, broken = (ZOOM, X + 3, Y + 2), True
    server.rule = lambda place, before: Answer(b"", 502) if broken and place == bad else None
    manners = Manners(rate=1000.0, backoff=0.001, retries=2)
    with pytest.raises(MapError, match=r"1 of 12 tiles failed \(1 by: HTTP 502\).*same command.*--accept-gaps"):
        run(server, tmp_path / "m.mbtiles", manners)
    assert server.asked[bad] == 3
    server.asked.clear()
    broken = False
    assert run(server, tmp_path / "m.mbtiles", manners).known == COLUMNS * ROWS - 1
    assert server.asked == {bad: 1}
    assert tiles_of(tmp_path / "m.mbtiles") == expected()


def test_a_server_that_refuses_everything_is_left_in_peace(server: TileServer, tmp_path: Path) -> None:
    server.rule = lambda place, before: Answer(b"no key", 403)
    with pytest.raises(MapError, match="4 tiles failed one after the other, the last one by: HTTP 403"):
        run(server, tmp_path / "m.mbtiles", Manners(rate=1000.0, concurrency=1, hopeless=4))
    assert len(server.paths) == 4  # a 403 is not asked for again


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no connection"):
        run(TileServer(port=9), tmp_path / "m.mbtiles", Manners(rate=1000.0, backoff=0.001, retries=1, hopeless=2))


def test_requests_are_paced_few_and_signed(server: TileServer, tmp_path: Path) -> None:
    server.rule = lambda place, before: Answer(picture(*place), delay=0.05)
    manners = Manners(rate=20.0, concurrency=2, user_agent="pilot@example.org", headers=(("X-Key", "abc"),))
    run(server, tmp_path / "m.mbtiles", manners)
    assert server.agents == {"pilot@example.org"} and all(seen["X-Key"] == "abc" for seen in server.headers)
    assert server.busiest <= 2
    assert server.times[-1] - server.times[0] >= (COLUMNS * ROWS - 1) / 20.0 - 0.1


def test_lower_zooms_are_averaged_here(server: TileServer, tmp_path: Path) -> None:
    template = Template(server.url)
    with MbtilesWriter(tmp_path / "m.mbtiles", request_of(template, AREA)) as writer:
        tally = fetch(template, AREA, writer, QUICK)
        build_overviews(writer)
        finish(writer, tally, {}, accept_gaps=False)
    assert {place[0] for place in server.asked} == {ZOOM}
    with open_store(tmp_path / "m.mbtiles") as store:
        whole, _ = store.read(0, 0, 512, 512, (512, 512))
        half, valid = store.read(0, 0, 512, 512, (256, 256))
    assert valid.all()
    mean = whole.reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert np.abs(half - mean).mean() < 2.0
    assert (X // 2, Y // 2) in tiles_of(tmp_path / "m.mbtiles", ZOOM - 1)


def test_a_killed_fetch_goes_on_where_it_was(server: TileServer, tmp_path: Path) -> None:
    server.rule = lambda place, before: Answer(picture(*place), delay=0.02)
    wide = mercantile.bounds(X + 29, Y + 9, ZOOM)
    bbox = f"{FIRST.west},{wide.south},{wide.east},{FIRST.north}"
    out = tmp_path / "m.mbtiles"
    options = {"bbox": bbox, "zoom": ZOOM, "url": server.url, "attribution": "© Test", "out": out, "rate": 200}
    command = [sys.executable, "-c", "from cvgeo_ros.cli import app; app()", "map", "fetch"]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(server.paths) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists() and out.with_name("m.mbtiles.part").exists()
    first = sum(server.asked.values())
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    again = sum(count - 1 for count in server.asked.values())
    assert 100 <= first < 300 and len(server.asked) == 300
    # What was not committed yet, and what was under way.
    assert again <= 32 + 4
    assert "there already; 300 in all" in done.stdout
    assert len(tiles_of(out)) == 300 and not out.with_name("m.mbtiles.part").exists()
    with sqlite3.connect(out) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        metadata = dict(file.execute("SELECT name, value FROM metadata").fetchall())
    file.close()
    assert names == {"metadata", "tiles"}
    assert metadata["attribution"] == "© Test" and metadata["format"] == "jpg"
    assert (metadata["minzoom"], metadata["maxzoom"]) == ("11", str(ZOOM))


def test_an_unfinished_file_of_another_request_is_left_alone(server: TileServer, tmp_path: Path) -> None:
    path = tmp_path / "m.mbtiles"
    with MbtilesWriter(path, request_of(Template(server.url), AREA)) as writer:
        writer.put(ZOOM, X, Y, picture(ZOOM, X, Y))
        with pytest.raises(MapError, match="another process"):
            MbtilesWriter(path, request_of(Template(server.url), AREA))
    with pytest.raises(MapError, match="begun with other arguments"):
        run(server, path, area=Area(BOUNDS, (ZOOM - 1,)))
    path.with_name("m.mbtiles.part").write_bytes(b"no database" * 1000)
    with pytest.raises(MapError, match=r"m\.mbtiles\.part: damaged.*remove it"):
        run(server, path)
    path.with_name("m.mbtiles.part").unlink()
    run(server, path)
    with pytest.raises(MapError, match="is there already"):
        run(server, path)


def test_a_full_disk_costs_nothing_that_was_written_before(server: TileServer, tmp_path: Path) -> None:
    path, template = tmp_path / "m.mbtiles", Template(server.url)
    wide = mercantile.bounds(X + 19, Y + 9, ZOOM)
    area = Area((FIRST.west, wide.south, wide.east, FIRST.north), (ZOOM,))
    with MbtilesWriter(path, request_of(template, area)) as writer:
        pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
        writer._connection.execute(f"PRAGMA max_page_count = {pages + 150}")
        with pytest.raises(MapError, match=r"disk is full.*same command again"):
            fetch(template, area, writer, QUICK)
    tally = run(server, path, area=area)
    assert tally.known >= 32 and tally.known + tally.received == 200
    assert len(tiles_of(path)) == 200


def test_an_interrupted_fetch_says_how_to_go_on(server: TileServer, tmp_path: Path) -> None:
    server.rule = lambda place, before: Answer(picture(*place), delay=0.3)
    options = {
        "bbox": ",".join(map(str, BOUNDS)),
        "zoom": ZOOM,
        "url": server.url,
        "attribution": "x",
        "out": "m.mbtiles",
    }
    command = [sys.executable, "-c", "from cvgeo_ros.cli import app; app()", "map", "fetch"]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path, text=True, env=os.environ | PATHS)
    deadline = time.monotonic() + 100
    while len(server.paths) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGINT)
    assert "the same command goes on with m.mbtiles.part" in log and "Traceback" not in log
    assert run_again(command, tmp_path) == 0
    assert max(server.asked.values()) <= 2 and tiles_of(tmp_path / "m.mbtiles") == expected()


PATHS = {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
}


def run_again(command: list[str], folder: Path) -> int:
    return subprocess.run(command, cwd=folder, env=os.environ | PATHS, capture_output=True, timeout=200).returncode


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_whole_tiles_pass(suffix: str) -> None:
    assert check_tile(picture(1, 0, 0, suffix)) == 256


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9,45,10", "WEST,SOUTH,EAST,NORTH"),
        ("10,45,9,46", "antimeridian"),
        ("9,46,10,45", "south must lie below north"),
        ("9,45,10,89", "equator"),
        ("9,45,10,nan", "finite"),
    ],
)
def test_areas_that_are_none(text: str, words: str) -> None:
    with pytest.raises(MapError, match=words):
        parse_bounds(text)


def test_an_area_is_covered_by_as_few_tiles_as_can_be() -> None:
    assert AREA.count == COLUMNS * ROWS
    assert {(zoom, x, y) for zoom, x, rows in AREA.columns() for y in rows} == {
        (tile.z, tile.x, tile.y) for tile in mercantile.tiles(*BOUNDS, zooms=ZOOM)
    }
    assert Area((-180.0, -85.0, 180.0, 85.0), (3, 0)).count == 65


def test_retry_after_may_be_a_date() -> None:
    assert retry_after(None) is None and retry_after("soon") is None
    assert retry_after("7") == 7.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
