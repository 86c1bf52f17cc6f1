"""What the IDT dock does in threads: a run before its first step, and the spectra of the frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.geometry_preview import Circles, circles, spectra
from napari_diner.tasks.idt.recipe import BACKGROUNDS, IdtRecipe
from napari_diner.tasks.run import Reconstruction
from napari_diner.widgets.dock.run_worker import PREVIEW_INTERVAL_S, spare_a_processor


@dataclass(frozen=True)
class GeometryCheck:
    """What there is to see of the geometry before a run.

    Parameters
    ----------
    spectra
        Logarithm of the power spectrum of each frame, (N, Y, X).
    circles
        Where the illuminations of the recipe put the circles.
    warnings
        What is to be said of data and optics.
    """

    spectra: NamedArray
    circles: Circles
    warnings: tuple[str, ...]


def begin(recipe: IdtRecipe, frames: Any, background: Any) -> Reconstruction:
    """Prepare the reconstruction of a layer's frames; runs in the thread, as torch takes seconds to load.

    Parameters
    ----------
    recipe
        All settings.
    frames
        The layer's data, (N, Y, X).
    background
        Image of the empty field from another layer, or None if the recipe tells how to come by it.
    """
    from napari_diner.tasks.idt.reconstruct import reconstruct

    spare_a_processor()
    return reconstruct(recipe, _data(recipe, frames, background), preview_interval_s=PREVIEW_INTERVAL_S)


def check(recipe: IdtRecipe, frames: Any, background: Any) -> GeometryCheck:
    """Return the spectra of a layer's frames, the circles of the recipe's illuminations, and warnings of the optics.

    Raises
    ------
    DinerError
        If settings are missing, or the data cannot be used.
    """
    import torch

    from napari_diner.tasks.idt.calibrate import within_aperture
    from napari_diner.tasks.idt.data import contrast_of
    from napari_diner.tasks.idt.optics import build_born, illumination_of, preflight

    data = _data(recipe, frames, background)
    # with transfer functions of the user's a run needs neither
    recipe.updated({"transfer_functions": None}).check_complete(len(data.frames))
    contrast, warnings = contrast_of(recipe, data)
    illumination = illumination_of(recipe, len(contrast))
    assert recipe.pixel_size_um is not None and recipe.wavelength_um is not None and recipe.na is not None
    start, said = within_aperture(recipe, illumination)
    outside = np.hypot(*start.apertures.T) > recipe.na
    if not outside.any():
        # of what the model does not describe nothing can be said but that, which the dock does already
        model = build_born(recipe, (recipe.slice_count, *contrast.shape[1:]), start, torch.device("cpu"))
        said += preflight(model)
    return GeometryCheck(
        spectra(contrast, recipe.pixel_size_um),
        circles(illumination, recipe.wavelength_um, recipe.na),
        (*warnings, *said),
    )


def _data(recipe: IdtRecipe, frames: Any, background: Any) -> Any:
    from napari_diner.io.images import read_image
    from napari_diner.tasks.idt.data import IdtData

    if background is None and recipe.background not in BACKGROUNDS:
        background = read_image(recipe.background)
    return IdtData(np.asarray(frames), None if background is None else np.asarray(background), source=recipe.stack)
