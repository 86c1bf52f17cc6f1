"""The same stack is read from files of every format, and ambiguous files are refused."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from scipy.io import savemat

from napari_diner.errors import InputError
from napari_diner.io.header import decoding
from napari_diner.io.images import read_image
from napari_diner.io.ome_zarr import read_zarr, zarr_files
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.io.stacks import check_frames, check_frames_first, frames_last, probe, read

STACK = np.random.default_rng(3).integers(1, 60000, (5, 18, 26)).astype(np.uint16)
COLUMNS = np.moveaxis(STACK, 0, -1)


def save_v73(path: Path, values: npt.NDArray[Any]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["frames"] = values.T
        file["frames"].attrs["MATLAB_class"] = np.bytes_("uint16")
        file["directions"] = np.ones((2, 5))


def save_python(path: Path, values: npt.NDArray[Any]) -> None:
    with h5py.File(path, "w") as file:
        file["frames"] = values


def save_zarr(path: Path, values: npt.NDArray[Any], version: str = "0.4", letters: str = "tyx") -> None:
    zarr = pytest.importorskip("zarr")
    steps = [0.5 if axis in "yx" else 1.0 for axis in letters]
    levels = [
        {"path": name, "coordinateTransformations": [{"type": "scale", "scale": [step * size for step in steps]}]}
        for name, size in (("full", 1), ("half", 2))
    ]
    axes = [{"name": axis, **({"unit": "micrometer"} if axis in "yx" else {})} for axis in letters]
    images = [{"version": version, "axes": axes, "datasets": levels}]
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    group.attrs.update({"multiscales": images} if version == "0.4" else {"ome": {"multiscales": images}})
    for name, level in (("full", values), ("half", values[..., ::2, ::2])):
        array = group.create_array(name, shape=level.shape, dtype=level.dtype, chunks=(1,) * (level.ndim - 2) + (9, 13))
        array[...] = level


SAVED: dict[str, Callable[[Path], None]] = {
    "a.npy": lambda path: np.save(path, STACK),
    "big.npy": lambda path: np.save(path, STACK.astype(">u2")),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(STACK)),
    "wide.npy": lambda path: np.save(path, STACK.astype(np.int64)),
    "double.npy": lambda path: np.save(path, STACK.astype(np.float64)),
    "single.npy": lambda path: np.save(path, STACK[None]),
    "behind.npy": lambda path: np.save(path, STACK[..., None]),
    "a.npz": lambda path: np.savez_compressed(path, stack=STACK, distances=np.arange(5)),
    "old.mat": lambda path: savemat(path, {"frames": COLUMNS, "directions": np.ones((5, 2))}),
    "compressed.mat": lambda path: savemat(path, {"frames": COLUMNS}, do_compression=True),
    "structure.mat": lambda path: savemat(path, {"data": {"frames": COLUMNS, "na": 0.5}}),
    "new.mat": lambda path: save_v73(path, COLUMNS),
    "python.mat": lambda path: save_python(path, STACK),
    "a.h5": lambda path: save_python(path, STACK),
    "four.zarr": lambda path: save_zarr(path, STACK),
    "five.zarr": lambda path: save_zarr(path, STACK, "0.5"),
}


@pytest.mark.parametrize("name", SAVED)
def test_the_same_stack_comes_out_of_every_file(name: str, tmp_path: Path) -> None:
    SAVED[name](tmp_path / name)
    info = probe(tmp_path / name)
    assert info.stack_shape == STACK.shape
    assert info.pixel_size_um == (0.5 if name.endswith(".zarr") else None)
    for values in (read(info), read_signal(probe_signal(tmp_path / name)), read_image(tmp_path / name)):
        assert values.dtype.isnative
        np.testing.assert_array_equal(values, STACK)


def test_packed_values_of_hdf5_are_unpacked(tmp_path: Path) -> None:
    """By the CF conventions; without them, the offset would be taken for light."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"] = STACK
        packing = {"scale_factor": np.float32(0.25), "add_offset": [-3.0], "_FillValue": STACK[0, 0, 0]}
        file["frames"].attrs.update(packing)
    expected = 0.25 * STACK - 3.0
    expected[STACK[0, 0, 0] == STACK] = np.nan
    info = probe(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(info), expected)
    assert "0.25·v + -3 is read" in " ".join(info.header.notes) and "_FillValue" in info.header.missing


