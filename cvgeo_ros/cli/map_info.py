"""What ``cvgeo map info`` says."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvgeo_ros.geo import TileStore
    from cvgeo_ros.maps.survey import Survey


def features_of(store: "TileStore", model: str | None, check: bool) -> list[dict[str, Any]]:
    """Prepared features beside a map, and whether they fit a model; None: the shipped one of their name."""
    from cvgeo_ros.errors import CvgeoError
    from cvgeo_ros.geo.identity import all_features, tile_digest

    assert store.path is not None
    files = list(all_features(store.path))
    if not files:
        return []
    from cvgeo_ros.localizer.store import FeatureStore, StoreHeader
    from cvgeo_ros.net.weights import find_weights, load_weights

    rows = []
    for file in files:
        row: dict[str, Any] = {"path": str(file), "bytes": file.stat().st_size}
        try:
            features = FeatureStore(file)
            row |= {"model": features.header.model, "blocks": features.header.count}
            try:
                wanted = StoreHeader.of(load_weights(find_weights(model or features.header.model)), store)
                reason = features.header.stale(wanted)
            except CvgeoError:  # no shipped model: the map alone can be compared
                reason = "" if features.header.map == tile_digest(store) else "the map has changed since"
            if not reason and check and (damaged := features.verify()):
                reason = f"{damaged} blocks are damaged"
            row["state"] = "fresh" if not reason else f"not usable: {reason}; run `cvgeo map prepare`"
            features.close()
        except CvgeoError as error:
            row["state"] = str(error)
        rows.append(row)
    return rows


def print_info(found: "Survey", features: list[dict[str, Any]]) -> None:
    """Print it as a table."""
    from rich.console import Console
    from rich.table import Table

    west, south, east, north = found.bounds
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    add = table.add_row
    add("map", f"{found.path}, {found.kind}" + (f", {found.bytes / 1e6:,.1f} MB" if found.bytes else ""))
    add("size", f"{found.size[0]} x {found.size[1]} px, {found.gsd:.3f} m a pixel, {found.crs}")
    add("area", f"{found.area * 1e-6:,.4g} km², west {west:.6f} south {south:.6f} east {east:.6f} north {north:.6f}")
    for zoom in found.zooms:
        missing = zoom.expected - zoom.tiles
        add(f"zoom {zoom.zoom}", f"{zoom.tiles:,} tiles" + (f", {missing:,} missing" if missing else ""))
    if not found.zooms:
        factors = ", ".join(str(factor) for factor in found.overviews)
        add("overviews", factors or "none: large maps are slow to show whole (gdaladdo, or cvgeo map import)")
    what = " of the tiles" if found.zooms else "" if found.exact else " (sampled)"
    add("covered", f"{found.covered:.2%}{what}, {len(found.gaps) or 'no'} gaps")
    for gap in found.gaps[:5]:
        w, s, e, n = gap.bounds
        add("gap", f"{gap.share:.3%} of the map, west {w:.6f} south {s:.6f} east {e:.6f} north {n:.6f}")
    add("attribution", found.attribution or "none in the file: look up the map's licence")
    add("licence", found.licence or "no note in the file")
    for row in features:
        add("features", f"{row['path']}, {row['bytes'] / 1e6:,.1f} MB, {row['state']}")
    if not features:
        add("features", "none prepared: `cvgeo map prepare` saves the aircraft from encoding the map in the air")
    Console(soft_wrap=True).print(table, highlight=False)
