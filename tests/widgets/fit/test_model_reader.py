"""Saved fits open as layers that are evaluated plane by plane."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from napari_diner.errors import InputError
from napari_diner.io.weights import WeightsFile
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.run import Run
from napari_diner.tasks.saving import load, save
from napari_diner.widgets.fit.model_reader import get_reader, layer_of
from napari_diner.widgets.layers.result_reader import read_results
from tests.kit.runs import finished

QUICK: dict[str, Any] = {
    "epochs": 20,
    "diner": {"lattice_size": 16, "hidden_features": 8},
    "training": {"unique": False},
}


def saved(folder: Path, data: FitData) -> Path:
    save(finished(Run(FitJob(FitRecipe.parse(QUICK), data))), folder)
    return folder / "model.safetensors"


@pytest.fixture
def volume() -> npt.NDArray[np.uint16]:
    z, y, x = np.mgrid[:7, :12, :14]
    return (1000 + 4000 * z + 900 * y + 50 * x * y).astype(np.uint16)


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[slice, ...]]]:
    """Boxes read from model files."""
    read: list[tuple[str, tuple[slice, ...]]] = []
    original = WeightsFile.read_box

    def read_box(self: WeightsFile, name: str, box: Any) -> npt.NDArray[Any]:
        read.append((name, tuple(box)))
        return original(self, name, box)

    monkeypatch.setattr(WeightsFile, "read_box", read_box)
    return read


def test_a_volume_is_evaluated_plane_by_plane(
    tmp_path: Path,
    volume: npt.NDArray[np.uint16],
    boxes: list[tuple[str, tuple[slice, ...]]],
    make_napari_viewer: Callable[..., Any],
) -> None:
    path = saved(tmp_path / "cells", FitData(volume, "ZYX", (2.0, 0.5, 0.5)))
    stored = load(tmp_path / "cells")["reconstruction"].data
    viewer = make_napari_viewer()
    (layer,) = viewer.open(str(path), plugin="napari-diner")
    assert (layer.name, layer.rgb, layer.dtype) == ("cells", False, np.uint16)
    assert tuple(layer.scale) == (2.0, 0.5, 0.5)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.axis_labels == ("z", "y", "x")
    assert tuple(layer.contrast_limits) == (volume.min(), volume.max())
    assert layer.metadata["recipe"]["representation"] == "diner"
    seen = []
    for place in (0, 3, 6):
        viewer.dims.set_current_step(0, place)
        np.testing.assert_array_equal(np.asarray(layer._data_view), stored[place])
        seen.append(place)
    read = {box[0].start for name, box in boxes if name == "hash_table"}
    # the viewer starts in the middle of the volume
    assert read == {*seen, len(volume) // 2}
    assert all(box[0].stop - box[0].start == 1 for _, box in boxes)
    np.testing.assert_array_equal(np.asarray(layer.data), stored)


def test_a_video_in_colours(tmp_path: Path, make_napari_viewer: Callable[..., Any]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, 10, 12, 3)).astype(np.uint8)
    path = saved(tmp_path / "film", FitData(frames, "TYXS", (1.0, 0.25, 0.25, 1.0)))
    viewer = make_napari_viewer()
    (layer,) = viewer.open(str(path), plugin="napari-diner")
    assert (layer.rgb, layer.ndim, layer.axis_labels) == (True, 3, ("t", "y", "x"))
    assert tuple(layer.scale) == (1.0, 0.25, 0.25)
    # frames are counted in micrometres, which combine with the slices of volumes
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.data.chunks == ((1, 1, 1, 1), (10,), (12,), (3,))
    stored = load(tmp_path / "film")["reconstruction"].data
    viewer.dims.set_current_step(0, 2)
    np.testing.assert_array_equal(np.asarray(layer.data[2]), stored[2])


@pytest.mark.parametrize(
    ("shape", "axes", "chunks"),
    [
        ((2, 10, 12), "CYX", ((1, 1), (10,), (12,))),
        ((2, 3, 10, 12), "TZYX", ((1, 1), (1, 1, 1), (10,), (12,))),
        ((10, 12), "YX", ((10,), (12,))),
    ],
)
def test_axes_become_chunks_of_planes(
    tmp_path: Path, shape: tuple[int, ...], axes: str, chunks: tuple[tuple[int, ...], ...]
) -> None:
    data = np.random.default_rng(0).random(shape)
    path = saved(tmp_path / "a", FitData(data, axes))
    array, arguments, kind = layer_of(path)
    assert (kind, arguments["rgb"], array.chunks) == ("image", False, chunks)
    assert arguments["axis_labels"] == tuple(axes.lower())
    # as napari opens data without a pixel size; the saved images too
    (image,) = read_results(str(tmp_path / "a"))
    assert {*arguments["units"], *image[1]["units"]} == {"pixel"}
    # napari shows no longer real numbers
    assert array.dtype == np.float32
    assert np.asarray(array).dtype == np.float32
    np.testing.assert_allclose(np.asarray(array), load(tmp_path / "a")["reconstruction"].data, rtol=1e-6)


def test_a_constant_image_has_a_contrast(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", FitData(np.full((10, 12), 5, np.uint8), "YX"))
    assert layer_of(path)[1]["contrast_limits"] == (5, 6)


def test_more_colours_than_can_be_shown_are_channels(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 255, (10, 12, 5)).astype(np.uint8)
    path = saved(tmp_path / "a", FitData(data, "YXS"))
    array, arguments, _ = layer_of(path)
    assert (array.shape, arguments["rgb"], arguments["axis_labels"]) == ((5, 10, 12), False, ("c", "y", "x"))
    stored = load(tmp_path / "a")["reconstruction"].data
    np.testing.assert_array_equal(np.asarray(array), np.moveaxis(stored, -1, 0))


def test_a_moved_file_has_its_own_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", FitData(np.ones((10, 12), np.uint8), "YX"))
    path.rename(tmp_path / "leaf.safetensors")
    assert layer_of(tmp_path / "leaf.safetensors")[1]["name"] == "leaf"


def test_files_of_others_are_declined(tmp_path: Path) -> None:
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    save_file({"a": np.zeros(3)}, tmp_path / "lensless.safetensors", {"format": "napari-diner", "task": "lensless"})
    (tmp_path / "text.safetensors").write_text("no weights at all")
    (tmp_path / "folder.safetensors").mkdir()
    names = ["foreign", "lensless", "text", "folder", "missing"]
    assert [get_reader(str(tmp_path / f"{name}.safetensors")) for name in names] == [None] * len(names)
    assert get_reader([]) is None


def test_a_fit_of_another_version_is_explained(tmp_path: Path) -> None:
    header = {"format": "napari-diner", "format_version": "99", "task": "fit"}
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "a.safetensors", header)
    read = get_reader(str(tmp_path / "a.safetensors"))
    assert read is not None
    with pytest.raises(InputError, match="format 99"):
        read(str(tmp_path / "a.safetensors"))


def test_whose_file_it_is_is_told_without_torch(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", FitData(np.ones((10, 12), np.uint8), "YX"))
    code = (
        "import sys; from napari_diner.widgets.fit.model_reader import get_reader; "
        "assert get_reader(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