def test_a_packing_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"] = STACK
        file["frames"].attrs["scale_factor"] = 0.0
    with pytest.raises(InputError, match="scale_factor 0 and the add_offset 0"):
        probe(tmp_path / "a.h5")


def test_axes_and_spacings_of_hdf5_are_used(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"] = STACK.transpose(1, 2, 0)
        for dimension, label in zip(file["frames"].dims, ("y", "x", "z"), strict=True):
            dimension.label = label
        file["frames"].attrs["element_size_um"] = [2.0, 0.5, 0.5]
    info = probe(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(info), STACK)
    assert info.pixel_size_um == 0.5


def test_the_level_of_full_resolution_is_read_wherever_it_is_listed(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    save_zarr(tmp_path / "a.zarr", STACK)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="a")
    images = group.attrs["multiscales"]
    images[0]["datasets"].reverse()
    group.attrs["multiscales"] = images
    info = probe(tmp_path / "a.zarr")
    assert info.pixel_size_um == 0.5
    np.testing.assert_array_equal(read(info), STACK)


@pytest.mark.parametrize("dtype", [np.float16, np.bool_])
def test_types_are_kept(dtype: type[np.generic], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK.astype(dtype))
    np.testing.assert_array_equal(read_image(tmp_path / "a.npy"), STACK.astype(dtype))


def test_several_arrays_are_listed_and_one_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", raw=STACK, dark=STACK[0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/raw"], file["dark"] = STACK, STACK[0]
        file["scan/again"] = file["scan"]  # a cycle
        file["gone"] = h5py.ExternalLink("a.mat", "I")
    for name, part in (("a.npz", "raw"), ("a.h5", "scan/raw")):
        with pytest.raises(InputError, match=rf"'{part}' \(5×18×26 uint16\).* name one of them, as in '{name}::"):
            probe(tmp_path / name)
        np.testing.assert_array_equal(read(probe(f"{tmp_path / name}::{part}")), STACK)
        with pytest.raises(InputError, match="'gone'"):
            probe(f"{tmp_path / name}::gone")


@pytest.mark.parametrize(("axes", "stored"), [("YXN", COLUMNS), ("NXY", STACK.swapaxes(1, 2)), ("ZYX", STACK)])
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_axes_are_those_of_the_array_as_stored(
    axes: str, stored: npt.NDArray[Any], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, stored)
    else:
        tifffile.imwrite(path, stored, photometric="minisblack")
    np.testing.assert_array_equal(read(probe(path, axes=axes)), STACK)
    np.testing.assert_array_equal(read_signal(probe_signal(path, axes)), STACK)


def test_axes_name_planes_of_colours_too(tmp_path: Path) -> None:
    """Writers take a stack of three slices for colours, which a signal has last unless its axes are named."""
    tifffile.imwrite(tmp_path / "a.tif", STACK[:3], photometric="rgb", planarconfig="separate")
    assert probe_signal(tmp_path / "a.tif").axes == "YXS"
    np.testing.assert_array_equal(read_signal(probe_signal(tmp_path / "a.tif", "ZYX")), STACK[:3])


@pytest.mark.parametrize("name", ["a.npy", "a.ome.tif", "a.zarr", "a.h5"])
def test_a_second_axis_is_chosen_along_and_never_flattened(name: str, tmp_path: Path) -> None:
    path, values = tmp_path / name, np.stack([STACK, STACK + 1])
    if name == "a.npy":
        np.save(path, values)
    elif name == "a.ome.tif":
        tifffile.imwrite(path, values, photometric="minisblack", metadata={"axes": "TZYX"})
    elif name == "a.zarr":
        save_zarr(path, values, letters="tzyx")
    else:
        save_python(path, values)
    with pytest.raises(InputError, match=r"2 \(T\) × 5 \(Z\) × 18 \(Y\) × 26 \(X\).*select, such as T=0"):
        probe(path)
    np.testing.assert_array_equal(read(probe(path, select="T=1")), STACK + 1)
    np.testing.assert_array_equal(read(probe(path, select="t = 0, Z=3")), STACK[3:4])
    np.testing.assert_array_equal(read(probe(path, axes="CNYX", select="C=1")), STACK + 1)
    for select, problem in (("T=2", "T is at most 1"), ("S=0", "cannot choose along S"), ("T", "write an axis")):
        with pytest.raises(InputError, match=problem):
            probe(path, select=select)


