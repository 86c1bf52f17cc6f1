"""Single images: illumination, mask, truth."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_diner import memory
from napari_diner.errors import InputError, OutOfMemoryError
from napari_diner.io import deflate
from napari_diner.io.images import read_image

IMAGE = np.random.default_rng(2).random((12, 17)).astype(np.float32)


def test_an_image_keeps_its_type_and_shape(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "a.npy", IMAGE.astype(">f4"))
    for name in ("a.tif", "a.npy"):
        image = read_image(tmp_path / name, frame_shape=(12, 17))
        assert image.dtype == np.dtype("=f4")
        np.testing.assert_array_equal(image, IMAGE)


def test_a_mask_may_have_one_page_for_each_frame(tmp_path: Path) -> None:
    mask = np.stack([IMAGE > 0.5, IMAGE > 0.6])
    np.save(tmp_path / "mask.npy", mask)
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    for name in ("mask.npy", "mask.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), mask)


def test_a_mask_may_have_one_bit_a_pixel(tmp_path: Path) -> None:
    Image.fromarray(IMAGE > 0.5).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_image(tmp_path / "mask.png"), IMAGE > 0.5)


def test_another_shape_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "a.npy", IMAGE)
    for name in ("a.tif", "a.npy"):
        with pytest.raises(InputError, match="has 12×17 pixels but the frames have 17×12"):
            read_image(tmp_path / name, frame_shape=(17, 12))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[Trap(tmp_path / "sprung")]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy cannot be read"):
        read_image(tmp_path / "a.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_numpy_header_that_lies_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    content = (tmp_path / "a.npy").read_bytes()
    # same length of header, an array of 10 TB
    (tmp_path / "a.npy").write_bytes(content.replace(b"(12, 17), }          ", b"(9000000, 300000), } "))
    with pytest.raises(InputError, match=r"a\.npy cannot be read"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("array", [np.ones(5), np.ones((2, 2, 3, 4)), np.ones((0, 4)), np.ones((3, 3), complex)])
def test_what_is_no_image_is_refused(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"a\.npy"):
        read_image(tmp_path / "a.npy")


def test_an_image_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((40, 50), np.uint8))
    assert read_image(tmp_path / "mask.tif").shape == (40, 50)
    monkeypatch.setattr(memory, "free_bytes", lambda: 1999)
    with pytest.raises(OutOfMemoryError, match=r"The image .*mask\.tif needs about"):
        read_image(tmp_path / "mask.tif")


@pytest.mark.parametrize("expansion", [1, 200])
def test_deflated_pages_expand_to_no_more_than_they_announce(
    expansion: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without imagecodecs, which would stop by itself."""
    monkeypatch.setattr(deflate.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(deflate, "_HARMLESS", 1000)
    image = np.random.default_rng(0).integers(0, 9, (60, 50), np.uint8)
    tifffile.imwrite(tmp_path / "page.tif", image, compression="deflate", rowsperstrip=60)
    with tifffile.TiffFile(tmp_path / "page.tif") as tif:
        place, count = tif.pages.first.dataoffsets[0], tif.pages.first.databytecounts[0]
    content = zlib.compress(bytes(image.nbytes * expansion), 9)
    data = (tmp_path / "page.tif").read_bytes()
    bomb = data[:place] + content[:count].ljust(count, b"\0") + data[place + count :]
    (tmp_path / "page.tif").write_bytes(data if expansion == 1 else bomb)
    if expansion == 1:
        np.testing.assert_array_equal(read_image(tmp_path / "page.tif"), image)
    else:
        with pytest.raises(InputError, match="expands to more than the pixels that it announces"):
            read_image(tmp_path / "page.tif")
