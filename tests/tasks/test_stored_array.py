"""Arrays in files and in memory with axes and selection of a recipe, in all tasks and front doors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import napari_diner as nd
from napari_diner.errors import InputError, RecipeError
from napari_diner.tasks.recipe import ArrayRecipe, input_files
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

STACK = np.random.default_rng(4).integers(1, 60000, (3, 20, 26)).astype(np.uint16)
CHANNELS = np.stack([STACK, STACK + 1])
SETTINGS: dict[str, dict[str, Any]] = {
    "lensless": {"wavelength_um": 0.5, "pixel_size_um": 1.5, "distances_um": [300, 400, 500]},
    "focus": {"wavelength_um": 0.5, "pixel_size_um": 1.5, "near_um": 300, "far_um": 500},
    "idt": {"wavelength_um": 0.5, "pixel_size_um": 0.3, "na": 0.3, "ring": {"na": 0.25}, "slice_count": 2},
    "fit": {"epochs": 1},
}
TASKS = [*SETTINGS]


def values_of(data: Any) -> npt.NDArray[Any]:
    """Return the array of a task's data."""
    array: npt.NDArray[Any] = data.data if hasattr(data, "data") else data.frames
    return array


def assembled(name: str, frames: Frames | None, **settings: Any) -> npt.NDArray[Any]:
    recipe = task(name).recipe_type.parse({**SETTINGS[name], **settings})
    return values_of(task(name).assemble(recipe, frames))


@pytest.mark.parametrize("name", TASKS)
def test_files_and_arrays_are_taken_alike(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.moveaxis(CHANNELS, 1, -1))  # (C, Y, X, N)
    source = {task(name).source_field: str(tmp_path / "a.npy")}
    how = {"axes": "CYXZ", "select": "C=1"}
    np.testing.assert_array_equal(assembled(name, None, **source, **how), STACK + 1)
    np.testing.assert_array_equal(assembled(name, Frames(np.moveaxis(CHANNELS, 1, -1)), **how), STACK + 1)
    np.testing.assert_array_equal(assembled(name, Frames(CHANNELS, "CZYX"), select="C=0"), STACK)
    np.testing.assert_array_equal(assembled(name, Frames(STACK[None], "CZYX")), STACK)


@pytest.mark.parametrize("name", ["lensless", "focus", "idt"])
def test_further_axes_are_never_flattened(name: str) -> None:
    with pytest.raises(InputError, match=r"2 \(C\) × 3 \(Z\) × 20 \(Y\) × 26 \(X\).* such as C=0"):
        assembled(name, Frames(CHANNELS, "CZYX"))


class Lost:
    """A lazy array whose files are gone."""

    shape, dtype, ndim = STACK.shape, STACK.dtype, STACK.ndim

    def __array__(self, *_: Any, **__: Any) -> npt.NDArray[Any]:
        raise KeyError("chunk 0.0.0\nof three")


@pytest.mark.parametrize("name", TASKS)
def test_values_that_cannot_be_read_are_named(name: str) -> None:
    with pytest.raises(InputError, match=r"values cannot be read \(KeyError: .*chunk.*\); check that the files"):
        assembled(name, Frames(Lost(), "ZYX"))


@pytest.mark.parametrize("name", ["lensless", "focus", "idt"])
def test_a_single_frame_is_a_stack(name: str) -> None:
    for array in (STACK[:1], STACK[:1, None], CHANNELS[:1, :1]):
        np.testing.assert_array_equal(assembled(name, Frames(array)), STACK[:1])


@pytest.mark.parametrize("name", TASKS)
def test_the_recipe_of_a_result_gives_the_same_data_again(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.moveaxis(CHANNELS, 1, -1))
    data = nd.read(tmp_path / "a.npy", "CYXZ", "C=1")
    np.testing.assert_array_equal(data, STACK + 1)
    run = nd.task(name).start(data, **SETTINGS[name])
    recipe = run.job.recipe
    assert (recipe.axes, recipe.select) == ("CYXZ", "C=1")
    np.testing.assert_array_equal(values_of(task(name).assemble(recipe)), STACK + 1)


def test_a_fit_of_stored_colours_is_repeated_from_its_file(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="rgb", planarconfig="separate")
    recipe = nd.fit.start(nd.read(tmp_path / "a.tif"), epochs=1).job.recipe
    assert recipe.axes == "SYX"
    np.testing.assert_array_equal(values_of(task("fit").assemble(recipe)), np.moveaxis(STACK, 0, -1))


def test_the_file_of_a_named_array_is_an_input() -> None:
    recipe = task("lensless").recipe_type.parse({"stack": "scan.h5::raw/frames", "mask": "mask.tif"})
    assert {path.name for path in input_files(recipe)} == {"scan.h5", "mask.tif"}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(("key", "value"), [("select", "C"), ("select", "Y=1"), ("axes", "NZ"), ("axes", "YYX")])
def test_what_is_not_understood_is_refused_by_the_recipe(name: str, key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=key):
        task(name).recipe_type.parse({key: value})
    assert issubclass(task(name).recipe_type, ArrayRecipe)


@pytest.mark.parametrize("name", ["lensless", "idt"])
def test_frames_along_the_last_axis_are_doubted(name: str) -> None:
    frames = Frames(np.random.default_rng(5).integers(1, 200, (30, 24, 10)).astype(np.uint16))
    settings = dict(SETTINGS[name])
    if name == "lensless":
        settings |= {"distances_um": [300.0 + 20 * place for place in range(30)], "pixel_size_um": 5.0}
    warnings = task(name).start(task(name).recipe_type.parse(settings), frames).warnings
    assert any("set axes to YXN" in warning for warning in warnings)


@pytest.mark.parametrize("name", ["lensless", "focus", "idt"])
def test_pixels_that_are_not_square_are_named_and_never_taken_for_squares_in_silence(name: str, tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.4}
    )
    in_memory = Frames(STACK, "NYX", (1.0, 0.4, 0.5))
    for frames, source in ((None, str(tmp_path / "a.ome.tif")), (in_memory, None)):
        with pytest.raises(InputError, match=r"not square \(0\.4 × 0\.5 µm\); resample"):
            assembled(name, frames, stack=source, pixel_size_um=None)
        recipe = task(name).recipe_type.parse({**SETTINGS[name], "stack": source})
        (doubt,) = task(name).assemble(recipe, frames).warnings
        assert f"squares of {SETTINGS[name]['pixel_size_um']} µm" in doubt
