"""Data of any axes are read as written, announced by their headers, and refused if damaged."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from napari_diner.errors import InputError
from napari_diner.io.signals import probe_signal, read_signal

RNG = np.random.default_rng(0)


def numbers(*shape: int, dtype: Any = np.uint8) -> npt.NDArray[Any]:
    return RNG.integers(0, 250, shape).astype(dtype)


def read(path: Path, axes: str = "") -> npt.NDArray[Any]:
    """Read a signal, and hold what was announced against what came."""
    info = probe_signal(path, axes)
    data = read_signal(info)
    assert (data.shape, data.dtype, data.nbytes) == (info.shape, info.dtype, info.nbytes)
    assert len(info.shape) == len(info.axes) == len(info.scale_um)
    assert data.dtype.isnative
    return data


@pytest.mark.parametrize(
    ("shape", "options", "axes", "has_axes"),
    [
        ((6, 8), {}, "YX", True),
        ((5, 6, 8), {}, "ZYX", False),
        ((5, 6, 8), {"metadata": {"axes": "TYX"}}, "TYX", True),
        ((5, 6, 8), {"metadata": None}, "ZYX", False),
        ((2, 5, 6, 8), {}, "TZYX", False),
        ((2, 3, 5, 6, 8), {}, "TCZYX", False),
        ((6, 8, 3), {"photometric": "rgb"}, "YXS", True),
        ((6, 8, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "YXS", True),
        ((5, 6, 8, 3), {"photometric": "rgb"}, "TYXS", False),
        ((5, 6, 8), {"bigtiff": True}, "ZYX", False),
        ((5, 6, 8), {"compression": "zlib"}, "ZYX", False),
        ((5, 40, 50), {"tile": (16, 16)}, "ZYX", False),
        ((2, 3, 4, 6, 8), {"imagej": True, "metadata": {"axes": "TZCYX"}}, "TZCYX", True),
        ((2, 6, 8, 3), {"imagej": True, "metadata": {"axes": "TYXS"}}, "TYXS", True),
        ((2, 3, 4, 6, 8), {"ome": True, "metadata": {"axes": "TCZYX"}}, "TCZYX", True),
        ((4, 3, 6, 8), {"ome": True, "metadata": {"axes": "ZCYX"}}, "ZCYX", True),
        ((4, 6, 8, 3), {"ome": True, "metadata": {"axes": "TYXS"}, "photometric": "rgb"}, "TYXS", True),
    ],
)
def test_tiff_files_of_all_kinds(
    shape: tuple[int, ...], options: dict[str, Any], axes: str, has_axes: bool, tmp_path: Path
) -> None:
    data = numbers(*shape)
    tifffile.imwrite(tmp_path / "a.tif", data, **{"photometric": "minisblack", **options})
    info = probe_signal(tmp_path / "a.tif")
    assert (info.axes, info.has_axes, info.has_scale) == (axes, has_axes, False)
    assert info.file_bytes == (tmp_path / "a.tif").stat().st_size
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), data)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_types_and_byte_orders(dtype: str, order: str, tmp_path: Path) -> None:
    data = numbers(3, 6, 8, dtype=np.int16).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data.astype(order + dtype), byteorder=order, photometric="minisblack")
    np.save(tmp_path / "a.npy", data.astype(order + dtype))
    for name in ("a.tif", "a.npy"):
        found = read(tmp_path / name)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, data)


def test_colours_stored_plane_by_plane_come_last(tmp_path: Path) -> None:
    planes = numbers(3, 6, 8)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert probe_signal(tmp_path / "a.tif").axes == "YXS"
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), np.moveaxis(planes, 0, -1))


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_samples_that_are_no_colours_are_channels(samples: int, tmp_path: Path) -> None:
    data = numbers(6, 8, samples)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", planarconfig="contig")
    assert probe_signal(tmp_path / "a.tif").axes == "CYX"
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), np.moveaxis(data, -1, 0))
    # a stack of three frames that a program has stored as 'samples' is not in colour
    tifffile.imwrite(tmp_path / "b.tif", numbers(samples, 6, 8), photometric="minisblack", planarconfig="separate")
    assert probe_signal(tmp_path / "b.tif").axes == "CYX"


def test_the_scale_of_ome_and_imagej(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (2000, 500, 500), strict=True)}
    units: dict[str, Any] = {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
    tifffile.imwrite(tmp_path / "ome.tif", numbers(3, 4, 6, 8), ome=True, metadata={"axes": "CZYX", **sizes, **units})
    tifffile.imwrite(
        tmp_path / "imagej.tif",
        numbers(3, 4, 6, 8),
        imagej=True,
        resolution=(2.0, 2.0),
        metadata={"axes": "TZYX", "spacing": 2.0, "unit": "um"},
    )
    for name in ("ome.tif", "imagej.tif"):
        info = probe_signal(tmp_path / name)
        assert info.has_scale
        assert info.scale_um == pytest.approx((1.0, 2.0, 0.5, 0.5))
    # with other names for the axes, spacings stay with the letters they belong to
    info = probe_signal(tmp_path / "ome.tif", "tcyx")
    assert (info.axes, info.scale_um, info.has_axes) == ("TCYX", pytest.approx((1.0, 1.0, 0.5, 0.5)), True)


def test_pixels_need_not_be_square(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (2.0, 0.25, 0.5), strict=True)}
    tifffile.imwrite(tmp_path / "ome.tif", numbers(4, 6, 8), ome=True, metadata={"axes": "ZYX", **sizes})
    imagej: dict[str, Any] = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    # pixels per micrometre along X, then Y
    tifffile.imwrite(tmp_path / "imagej.tif", numbers(4, 6, 8), imagej=True, resolution=(2.0, 4.0), metadata=imagej)
    tifffile.imwrite(tmp_path / "plain.tif", numbers(6, 8), resolution=(2e4, 4e4), resolutionunit="CENTIMETER")
    for name in ("ome.tif", "imagej.tif", "plain.tif"):
        info = probe_signal(tmp_path / name)
        assert info.has_scale
        assert info.scale_um == pytest.approx((2.0, 0.25, 0.5)[-len(info.axes) :])


@pytest.mark.parametrize("resolution", [(204, 196), (300, 123), (1e-3, 1e4)])
def test_resolutions_of_printers_are_no_spacings(resolution: tuple[float, float], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers(6, 8), resolution=resolution, resolutionunit="INCH")
    info = probe_signal(tmp_path / "a.tif")
    assert (info.has_scale, info.scale_um) == (False, (1.0, 1.0))


@pytest.mark.parametrize("axes", ["YX", "ZZYX", "QZYX", "TCZYX"])
def test_axes_that_do_not_go_with_the_data(axes: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers(2, 3, 6, 8), photometric="minisblack")
    with pytest.raises(InputError, match=f"axes '{axes}' do not match .* 2×3×6×8 values"):
        probe_signal(tmp_path / "a.tif", axes)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("1", (6, 8)),
        ("L", (6, 8)),
        ("LA", (6, 8)),
        ("P", (6, 8, 3)),
        ("RGB", (6, 8, 3)),
        ("RGBA", (6, 8, 4)),
        ("I;16", (6, 8)),
    ],
)
def test_png_files_of_all_modes(mode: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    if mode == "I;16":
        image = Image.fromarray(numbers(6, 8, dtype=np.uint16) * 200)
    else:
        image = Image.fromarray(numbers(6, 8, 4), "RGBA").convert(mode)
    image.save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")
    assert found.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    assert found.shape == shape
    assert probe_signal(tmp_path / "a.png").axes == "YXS"[: len(shape)]
    shown = image.convert("RGB") if mode == "P" else image.convert("L") if mode in ("1", "LA") else image
    np.testing.assert_array_equal(found, np.asarray(shown))


def test_animations_are_not_taken_for_one_image(tmp_path: Path) -> None:
    images = [Image.fromarray(numbers(6, 8) + place) for place in range(3)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    with pytest.raises(InputError, match="animation of 3 images"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("kind", "dtype"), [("png", np.uint8), ("tif", np.uint8), ("tif", np.uint16), ("npy", np.uint8)]
)
def test_opacity_is_left_out_where_all_is_opaque(kind: str, dtype: Any, tmp_path: Path) -> None:
    data = numbers(6, 8, 4, dtype=dtype)
    data[..., 3] = np.iinfo(dtype).max
    path = tmp_path / f"a.{kind}"

    def write() -> None:
        if kind == "png":
            Image.fromarray(data, "RGBA").save(path)
        elif kind == "tif":
            tifffile.imwrite(path, data, photometric="rgb", extrasamples=["unassalpha"])
        else:
            np.save(path, data)

    write()
    info = probe_signal(path, "YXS")
    found = read_signal(info)
    np.testing.assert_array_equal(found, data[..., :3])
    assert found.flags.c_contiguous
    assert info.shape == data.shape
    assert info.may_hold(data.shape)
    assert info.may_hold(found.shape)
    assert not info.may_hold((8, 6, 3))
    data[5, 7, 3] -= 1
    write()
    np.testing.assert_array_equal(read(path, "YXS"), data)


def test_four_channels_are_kept_whatever_the_last_holds(tmp_path: Path) -> None:
    data = numbers(4, 6, 8)
    data[-1] = 255
    tifffile.imwrite(tmp_path / "a.tif", data, ome=True, metadata={"axes": "CYX"})
    assert not probe_signal(tmp_path / "a.tif").may_hold((3, 6, 8))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), data)
    # nor is what is named rows or columns an opacity
    columns = np.moveaxis(data, 0, -1)
    np.save(tmp_path / "a.npy", columns)
    np.testing.assert_array_equal(read(tmp_path / "a.npy", "ZYX"), columns)


@pytest.mark.parametrize("opaque", [True, False])
def test_frames_keep_their_opacity_if_one_of_them_is_not_opaque(opaque: bool, tmp_path: Path) -> None:
    frames = numbers(3, 6, 8, 4)
    frames[..., 3] = 255
    frames[1, 2, 3, 3] = 255 if opaque else 128
    for place, frame in enumerate(frames):
        Image.fromarray(frame, "RGBA").save(tmp_path / f"{place}.png")
    found = read_signal(probe_signal(tmp_path))
    np.testing.assert_array_equal(found, frames[..., :3] if opaque else frames)


@pytest.mark.parametrize(("colours", "shape"), [(2, (5, 4, 3)), (6, (5, 4, 4)), (4, (5, 4))])
def test_colours_of_16_bits_a_channel_are_not_crushed(tmp_path: Path, colours: int, shape: tuple[int, ...]) -> None:
    pytest.importorskip("imagecodecs")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    stored = RNG.integers(0, 65536, (5, 4, {2: 3, 6: 4, 4: 2}[colours]), dtype=np.uint16)
    header = struct.pack(">IIBBBBB", 4, 5, 16, colours, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    info = probe_signal(tmp_path / "a.png")
    values = read_signal(info)
    assert info.shape == values.shape == shape and values.dtype == np.uint16
    assert (values == (stored if len(shape) == 3 else stored[..., 0])).all()


def test_numpy_files(tmp_path: Path) -> None:
    data = RNG.random((2, 3, 6, 8))
    np.save(tmp_path / "a.npy", np.asfortranarray(data))
    info = probe_signal(tmp_path / "a.npy")
    assert (info.axes, info.has_axes) == ("TZYX", False)
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), data)
    assert read_signal(info).flags.c_contiguous
    assert probe_signal(tmp_path / "a.npy", "ZCYX").axes == "ZCYX"


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 8, 3), "YXS"), ((6, 8, 4), "YXS"), ((5, 6, 8, 3), "TYXS"), ((2, 5, 6, 8, 3), "TZYXS"), ((3, 6, 8), "ZYX")],
)
def test_bytes_of_three_or_four_columns_are_colours(shape: tuple[int, ...], axes: str, tmp_path: Path) -> None:
    data = numbers(*shape)
    np.save(tmp_path / "a.npy", data)
    info = probe_signal(tmp_path / "a.npy")
    assert (info.axes, info.has_axes) == (axes, False)
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), data)
    # numbers of other types are not
    np.save(tmp_path / "a.npy", data.astype(np.float32))
    assert "S" not in probe_signal(tmp_path / "a.npy").axes


def test_a_folder_and_a_glob_are_frames_in_natural_order(tmp_path: Path) -> None:
    frames = numbers(12, 6, 8, 3)
    for place, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"t{place}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    info = probe_signal(tmp_path)
    assert (info.axes, info.shape, info.has_axes) == ("TYXS", (12, 6, 8, 3), False)
    assert info.file_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.png"))
    np.testing.assert_array_equal(read(tmp_path), frames)
    np.testing.assert_array_equal(read(tmp_path / "t1*.png"), frames[[1, 10, 11]])
    assert probe_signal(tmp_path, "ZYXS").axes == "ZYXS"
    Image.fromarray(numbers(6, 9, 3)).save(tmp_path / "t12.png")
    with pytest.raises(InputError, match=r"t0\.png holds 6×8×3 .* but .*t12\.png 6×9×3"):
        probe_signal(tmp_path)


def test_a_folder_of_stacks_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers(5, 6, 8), photometric="minisblack")
    with pytest.raises(InputError, match="each must hold one image"):
        probe_signal(tmp_path)


@pytest.mark.parametrize(
    ("second", "problem"), [((6, 9), "6×8 pixels but frame 2 has 6×9"), ((6, 8), r"2 \(P\) × 6 .* such as P=0")]
)
def test_several_series_are_refused(second: tuple[int, int], problem: str, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=True) as tif:
        tif.write(numbers(6, 8), metadata={"axes": "YX"})
        tif.write(numbers(*second), metadata={"axes": "YX"})
    with pytest.raises(InputError, match=problem):
        probe_signal(tmp_path / "a.tif")


def test_of_a_pyramid_the_full_image_is_taken(tmp_path: Path) -> None:
    data = numbers(64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=True) as tif:
        tif.write(data, subifds=1, metadata={"axes": "YX"})
        tif.write(data[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), data)


def test_what_is_no_real_number_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers(6, 8).astype(np.complex64))
    with pytest.raises(InputError, match="type complex64"):
        probe_signal(tmp_path / "a.tif")
    np.save(tmp_path / "a.npy", np.array([[{}, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        probe_signal(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(8,), (), (2,) * 6, (0, 8)])
def test_numpy_files_that_are_no_images_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError):
        probe_signal(tmp_path / "a.npy")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"\xff\xd8\xff\xe0 no TIFF at all")
    with pytest.raises(InputError, match="format that can be read"):
        probe_signal(tmp_path / "a.tif")
    for name in ("missing.tif", "missing.npy"):
        with pytest.raises(InputError, match="does not exist"):
            probe_signal(tmp_path / name)


def files(folder: Path) -> list[Path]:
    tifffile.imwrite(folder / "grey.tif", numbers(3, 6, 8), photometric="minisblack")
    tifffile.imwrite(folder / "rgb.tif", numbers(6, 8, 3), photometric="rgb", compression="zlib")
    tifffile.imwrite(folder / "ome.tif", numbers(2, 3, 6, 8), ome=True, metadata={"axes": "CZYX"})
    Image.fromarray(numbers(6, 8, 3)).save(folder / "a.png")
    np.save(folder / "a.npy", numbers(3, 6, 8))
    return sorted(folder.iterdir())


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for path in files(tmp_path):
        content = path.read_bytes()
        whole = read(path)
        for length in range(0, len(content), 1 + len(content) // 60):
            path.write_bytes(content[:length])
            try:
                found = read(path)
            except InputError as error:
                assert str(path) in str(error)
            else:
                # metadata at the very end of a file, such as OME-XML, may be missing while the values are all there
                np.testing.assert_array_equal(found.ravel(), whole.ravel())


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    for path in files(tmp_path):
        content = path.read_bytes()
        for seed in range(60):
            chance = np.random.default_rng(seed)
            damaged = bytearray(content)
            for place in chance.integers(0, len(content), 3):
                damaged[place] = chance.integers(0, 256)
            path.write_bytes(damaged)
            try:
                info = probe_signal(path)
                if info.nbytes < 10_000_000:
                    read_signal(info)
            except InputError as error:
                assert "\n" not in str(error)


def test_announcing_reads_no_values(tmp_path: Path) -> None:
    # 4 GB that take no room on the disk
    shape = (64, 8192, 8192)
    tifffile.imwrite(tmp_path / "a.tif", shape=shape, dtype=np.uint8, photometric="minisblack", bigtiff=True)
    code = (
        "import resource, sys; from napari_diner.io.signals import probe_signal; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; info = probe_signal(sys.argv[1]); "
        "print(info.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    said = subprocess.run([sys.executable, "-c", code, tmp_path / "a.tif"], check=True, capture_output=True, text=True)
    nbytes, grown_kb = map(int, said.stdout.split())
    assert nbytes == 64 * 8192 * 8192
    assert grown_kb < 100_000
