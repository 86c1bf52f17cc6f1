"""Memory of diffraction tomography. Does not import torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_diner.device import available_memory
from napari_diner.physics.idt.extended_source import circles_needed, nodes_of
from napari_diner.physics.idt.stored_fields import STORED_BYTES
from napari_diner.representations.memory import FEWER_SAMPLES, memory_of, stored_bytes
from napari_diner.representations.registry import representations
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.surround import width_px
from napari_diner.tasks.idt.tiles import SIZES_PX, TileLayout
from napari_diner.tasks.memory import MemoryPlan, largest
from napari_diner.tasks.stored_array import StoredArray, stack_of
from napari_diner.tasks.task import Frames

if TYPE_CHECKING:
    import torch

FEWER_SLICES = "lower {field:slice_count}, or crop the frames"
# bytes for each pixel of a frame: contrast, spectra, residuals, and the tables of the linear model; and for each
# further plane wave, of its tables
_FRAMES = 40.0
_SOURCE = 16.0
# volumes of Δε_re and Δε_im, float32, held at the same time: by the closed form, by voxels, by Adam
_CLOSED_FORM, _VOXELS, _ADAM = 6.0, 36.0, 8.0
# bytes for each pixel and plane wave of the tables of a linearised multi-slice model
_MARCH = 40.0
# the same for a volume that is put together of tiles, with its index; and part of the free memory to use with tiles
_WHOLE, _USED = 2.5, 0.8
# of a calibration: frequencies, and the frames above which there are fewer; see `solvers.calibration.frame_spectra`
_REFINED_FREQUENCIES, _REFINED_FRAMES = 2000, 46


def planned(recipe: IdtRecipe, frames: Frames | None = None) -> MemoryPlan:
    """Return the planned memory of a run; see `napari_diner.tasks.task.Task.plan`."""
    return of_stack(recipe, stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um))


def is_tiled(recipe: IdtRecipe, frames: Frames | None = None) -> bool:
    """Return whether the field of a stack is computed in tiles, from the headers alone."""
    stack = stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um)
    return len(stack.shape) == 3 and with_tiles(recipe, stack.shape, stack.nbytes, stack.pixel_size_um) is not None


def of_stack(recipe: IdtRecipe, stack: StoredArray) -> MemoryPlan:
    """Return the memory of a run on a stack, including reading."""
    return plan(recipe, stack.shape, stack.nbytes, stack.pixel_size_um)


def plan(
    recipe: IdtRecipe,
    shape: tuple[int, ...],
    nbytes: int = 0,
    pixel_size_um: float | None = None,
    device: torch.device | None = None,
) -> MemoryPlan:
    """Return the planned memory of a reconstruction; parameters as of `with_tiles`."""
    tiled = with_tiles(recipe, shape, nbytes, pixel_size_um, device)
    if tiled is None:
        return _of_whole(recipe, shape, nbytes, pixel_size_um)
    return _of_tiles(tiled, shape, nbytes, pixel_size_um, device)


def with_tiles(
    recipe: IdtRecipe,
    shape: tuple[int, ...],
    nbytes: int = 0,
    pixel_size_um: float | None = None,
    device: torch.device | None = None,
) -> IdtRecipe | None:
    """Return a recipe with the size of the tiles of a stack; None if the field is computed as a whole.

    Parameters
    ----------
    recipe
        The settings.
    shape
        (N, Y, X).
    nbytes, pixel_size_um
        As of `napari_diner.tasks.lensless.memory.plan`.
    device
        Where volumes are computed, in whose memory they have to fit; main memory if None.

    Raises
    ------
    RecipeError
        If given tiles are too narrow.
    """
    tiles, optics = recipe.tiles, (recipe.pixel_size_um or pixel_size_um, recipe.wavelength_um, recipe.na)
    if tiles.use == "never" or None in optics:
        return None
    if tiles.use == "auto":
        impossible = recipe.transfer_functions is not None or recipe.uncertainty.map or recipe.dark_field == "use"
        if impossible or _fits(_of_whole(recipe, shape, nbytes, pixel_size_um), device):
            return None
    sizes = (tiles.size_px,) if tiles.size_px else [n for n in SIZES_PX if n >= 2 * overlap_px(recipe, pixel_size_um)]
    choices = [recipe.updated({"tiles": {"use": "always", "size_px": size}}) for size in sizes]
    choices = [choice for choice in choices if len(layout_of(choice, shape, pixel_size_um).tiles) > 1]
    if tiles.size_px or not choices:
        return choices[0] if choices else None
    fitting = (choice for choice in choices if _fits(_of_tiles(choice, shape, nbytes, pixel_size_um, device), device))
    return next(fitting, choices[-1] if tiles.use == "always" else None)


def layout_of(recipe: IdtRecipe, shape: tuple[int, ...], pixel_size_um: float | None = None) -> TileLayout:
    """Return the tiles of a stack (N, Y, X), whose size the recipe contains.

    Raises
    ------
    RecipeError
        If they are too narrow.
    """
    size = recipe.tiles.size_px or max(shape[1:])
    return TileLayout((shape[1], shape[2]), size, overlap_px(recipe, pixel_size_um))


def overlap_px(recipe: IdtRecipe, pixel_size_um: float | None = None) -> int:
    """Return the smallest overlap of tiles: the reach of light, from both sides of a border."""
    return 2 * _beyond_px(_surrounded(recipe), pixel_size_um)


def _fits(plan: MemoryPlan, device: torch.device | None) -> bool:
    return plan.work <= _USED * available_memory(device)


def _surrounded(recipe: IdtRecipe) -> IdtRecipe:
    """Return a recipe with an unknown surround, which tiles always have."""
    return recipe.updated({"padding": {"mode": "unknown"}})


def _of_tiles(
    recipe: IdtRecipe,
    shape: tuple[int, ...],
    nbytes: int,
    pixel_size_um: float | None,
    device: torch.device | None,
) -> MemoryPlan:
    layout = layout_of(recipe, shape, pixel_size_um)
    pixels, count = math.prod(shape[1:]), len(layout.tiles)
    parts = dict(_of_whole(_surrounded(recipe), (shape[0], *layout.size), 0, pixel_size_um).parts)
    if device is None or device.type != "cuda":  # on a card there is only the present tile
        of_tiles = 8.0 * recipe.slice_count * layout.counted_px(layout.overlap_px // 2)
        # frames, contrast and residual; the volumes of the tiles, the whole volume and its index
        parts[FEWER_SAMPLES] += nbytes + 8.0 * shape[0] * pixels
        parts[FEWER_SLICES] += of_tiles + _WHOLE * 8.0 * recipe.slice_count * pixels
    subject = f"A volume of {recipe.slice_count}×{shape[1]}×{shape[2]} voxels in {count} tiles"
    return MemoryPlan(subject, parts, result=4.0 * (shape[0] + 4 * recipe.slice_count) * pixels)


def _of_whole(recipe: IdtRecipe, shape: tuple[int, ...], nbytes: int, pixel_size_um: float | None) -> MemoryPlan:
    beyond = _beyond_px(recipe, pixel_size_um)
    frames, height, width = shape[0], shape[1] + 2 * beyond, shape[2] + 2 * beyond
    planes, pixels = recipe.slice_count, height * width
    volume = 2 * planes * pixels * 4
    # the eigenvectors of the closed form, at the frequencies that the objective passes
    factors = 8 * frames * min(frames, 2 * planes) * pixels / 2 * _passed(recipe, pixel_size_um)
    common = nbytes + _FRAMES * frames * pixels + factors
    # the tables of the further points of each source
    common += _SOURCE * (_points(recipe, pixel_size_um) - 1) * frames * pixels * _passed(recipe, pixel_size_um)
    refinement = 0.0
    if recipe.calibration.refines:
        # responses and covariances of all frames at a part of the frequencies, in several copies
        refinement = _REFINED_FREQUENCIES * min(1, _REFINED_FRAMES / frames) ** 2 * frames * 64 * (frames + planes)
    entry = representations().get(recipe.solver)
    volumes = _CLOSED_FORM if recipe.solver == "tikhonov" or (entry and recipe.start != "voxels") else _VOXELS
    marched = _linearised(recipe, (frames, height, width), pixel_size_um)
    phases: list[dict[str, float]] = [{FEWER_SAMPLES: common, FEWER_SLICES: volumes * volume + marched}]
    if entry is not None:
        parts = {FEWER_SAMPLES: common, FEWER_SLICES: _ADAM * volume}
        for words, size in memory_of(entry, (planes, height, width), 2, recipe.with_sizes()).items():
            parts[words] = parts.get(words, 0.0) + size
        phases.append(parts)
    phases.append({FEWER_SAMPLES: common + refinement, FEWER_SLICES: 0.0})
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


def _points(recipe: IdtRecipe, pixel_size_um: float | None) -> int:
    """Return the number of plane waves of each source, as far as the recipe determines it."""
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    if not recipe.source_na or pixel_size_um is None or recipe.wavelength_um is None or recipe.na is None:
        return 1
    complete = recipe.updated({"pixel_size_um": pixel_size_um})
    return nodes_of(circles_needed(complete.geometry((recipe.slice_count, 1, 1)), recipe.source_na))


def _linearised(recipe: IdtRecipe, shape: tuple[int, int, int], pixel_size_um: float | None) -> float:
    """Return the bytes of a linearised multi-slice model of frames (N, Y, X), where the recipe asks for it.

    Whether a sample needs it unless asked for is known only later: it then takes no more than the free memory.
    """
    is_asked_for = recipe.multislice.method == "gauss-newton" or recipe.dark_field == "use"
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    is_known = pixel_size_um is not None and recipe.wavelength_um is not None and recipe.na is not None
    if not is_asked_for or not is_known or recipe.model == "born" or recipe.solver == "tikhonov":
        return 0.0
    geometry = recipe.updated({"pixel_size_um": pixel_size_um}).geometry((recipe.slice_count, 1, 1))
    steps = recipe.slice_count * (recipe.multislice.steps_per_slice or geometry.steps_needed)
    waves = math.prod(shape) * _points(recipe, pixel_size_um)
    fields = 8.0 * waves * steps
    return _MARCH * waves + (fields if fields <= STORED_BYTES else 0.0)


def _passed(recipe: IdtRecipe, pixel_size_um: float | None) -> float:
    """Return the fraction of the spatial frequencies with a response, as far as the recipe determines it."""
    pixel_size_um = recipe.pixel_size_um or pixel_size_um
    if pixel_size_um is None or recipe.wavelength_um is None or recipe.na is None or recipe.dark_field == "use":
        return 1.0
    return min(math.pi * (2 * recipe.na * pixel_size_um / recipe.wavelength_um) ** 2, 1.0)
