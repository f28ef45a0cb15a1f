"""GeoTIFFs as they come: bands, masks, missing georeference, damage."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from cvgeo_ros.errors import MapError
from cvgeo_ros.geo.geotiff import GeoTiffStore
from cvgeo_ros.geo.pyramid import BlockCache


def load(path: Path) -> GeoTiffStore:
    return GeoTiffStore(path, BlockCache(64 << 20))


def test_grey(maps: SimpleNamespace, tmp_path: Path) -> None:
    with load(maps.write_geotiff(tmp_path / "m.tif", maps.scene()[..., :1])) as store:
        rgb, valid = store.read(0, 0, 600, 600, (600, 600))
    assert valid.all()
    np.testing.assert_array_equal(rgb, np.repeat(maps.scene()[:600, :600, :1], 3, axis=2))


def test_alpha_is_the_mask(maps: SimpleNamespace, tmp_path: Path) -> None:
    alpha = np.zeros((*maps.scene().shape[:2], 1), np.uint8)
    alpha[100:700, 100:900] = 255
    path = maps.write_geotiff(
        tmp_path / "m.tif", np.concatenate([maps.scene(), alpha], axis=2), photometric="RGB", alpha="YES"
    )
    with load(path) as store:
        rgb, valid = store.read(0, 0, 1280, 768, (768, 1280))
        np.testing.assert_array_equal(valid, alpha[..., 0] > 0)
        np.testing.assert_array_equal(rgb[valid], maps.scene()[valid])
        half = store.read(0, 0, 1280, 768, (384, 640))
    np.testing.assert_array_equal(half[1], alpha[::2, ::2, 0] > 0)
    assert np.abs(half[0][60, 50].astype(float) - maps.scene()[120:122, 100:102].mean(axis=(0, 1))).max() <= 1


def test_fourth_band_without_alpha_is_left_out(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_geotiff(
        tmp_path / "m.tif", np.concatenate([maps.scene(), maps.scene()[..., :1] * 0], axis=2), photometric="RGB"
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    with load(path) as store:
        rgb, valid = store.read(0, 0, 100, 100, (100, 100))
    assert valid.all()
    np.testing.assert_array_equal(rgb, maps.scene()[:100, :100])


def test_bands_by_colour(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_geotiff(tmp_path / "m.tif", maps.scene()[..., ::-1])
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    with load(path) as store:
        np.testing.assert_array_equal(store.read(0, 0, 100, 100, (100, 100))[0], maps.scene()[:100, :100])


def test_nodata_is_invalid(maps: SimpleNamespace, tmp_path: Path) -> None:
    image = np.maximum(maps.scene(), 1)
    image[200:300, 300:500] = 0
    with load(maps.write_geotiff(tmp_path / "m.tif", image, nodata=0)) as store:
        rgb, valid = store.read(0, 0, 1280, 768, (768, 1280))
    np.testing.assert_array_equal(valid, image.any(axis=2))
    np.testing.assert_array_equal(rgb, image)


def test_overviews_are_used(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.with_overviews(maps.write_geotiff(tmp_path / "m.tif", maps.scene()))
    with rasterio.open(path, "r+", overview_level=0) as overview:
        shape = overview.shape
    with rasterio.open(path, "r+") as dataset:
        # The overviews stay as they were built: their old content shows that they are what is read.
        dataset.write(np.zeros((3, *dataset.shape), np.uint8))
    with load(path) as store:
        assert not store.read(0, 0, 64, 64, (64, 64))[0].any()
        assert store.read(0, 0, 1280, 768, shape)[0].mean() > 50


def test_odd_sizes_keep_their_scale(maps: SimpleNamespace, tmp_path: Path) -> None:
    """GDAL rounds the sizes of overviews up: 1003 columns become 502 and 251, 1.998 and 3.996 of them in each."""
    noise = np.random.default_rng(0).normal(0, 1, (701, 1003, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 8)
    image = np.rint(127 + smooth / smooth.std() * 40).clip(0, 255).astype(np.uint8)
    with load(maps.with_overviews(maps.write_geotiff(tmp_path / "m.tif", image))) as store:
        rgb, _ = store.read(900, 600, 1000, 700, (25, 25))
    truth = image[600:700, 900:1000].reshape(25, 4, 25, 4, 3).mean(axis=(1, 3))
    # A shift by 2 pixels, which factors of 2 and 4 would make here, costs 7 grey levels.
    assert np.abs(rgb - truth).mean() < 2


def test_rotated_geographic(maps: SimpleNamespace, tmp_path: Path) -> None:
    affine = Affine(1.6e-6, 7e-9, 120.7, 4e-9, -1.5e-6, 24.2)
    with load(maps.write_geotiff(tmp_path / "m.tif", maps.scene(), crs=CRS.from_epsg(4326), transform=affine)) as store:
        np.testing.assert_allclose(
            store.transform.pixel_to_geodetic([100.0, 200.0]),
            [24.2 + 100 * 4e-9 - 200 * 1.5e-6, 120.7 + 100 * 1.6e-6 + 200 * 7e-9],
            rtol=0,
            atol=1e-12,
        )


def test_copyright_is_the_attribution(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_geotiff(tmp_path / "m.tif", maps.scene())
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(TIFFTAG_COPYRIGHT="Land Board")
    with load(path) as store:
        assert store.attribution == "Land Board"


@pytest.mark.parametrize(
    "options, say",
    [
        ({"crs": None}, r"m\.tif: no CRS.*gdal_edit.py -a_srs.*gdal_translate -a_srs"),
        ({"transform": Affine.identity()}, r"m\.tif: no geotransform.*-a_ullr"),
        ({"dtype": "uint16"}, r"m\.tif: uint16 pixels.*-ot Byte -scale"),
        ({"dtype": "float32"}, "float32 pixels"),
        ({"crs": CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')}, r"m\.tif: .*neither geographic nor projected"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_unusable_maps_say_how_to_mend_them(
    maps: SimpleNamespace, tmp_path: Path, options: dict[str, object], say: str
) -> None:
    with pytest.raises(MapError, match=say):
        load(maps.write_geotiff(tmp_path / "m.tif", maps.scene(), **options))


def test_palette(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_geotiff(tmp_path / "m.tif", maps.scene()[..., :1], photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (0, 0, 0, 255), 255: (255, 0, 0, 255)})
    with pytest.raises(MapError, match="-expand rgb"):
        load(path)


def test_damage(maps: SimpleNamespace, tmp_path: Path) -> None:
    path = maps.write_geotiff(tmp_path / "m.tif", maps.scene(), compress="deflate", transform=maps.mercator())
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(MapError, match="not a raster"):
        load(path)
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2 : len(whole) // 2 + 20000] = b"\xff" * 20000
    path.write_bytes(spoiled)
    with load(path) as store, pytest.raises(MapError, match=r"m\.tif: damaged"):
        store.read(0, 0, 1280, 768, (768, 1280))
