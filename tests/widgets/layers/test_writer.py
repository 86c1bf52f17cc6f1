"""Saving layers, also onto the file that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diner.errors import OutputError
from napari_diner.widgets.layers.writer import write_ome_tiff


def test_a_layer_is_saved_onto_the_file_that_it_is_read_from(tmp_path: Path) -> None:
    path, values = tmp_path / "image.tif", np.arange(90_000, dtype=np.float32).reshape(300, 300)
    tifffile.imwrite(path, values)
    write_ome_tiff(str(path), tifffile.memmap(path, mode="r"), {"name": "image"})
    np.testing.assert_array_equal(tifffile.imread(path), values)
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.tif"]


def test_a_file_stays_if_its_successor_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.tif"
    path.write_text("mine")

    def partly(new: Path, *_: object, **__: object) -> None:
        Path(new).write_text("half")
        raise OSError("48 requested and 12 written")

    monkeypatch.setattr(tifffile, "imwrite", partly)
    with pytest.raises(OutputError, match=r"image.tif cannot be written \(No space left on device\)"):
        write_ome_tiff(str(path), np.zeros((3, 4), np.float32), {"name": "image"})
    assert path.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["image.tif"]
