"""Stacks are read as written, and problems are reported in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.stacks import checksum, probe, read

FRAMES = np.random.default_rng(1).integers(0, 65535, (6, 20, 30), np.uint16)
MICROMETRE = {"resolution": (1 / 1.5, 1 / 1.5)}

WRITERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "compressed": {"compression": "zlib"},
    "tiled": {"tile": (16, 16)},
    "OME": {"ome": True, "metadata": {"axes": "ZYX"}},
    "ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_multipage_file_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, FRAMES, photometric="minisblack", **WRITERS[kind])
    info = probe(path)
    assert (info.shape, info.dtype, info.paths, info.nbytes) == ((6, 20, 30), np.uint16, (path,), FRAMES.nbytes)
    frames = read(info)
    assert frames.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(frames, FRAMES)


def test_pages_written_one_by_one_are_one_stack(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as tif:
        for frame in FRAMES:
            tif.write(frame, contiguous=False)
    np.testing.assert_array_equal(read(probe(path)), FRAMES)


@pytest.mark.parametrize("count", [3, 4])
def test_planes_of_samples_are_frames(count: int, tmp_path: Path) -> None:
    """Writers take a stack of three or four frames for the colours of one image."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, FRAMES[:count], photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(probe(path)), FRAMES[:count])


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_files_of_a_folder_are_sorted_naturally(suffix: str, tmp_path: Path) -> None:
    for number, frame in enumerate(FRAMES, start=7):
        _write_frame(tmp_path / f"z{number}.{suffix}", frame)
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / f".hidden.{suffix}").write_bytes(b"")
    (tmp_path / f"folder.{suffix}").mkdir()
    for source in (tmp_path, str(tmp_path / f"z*.{suffix}")):
        info = probe(source)
        assert [path.name for path in info.paths] == [f"z{number}.{suffix}" for number in range(7, 13)]
        np.testing.assert_array_equal(read(info), FRAMES)


def test_a_glob_chooses_among_files(tmp_path: Path) -> None:
    for name in ("GT_amp", "RawImg_1", "RawImg_2"):
        _write_frame(tmp_path / f"{name}.png", FRAMES[len(name) % 6])
    assert probe(tmp_path / "RawImg_*.png").frames == 2
    assert probe(tmp_path).frames == 3


def test_a_path_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "run [3]"
    folder.mkdir()
    _write_frame(folder / "a.png", FRAMES[0])
    assert probe(folder).frames == probe(folder / "a.png").frames == 1


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 1.25, "PhysicalSizeY": 1.25}}, 1.25),
        ({"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 1250, "PhysicalSizeXUnit": "nm"}}, 1.25),
        ({"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 2, "PhysicalSizeXUnit": "pixel"}}, None),
        ({"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 2, "PhysicalSizeY": 3}}, None),
        ({"ome": True, "metadata": {"axes": "ZYX"}}, None),
        ({"imagej": True, "metadata": {"axes": "ZYX", "unit": "micron"}, **MICROMETRE}, 1.5),
        ({"imagej": True, "metadata": {"axes": "ZYX", "unit": "um"}, **MICROMETRE}, 1.5),
        ({"imagej": True, "metadata": {"axes": "ZYX", "unit": "\\u00B5m"}, **MICROMETRE}, 1.5),
        ({"imagej": True, "metadata": {"axes": "ZYX", "unit": "nm"}, **MICROMETRE}, 0.0015),
        ({"imagej": True, "metadata": {"axes": "ZYX"}, **MICROMETRE}, None),
        ({"resolution": (1e4 / 3.45, 1e4 / 3.45), "resolutionunit": "CENTIMETER"}, 3.45),
        ({"resolution": (25400 / 1.67, 25400 / 1.67), "resolutionunit": "INCH"}, 1.67),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, None),
        ({}, None),
    ],
)
def test_the_pixel_size_is_taken_from_believable_metadata(
    kwargs: dict[str, Any], expected: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, FRAMES, photometric="minisblack", **kwargs)
    found = probe(path).pixel_size_um
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-5))


def test_probing_reads_no_pixels(tmp_path: Path) -> None:
    """A header that announces 54 GiB costs neither memory nor time."""
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, shape=(8, 60000, 60000), dtype=np.uint16, photometric="minisblack", bigtiff=True)
    info = probe(path)
    assert info.shape == (8, 60000, 60000)
    assert info.nbytes == 8 * 60000 * 60000 * 2


def test_a_grey_image_stored_in_colours_is_read(tmp_path: Path) -> None:
    grey = (FRAMES[0] >> 8).astype(np.uint8)
    opaque = np.full_like(grey, 255)
    for name, channels in {"rgb": [grey] * 3, "rgba": [*[grey] * 3, opaque], "la": [grey, opaque]}.items():
        Image.fromarray(np.stack(channels, axis=-1)).save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read(probe(tmp_path / f"{name}.png"))[0], grey)


def test_a_coloured_image_is_refused(tmp_path: Path) -> None:
    colours = FRAMES[0][..., None] * np.array([1, 2, 3], np.uint16)
    Image.fromarray((colours >> 8).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is a colour image; convert it to grey"):
        read(probe(tmp_path / "a.png"))
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    with pytest.raises(InputError, match=r"a\.tif is a colour image; convert it to grey"):
        read(probe(tmp_path / "a.tif"))


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_])
def test_values_that_are_no_intensities_are_refused(dtype: type[np.generic], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((2, 8, 8), dtype), photometric="minisblack")
    with pytest.raises(InputError, match=f"values of type {np.dtype(dtype)}; save them as"):
        probe(tmp_path / "a.tif")


