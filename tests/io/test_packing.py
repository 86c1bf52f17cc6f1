"""Missing and packed values: what attributes and tags declare is applied, and named where it cannot be used."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

import napari_diner as nd
from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.stacks import probe, read
from tests.io.test_formats import save_zarr

STACK = np.random.default_rng(8).integers(700, 4000, (3, 20, 24)).astype(np.uint16)
COMMON = int(np.bincount(STACK.ravel()).argmax())
"""A count that several pixels have."""
SETTINGS: dict[str, Any] = {"wavelength_um": 0.5, "pixel_size_um": 1.1, "distances_um": (210, 260, 320)}


def save_hdf5(path: Path, values: Any, **attributes: Any) -> None:
    with h5py.File(path, "w") as file:
        file["frames"] = values
        file["frames"].attrs.update(attributes)


def save_tagged_zarr(path: Path, values: Any, **attributes: Any) -> None:
    zarr = pytest.importorskip("zarr")
    save_zarr(path, values, "0.5")
    zarr.open_group(str(path), mode="a")["full"].attrs.update(attributes)


def save_tiff(path: Path, values: Any, text: str) -> None:
    tifffile.imwrite(path, values, photometric="minisblack", extratags=[(42113, "s", 0, text, True)])


SAVED: dict[str, tuple[str, Callable[[Path, Any], None]]] = {
    "fill.h5": ("attribute _FillValue", lambda path, values: save_hdf5(path, values, _FillValue=np.uint16(COMMON))),
    "missing.h5": ("attribute missing_value", lambda path, values: save_hdf5(path, values, missing_value=[COMMON])),
    "fill.zarr": ("attribute _FillValue", lambda path, values: save_tagged_zarr(path, values, _FillValue=COMMON)),
    "nodata.tif": ("tag GDAL_NODATA", lambda path, values: save_tiff(path, values, f"{COMMON} ")),
}


@pytest.mark.parametrize("name", SAVED)
def test_ordinary_counts_that_are_declared_missing_are_named(name: str, tmp_path: Path) -> None:
    declared, save = SAVED[name]
    path = tmp_path / name
    save(path, STACK)
    info = probe(path)
    np.testing.assert_array_equal(read(info), np.where(STACK == COMMON, np.nan, STACK.astype(np.float32)))
    message = f"hold {COMMON}, which the {declared} of the file declares to be no data; delete this declaration"
    with pytest.raises(InputError, match=rf"\d+ pixels? of frame \d {message} .*give a mask"):
        nd.lensless(path, **SETTINGS)
    with pytest.raises(InputError, match=rf"\d+ pixels? of frame \d {message} .*leave_out \d"):
        nd.idt(path, wavelength_um=0.5, pixel_size_um=0.1, na=0.5, slice_spacing_um=1, ring={"na": 0.4})
    with pytest.raises(InputError, match=f"of 1,440 values of the data, the first at .* {message} .*crop them"):
        nd.fit(path)
    with pytest.raises(InputError, match=f"Pixels of .* {message}"):
        read_image(path)


@pytest.mark.parametrize("text", ["nan", "-9999", "70000", "0.5", "unknown"])
def test_a_tag_that_no_pixel_can_have_changes_nothing(text: str, tmp_path: Path) -> None:
    save_tiff(tmp_path / "a.tif", STACK, text)
    info = probe(tmp_path / "a.tif")
    assert not info.header.notes and not info.header.missing
    assert read(info).dtype == np.uint16


def test_values_of_single_precision_are_compared_as_such(tmp_path: Path) -> None:
    stack = STACK / np.float32(4096)
    stack[1, 2, 3] = -0.1
    save_hdf5(tmp_path / "a.h5", stack, _FillValue=-0.1)
    assert np.isnan(read(probe(tmp_path / "a.h5"))[1, 2, 3])


def test_packed_values_of_zarr_are_unpacked(tmp_path: Path) -> None:
    """Xarray keeps NaN as text, which is no error."""
    text = base64.b64encode(struct.pack("<d", np.nan)).decode()
    save_tagged_zarr(tmp_path / "a.zarr", STACK, scale_factor=0.5, add_offset=-350, _FillValue=text)
    info = probe(tmp_path / "a.zarr")
    np.testing.assert_array_equal(read(info), 0.5 * STACK - 350)
    assert "0.5·v + -350 is read" in info.header.notes[0] and not info.header.missing


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_chunks_that_are_not_stored_are_counted(version: str, tmp_path: Path) -> None:
    """They are read as zeros, which looks like light that is cut off."""
    save_zarr(tmp_path / "a.zarr", STACK, version)
    assert not probe(tmp_path / "a.zarr").header.notes
    files = [path for path in (tmp_path / "a.zarr" / "full").rglob("*") if path.is_file() and path.name[0] in "0123"]
    for file in sorted(files)[-2:]:
        file.unlink()
    info = probe(tmp_path / "a.zarr")
    assert info.header.notes == ("2 of its 18 chunks are not stored, and are read as 0",)
    assert not read(info)[-1, 18:, 13:].any()


def test_masked_arrays_are_refused() -> None:
    """Only their numbers would be used."""
    with pytest.raises(InputError, match=r"The array has 14 masked values, .*~array\.mask"):
        nd.lensless(np.ma.masked_array(STACK, np.arange(24) + 100 * np.arange(60).reshape(3, 20, 1) < 14), **SETTINGS)
    with pytest.raises(InputError, match=r"The array preprocess\.dark has 1 masked value,"):
        nd.lensless(STACK, **SETTINGS, preprocess={"dark": np.ma.masked_less(STACK[0], STACK[0].min() + 1)})


@pytest.mark.parametrize(("unit", "size"), [("nm", 1100.0), ("", 1.1), ("µm", 1.1), ("mm", 0.0011)])
def test_coordinates_of_labelled_arrays_have_units(unit: str, size: float) -> None:
    xarray = pytest.importorskip("xarray")
    coords = {
        name: xarray.Variable(name, np.arange(count) * size, {"units": unit} if unit else {})
        for name, count in (("y", 20), ("x", 24))
    }
    frames = xarray.DataArray(STACK, coords, ("n", "y", "x"))
    with nd.lensless.start(frames, **{**SETTINGS, "pixel_size_um": None}) as run:
        assert run.job.recipe.pixel_size_um == pytest.approx(1.1)
