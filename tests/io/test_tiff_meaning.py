"""All readers interpret the numbers in a TIFF file according to its header."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.io.stacks import probe, read

Array = npt.NDArray[Any]
RNG = np.random.default_rng(7)
BYTES = RNG.integers(0, 256, (5, 24, 18), np.uint8)
WORDS = RNG.integers(0, 65536, (5, 24, 18), np.uint16)

DOORS: dict[str, Callable[[Path], Array]] = {
    "stack": lambda path: read(probe(path)),
    "signal": lambda path: read_signal(probe_signal(path)),
    "image": read_image,
}


@pytest.fixture(params=DOORS)
def reader(request: pytest.FixtureRequest) -> Callable[[Path], Array]:
    return DOORS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frames.tif"


def check(values: Array, expected: Array) -> None:
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("stored", [BYTES, WORDS])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">", "tile": (16, 16)}, {"compression": "zlib"}, {"ome": True}])
def test_white_is_zero(reader: Any, path: Path, stored: Array, options: dict[str, Any]) -> None:
    tifffile.imwrite(path, stored, photometric="miniswhite", **options)
    check(reader(path), np.iinfo(stored.dtype).max - stored)


def test_a_mask_of_one_bit_whose_zero_is_white(path: Path) -> None:
    tifffile.imwrite(path, BYTES[0] > 90, photometric="miniswhite")
    check(read_image(path), BYTES[0] <= 90)
    check(DOORS["signal"](path), np.where(BYTES[0] > 90, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("photometric", [0, 1])
def test_packed_bits(reader: Any, path: Path, bits: int, photometric: int) -> None:
    pytest.importorskip("imagecodecs")
    values = WORDS[0] >> (16 - bits)
    path.write_bytes(_packed(values if photometric else 2**bits - 1 - values, bits, photometric))
    np.testing.assert_array_equal(reader(path).squeeze(), values)


@pytest.mark.parametrize("stored", [BYTES.astype(np.float32), BYTES.view(np.int8)])
def test_white_is_zero_without_a_black_is_refused(reader: Any, path: Path, stored: Array) -> None:
    tifffile.imwrite(path, stored, photometric="miniswhite")
    with pytest.raises(InputError, match=r"zero as white, but not which of its numbers of type \w+ is black"):
        reader(path)


def test_pages_of_different_kinds_keep_their_order(reader: Any, path: Path) -> None:
    with tifffile.TiffWriter(path) as tif:
        for number, frame in enumerate(BYTES):
            white = number in (0, 3)
            tif.write(
                255 - frame if white else frame,
                photometric="miniswhite" if white else "minisblack",
                metadata=None,
            )
    check(reader(path), BYTES)


@pytest.mark.parametrize("shift", [8, 0])
def test_a_reversed_grey_palette(reader: Any, path: Path, shift: int) -> None:
    greys = np.arange(255, -1, -1, dtype=np.uint16)
    tifffile.imwrite(
        path, BYTES, photometric="palette", colormap=np.stack([(greys << 8) + (0 if shift else greys)] * 3)
    )
    check(reader(path), 255 - BYTES)


def test_a_grey_palette_of_16_bits(reader: Any, path: Path) -> None:
    greys = (np.arange(256, dtype=np.float64) ** 2).astype(np.uint16)
    tifffile.imwrite(path, BYTES, photometric="palette", colormap=np.stack([greys] * 3))
    check(reader(path), greys[BYTES])


def test_each_page_has_its_own_palette(reader: Any, path: Path) -> None:
    greys = np.arange(256, dtype=np.uint16) * 257
    with tifffile.TiffWriter(path) as tif:
        for number, frame in enumerate(BYTES):
            colours = np.stack([greys[:: -1 if number == 2 else 1]] * 3)
            tif.write(frame, photometric="palette", colormap=colours, metadata=None)
    expected = BYTES.copy()
    expected[2] = 255 - expected[2]
    check(reader(path), expected)


def test_a_coloured_palette(path: Path) -> None:
    colours = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(path, BYTES, photometric="palette", colormap=colours)
    check(DOORS["signal"](path), np.moveaxis(colours[:, BYTES] >> 8, 0, -1).astype(np.uint8))
    with pytest.raises(InputError, match="is a colour image; convert it to grey"):
        DOORS["stack"](path)


def test_a_look_up_table_of_imagej_colours_the_display_only(reader: Any, path: Path) -> None:
    path = path.with_name("fire.tif")
    colours = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(path, BYTES, imagej=True, photometric="palette", colormap=colours, metadata={"axes": "ZYX"})
    check(reader(path), BYTES)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("opacity", [False, True])
def test_grey_frames_in_colours(path: Path, planar: bool, frames: int, opacity: bool) -> None:
    pixels = np.repeat(WORDS[:frames, ..., None], 4 if opacity else 3, -1)
    pixels[..., 3:] = 65535
    tifffile.imwrite(
        path,
        np.moveaxis(pixels, -1, 1) if planar else pixels,
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        extrasamples=["unassalpha"] if opacity else None,
    )
    if planar and opacity and frames == 1:
        pytest.skip("four planes are taken for frames")
    check(DOORS["stack"](path), WORDS[:frames])


@pytest.mark.parametrize("planar", [False, True])
def test_opacity_of_grey_frames_is_left_out(reader: Any, path: Path, planar: bool) -> None:
    pixels = np.stack([BYTES, BYTES // 2], 1 if planar else -1)
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        planarconfig="separate" if planar else "contig",
        extrasamples=["unassalpha"],
    )
    check(reader(path), BYTES)


@pytest.mark.parametrize("name", ["CIELAB", "LOGL", "CFA", "DEPTH_MAP"])
def test_scales_that_are_not_linear_are_refused(reader: Any, path: Path, name: str) -> None:
    tifffile.imwrite(path, BYTES[0], photometric="minisblack")
    _overwrite(path, 262, int(tifffile.PHOTOMETRIC[name]))
    with pytest.raises(InputError, match="not intensities; convert it to grey"):
        reader(path)


def test_inks_are_not_taken_for_frames(reader: Any, path: Path) -> None:
    tifffile.imwrite(path, np.repeat(BYTES[0][..., None], 4, -1), photometric="separated")
    with pytest.raises(InputError, match=r"ink.*not intensities"):
        reader(path)


CALIBRATIONS: dict[str, tuple[Array, dict[str, float], Array]] = {
    "signed": (WORDS, {"cf": 0, "c0": -32768.0, "c1": 1.0}, (WORDS.astype(int) - 32768).astype(np.int16)),
    "offset": (BYTES, {"cf": 0, "c0": -0.5, "c1": 0.25}, (BYTES * 0.25 - 0.5).astype(np.float32)),
    "cubic": (
        BYTES,
        {"cf": 2, "c0": 1.0, "c1": 0.5, "c2": 0.0, "c3": 0.125},
        (1 + 0.5 * BYTES + 0.125 * BYTES.astype(float) ** 3).astype(np.float32),
    ),
    "none": (WORDS, {"cf": 20}, WORDS),
    "unity": (WORDS, {"cf": 0, "c0": 0.0, "c1": 1.0}, WORDS),
    "real numbers, which are calibrated already": (
        BYTES.astype(np.float32),
        {"cf": 0, "c0": 5.0, "c1": 2.0},
        BYTES.astype(np.float32),
    ),
}


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_the_calibration_of_imagej(reader: Any, tmp_path: Path, kind: str) -> None:
    stored, calibration, expected = CALIBRATIONS[kind]
    path = tmp_path / "calibrated.tif"
    tifffile.imwrite(path, stored, imagej=True, metadata={"axes": "ZYX", **calibration})
    check(reader(path), expected)


def test_a_calibration_by_another_function_is_refused(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "rodbard.tif"
    calibration = {"cf": 7, "c0": 1.5, "c1": 0.25, "c2": 80.0, "c3": 2.0}
    tifffile.imwrite(path, BYTES, imagej=True, metadata={"axes": "ZYX", **calibration})
    with pytest.raises(InputError, match=r"function of ImageJ \(cf=7\)"):
        reader(path)


def test_a_large_file_of_imagej_has_one_header_for_all_frames(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    description = "ImageJ=1.54f\nimages=5\nslices=5\nloop=false\n"
    tifffile.imwrite(path, WORDS[0], byteorder=">", metadata=None, description=description, rowsperstrip=24)
    with path.open("ab") as file:
        file.write(WORDS[1:].astype(">u2").tobytes())
    check(reader(path), WORDS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(reader: Any, path: Path, orientation: int) -> None:
    """By the definition of TIFF 6.0: where the first row and the first column of the file belong."""
    upright = WORDS[:2]
    rows, columns = [("t", "l"), ("t", "r"), ("b", "r"), ("b", "l"), ("l", "t"), ("r", "t"), ("r", "b"), ("l", "b")][
        orientation - 1
    ]
    stored = np.swapaxes(upright, 1, 2) if rows in "lr" else upright
    stored = stored[:, :: -1 if rows in "br" else 1, :: -1 if columns in "br" else 1]
    _write_oriented(path, stored, orientation, (1 / 2e-4, 1 / 2e-4))
    check(reader(path), upright)


def test_pixel_sizes_are_turned_with_the_image(path: Path) -> None:
    _write_oriented(path, np.swapaxes(WORDS, 1, 2), 6, (1 / 2e-4, 1 / 3e-4))
    info = probe_signal(path)
    np.testing.assert_allclose(info.scale_um[-2:], (2, 3))


@pytest.mark.parametrize(("code", "um"), [(2, 25400.0), (3, 1e4), (4, 1e3), (5, 1.0)])
def test_units_of_the_resolution(path: Path, code: int, um: float) -> None:
    tifffile.imwrite(path, WORDS, photometric="minisblack", resolution=(um / 3.45, um / 3.45), resolutionunit=3)
    _overwrite(path, 296, code)
    assert probe(path).pixel_size_um == pytest.approx(3.45, rel=1e-5)


def test_thumbnails_and_smaller_copies_are_not_read(reader: Any, path: Path) -> None:
    with tifffile.TiffWriter(path) as tif:
        tif.write(BYTES[:, ::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
        tif.write(WORDS, subifds=1, photometric="minisblack", metadata=None)
        tif.write(WORDS[:, ::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
    check(reader(path), WORDS)


def _ome(planes: str, uuid: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="18" SizeY="24" '
        f'SizeC="1" SizeZ="5" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    ).encode()


def _write_ome(path: Path, pages: Array, xml: bytes) -> None:
    tifffile.imwrite(path, pages, photometric="minisblack", metadata=None, description=xml)


PLANES = {
    "one by one": ("".join(f'<TiffData FirstZ="{z}" IFD="{i}" PlaneCount="1"/>' for i, z in enumerate((3, 0, 4, 1, 2))),
                   [1, 3, 4, 0, 2]),
    "in blocks": ('<TiffData IFD="3" FirstZ="0" PlaneCount="2"/><TiffData IFD="0" FirstZ="2" PlaneCount="3"/>',
                  [3, 4, 0, 1, 2]),
    "as they follow": ("<TiffData/>", [0, 1, 2, 3, 4]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANES)
def test_ome_decides_on_the_order_of_planes(reader: Any, path: Path, kind: str) -> None:
    planes, pages = PLANES[kind]
    _write_ome(path, WORDS, _ome(planes))
    check(reader(path), WORDS[pages])
    np.testing.assert_array_equal(reader(path), tifffile.imread(path))


def test_missing_planes_are_refused(reader: Any, path: Path) -> None:
    _write_ome(path, WORDS[:4], _ome('<TiffData IFD="0" PlaneCount="4"/>'))
    with pytest.raises(InputError, match="holds 4 of the 5 planes that its OME-XML announces"):
        reader(path)


def test_pages_that_ome_does_not_describe_are_counted(path: Path) -> None:
    _write_ome(path, np.concatenate([WORDS, WORDS[:2]]), _ome("<TiffData/>"))
    info = probe(path)
    check(read(info), WORDS)
    assert info.header.notes == ("2 of its pages are left out, as its OME-XML does not describe them",)
    _write_ome(path, WORDS, _ome("<TiffData/>"))
    assert probe(path).header.notes == ()


def test_files_of_a_set_are_read_one_by_one_and_it_is_said(tmp_path: Path) -> None:
    uuids = [f"urn:uuid:{number:08d}-0000-0000-0000-000000000000" for number in range(5)]
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="z{z}.ome.tif">{uuid}</UUID></TiffData>'
        for z, uuid in enumerate(uuids)
    )
    for z, uuid in enumerate(uuids):
        _write_ome(tmp_path / f"z{z}.ome.tif", WORDS[[z]], _ome(planes, f' UUID="{uuid}"'))
    check(read(probe(tmp_path)), WORDS)
    info = probe(tmp_path / "z3.ome.tif")
    check(read(info), WORDS[[3]])
    assert "planes of other files" in info.header.notes[0]


def _write_oriented(path: Path, stored: Array, orientation: int, resolution: tuple[float, float]) -> None:
    tifffile.imwrite(
        path,
        np.ascontiguousarray(stored),
        photometric="minisblack",
        metadata=None,
        extratags=[(274, 3, 1, orientation, True)],
        resolution=resolution,
        resolutionunit=3,
    )


def _overwrite(path: Path, tag: int, value: int) -> None:
    """Write another value into a tag of the first page, which holds one short integer."""
    with tifffile.TiffFile(path) as tif:
        place = tif.pages.first.tags[tag].valueoffset
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, place, value)
    path.write_bytes(content)


def _packed(values: Array, bits: int, photometric: int) -> bytes:
    """Return a TIFF file with one strip of values without gaps between their bits; rows end at whole bytes."""
    height, width = values.shape
    planes = (values[..., None] >> np.arange(bits)[::-1]) & 1
    strip = np.packbits(planes.reshape(height, -1).astype(np.uint8), axis=-1).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: height, 279: len(strip)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + bytes(4) + strip


@pytest.mark.parametrize(("compression", "said"), [("jpeg", True), ("packbits", False)])
def test_a_compression_that_loses_detail_is_said(path: Path, compression: str, said: bool) -> None:
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(path, BYTES, photometric="minisblack", compression=compression)
    assert any("JPEG" in note for note in probe(path).header.notes) == said
