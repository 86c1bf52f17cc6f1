"""Images in OME-Zarr open as layers whose values are read when they are shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import dask.array
import numpy as np
import pytest
from napari.layers import Image

import napari_diner.widgets.layers.result_reader as reader
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.saving import save

pytest.importorskip("zarr")

N_RE = NamedArray("n_re", np.random.default_rng(0).random((5, 140, 150)).astype("f4"), "ZYX", (0.5, 0.2, 0.2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(Result("idt", (N_RE,), IdtRecipe(save_as="ome-zarr"), {"seconds": 1.0}), tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("of", ["the result", "the image", "a moved image"])
def test_an_image_is_read_as_it_is_shown(of: str, folder: Path, tmp_path: Path) -> None:
    path = folder if of == "the result" else folder / "n_re.ome.zarr"
    if of == "a moved image":
        path = Path(shutil.move(path, tmp_path))
    read = reader.get_reader(str(path))
    assert read is not None
    ((data, arguments, kind),) = read(str(path))
    assert (type(data), kind) == (dask.array.Array, "image")
    layer = Image(data, **arguments)
    np.testing.assert_array_equal(layer.data, N_RE.data)
    assert (layer.name, tuple(layer.scale), layer.axis_labels) == ("n_re", N_RE.scale_um, ("z", "y", "x"))
    recipe = layer.metadata["recipe"]
    assert recipe["task"] == "idt"


def test_a_large_one_has_several_resolutions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LARGE", 1000)
    ((levels, arguments, _),) = reader.read_results(str(folder / "n_re.ome.zarr"))
    layer = Image(levels, **arguments)
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(5, 140, 150), (5, 70, 75)]


def test_other_zarr_folders_are_left_to_other_readers(tmp_path: Path) -> None:
    import zarr

    zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w").create_array("0", data=np.zeros((4, 4)))
    assert reader.get_reader(str(tmp_path / "a.ome.zarr")) is None
