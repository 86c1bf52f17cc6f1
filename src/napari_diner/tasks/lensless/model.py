"""From a recipe and prepared frames to the forward model, and the question that solvers answer."""

from __future__ import annotations

import torch

from napari_diner.device import available_memory
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import LenslessModel, MultiHeight
from napari_diner.physics.lensless.sensor import Sensor
from napari_diner.physics.lensless.tiles import TiledMultiHeight, fastest_window_px, margin_px
from napari_diner.physics.padding import Padding
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import Array, PreparedFrames, memory_needed, padding_width_px
from napari_diner.tasks.lensless.recipe import LenslessRecipe


def build_problem(
    recipe: LenslessRecipe, prepared: PreparedFrames, illumination: Array | None, device: torch.device
) -> PhaseProblem:
    """Build the forward model that a complete recipe describes, and the problem of explaining the frames with it.

    The model works in tiles if the recipe wants them, or leaves that open and they are of use.
    """
    heights, padding, lit = _described(recipe, prepared, illumination)
    sensor = Sensor(recipe.super_resolution)
    window = _window_px(recipe, heights, padding, device)
    model: LenslessModel
    if window is None:
        model = MultiHeight(padding.shape, heights, illumination=lit, padding=padding, sensor=sensor, device=device)
    else:
        model = TiledMultiHeight(
            padding.shape, heights, window, illumination=lit, padding=padding, sensor=sensor, device=device
        )
    mask = None if prepared.mask is None else torch.from_numpy(prepared.mask).to(device)
    return PhaseProblem(model, torch.from_numpy(prepared.amplitudes).to(device), mask)


def one_piece(
    recipe: LenslessRecipe, prepared: PreparedFrames, illumination: Array | None, device: torch.device
) -> MultiHeight:
    """Build the forward model that a complete recipe describes, for a field in one piece, however wide."""
    heights, padding, lit = _described(recipe, prepared, illumination)
    sensor = Sensor(recipe.super_resolution)
    return MultiHeight(padding.shape, heights, illumination=lit, padding=padding, sensor=sensor, device=device)


def _described(
    recipe: LenslessRecipe, prepared: PreparedFrames, illumination: Array | None
) -> tuple[Heights, Padding, torch.Tensor | None]:
    """Return the optics, what lies beyond the edges, and the illumination."""
    optics = recipe.optics
    heights = Heights(
        optics,
        recipe.distances_um,
        band_limit=recipe.band_limit,
        shifts_um=recipe.shifts_um,
        gains=prepared.gains,
        intensity_scale=recipe.intensity_scale,
    )
    height, width = prepared.amplitudes.shape[1:]
    shape = (height * recipe.super_resolution, width * recipe.super_resolution)
    beyond = padding_width_px(recipe, optics.pixel_size_um)
    padding = Padding(shape, recipe.padding.mode, beyond, recipe.padding.apodise)
    return heights, padding, None if illumination is None else torch.from_numpy(illumination)


def _window_px(recipe: LenslessRecipe, heights: Heights, padding: Padding, device: torch.device) -> int | None:
    """Return the width of the windows to compute in, or None for one piece."""
    tiles = recipe.tiles
    if tiles.use == "never":
        return None
    wanted = tiles.size_px + 2 * margin_px(heights)
    if tiles.use == "always":
        return wanted
    if device.type == "cpu":
        return fastest_window_px(heights, padding.padded_shape)
    # a graphics card is fastest with one piece, but holds less
    sensor = Sensor(recipe.super_resolution)
    pixel = sensor.binning * heights.optics.pixel_size_um
    recorded = recipe.updated({"pixel_size_um": pixel})
    shape = (padding.shape[0] // sensor.binning, padding.shape[1] // sensor.binning)
    needed = memory_needed(recorded, heights.frames, shape, 0, pixel)
    return wanted if needed > available_memory(device) else None
