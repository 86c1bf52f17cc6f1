"""Named arrays survive a round trip through OME-TIFF, and other programs can read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import read_array, write_array
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.io.stacks import probe
from napari_diner.io.tiff_series import series_of, stored_axes

SPACING = st.floats(1e-4, 1e4, allow_subnormal=False)


@st.composite
def named_arrays(draw: st.DrawFn) -> NamedArray:
    axes = draw(st.sampled_from(["YX", "NYX", "ZYX", "CYX", "NZYX", "CZYX"]))
    shape = draw(st.tuples(*[st.integers(1, 5)] * len(axes)))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int16, np.uint16]))
    scale = tuple(draw(SPACING) if axis in "ZYX" else 1.0 for axis in axes)
    return NamedArray("phase", draw(npst.arrays(dtype, shape)), axes, scale, draw(st.sampled_from(["1", "rad", "µm"])))


@given(named_arrays())
def test_an_array_comes_back_as_it_went(tmp_path_factory: pytest.TempPathFactory, array: NamedArray) -> None:
    path = tmp_path_factory.mktemp("ome") / "a.tif"
    write_array(path, array)
    back = read_array(path)
    assert (back.name, back.axes, back.scale_um, back.unit) == (array.name, array.axes, array.scale_um, array.unit)
    assert back.data.dtype == array.data.dtype
    np.testing.assert_array_equal(back.data, array.data)


def test_physical_sizes_are_there_for_others(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).random((3, 6, 8)).astype(np.float32)
    write_array(tmp_path / "a.tif", NamedArray("n_re", volume, "ZYX", (2.0, 0.5, 0.25)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_ome
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == [2.0, 0.5, 0.25]
        assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"µm"}
        assert pixels["Channel"]["Name"] == "n_re"
        assert (tif.series[0].axes, tif.series[0].dtype) == ("ZYX", np.float32)
        assert tif.pages.first.compression == 1
        np.testing.assert_array_equal(tif.asarray(), volume)


def test_frames_are_times_and_the_pixel_size_is_found_again(tmp_path: Path) -> None:
    frames = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8)
    write_array(tmp_path / "a.tif", NamedArray("stack", frames, "NYX", (1.0, 1.67, 1.67)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.series[0].axes == "TYX"
    info = probe(tmp_path / "a.tif")
    assert (info.shape, info.pixel_size_um) == ((3, 6, 8), pytest.approx(1.67))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (NamedArray("a", np.ones((2, 2), complex), "YX", (1.0, 1.0)), "type complex128"),
        (NamedArray("a", np.ones((2, 2), np.int64), "YX", (1.0, 1.0)), "type int64"),
        (NamedArray("a", np.ones((2, 2)), "XY", (1.0, 1.0)), "axes 'XY'"),
        (NamedArray("a", np.ones((2, 2, 2)), "QYX", (1.0, 1.0, 1.0)), "axes 'QYX'"),
    ],
)
def test_what_ome_cannot_hold_is_refused(array: NamedArray, message: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=message):
        write_array(tmp_path / "a.tif", array)
    assert not (tmp_path / "a.tif").exists()


def test_types_that_ome_lacks_are_widened(tmp_path: Path) -> None:
    for dtype, stored in ((np.bool_, np.uint8), (np.float16, np.float32)):
        values = np.array([[0, 1], [1, 0]], dtype)
        write_array(tmp_path / "a.tif", NamedArray("a", values, "YX", (1.0, 1.0)))
        back = read_array(tmp_path / "a.tif").data
        assert back.dtype == stored
        np.testing.assert_array_equal(back, values)


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), np.float32), ome=True)
    with pytest.raises(InputError, match="was not written by napari-diner"):
        read_array(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YXS", (6, 8, 3), np.uint8),
        ("YXS", (6, 8, 4), np.uint8),
        ("TYXS", (4, 6, 8, 3), np.uint8),
        ("TZYXS", (2, 3, 6, 8, 3), np.uint8),
        ("YXS", (6, 8, 3), np.uint16),
        ("YXS", (6, 8, 3), np.float32),
        ("ZYXS", (1, 6, 8, 3), np.uint8),
        ("CYX", (2, 6, 8), np.uint16),
        ("ZCYX", (4, 3, 6, 8), np.uint16),
        ("TCZYX", (2, 3, 4, 6, 8), np.int16),
        ("TZYX", (2, 1, 6, 8), np.uint32),
        ("YXS", (6, 8, 1), np.uint8),
        ("TYXS", (4, 6, 8, 1), np.float32),
    ],
)
def test_colours_and_channels_come_back_and_are_such_for_others(
    axes: str, shape: tuple[int, ...], dtype: type[np.generic], tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    scale = tuple({"Z": 2.0, "Y": 0.5, "X": 0.5}.get(axis, 1.0) for axis in axes)
    write_array(tmp_path / "a.tif", NamedArray("reconstruction", data, axes, scale))
    back = read_array(tmp_path / "a.tif")
    assert (back.axes, back.scale_um, back.data.dtype) == (axes, scale, dtype)
    np.testing.assert_array_equal(back.data, data)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        photometric = tifffile.PHOTOMETRIC.RGB if "S" in axes and shape[-1] > 1 else tifffile.PHOTOMETRIC.MINISBLACK
        assert tif.pages.first.photometric == photometric
        sizes = dict(zip(axes, shape, strict=True))
        found = dict(stored_axes(series_of(tif)[0]))
        assert {axis: size for axis, size in found.items() if size > 1} == {
            axis: size for axis, size in sizes.items() if size > 1
        }
    # as a source of data, axes of one point are left out
    info = probe_signal(tmp_path / "a.tif")
    kept = [place for place, axis in enumerate(axes) if axis in "YX" or shape[place] > 1]
    assert info.axes == "".join(axes[place] for place in kept)
    assert info.scale_um == tuple(scale[place] for place in kept)
    np.testing.assert_array_equal(read_signal(info), data.reshape(info.shape))


def test_colours_that_are_not_last_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="reorder them to end in YX or YXS"):
        write_array(tmp_path / "a.tif", NamedArray("a", np.ones((3, 6, 8), np.uint8), "SYX", (1.0, 1.0, 1.0)))
