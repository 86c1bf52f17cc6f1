"""Arrays in OME-Zarr: values, levels, spacings and metadata of both versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.formats import probe_file
from napari_diner.io.ome_zarr import zarr_files
from napari_diner.io.ome_zarr_writing import StoredImage, Version, write_zarr

zarr = pytest.importorskip("zarr")

CASES = {"YX": (50, 40), "ZYX": (3, 150, 259), "TNYX": (2, 3, 24, 20), "YXS": (130, 24, 3), "CZYX": (2, 4, 20, 22)}


def values(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    return (1000 * np.random.default_rng(3).random(shape)).astype(dtype)


def image(axes: str, dtype: str = "f4") -> NamedArray:
    scale = {"Z": 0.5, "Y": 0.2, "X": 0.3}
    return NamedArray("n_re", values(CASES[axes], dtype), axes, tuple(scale.get(axis, 1.0) for axis in axes), "rad")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("axes", "dtype"), [*((axes, "f4") for axes in CASES), ("ZYX", "u2"), ("YXS", "u1")])
def test_arrays_are_restored(axes: str, dtype: str, version: Version, tmp_path: Path) -> None:
    array = image(axes, dtype)
    for name in "ab":
        write_zarr(tmp_path / name, array, version, {"task": "idt"})
    stored = StoredImage.open(tmp_path / "a")
    back = stored.read()
    assert (back.name, back.axes, back.scale_um, back.unit) == (array.name, axes, array.scale_um, "rad")
    assert stored.origin == {"task": "idt"}
    assert back.data.dtype == array.data.dtype
    np.testing.assert_array_equal(back.data, array.data)
    # the same bytes for the same values, all of them known as its files
    files = {path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert files == zarr_files(tmp_path / "a")
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_levels_are_means_at_their_centres(tmp_path: Path) -> None:
    array = image("ZYX")
    write_zarr(tmp_path / "a", array)
    levels = StoredImage.open(tmp_path / "a").levels
    assert [level.shape for level in levels] == [(3, 150, 259), (3, 75, 130), (3, 75, 65)]
    pairs = np.pad(array.data, ((0, 0), (0, 0), (0, 1)), mode="edge").reshape(3, 75, 2, 130, 2).mean((2, 4))
    np.testing.assert_allclose(levels[1][...], pairs, rtol=1e-5)
    # the last of an odd number stands alone, and is not mixed with zeros
    np.testing.assert_allclose(levels[1][:, :, -1], array.data[:, :, -1].reshape(3, 75, 2).mean(2), rtol=1e-5)
    (described,) = zarr.open(str(tmp_path / "a")).attrs["ome"]["multiscales"]
    assert [axis["unit"] for axis in described["axes"]] == ["micrometer"] * 3
    scale, offset = described["datasets"][2]["coordinateTransformations"]
    np.testing.assert_allclose(scale["scale"], (0.5, 0.4, 1.2))
    np.testing.assert_allclose(offset["translation"], (0, 0.1, 0.45))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_recording_is_read_by_its_axes(version: Version, tmp_path: Path) -> None:
    write_zarr(tmp_path / "a.ome.zarr", image("TNYX"), version)
    header = probe_file(str(tmp_path / "a.ome.zarr"))
    assert (header.axes, header.scale_um) == ("TNYX", {"Y": 0.2, "X": 0.3})


class Counted:
    """An array that is too large for the memory: only regions of it may be read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.ndim, self.dtype, self.largest = shape, len(shape), np.dtype(np.uint8), 0

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        part = [np.arange(size)[one] for size, one in zip(self.shape, region, strict=True)]
        grid = sum(np.ix_(*part)) % 251
        self.largest = max(self.largest, grid.size)
        return grid.astype(np.uint8)


def test_it_is_written_by_region_in_shards(tmp_path: Path) -> None:
    data = Counted((40, 1100, 1030))
    write_zarr(tmp_path / "a", NamedArray("volume", data, "ZYX", (1.0, 1.0, 1.0)))  # type: ignore[arg-type]
    assert data.largest == 32 * 1024 * 1024
    level = StoredImage.open(tmp_path / "a").levels[0]
    assert (level.chunks, level.shards) == ((16, 256, 256), (32, 1024, 1024))
    assert sum(name.startswith("0/c/") for name in zarr_files(tmp_path / "a")) == 8
    np.testing.assert_array_equal(level[30:34, 1020:1030, 1020:], data[30:34, 1020:1030, 1020:])


def test_axes_beyond_the_format_and_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not support the axes 'NCYX'"):
        write_zarr(tmp_path / "a", NamedArray("a", np.zeros((1, 1, 4, 4)), "NCYX", (1.0,) * 4))
    write_zarr(tmp_path / "b", image("YX"))
    file = tmp_path / "b" / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["napari-diner"]["axes"] = "ZYX"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged"):
        StoredImage.open(tmp_path / "b")
    del content["attributes"]["napari-diner"]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="not written by napari-diner"):
        StoredImage.open(tmp_path / "b")