def test_positions_are_chosen_among(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for shift in range(3):
            tif.write(STACK + shift, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"3 \(P\) × 5 \(Z\)"):
        probe(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read(probe(tmp_path / "a.ome.tif", select="P=2")), STACK + 2)


@pytest.mark.parametrize(
    ("shape", "cure"), [((64, 64, 24), "YXN"), ((120, 90, 12), "YXN"), ((64, 24, 64), "NYX"), ((24, 64, 64), None)]
)
def test_frames_that_may_be_along_another_axis(shape: tuple[int, int, int], cure: str | None) -> None:
    warning = frames_last(shape)
    assert (warning is None) == (cure is None)
    assert cure is None or cure in str(warning)
    assert frames_last(shape, "NYX") is None


def test_settings_of_frames_tell_where_frames_are() -> None:
    check_frames_first((24, 64, 64), 24)
    check_frames_first((64, 80, 24), 23)
    check_frames_first((64, 80, 24), 24, "NYX")
    check_frames_first((1, 24, 64), 24)
    for shape, cure in (((64, 80, 24), "YXN"), ((64, 24, 80), "NYX")):
        with pytest.raises(InputError, match=f"64 frames of .* but 24 are described.*axes, such as {cure}"):
            check_frames_first(shape, 24)


@pytest.mark.parametrize("factor", [1e-50, 1e50])
def test_values_beyond_single_precision_are_refused(factor: float) -> None:
    frames = np.ones((2, 8, 8))
    frames[0, 0, 0] = np.nan
    check_frames(frames)
    with pytest.raises(
        InputError, match=r"up to 1e[+-]50, are too .* for single precision; multiply them by a constant"
    ):
        check_frames(frames * factor)


def test_narrow_frames_are_no_reason_to_warn() -> None:
    assert frames_last((8, 100, 20)) is None
    assert frames_last((24, 960, 1280)) is None


@pytest.mark.skipif(os.name != "posix", reason="processes end by signals")
def test_a_matlab_file_on_which_the_decoder_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    path = tmp_path / "stack.mat"
    savemat(path, {"frames": np.ones((9, 9, 3))})
    assert probe(path).stack_shape == (3, 9, 9)
    monkeypatch.setattr("napari_diner.io.matlab5._DECODE", "import os; os.abort()")
    with pytest.raises(InputError, match="cannot be decoded"):
        probe(path)


def test_a_full_memory_is_not_a_damaged_file() -> None:
    with pytest.raises(MemoryError), decoding(Path("stack.tif")):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("damage", ["truncated", "pipe"])
def test_chunks_that_cannot_be_decoded_are_named(damage: str, version: str, tmp_path: Path) -> None:
    """Blosc would read on beyond the end of the first kind, and zarr wait for the second."""
    zarr = pytest.importorskip("zarr")
    whole, one = (slice(None),) * 3, (1, slice(None), slice(None))
    old = version == "0.4"
    codec = pytest.importorskip("numcodecs").Blosc() if old else zarr.codecs.BloscCodec()
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path, data=STACK, chunks=(1, *STACK.shape[1:]), zarr_format=2 if old else 3, compressors=codec
    )
    chunk = path / array.metadata.encode_chunk_key((2, 0, 0))
    content = chunk.read_bytes()
    chunk.unlink()
    if damage == "pipe":
        os.mkfifo(chunk)
    else:
        chunk.write_bytes(content[:-3])
    np.testing.assert_array_equal(read_zarr(path, "", one), STACK[1])
    with pytest.raises(InputError, match=re.escape(str(chunk))):
        read_zarr(path, "", whole)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_without_a_stored_value_is_refused(version: str, tmp_path: Path) -> None:
    """Zarr gives zeros in place of chunks that were not copied."""
    path = tmp_path / "a.zarr"
    save_zarr(path, STACK, version)
    for file in zarr_files(path):
        if not Path(file).name.startswith((".", "zarr")):
            (path / file).unlink()
    with pytest.raises(InputError, match="holds no values where it is read"):
        read_signal(probe_signal(str(path)))
