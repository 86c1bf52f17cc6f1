"""Checks of a recording before any work is done on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_diner import device as devices
from napari_diner.errors import InputError, OutOfMemoryError
from napari_diner.tasks.lensless.data import LenslessData, assemble, checked_illumination, prepare
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.task import Frames

RECIPE = LenslessRecipe()


def frames(dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[np.generic]:
    return np.random.default_rng(0).integers(1, 200, (3, 16, 20)).astype(dtype)


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_integers_are_scaled_by_their_type(dtype: npt.DTypeLike, most: int) -> None:
    stack = frames(dtype)
    prepared = prepare(RECIPE, LenslessData(stack))
    np.testing.assert_allclose(prepared.intensities, stack / most, rtol=1e-5)
    assert prepared.peak == pytest.approx(np.ptp(stack.astype(float)) / most)


@pytest.mark.parametrize("most", [900, 65535, 65536, 4_000_000_000])
def test_integers_of_32_bits_are_scaled_by_the_bits_that_they_use(most: int) -> None:
    stack = np.linspace(0, most, 3 * 16 * 20).reshape(3, 16, 20).astype(np.uint32)
    bits = max(16, int(most).bit_length())
    np.testing.assert_allclose(
        prepare(RECIPE, LenslessData(stack)).intensities, stack / (2**bits - 1), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("factor", [1e-20, 3e-4, 1.0, 7e5, 1e25])
def test_amplitudes_are_of_order_one_whatever_the_units(factor: float) -> None:
    recipe = RECIPE.updated({"intensity_scale": 1.7})
    prepared = prepare(recipe, LenslessData(factor * frames(np.float64)))
    usual = prepare(recipe, LenslessData(frames(np.float64)))
    # the field has 1.7 times the intensity of the frames
    assert 1.7 * (prepared.amplitudes**2).mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(prepared.amplitudes, usual.amplitudes, rtol=1e-6)
    np.testing.assert_allclose(prepared.intensities, factor * frames(np.float64), rtol=1e-5)


def test_integers_are_left_alone_if_the_recipe_says_so() -> None:
    prepared = prepare(RECIPE.updated({"integer_scaling": "none"}), LenslessData(frames()))
    np.testing.assert_allclose(prepared.intensities, frames(), rtol=1e-5)
    assert prepared.peak == np.ptp(frames())


def test_the_frames_given_are_not_changed() -> None:
    stack = frames(np.float32)
    prepare(RECIPE, LenslessData(stack, mask=np.arange(20) > 3 * np.ones((16, 1))))
    np.testing.assert_array_equal(stack, frames(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    stack = frames(np.float32)
    stack[1, 4, 5] = bad
    with pytest.raises(InputError, match=r"Frame 2 .* not finite"):
        prepare(RECIPE, LenslessData(stack))
    mask = np.isfinite(stack)
    assert np.isfinite(prepare(RECIPE, LenslessData(stack, mask=mask)).amplitudes).all()


def test_an_empty_frame() -> None:
    stack = frames()
    stack[2] = 0
    with pytest.raises(InputError, match="Frame 3 is all zero"):
        prepare(RECIPE, LenslessData(stack))


def test_negative_values_are_counted() -> None:
    stack = frames(np.float32)
    stack[0, :2, 0] = -3
    assert "negative intensities count as zero (2 pixels)" in prepare(RECIPE, LenslessData(stack)).warnings


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.ones((16, 20)), "2 dimensions"),
        (np.ones((2, 16, 20), complex), "complex"),
        (np.ones((2, 4, 20)), "at least 8×8"),
    ],
)
def test_stacks_of_the_wrong_kind(stack: npt.NDArray[np.generic], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(RECIPE, LenslessData(stack))


@pytest.mark.parametrize("shape", [(16, 21), (2, 16, 20)])
def test_mask_and_illumination_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="The mask has"):
        prepare(RECIPE, LenslessData(frames(), mask=np.ones(shape)))
    with pytest.raises(InputError, match="The illumination has"):
        checked_illumination(LenslessData(frames(), illumination=np.ones(shape)))


def test_a_mask_with_nan_is_refused() -> None:
    mask = np.ones((16, 20))
    mask[3:9, 4] = np.nan
    with pytest.raises(InputError, match="The mask holds NaN; make it zero where"):
        prepare(RECIPE, LenslessData(frames(), mask=mask))


@pytest.mark.parametrize(("left", "words"), [(0, "0 pixels"), (1, "1 pixel"), (7, "7 pixels")])
def test_a_mask_that_leaves_next_to_nothing(left: int, words: str) -> None:
    mask = np.zeros((16, 20))
    mask[4, :left] = 1
    with pytest.raises(InputError, match=f"The mask leaves {words} of frame 1"):
        prepare(RECIPE, LenslessData(frames(), mask=mask))


def test_reading_what_the_recipe_names(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", frames(), photometric="minisblack")
    tifffile.imwrite(tmp_path / "mask.tif", (frames()[0] > 20).astype(np.uint8))
    recipe = RECIPE.updated({"stack": str(tmp_path / "stack.tif"), "mask": str(tmp_path / "mask.tif")})
    data = assemble(recipe)
    np.testing.assert_array_equal(data.frames, frames())
    assert data.mask is not None and data.mask.shape == (16, 20)
    assert data.source == recipe.stack


def test_a_stack_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", frames(), photometric="minisblack")
    monkeypatch.setattr(devices, "available_memory", lambda _=None: 1000)
    with pytest.raises(OutOfMemoryError, match="3 frames of 16×20 pixels needs about"):
        assemble(RECIPE.updated({"stack": str(tmp_path / "stack.tif")}))


def test_a_recipe_without_a_stack() -> None:
    with pytest.raises(InputError, match="no intensity stack"):
        assemble(RECIPE)


def test_every_image_that_the_recipe_names_is_read_and_attachments_take_their_place(tmp_path: Path) -> None:
    names = ("mask", "illumination", "support", "dark", "flat")
    for value, name in enumerate(names, start=1):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((16, 20), value, np.uint8))
    path = {name: str(tmp_path / f"{name}.tif") for name in names}
    recipe = RECIPE.updated(
        {
            "mask": path["mask"],
            "illumination": path["illumination"],
            "prior": {"support": path["support"]},
            "preprocess": {"dark": path["dark"], "flat": path["flat"]},
        }
    )
    data = assemble(recipe, Frames(frames(), "NYX", (1.0, 0.5, 0.5)))
    read = (data.mask, data.illumination, data.support, data.references.dark, data.references.flat)
    assert [float(np.mean(image)) for image in read if image is not None] == [1, 2, 3, 4, 5]
    assert data.pixel_size_um == 0.5
    others = {key: np.full((16, 20), 9) for key in ("mask", "illumination", "prior.support")}
    data = assemble(recipe, Frames(frames(), "NYX", attachments=others))
    assert [float(np.mean(image)) for image in (data.mask, data.illumination, data.support) if image is not None] == [
        9
    ] * 3


def test_an_array_is_used_instead_of_the_file_that_it_came_from(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", frames(), photometric="minisblack")
    recipe = RECIPE.updated({"stack": str(tmp_path / "stack.tif")})
    data = assemble(recipe, Frames(2 * frames().astype(np.float32)))
    np.testing.assert_array_equal(data.frames, 2 * frames().astype(np.float32))
    # the file would give other frames
    assert data.source is None
    assert assemble(recipe, Frames(frames())).source == recipe.stack
