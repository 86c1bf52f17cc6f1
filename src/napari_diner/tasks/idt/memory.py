"""Memory of diffraction tomography. Does not import torch."""

from __future__ import annotations

import math

from napari_diner.representations.memory import FEWER_SAMPLES, memory_of, stored_bytes
from napari_diner.representations.registry import representations
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.surround import width_px
from napari_diner.tasks.memory import MemoryPlan, largest
from napari_diner.tasks.stored_array import StoredArray, stack_of
from napari_diner.tasks.task import Frames

FEWER_SLICES = "lower {field:slice_count}, or crop the frames"
# bytes for each pixel of a frame: contrast, spectra, residuals; the tables of the linear model
_FRAMES = 40.0
# volumes of Δε_re and Δε_im, float32, held at the same time: by the closed form, by voxels, by Adam
_CLOSED_FORM, _VOXELS, _ADAM = 6.0, 36.0, 8.0


def planned(recipe: IdtRecipe, frames: Frames | None = None) -> MemoryPlan:
    """Return the planned memory of a run; see `napari_diner.tasks.task.Task.plan`."""
    return of_stack(recipe, stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um))


def of_stack(recipe: IdtRecipe, stack: StoredArray) -> MemoryPlan:
    """Return the memory of a run on a stack, including reading."""
    return plan(recipe, stack.shape, stack.nbytes, stack.pixel_size_um)


def plan(recipe: IdtRecipe, shape: tuple[int, ...], nbytes: int = 0, pixel_size_um: float | None = None) -> MemoryPlan:
    """Return the planned memory of a reconstruction; parameters as of `napari_diner.tasks.lensless.memory.plan`."""
    beyond = _beyond_px(recipe, pixel_size_um)
    frames, height, width = shape[0], shape[1] + 2 * beyond, shape[2] + 2 * beyond
    planes, pixels = recipe.slice_count, height * width
    volume = 2 * planes * pixels * 4
    # the eigenvectors of the closed form, at the frequencies that the objective passes
    factors = 8 * frames * min(frames, 2 * planes) * pixels / 2 * _passed(recipe, pixel_size_um)
    common = nbytes + _FRAMES * frames * pixels + factors
    entry = representations().get(recipe.solver)
    volumes = _CLOSED_FORM if recipe.solver == "tikhonov" or (entry and recipe.start != "voxels") else _VOXELS
    phases: list[dict[str, float]] = [{FEWER_SAMPLES: common, FEWER_SLICES: volumes * volume}]
    if entry is not None:
        parts = {FEWER_SAMPLES: common, FEWER_SLICES: _ADAM * volume}
        for words, size in memory_of(entry, (planes, height, width), 2, recipe.with_sizes()).items():
            parts[words] = parts.get(words, 0.0) + size
        phases.append(parts)
    if recipe.uncertainty.map:
        phases.append({FEWER_SAMPLES: common, FEWER_SLICES: (_VOXELS + recipe.uncertainty.samples) * volume})
    seen, object_ = math.prod(shape[1:]), (planes, height, width)
    model = volume if entry is None else stored_bytes(entry, object_, 2, recipe)
    # n_re and n_im; their uncertainties, the change with the priors, and the samples
    volumes_kept = 2 + (3 + recipe.uncertainty.samples if recipe.uncertainty.map else 0)
    result = 4.0 * (frames + volumes_kept * planes) * seen + model
    return MemoryPlan(f"A volume of {planes}×{height}×{width} voxels", largest(*phases), result=result)


def _beyond_px(recipe: IdtRecipe, pixel_size_um: float | None) -> int:
    """Return the width of an unknown surround on each side, as far as the recipe determines it."""
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    if pixel_size_um is None or recipe.wavelength_um is None or recipe.na is None:
        return 0
    complete = recipe.updated({"pixel_size_um": pixel_size_um})
    return width_px(complete, complete.geometry((recipe.slice_count, 1, 1)))


def _passed(recipe: IdtRecipe, pixel_size_um: float | None) -> float:
    """Return the fraction of the spatial frequencies with a response, as far as the recipe determines it."""
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    if pixel_size_um is None or recipe.wavelength_um is None or recipe.na is None:
        return 1.0
    return min(math.pi * (2 * recipe.na * pixel_size_um / recipe.wavelength_um) ** 2, 1.0)