def test_frames_of_different_shape_are_named(tmp_path: Path) -> None:
    _write_frame(tmp_path / "a.tif", FRAMES[0])
    _write_frame(tmp_path / "b.tif", FRAMES[1, :10])
    with pytest.raises(InputError, match=r"a\.tif holds 20×30 .* but .*b\.tif 10×30"):
        probe(tmp_path)
    with tifffile.TiffWriter(tmp_path / "c.tif") as tif:
        for frame in (FRAMES[0], FRAMES[1], FRAMES[2, :10]):
            tif.write(frame, contiguous=False)
    with pytest.raises(InputError, match=r"frame 1 of .*c\.tif has 20×30 pixels but frame 3 has 10×30"):
        probe(tmp_path / "c.tif")


def test_frames_of_different_type_and_stacks_among_frames_are_refused(tmp_path: Path) -> None:
    _write_frame(tmp_path / "a.tif", FRAMES[0])
    _write_frame(tmp_path / "b.tif", FRAMES[0].astype(np.float32))
    with pytest.raises(InputError, match=r"type uint16 but .*b\.tif .* type float32"):
        probe(tmp_path)
    tifffile.imwrite(tmp_path / "b.tif", FRAMES, photometric="minisblack")
    with pytest.raises(InputError, match=r"b\.tif 6×20×30 values"):
        probe(tmp_path)


def test_a_stack_with_too_many_axes_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES.reshape(2, 3, 20, 30), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"has the axes 2 \(T\) × 3 \(Z\) × 20 \(Y\) × 30 \(X\)"):
        probe(tmp_path / "a.tif")


def test_what_is_not_there_or_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("These are not the frames you are looking for.")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "none").mkdir()
    for name, message in {
        "text.tif": "not a file of a format that can be read",
        "empty.tif": "is empty",
        "none": "holds no TIFF, PNG or BMP files",
        "x*.tif": "No TIFF, PNG or BMP file matches",
        "gone.tif": "does not exist; check the path",
    }.items():
        with pytest.raises(InputError, match=message):
            probe(tmp_path / name)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "OME"])
def test_a_truncated_file_is_never_read_silently(kind: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    tifffile.imwrite(whole, FRAMES, photometric="minisblack", **WRITERS[kind])
    content = whole.read_bytes()
    for length in [*range(0, 400, 23), *range(400, len(content) - 1, 307)]:
        cut.write_bytes(content[:length])
        with pytest.raises(InputError) as caught:
            read(probe(cut))
        assert "\n" not in str(caught.value)
        assert "cut.tif" in str(caught.value)


def test_a_truncated_png_is_refused(tmp_path: Path) -> None:
    _write_frame(tmp_path / "a.png", FRAMES[0])
    content = (tmp_path / "a.png").read_bytes()
    for length in (12, 20, 60, len(content) // 2):
        (tmp_path / "a.png").write_bytes(content[:length])
        with pytest.raises(InputError, match="damaged"):
            read(probe(tmp_path / "a.png"))


@given(st.binary(max_size=300), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"\x89PNG\r\n\x1a\n"]))
def test_arbitrary_bytes_give_one_sentence(tmp_path_factory: pytest.TempPathFactory, junk: bytes, start: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "a.tif"
    path.write_bytes(start + junk)
    with pytest.raises(InputError) as caught:
        info = probe(path)
        if info.nbytes > 1e6:  # what a caller does: look at the size before reading
            raise InputError("too large")
        read(info)
    assert "\n" not in str(caught.value)


def test_the_checksum_depends_on_values_type_and_shape_alone() -> None:
    reference = checksum(FRAMES)
    assert checksum(FRAMES.astype(">u2")) == reference
    assert checksum(np.asfortranarray(FRAMES)) == reference
    assert checksum(FRAMES[::-1][::-1]) == reference
    changed = FRAMES.copy()
    changed[3, 4, 5] ^= 1
    others = [changed, FRAMES.view(np.int16), FRAMES.reshape(6, 30, 20)]
    assert len({reference, *map(checksum, others)}) == 4


def _write_frame(path: Path, frame: np.ndarray) -> None:
    if path.suffix == ".png":
        Image.fromarray(frame).save(path)
    else:
        tifffile.imwrite(path, frame, photometric="minisblack")


def test_a_small_file_of_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    size, tile = 18_000, (4512, 4512)
    tiles = (np.zeros(tile, np.uint8) for _ in range(16))
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, tiles, shape=(size, size), dtype=np.uint8, tile=tile, compression="zlib")
    assert path.stat().st_size < 2**20
    for door in (probe, read_image):
        with pytest.raises(InputError, match=r"announces 0\.302 GiB"):
            door(path)


@pytest.mark.parametrize(
    ("axes", "select", "other"), [("TNYX", "N=1", "T"), ("NPYX", "N=0", "P"), ("CNYX", "N=2", "C")]
)
def test_times_are_not_taken_for_frames_that_are_selected_away(
    axes: str, select: str, other: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "stack.npy", np.zeros((3, 4, 20, 30)))
    with pytest.raises(InputError, match=f"points along {other} would be taken for frames; choose along {other}"):
        probe(tmp_path / "stack.npy", axes=axes, select=select)
    assert probe(tmp_path / "stack.npy", axes=axes, select=f"{other}=0").frames == (4 if axes[1] == "N" else 3)
