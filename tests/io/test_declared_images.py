"""Attributes of HDF5 and Zarr that say how an image is to be understood: zero as white, palettes, colours, origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.io.stacks import probe, read
from tests.io.test_packing import STACK, save_hdf5, save_tagged_zarr

IMAGE = {"CLASS": np.bytes_("IMAGE"), "IMAGE_VERSION": np.bytes_("1.2")}
BYTES = (STACK // 16).astype(np.uint8)


def save_indexed(path: Path, values: Any, palette: Any) -> None:
    with h5py.File(path, "w") as file:
        file["frames"], file["colours"] = values, palette
        attributes = {**IMAGE, "IMAGE_SUBCLASS": np.bytes_("IMAGE_INDEXED"), "PALETTE": file["colours"].ref}
        file["frames"].attrs.update(attributes)


@pytest.mark.parametrize(
    ("attributes", "white"),
    [
        ({**IMAGE, "IMAGE_WHITE_IS_ZERO": np.uint8(1)}, 65535),
        ({"PhotometricInterpretation": "MONOCHROME1 ", "BitsStored": 12}, 4095),
        ({"photometric": np.bytes_("min-is-white")}, 65535),
        ({"photometric_interpretation": "WhiteIsZero", "bits per sample": np.array([14])}, 16383),
    ],
)
@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_white_as_zero_is_read_as_light(kind: str, attributes: dict[str, Any], white: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "h5":
        save_hdf5(path, STACK, **attributes)
    else:
        plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}
        texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in plain.items()}
        listed = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in texts.items()}
        save_tagged_zarr(path, STACK, **listed)
    info = probe(path)
    assert f"so {white} − v is read" in info.header.notes[0]
    for values in (read(info), read_signal(probe_signal(path)), read_image(path)):
        assert values.dtype == STACK.dtype
        np.testing.assert_array_equal(values, white - STACK)


@pytest.mark.parametrize(
    "attributes",
    [
        {**IMAGE, "IMAGE_WHITE_IS_ZERO": np.uint8(0), "DISPLAY_ORIGIN": np.bytes_("UL")},
        {"PhotometricInterpretation": "MONOCHROME2"},
        {"photometric": 1},
        {"photometric": np.arange(3)},
        {"white": 1, "comment": "zero is white"},
        {"DISPLAY_ORIGIN": np.bytes_("LL")},
        {**IMAGE, "IMAGE_SUBCLASS": np.bytes_("IMAGE_TRUECOLOR"), "INTERLACE_MODE": np.bytes_("INTERLACE_LINE")},
        {**IMAGE, "PALETTE": 3, "DISPLAY_ORIGIN": 3},
    ],
)
def test_other_attributes_change_nothing(attributes: dict[str, Any], tmp_path: Path) -> None:
    save_hdf5(tmp_path / "a.h5", STACK, **attributes)
    info = probe(tmp_path / "a.h5")
    assert not info.header.notes
    np.testing.assert_array_equal(read(info), STACK)


def test_white_as_zero_without_a_black_is_refused(tmp_path: Path) -> None:
    for values in (STACK.astype(np.float32), STACK.astype(np.int16)):
        save_hdf5(tmp_path / "a.h5", values, IMAGE_WHITE_IS_ZERO=1)
        with pytest.raises(InputError, match="declares zero as white by the attribute IMAGE_WHITE_IS_ZERO"):
            probe(tmp_path / "a.h5")
    save_hdf5(tmp_path / "a.h5", STACK, photometric="miniswhite", BitsStored=10)
    with pytest.raises(InputError, match=f"hold {STACK.max()}, although 1023 is black"):
        read(probe(tmp_path / "a.h5"))
    save_hdf5(tmp_path / "a.h5", STACK > 2000, IMAGE_WHITE_IS_ZERO=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.h5"), STACK <= 2000)


def test_missing_values_are_compared_before_white_is_turned(tmp_path: Path) -> None:
    save_hdf5(tmp_path / "a.h5", STACK, IMAGE_WHITE_IS_ZERO=1, _FillValue=STACK[1, 2, 3])
    expected = np.where(STACK[1, 2, 3] == STACK, np.nan, 65535.0 - STACK)
    np.testing.assert_array_equal(read(probe(tmp_path / "a.h5")), expected)


@pytest.mark.parametrize(("corner", "flips"), [("LL", (1,)), ("UR", (2,)), ("LR", (1, 2))])
def test_images_are_turned_upright(corner: str, flips: tuple[int, ...], tmp_path: Path) -> None:
    save_hdf5(tmp_path / "a.h5", STACK, **IMAGE, DISPLAY_ORIGIN=np.bytes_(corner))
    info = probe(tmp_path / "a.h5")
    assert f"the corner {corner}" in info.header.notes[0]
    np.testing.assert_array_equal(read(info), np.flip(STACK, flips))


@pytest.mark.parametrize(
    ("mode", "order"), [("INTERLACE_PIXEL", (1, 2, 0)), ("INTERLACE_LINE", (1, 0, 2)), ("INTERLACE_PLANE", (0, 1, 2))]
)
def test_axes_of_colours_are_known(mode: str, order: tuple[int, ...], tmp_path: Path) -> None:
    names = {"IMAGE_SUBCLASS": np.bytes_("IMAGE_TRUECOLOR"), "INTERLACE_MODE": np.bytes_(mode)}
    save_hdf5(tmp_path / "a.h5", BYTES.transpose(order), **IMAGE, **names)
    signal = probe_signal(tmp_path / "a.h5")
    np.testing.assert_array_equal(read_signal(signal), BYTES.transpose(1, 2, 0))


def test_grey_palettes_are_applied_and_coloured_ones_are_said(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    for palette, expected in ((ramp, BYTES), (ramp[::-1], 255 - BYTES)):
        save_indexed(tmp_path / "a.h5", BYTES, palette)
        info = probe(tmp_path / "a.h5")
        np.testing.assert_array_equal(read(info), expected)
        assert bool(info.header.notes) == (expected is not BYTES)
    save_indexed(tmp_path / "a.h5", BYTES, ramp * np.array([1, 0, 0], np.uint8))
    info = probe(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(info), BYTES)
    assert "taken for those of the display" in info.header.notes[0]
    save_indexed(tmp_path / "a.h5", BYTES, ramp[100:150])
    with pytest.raises(InputError, match="a palette of 50 entries"):
        read(probe(tmp_path / "a.h5"))
