"""Preview of the prepared frames of a lensless recording."""

from __future__ import annotations

import numpy as np

from napari_diner import device as devices
from napari_diner.io.arrays import NamedArray
from napari_diner.preprocess.steps import Prepared
from napari_diner.tasks.lensless.data import LenslessData, corrected, kept, prepare, resolved
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe
from napari_diner.tasks.lensless.register import FrameRegistration, check_registration
from napari_diner.tasks.lensless.setup import Setup, magnifications


def preview(recipe: RecordingRecipe, data: LenslessData) -> tuple[NamedArray, ...]:
    """Return the prepared frames, ``prepared``, and, if there are any, the ``ignored`` and ``saturated`` pixels.

    Frames are registered if the recipe asks for it; only rotations and magnifications change them.

    Raises
    ------
    RecipeError
        If frames are to be registered, and a required setting is missing.
    InputError
        If the data cannot be used.
    """
    recipe, data, _ = kept(recipe, data)
    if isinstance(recipe, LenslessRecipe) and recipe.registration != "off":
        prepared = _registered(recipe, data)
    else:
        prepared = corrected(recipe, data)
    # frames have the pixels of the sensor, not those of the object
    pixel = (recipe.pixel_size_um or 1.0) / (recipe.preprocess.upsample * max(magnifications(recipe), default=1.0))
    scale = (1.0, pixel, pixel)
    images = [NamedArray("prepared", prepared.intensities, "NYX", scale)]
    ignored = None if prepared.mask is None else ~prepared.mask
    images += [
        NamedArray(name, pixels.astype(np.uint8), "NYX", scale)
        for name, pixels in (("ignored", ignored), ("saturated", prepared.at_least))
        if pixels is not None
    ]
    return tuple(images)


def _registered(recipe: LenslessRecipe, data: LenslessData) -> Prepared:
    recipe = resolved(recipe, data)
    check_registration(recipe, len(data.frames))
    frames = prepare(recipe, data)
    device = devices.choose_device(recipe.device)
    registration = FrameRegistration(recipe, Setup.of(recipe, frames.gains), frames, device)
    for _ in registration.steps():
        pass
    registered = registration.result().prepared
    return Prepared(registered.intensities, registered.mask, registered.warnings, registered.at_least)
