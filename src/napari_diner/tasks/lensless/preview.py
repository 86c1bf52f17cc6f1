"""What the preparation makes of a lensless recording, to be looked at before it is reconstructed."""

from __future__ import annotations

import numpy as np

from napari_diner import device as devices
from napari_diner.io.arrays import NamedArray
from napari_diner.preprocess.steps import Prepared
from napari_diner.tasks.lensless.data import LenslessData, corrected, prepare, resolved
from napari_diner.tasks.lensless.geometry import at_the_sample, finer
from napari_diner.tasks.lensless.recipe import LenslessRecipe, Recording
from napari_diner.tasks.lensless.register import FrameRegistration, check_registration


def preview(recipe: Recording, data: LenslessData) -> tuple[NamedArray, ...]:
    """Return what the preparation makes of a recording: ``prepared`` and, if any, ``ignored`` pixels.

    Frames are registered if the recipe says so; of what is found, only turns and magnifications change them.

    Raises
    ------
    RecipeError
        If frames are to be registered, and something that this needs is missing.
    InputError
        If the data cannot be used.
    """
    if isinstance(recipe, LenslessRecipe) and recipe.registration != "off":
        prepared = _registered(recipe, data)
    else:
        prepared = corrected(recipe, data)
    # frames are of the sensor, whatever the pixels of the object
    pixel = finer(recipe) * (at_the_sample(recipe).pixel_size_um or 1.0 / finer(recipe))
    scale = (1.0, pixel, pixel)
    images = [NamedArray("prepared", prepared.intensities, "NYX", scale)]
    if prepared.mask is not None:
        images.append(NamedArray("ignored", (~prepared.mask).astype(np.uint8), "NYX", scale))
    return tuple(images)


def _registered(recipe: LenslessRecipe, data: LenslessData) -> Prepared:
    recipe = resolved(recipe, data)
    check_registration(recipe, len(data.frames))
    device = devices.choose_device(recipe.device)
    registration = FrameRegistration(recipe, at_the_sample(recipe), prepare(recipe, data), device)
    for _ in registration.steps():
        pass
    registration.finish()
    frames = registration.prepared
    return Prepared(frames.amplitudes**2, frames.mask, frames.warnings)
