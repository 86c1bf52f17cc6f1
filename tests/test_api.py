"""The Python front door."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import napari_diner as nd
from napari_diner.errors import InputError, RecipeError, quoted
from napari_diner.tasks.python_data import as_frames
from napari_diner.tasks.sample import SampleData
from napari_diner.tasks.task import Frames

SIZE = {"height_px": 48, "width_px": 48}


@pytest.fixture(scope="module")
def stack() -> SampleData:
    return nd.sample("lensless", **SIZE, seed=3)


def test_six_lines_retrieve_a_phase(tmp_path: Path, stack: SampleData) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", stack.data.data)
    optics = {name: getattr(stack.recipe, name) for name in ("wavelength_um", "pixel_size_um", "distances_um")}
    frames = nd.read(tmp_path / "stack.tif")
    result = nd.lensless(frames, **optics, gauss_newton={"iterations": 3})
    assert result.phase.shape == result.amplitude.shape == (48, 48)
    assert result["phase"].unit == "rad" and result["phase"].scale_um == (optics["pixel_size_um"],) * 2
    result.save(tmp_path / "result")
    again = nd.load(tmp_path / "result")
    assert np.array_equal(again.phase, result.phase)
    assert again.recipe == result.recipe and again.report["iterations"] == result.report["iterations"]


def test_six_lines_find_an_index(tmp_path: Path) -> None:
    sample = nd.sample("idt", height_px=32, width_px=32, slices=6, frames=6, model="born")
    result = nd.idt(sample, recipe=sample.recipe, solver="tikhonov")
    assert result.n_re.shape == result.n_im.shape == (6, 32, 32)
    assert result["n_re"].axes == "ZYX"
    result.save(tmp_path / "volume")
    assert np.array_equal(nd.load(tmp_path / "volume").n_re, result.n_re)


def test_six_lines_fit_an_image(tmp_path: Path) -> None:
    image = nd.sample("image", height_px=24, width_px=32)
    result = nd.fit(image.data.data, epochs=50)
    assert result.reconstruction.shape == image.data.data.shape
    assert result.report["psnr_db"] > 15
    result.save(tmp_path / "fit")
    assert np.array_equal(nd.load(tmp_path / "fit").reconstruction, result.reconstruction)


def test_six_lines_find_the_focus(stack: SampleData) -> None:
    result = nd.focus(stack, recipe=nd.focus.recipe(**_recording(stack)), joint=False)
    assert len(result.report["distances_um"]) == len(stack.data.data)


def _recording(sample: SampleData) -> dict[str, object]:
    return {name: getattr(sample.recipe, name) for name in ("wavelength_um", "pixel_size_um", "distances_um")}


def test_a_run_is_iterated_and_asked_at_any_time(stack: SampleData) -> None:
    with nd.lensless.start(stack, recipe=stack.recipe, preview_interval_s=0.0) as run:
        first = next(run)
        assert first.losses["loss"] > 0 and first.preview
        partial = run.result()
    assert partial.partial and partial.report["partial"]


def test_arrays_take_the_place_of_files(stack: SampleData) -> None:
    mask = np.ones((48, 48), bool)
    mask[:8] = False
    settings = {"gauss_newton": {"iterations": 2, "warm_up": 2}}
    masked = nd.lensless(stack, recipe=stack.recipe, mask=mask, **settings)
    assert not np.any(masked.residual[:, :8]) and np.any(masked.residual[:, 8:])
    support = np.zeros((48, 48), np.uint8)
    support[10:38, 10:38] = 1
    supported = nd.lensless(stack, recipe=stack.recipe, prior={"support": support}, **settings)
    assert supported.report["prior"]["support_strength"] > 0


def test_a_result_is_a_dataset_with_units(stack: SampleData) -> None:
    pytest.importorskip("xarray")
    result = nd.lensless(stack, recipe=stack.recipe, gauss_newton={"iterations": 1, "warm_up": 1})
    data = result.to_xarray()
    assert data.phase.dims == ("y", "x") and data.phase.attrs["units"] == "rad"
    assert float(data.x[1]) == pytest.approx(stack.recipe.model_dump()["pixel_size_um"])
    assert data.residual.dims == ("n", "y", "x")
    # and back: its coordinates tell the spacing
    focused = nd.lensless.start(1 + 1e4 * data.residual, recipe=stack.recipe)
    focused.close()


def test_contenders_compete(stack: SampleData) -> None:
    comparison = nd.compare(
        "lensless", stack, recipe=stack.recipe, contenders=["alternating", "gauss-newton"], seconds=1
    )
    assert set(comparison.results) == {"alternating", "gauss-newton"}
    assert comparison.winner in comparison.results


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"wavelength": 0.5}, None, "did you mean 'wavelength_um'"),
        ({"wavelength_um": -1}, "wavelength_um", "greater than 0"),
        ({"gauss_newton": {"cg_steps": 0}}, "gauss_newton.cg_steps", "gauss_newton.cg_steps = 0 cannot be used"),
        ({"solver": "newton"}, "solver", "'gauss-newton'"),
        ({}, "wavelength_um", "The wavelength is missing"),
        ({"wavelength_um": 0.5}, "pixel_size_um", "The pixel size is missing"),
        ({"wavelength_um": 0.5, "pixel_size_um": 1.0}, "distances_um", "The distances are missing"),
    ],
)
def test_errors_are_ours_and_name_the_field(settings: dict[str, object], field: str | None, words: str) -> None:
    frames = np.ones((3, 16, 16), np.float32)
    with pytest.raises(RecipeError) as caught:
        nd.lensless(frames, **settings)
    assert words in str(caught.value)
    assert caught.value.field == field
    assert "--" not in str(caught.value)
    if field is not None:
        option = "--" + field.replace("_", "-")
        assert option in caught.value.describe(lambda key: "--" + key.replace("_", "-"))


def test_data_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InputError, match="no intensity stack"):
        nd.lensless(wavelength_um=0.5, pixel_size_um=1.0, distances_um=[100.0])
    with pytest.raises(InputError):
        nd.read("there/is/no/such.tif")
    with pytest.raises(RecipeError, match="no sample 'vidio'; did you mean 'video'"):
        nd.sample("vidio")
    with pytest.raises(RecipeError, match="for the task 'fit'"):
        nd.lensless(recipe=nd.fit.recipe())


def test_lists_and_tensors_are_one_array_or_refused(stack: SampleData) -> None:
    values = np.asarray(stack.data.data, np.float32)
    for data in (torch.tensor(values), list(values), [torch.tensor(frame) for frame in values]):
        assert np.array_equal(np.asarray(as_frames(data).array), values)
    refused = {
        "give frames of one size": [values[0], values[1, :9]],
        "give an array of NumPy": torch.tensor(values, requires_grad=True),
        "name a folder or a pattern": ["a.tif", "b.tif"],
    }
    for problem, data in refused.items():
        with pytest.raises(nd.DinerError, match=problem):
            as_frames(data)
    with pytest.raises(nd.DinerError, match="truth should be the folder of a sample"):
        nd.lensless.start(stack, recipe=stack.recipe, truth={"phase": values[0]})


def test_numbers_of_numpy_are_plain_in_messages(stack: SampleData) -> None:
    for distances in (np.zeros(4), [np.float32(0.0)] * 4, tuple(np.zeros(4))):
        with pytest.raises(nd.DinerError, match=r"^distances_um = [\[(]0\.0, 0\.0, 0\.0, 0\.0[\])] cannot be used"):
            nd.lensless.start(stack.data.data, distances_um=distances)
    assert quoted(np.float64(-0.5)) == "-0.5" and quoted({"a": np.int8(3)}) == "{'a': 3}"
    assert quoted(np.array(2.5)) == "2.5" and quoted(np.ones((2, 2))) == "[[1.0, 1.0], [1.0, 1.0]]"
    assert quoted(np.zeros((1000, 1000), np.uint8)).startswith("[[0, 0, 0, 0, 0, 0, ...], [0,")


def test_lists_of_pairs_may_be_arrays(stack: SampleData) -> None:
    displaced = np.arange(8.0).reshape(4, 2)
    assert nd.lensless.recipe(shifts_um=displaced).shifts_um == tuple(map(tuple, displaced.tolist()))
    directions = np.array([[0.1, 0.0, 1.0], [0.0, 0.1, 0.9]])
    assert nd.idt.recipe(illuminations=directions).illuminations == tuple(map(tuple, directions.tolist()))


def test_help_lists_the_settings() -> None:
    parameters = inspect.signature(nd.lensless).parameters
    assert {"data", "recipe", "truth", "wavelength_um", "distances_um", "solver"} <= set(parameters)
    assert nd.lensless.__doc__ is not None and "Wavelength of the light in vacuum" in nd.lensless.__doc__
    assert set(nd.__all__) <= set(dir(nd))


def test_no_public_name_is_hidden_by_a_subpackage() -> None:
    # importing a subpackage sets an attribute of the package
    subpackages = {path.name for path in Path(nd.__path__[0]).iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in Path(nd.__path__[0]).glob("*.py")}
    assert not set(nd.__all__) & (subpackages | modules)


def test_a_saved_recipe_finds_files_that_were_named_relatively(
    tmp_path: Path, stack: SampleData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("stack.tif", stack.data.data)
    settings = {**_recording(stack), "gauss_newton": {"iterations": 1, "warm_up": 1}}
    for number, data in enumerate((nd.read("stack.tif"), "stack.tif")):
        nd.lensless(data, **settings).save(f"result-{number}")
        recipe = nd.lensless.recipe(f"result-{number}/recipe.yaml")
        assert recipe.model_dump()["stack"] == str(tmp_path / "stack.tif")


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "began = time.perf_counter()\n"
        "import napari_diner\n"
        "seconds = time.perf_counter() - began\n"
        "heavy = {'torch', 'napari', 'qtpy', 'numpy', 'pydantic', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "napari_diner.lensless, napari_diner.read\n"
        "heavy = {'torch', 'napari', 'qtpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(seconds)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.1


def test_an_array_that_a_task_does_not_read_is_refused(stack: SampleData) -> None:
    support = np.ones(stack.data.data.shape[1:], np.uint8)
    for key in ("suport", "preprocess.drak", "background"):
        frames = Frames(stack.data.data, attachments={key: support})
        with pytest.raises(nd.DinerError, match=f"does not take an array for '{key}'"):
            nd.lensless.start(frames, recipe=stack.recipe)
    with pytest.raises(nd.DinerError, match="it takes 'background'"):
        nd.idt.start(Frames(stack.data.data, attachments={"mask": support}))
    with pytest.raises(nd.DinerError, match="it takes none"):
        nd.fit.start(Frames(support, attachments={"mask": support}))
