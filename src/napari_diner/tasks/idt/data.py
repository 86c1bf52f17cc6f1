"""What is reconstructed from: reading a recording, checking it, and taking the background off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.matlab import is_matlab, probe_matlab, read_matlab
from napari_diner.io.stacks import probe, read
from napari_diner.tasks.idt.recipe import BACKGROUNDS, IdtRecipe

Array = npt.NDArray[Any]

# volumes of Δε_re and Δε_im that a solver keeps at once: slopes count three
_VOLUMES = {"tikhonov": 8.0, "voxels": 36.0, "diner": 36.0, "decaf": 24.0}


@dataclass(frozen=True)
class IdtData:
    """A recording.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), one frame an illumination.
    background
        Image of the empty field, (Y, X), or one a frame, (N, Y, X), of the same or a coarser sampling; or None.
    pixel_size_um
        Distance between pixels that the files tell, or None.
    source
        File, folder or glob that it came from.
    transfer
        Transfer functions of Δε_re and Δε_im to use instead of computed ones, (N, Z, Y, X) each, or None.
    """

    frames: Array
    background: Array | None = None
    pixel_size_um: float | None = None
    source: str | None = None
    transfer: tuple[Any, Any] | None = None


def load(recipe: IdtRecipe) -> IdtData:
    """Read the recording that a recipe names; its size is held against the free memory first.

    Raises
    ------
    InputError
        If there is no stack, or a file cannot be used.
    OutOfMemoryError
        If the work would not fit the memory.
    """
    if recipe.stack is None:
        raise InputError("There is no intensity stack; name a multi-page TIFF, a folder or a glob of images")
    matlab = probe_matlab(recipe.stack) if is_matlab(recipe.stack) else None
    info = probe(recipe.stack) if matlab is None else matlab.stack
    check_memory(
        info.nbytes + memory_needed(recipe, info.frames, (info.height, info.width)),
        f"A stack of {info.frames} frames of {info.height}×{info.width} pixels",
    )
    background = None if recipe.background in BACKGROUNDS else read_image(recipe.background)
    frames = read(info) if matlab is None else read_matlab(matlab)
    return IdtData(frames, background, info.pixel_size_um, recipe.stack)


def memory_needed(recipe: IdtRecipe, frames: int, shape: tuple[int, int]) -> int:
    """Estimate the bytes that a reconstruction takes, from what its solver keeps.

    The closed form's eigenvectors are counted, and refused, where they are made.
    """
    pixels = shape[0] * shape[1]
    volume = 2 * recipe.slice_count * pixels * 4
    volumes = _VOLUMES[recipe.solver]
    if recipe.solver == "diner":
        # the table with its gradient, two moments, the best and the first state
        volumes += 6 * recipe.diner.table_width / 2
    # the data, their spectra and what is left of them; and the tables of the linear model
    return int(frames * pixels * (8 * 4 + 2 * 8) + volumes * volume)


def contrast_of(recipe: IdtRecipe, data: IdtData) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return the data of the model, g = I / I_background − 1, (N, Y, X), and what is worth a warning.

    Raises
    ------
    InputError
        If frames are not finite or dark, or the background does not go with them.
    """
    frames = np.asarray(data.frames)
    if frames.ndim != 3:
        raise InputError(f"The stack has {frames.ndim} dimensions; give frames of one channel as (N, Y, X)")
    if frames.dtype.kind not in "uif":
        raise InputError(f"The stack holds values of type {frames.dtype}; give integers or real numbers")
    if min(frames.shape[1:]) < 8:
        raise InputError(f"The frames have only {frames.shape[1]}×{frames.shape[2]} pixels; give at least 8×8")
    for number, frame in enumerate(frames, 1):
        if not np.isfinite(frame).all():
            raise InputError(f"Frame {number} holds values that are not finite (NaN or infinity); mend it")
    values = frames.astype(np.float32)
    if recipe.background == "none":
        return values, _warnings(values)
    if recipe.background == "ratio":
        values -= 1
        return values, _warnings(values)
    values -= np.float32(recipe.background_offset)
    for number, (frame, empty) in enumerate(zip(values, _backgrounds(recipe, data, values), strict=True), 1):
        if not (empty > 0).all():
            raise InputError(
                f"The background of frame {number} is not above zero everywhere; check the camera offset and the image"
            )
        frame /= empty
        frame -= 1
    return values, _warnings(values)


def _backgrounds(recipe: IdtRecipe, data: IdtData, values: npt.NDArray[np.float32]) -> Any:
    """Yield the background of each frame: a number, or (Y, X)."""
    if recipe.background == "mean":
        return values.mean((1, 2), dtype=np.float64, keepdims=True).astype(np.float32)
    if recipe.background == "blur":
        assert recipe.pixel_size_um is not None
        sigma = recipe.background_blur_um / recipe.pixel_size_um
        return (ndimage.gaussian_filter(frame, sigma, mode="nearest") for frame in values)
    if data.background is None:
        raise InputError(
            f"The background {recipe.background} was not read; name an image file, or one of {BACKGROUNDS}"
        )
    image = np.asarray(data.background, dtype=np.float32) - np.float32(recipe.background_offset)
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or len(image) not in (1, len(values)) or not np.isfinite(image).all():
        raise InputError(
            f"The background has the shape {image.shape} but the frames {values.shape}; give one image, or one a frame"
        )
    factors = [size / coarse for size, coarse in zip(values.shape[1:], image.shape[1:], strict=True)]
    if factors[0] != factors[1] or factors[0] < 1 or factors[0] % 1:
        raise InputError(
            f"The background has {image.shape[1]}×{image.shape[2]} pixels but the frames have "
            f"{values.shape[1]}×{values.shape[2]}; give the same size, or a whole fraction of it"
        )
    zoom = int(factors[0])
    fine = (
        ndimage.zoom(frame, zoom, order=1, mode="nearest", grid_mode=True) if zoom > 1 else frame for frame in image
    )
    return fine if len(image) == len(values) else [next(fine)] * len(values)


def _warnings(values: npt.NDArray[np.float32]) -> list[str]:
    warnings = []
    offset = float(np.abs(values.mean((1, 2))).max())
    if offset > 0.1:
        warnings.append(f"a frame is {offset:.0%} off its background on average; check the background")
    return warnings
