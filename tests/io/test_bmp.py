"""BMP files are read like others: in grey, with a colour map, or in colours that are equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.io.stacks import probe, read

GREY = np.random.default_rng(5).integers(0, 256, (3, 13, 10), np.uint8)


def write(folder: Path, kind: str) -> Path:
    for number, frame in enumerate(GREY):
        image = Image.fromarray(frame)
        if kind == "colours":
            image = image.convert("RGB")
        if kind == "reversed palette":
            image = Image.frombytes("P", image.size, (255 - frame).tobytes())
            image.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes())
        image.save(folder / f"z{number}.bmp")
    return folder


@pytest.mark.parametrize("kind", ["grey", "colours", "reversed palette"])
def test_grey_frames(tmp_path: Path, kind: str) -> None:
    np.testing.assert_array_equal(read(probe(write(tmp_path, kind))), GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "z1.bmp"), GREY[1])


def test_a_mask_of_one_bit(tmp_path: Path) -> None:
    Image.fromarray(GREY[0] > 99).save(tmp_path / "mask.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "mask.bmp"), GREY[0] > 99)


def test_colours(tmp_path: Path) -> None:
    Image.fromarray(np.moveaxis(GREY, 0, -1).copy()).save(tmp_path / "colour.bmp")
    values = read_signal(probe_signal(tmp_path / "colour.bmp"))
    np.testing.assert_array_equal(values, np.moveaxis(GREY, 0, -1))
    with pytest.raises(InputError, match="is a colour image"):
        read(probe(tmp_path / "colour.bmp"))


def test_a_damaged_file(tmp_path: Path) -> None:
    Image.fromarray(GREY[0]).save(tmp_path / "cut.bmp")
    (tmp_path / "cut.bmp").write_bytes((tmp_path / "cut.bmp").read_bytes()[:700])
    with pytest.raises(InputError, match=r"cut\.bmp cannot be read|cut\.bmp announces"):
        read_image(tmp_path / "cut.bmp")
