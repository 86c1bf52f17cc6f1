"""The frames of a lensless recording: read, checked, and turned into the amplitudes that solvers work on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.io.stacks import probe, read
from napari_diner.preprocess.steps import (
    Prepared,
    References,
    prepare_frames,
    prepared_shape,
    read_references,
)
from napari_diner.tasks.lensless.geometry import at_the_sample, object_shape, to_one_scale
from napari_diner.tasks.lensless.recipe import LenslessRecipe, Recording

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LenslessData:
    """A recording as it came from the camera.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), in the file's own type.
    illumination
        Amplitude of the illumination at the sample, (Y, X); even if None.
    mask
        Non-zero where pixels count, (Y, X) or (N, Y, X); everywhere if None.
    pixel_size_um
        Pixel size that the file tells, or None.
    source
        Where the frames came from, for the record.
    support
        Non-zero where there may be a specimen, (Y, X); everywhere if None.
    references
        Dark frame, flat field and empty field, where they are needed.
    """

    frames: Array
    illumination: Array | None = None
    mask: Array | None = None
    pixel_size_um: float | None = None
    source: str | None = None
    support: Array | None = None
    references: References = field(default_factory=References)


@dataclass(frozen=True)
class PreparedFrames:
    """What a solver needs to know of a recording.

    Parameters
    ----------
    amplitudes
        Square roots of the scaled intensities, float32, (N, Y, X).
    mask
        True where pixels count, (N, Y, X), or None if all do.
    peak
        Intensity that counts as full scale in a peak signal-to-noise ratio.
    gains
        Relative brightness of each frame.
    warnings
        Sentences for the report: what was noticed and dealt with.
    """

    amplitudes: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_] | None
    peak: float
    gains: tuple[float, ...]
    warnings: tuple[str, ...]


def load(recipe: Recording) -> LenslessData:
    """Read the recording that a recipe names.

    The size of the work is estimated from the files' headers and held against the free memory before anything is
    read.

    Raises
    ------
    InputError
        If there is no stack, or a file cannot be used.
    OutOfMemoryError
        If the work would not fit the memory.
    """
    if recipe.stack is None:
        raise InputError("There is no intensity stack; name a multi-page TIFF, a folder or a glob of images")
    info = probe(recipe.stack)
    shape = (info.height, info.width)
    needed, illumination, support = info.nbytes, None, None
    if isinstance(recipe, LenslessRecipe):
        needed = memory_needed(recipe, info.frames, shape, info.dtype.itemsize, info.pixel_size_um)
        illumination, support = recipe.illumination, recipe.prior.support
    check_memory(needed, f"A stack of {info.frames} frames of {info.height}×{info.width} pixels")
    return LenslessData(
        frames=read(info),
        illumination=None if illumination is None else read_image(illumination),
        mask=None if recipe.mask is None else read_image(recipe.mask),
        pixel_size_um=info.pixel_size_um,
        source=recipe.stack,
        support=None if support is None else read_image(support),
        references=read_references(recipe.preprocess),
    )


def padding_width_px(recipe: Recording, pixel_size_um: float) -> int:
    """Return the width of the padding on each side in pixels."""
    return 0 if recipe.padding.mode == "none" else int(np.ceil(recipe.padding.width_um / pixel_size_um))


def resolved(recipe: LenslessRecipe, data: LenslessData) -> LenslessRecipe:
    """Return a recipe with what the data tell and what ``auto`` means filled in.

    Raises
    ------
    RecipeError
        If something is missing or does not fit the number of frames.
    """
    changes: dict[str, Any] = {"stack": recipe.stack or data.source}
    if recipe.pixel_size_um is None and data.pixel_size_um is not None:
        changes["pixel_size_um"] = data.pixel_size_um
    if recipe.start == "auto":
        changes["start"] = "gauss-newton" if recipe.solver == "diner" else "contrast-transfer"
    if recipe.noise.weighting == "auto":
        changes["noise"] = {"weighting": _weighting(recipe.updated(changes))}
    recipe = recipe.updated(changes)
    recipe.check_complete(len(data.frames) if data.frames.ndim == 3 else 0)
    return recipe


def _weighting(recipe: LenslessRecipe) -> str:
    """Return how amplitudes are weighed if nobody said: by the noise found, where Gauss-Newton begins anyway."""
    first = recipe.solver if recipe.start in ("flat", "contrast-transfer") else recipe.start
    knows = recipe.solver == "gauss-newton" or (recipe.solver != "alternating" and recipe.gradient.loss == "amplitude")
    return "found" if knows and first == "gauss-newton" else "even"


def memory_needed(
    recipe: LenslessRecipe, frames: int, shape: tuple[int, int], itemsize: int, pixel_size_um: float | None
) -> int:
    """Estimate the bytes that a reconstruction takes at its peak.

    Counted are the frames as read and as float32 amplitudes and residuals, the transfer functions, the directions of
    the fields that Gauss-Newton keeps, two dozen complex images, and the parameters of a DINER with their gradients
    and moments.
    """
    pixel = recipe.pixel_size_um or pixel_size_um or 1.0
    recorded = frames * shape[0] * shape[1] * itemsize
    sensor = math.prod(prepared_shape(recipe.preprocess, shape))
    shape = object_shape(recipe, shape)
    width = padding_width_px(recipe, at_the_sample(recipe.updated({"pixel_size_um": pixel})).pixel_size_um or pixel)
    pixels = shape[0] * shape[1]
    padded = (shape[0] + 2 * width) * (shape[1] + 2 * width)
    uses = {recipe.solver, recipe.start, "gauss-newton" if recipe.start == "auto" else ""}
    needed = recorded + frames * sensor * 8 + frames * padded * 8 + 24 * padded * 8
    if recipe.noise.weighting != "even":
        needed += frames * sensor * 8
    if "gauss-newton" in uses:
        needed += frames * pixels * 8
    if "diner" in uses:
        needed += pixels * recipe.diner.table_width * 2 * 6 * 4
    return needed


def prepare(recipe: LenslessRecipe, data: LenslessData) -> PreparedFrames:
    """Check a recording and turn it into amplitudes.

    Negative values, as noise leaves them behind a background subtraction, count as zero.

    Parameters
    ----------
    recipe
        As the user wrote it; `at_the_sample` describes the frames as they are afterwards.
    data
        The recording.

    Raises
    ------
    InputError
        If frames are not finite or all zero, or shapes do not fit together.
    """
    prepared = corrected(recipe, data)
    intensities, mask = prepared.intensities, prepared.mask
    warnings = list(prepared.notes)
    for number, frame in enumerate(intensities, start=1):
        if not (frame if mask is None else frame[mask[number - 1]]).max() > 0:
            raise InputError(f"Frame {number} is all zero; remove it from the stack, and its distance from the list")
    negative = int((intensities < 0).sum(where=True if mask is None else mask))
    if negative:
        warnings.append(f"{negative} negative intensities count as zero")
    if len(intensities) == 1:
        warnings.append("a single height cannot tell amplitude from phase well; record at least two")
    if isinstance(recipe, LenslessRecipe) and len(intensities) < 2 * recipe.super_resolution**2:
        warnings.append(
            f"{len(intensities)} frames hold fewer values than the object has unknowns at a super-resolution of "
            f"{recipe.super_resolution}; record at least {2 * recipe.super_resolution**2}, displaced against each "
            "other by fractions of a pixel, or add a prior"
        )
    np.clip(intensities, 0, None, out=intensities)
    gains = recipe.gains
    if gains is None:
        gains = _brightness(intensities, mask) if recipe.equalise_gains else (1.0,) * len(intensities)
    peak = 1.0 if _is_scaled(recipe, data.frames) else float(intensities.max())
    return PreparedFrames(np.sqrt(intensities, out=intensities), mask, peak, gains, tuple(warnings))


def corrected(recipe: Recording, data: LenslessData) -> Prepared:
    """Check a recording, and do with it what the recipe says of its preparation.

    Integers are divided by the largest value of their type if the recipe says so.

    Raises
    ------
    InputError
        If frames are not finite, or shapes do not fit together.
    """
    frames = data.frames
    if frames.ndim != 3:
        raise InputError(f"The stack has {frames.ndim} dimensions; give frames of one channel as (N, Y, X)")
    if frames.dtype.kind not in "uif":
        raise InputError(f"The stack holds values of type {frames.dtype}; give integers or real numbers")
    if min(frames.shape[1:]) < 8:
        raise InputError(f"The frames have only {frames.shape[1]}×{frames.shape[2]} pixels; give at least 8×8")
    mask = _checked_mask(data.mask, frames.shape)
    scale = 1 / np.iinfo(frames.dtype).max if _is_scaled(recipe, frames) else 1.0
    prepared = prepare_frames(recipe.preprocess, frames, mask, data.references, scale)
    intensities, mask = to_one_scale(recipe, prepared.intensities, prepared.mask)
    return Prepared(intensities, mask, prepared.notes)


def _is_scaled(recipe: Recording, frames: Array) -> bool:
    return frames.dtype.kind in "ui" and recipe.integer_scaling == "type_maximum"


def checked_illumination(illumination: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Return the illumination as float32 (Y, X), or None.

    Raises
    ------
    InputError
        If it has another shape than the frames, or is not finite, or zero everywhere.
    """
    if illumination is None:
        return None
    illumination = np.squeeze(illumination)
    if illumination.shape != shape[1:]:
        raise InputError(
            f"The illumination has {_times(illumination.shape)} pixels but the frames have {_times(shape[1:])}; "
            "crop one to match the other"
        )
    illumination = illumination.astype(np.float32)
    if not np.isfinite(illumination).all() or not illumination.any():
        raise InputError("The illumination holds values that are not finite, or nothing but zeros; mend its image")
    return illumination


def _checked_mask(mask: Array | None, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    if mask is None:
        return None
    mask = np.squeeze(mask)
    if mask.shape not in (shape, shape[1:]):
        raise InputError(
            f"The mask has {_times(mask.shape)} pixels but the frames have {_times(shape)}; crop one to match the other"
        )
    valid = np.broadcast_to(mask != 0, shape)
    if not valid.any(axis=(1, 2)).all():
        raise InputError("The mask leaves no pixel of some frame; make it non-zero where pixels are good")
    return valid.copy()


def _brightness(intensities: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None) -> tuple[float, ...]:
    where = True if mask is None else mask
    means = np.mean(intensities, axis=(1, 2), dtype=np.float64, where=where)
    return tuple(float(mean) for mean in means / means.mean())


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
