"""Memory of lensless tasks. Imports torch only if the surround or the light of the recording need it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_diner.preprocess.steps import prepared_shape
from napari_diner.processors import MOST_DIVIDED
from napari_diner.representations.memory import FEWER_SAMPLES, memory_of, stored_bytes
from napari_diner.representations.registry import representations
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe
from napari_diner.tasks.memory import MemoryPlan, largest
from napari_diner.tasks.stored_array import StoredArray, stack_of
from napari_diner.tasks.task import Frames

if TYPE_CHECKING:
    from napari_diner.tasks.lensless.setup import Setup

# bytes for each value of the prepared frames: amplitudes, residuals and temporaries; masks and weights
_FRAMES, _WEIGHTS = 10.0, 8.0
# for each pixel of the padded grid and frame: transfer functions; fields stored by second-order steps
_TRANSFER, _DIRECTIONS = 8.0, 8.0
# for each pixel of the object: field, spectra and gradient; and arrays of solvers other than Adam
_OBJECT, _CLASSICAL, _UNCERTAINTY = 90.0, 75.0, 200.0
_CURVES = 200.0
# for each pixel of the padded grid, if threads work on a frame each, and thread: sum, field, and those of a transform
_THREAD = 40.0
# factor on the memory of second-order steps: they allocate and free many arrays of a few sizes, and the C library does
# not reuse a freed place for an aligned array of the same size. Larger arrays are given back to the system.
_HOLES, _GIVEN_BACK = 1.6, 1 << 25
# for each pixel and calibrated frame: responses of the object and their solutions
_RESPONSE = 54.0


def planned(recipe: RecordingRecipe, frames: Frames | None = None) -> MemoryPlan:
    """Return the planned memory of a run; see `napari_diner.tasks.task.Task.plan`."""
    return of_stack(recipe, stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um))


def of_stack(recipe: RecordingRecipe, stack: StoredArray) -> MemoryPlan:
    """Return the memory of a run on a stack, including reading."""
    return plan(recipe, stack.shape, stack.nbytes, stack.pixel_size_um)


def plan(
    recipe: RecordingRecipe, shape: tuple[int, ...], nbytes: int = 0, pixel_size_um: float | None = None
) -> MemoryPlan:
    """Return the planned memory of a run on a recording.

    Parameters
    ----------
    recipe
        All settings; may be incomplete.
    shape
        Shape of the recorded frames, (N, Y, X).
    nbytes
        Bytes for reading them; 0 if they are in memory already.
    pixel_size_um
        Pixel size of the file, if the recipe has none.
    """
    subject = f"A stack of {shape[0]} frames of {shape[1]}×{shape[2]} pixels"
    size = prepared_shape(recipe.preprocess, (shape[1], shape[2]))
    pixels = math.prod(size)
    prepared = shape[0] * pixels
    if not isinstance(recipe, LenslessRecipe):
        parts: Mapping[str, float] = {FEWER_SAMPLES: _FRAMES * prepared + _CURVES * pixels}
        # refocused frames, amplitude and phase
        result = 4.0 * (prepared + 2 * pixels)
    else:
        parts = _reconstruction(recipe, shape, pixel_size_um)
        # residuals; and images
        result = 4.0 * prepared + _images(recipe, size)
    return MemoryPlan(subject, {**parts, FEWER_SAMPLES: parts[FEWER_SAMPLES] + nbytes}, result=result)


def _images(recipe: LenslessRecipe, size: tuple[int, int]) -> float:
    """Return the bytes of the images of the object, and of the model, for prepared frames of some size (Y, X)."""
    output, entry = recipe.phase_output, representations().get(recipe.solver)
    height, width = (length * recipe.super_resolution for length in size)
    pixels = height * width
    images = 2 + output.wanted + output.optical_path + (output.index_difference is not None)
    images += 2 * recipe.uncertainty.map
    if entry is None:
        return 4.0 * (images + 2) * pixels  # the model is amplitude and phase once more
    separate = 2 if recipe.diner.tables == "separate" else 1
    return 4.0 * images * pixels + separate * stored_bytes(entry, (height, width), 2 // separate, recipe)


def _reconstruction(recipe: LenslessRecipe, shape: tuple[int, ...], pixel_size_um: float | None) -> Mapping[str, float]:
    frames = shape[0]
    prepared = prepared_shape(recipe.preprocess, (shape[1], shape[2]))
    values = frames * math.prod(prepared)
    height, width = (size * recipe.super_resolution for size in prepared)
    setup = _rough_setup(recipe, pixel_size_um)
    beyond = 0 if setup is None else setup.padding_px
    padded = (height + 2 * beyond) * (width + 2 * beyond)
    unknown = (height + 2 * beyond, width + 2 * beyond) if recipe.padding.mode == "unknown" else (height, width)
    # frames are predicted on the grid of the object, whose pixels are then summed
    predicted = values * recipe.super_resolution**2
    common = _FRAMES * predicted + _TRANSFER * frames * padded + _OBJECT * padded
    if setup is not None and not setup.heights.is_coherent:
        # transfer functions and fields of each wavelength, and blurs
        waves = len(setup.heights.lines)
        common += frames * padded * (16 * waves + 4) + 6 * waves * padded * 8
    if recipe.unknown_illumination.solve or recipe.moves:
        # an illumination for each frame, and for the joint steps an object
        common += (2 if recipe.unknown_illumination.solve else 1) * 8 * frames * padded
    if recipe.noise.weighting != "even":
        common += _WEIGHTS * values
    classical = common + _CLASSICAL * padded
    entry = representations().get(recipe.solver)
    # what a representation starts from by default
    from_second_order = recipe.start == "gauss-newton" or (entry is not None and recipe.start == "auto")
    is_second_order = recipe.solver == "gauss-newton" or from_second_order or recipe.uncertainty.map
    if is_second_order:
        classical += _DIRECTIONS * frames * height * width
    if recipe.calibration.wanted:
        classical += _RESPONSE * frames * min(padded, (recipe.calibration.field_px + 2 * beyond) ** 2)
    if is_second_order and 8 * padded < _GIVEN_BACK:
        classical *= _HOLES
    if recipe.uncertainty.map:
        classical += _UNCERTAINTY * padded
    of_threads = _THREAD * padded * (min(os.cpu_count() or 1, frames) - 1) if padded <= MOST_DIVIDED else 0.0
    phases: list[dict[str, float]] = [{FEWER_SAMPLES: classical + of_threads}]
    if entry is not None:
        separate = entry.name == "diner" and recipe.diner.tables == "separate"
        parts = {FEWER_SAMPLES: common + of_threads}
        for words, size in memory_of(entry, unknown, 1 if separate else 2, recipe).items():
            # the forward pass stores arrays of both at once, the backward pass needs those of one at a time
            twice = 2.0 if words == FEWER_SAMPLES else 2 - 1 / (recipe.diner.hidden_layers + 1)
            parts[words] = parts.get(words, 0.0) + size * (twice if separate else 1.0)
        phases.append(parts)
    return largest(*phases)


def _rough_setup(recipe: LenslessRecipe, pixel_size_um: float | None) -> Setup | None:
    """Return the setup without shifts, as far as an incomplete recipe determines it; None if it needs no memory."""
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    is_simple = recipe.padding.mode in ("none", "auto") and not (recipe.source_size_um or recipe.bandwidth_nm)
    if is_simple or pixel_size_um is None or recipe.wavelength_um is None or not recipe.distances_um:
        return None
    from napari_diner.tasks.lensless.setup import Setup

    return Setup.of(recipe.updated({"pixel_size_um": pixel_size_um, "shifts_um": None}))
