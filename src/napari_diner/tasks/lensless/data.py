"""The frames of a lensless recording: reading, checks, and conversion to amplitudes for the solvers."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError, RecipeError, about
from napari_diner.io.images import read_image
from napari_diner.io.names import distances_in_names, lengths_in_names
from napari_diner.io.stacks import check_frames, check_frames_first, frames_last
from napari_diner.preprocess.changed import changed
from napari_diner.preprocess.odd_frames import odd_frames
from napari_diner.preprocess.soundness import (
    FEW_PIXELS,
    black,
    check_intensities,
    check_not_constant,
    exposures,
    graded,
    mask_doubts,
    numbered,
    repeated,
    without_light,
)
from napari_diner.preprocess.steps import Prepared, References, prepare_frames
from napari_diner.representations.registry import representations
from napari_diner.solvers.registry import supports
from napari_diner.tasks.frame_list import listed
from napari_diner.tasks.left_out import LeftOut, as_option
from napari_diner.tasks.lensless.geometry import to_one_scale
from napari_diner.tasks.lensless.memory import of_stack
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LISTS, LenslessRecipe, RecordingRecipe
from napari_diner.tasks.stored_array import Origin, read_stack, stack_of
from napari_diner.tasks.task import Frames
from napari_diner.wording import count, percent

# difference between frames in the light that saturated and masked pixels may hide, below which gains are taken as exact
_SURE_GAINS = 0.005
# pixels of a frame that a mask must leave
_FEWEST_PIXELS = 16

Array = npt.NDArray[Any]

REFERENCES = tuple(one.name for one in fields(References))


@dataclass(frozen=True)
class LenslessData(Origin):
    """A recording, as read."""

    frames: Array
    """Intensities, (N, Y, X), in the file's own type."""
    illumination: Array | None = None
    """Amplitude of the illumination at the sample, (Y, X); even if None."""
    illumination_phase: Array | None = None
    """Phase of the illumination at the sample in radians, (Y, X); flat if None."""
    mask: Array | None = None
    """Non-zero where pixels count, (Y, X) or (N, Y, X); everywhere if None."""
    support: Array | None = None
    """Non-zero where there may be a specimen, (Y, X); everywhere if None."""
    references: References = field(default_factory=References)
    """Dark frame, flat field and empty field, if needed."""


def assemble(recipe: RecordingRecipe, frames: Frames | None = None) -> LenslessData:
    """Return the recording of a recipe; see `napari_diner.tasks.task.Task.assemble`.

    The size of the work is estimated and checked against the free memory before any frame is read.

    Raises
    ------
    DinerError
        As for `napari_diner.tasks.task.Task.assemble`.
    """
    stack = stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um)
    if len(stack.shape) == 3:  # the check of the frames refuses anything else
        of_stack(recipe, stack).check()
    attached = {} if frames is None else frames.attachments

    def image(key: str, name: str | None) -> Array | None:
        if key in attached:
            return np.asarray(attached[key])
        with about(key):
            return None if name is None else read_image(name)

    illumination, illumination_phase, support = None, None, None
    if isinstance(recipe, LenslessRecipe):
        illumination = image("illumination", recipe.illumination)
        illumination_phase = image("illumination_phase", recipe.illumination_phase)
        support = image("prior.support", recipe.prior.support)
    values, source = stack.values(functools.partial(read_stack, read_as=stack.read_as))
    return LenslessData(
        frames=values,
        illumination=illumination,
        illumination_phase=illumination_phase,
        mask=image("mask", recipe.mask),
        pixel_size_um=stack.pixel_size_um,
        source=source,
        read_as=stack.read_as,
        files=stack.files,
        notes=stack.notes,
        warnings=stack.warnings,
        missing=stack.missing,
        support=support,
        references=References(*(image(f"preprocess.{name}", getattr(recipe.preprocess, name)) for name in REFERENCES)),
    )


Completed = TypeVar("Completed", bound=RecordingRecipe)


def with_file_facts(recipe: Completed, data: LenslessData) -> Completed:
    """Return a recipe completed from the files: their name, and pixel size and distances if it has none."""
    changes: dict[str, object] = {"stack": data.source, **data.read_as}
    if recipe.pixel_size_um is None and data.pixel_size_um is not None:
        changes["pixel_size_um"] = data.pixel_size_um
    if recipe.needs_distances:
        changes["distances_um"] = distances_in_names(data.files)
        positions = lengths_in_names(data.files)
        if positions and not changes["distances_um"]:
            raise RecipeError(
                f"The names of the files give {listed(positions)} µm, which are no distances from the sample to the "
                "sensor, as these are above zero; give {field}, one for each frame",
                "distances_um",
            )
    return recipe.updated(changes)


def kept(recipe: Completed, data: LenslessData) -> tuple[Completed, LenslessData, LeftOut]:
    """Return recipe and recording without the frames that the recipe leaves out, and these frames.

    Raises
    ------
    RecipeError
        If there are no such frames.
    """
    frames = len(data.frames) if data.frames.ndim == 3 else 0
    left_out = LeftOut.of(recipe, frames)
    if not left_out.numbers:
        return recipe, data, left_out
    recipe.check_lists(frames)
    references = References(*(left_out.pages(getattr(data.references, name)) for name in REFERENCES))
    data = replace(
        data,
        frames=data.frames[left_out.kept],
        mask=left_out.pages(data.mask),
        references=references,
        files=left_out.rest(data.files),
    )
    lists = {name: left_out.rest(values) for name, values in recipe.lists.items()}
    return recipe.updated({**lists, "leave_out": ()}), data, left_out


def with_all_frames(used: Completed, recipe: Completed) -> Completed:
    """Return the completed recipe of the remaining frames, with the lists for all frames of the original recipe."""
    if not recipe.leave_out:
        return used
    lists = {name: getattr(recipe, name, None) for name in LISTS if hasattr(recipe, name)}
    return used.updated({**lists, "leave_out": recipe.leave_out})


def resolved(recipe: LenslessRecipe, data: LenslessData) -> LenslessRecipe:
    """Return a recipe completed from the data, with ``auto`` resolved.

    Raises
    ------
    RecipeError
        If something is missing or does not fit the number of frames.
    """
    if data.frames.ndim != 3:
        check_frames(data.frames)
    recipe = with_file_facts(recipe, data)
    if recipe.start == "auto":
        entry = representations().get(recipe.solver)
        warm = entry is not None and recipe.solver != "pixels"
        recipe = recipe.updated({"start": "gauss-newton" if warm else "contrast-transfer"})
    if recipe.noise.weighting == "auto":
        recipe = recipe.updated({"noise": {"weighting": _weighting(recipe)}})
    check_frames_first(data.frames.shape, len(recipe.distances_um), recipe.axes)
    recipe.check_complete(len(data.frames) if data.frames.ndim == 3 else 0)
    return recipe


def _weighting(recipe: LenslessRecipe) -> str:
    """Return the default weighting of amplitudes: by the estimated noise if Gauss-Newton comes first."""
    first = recipe.start if recipe.has_start else recipe.solver
    is_represented = recipe.solver in representations()
    weighs = recipe.gradient.loss == "amplitude" if is_represented else supports("lensless", recipe.solver, "weights")
    return "found" if weighs and first == "gauss-newton" else "even"


def prepare(recipe: LenslessRecipe, data: LenslessData) -> PreparedFrames:
    """Check a recording and turn it into amplitudes.

    Negative values, as left by noise after background subtraction, count as zero.

    Parameters
    ----------
    recipe
        The user's recipe; `Setup.of` describes the prepared frames.
    data
        The recording.

    Raises
    ------
    InputError
        If frames are not finite or all zero, or shapes do not fit together.
    """
    prepared = corrected(recipe, data)
    intensities, mask = prepared.intensities, prepared.mask
    altered = changed(data.frames)
    warnings = [*altered.warnings, *prepared.notes]
    check_not_constant(intensities, mask)
    unlit = without_light(intensities)
    if unlit:
        are, them = ("is", "it") if len(unlit) == 1 else ("are", "them")
        raise InputError(
            f"{numbered(unlit).capitalize()} {are} dark and {'shows' if are == 'is' else 'show'} nothing but noise; "
            f"leave {them} out with {as_option(unlit)}"
        )
    check_intensities(intensities if mask is None else intensities[mask])
    odd = odd_frames(intensities, valid=mask)
    warnings += [*repeated(data.frames), *odd.warnings, *black(data.frames)]
    if data.mask is not None:
        hard = np.asarray(data.mask) != 0 if mask is None or mask.all() else mask
        warnings += graded(np.asarray(data.mask)) or mask_doubts(hard)
    # an object that moves in an uneven illumination changes the light in the field; few pixels are as bright as the
    # fringes across them
    is_told = mask is None or mask.mean() >= FEW_PIXELS
    if (
        is_told
        and recipe.gains is None
        and not (recipe.equalise_gains or recipe.calibration.gain or recipe.moves or not altered.measures_light)
    ):
        warnings += exposures(*_light(intensities, mask, prepared.at_least))
    if recipe.equalise_gains:
        unsure = _light(intensities, mask, prepared.at_least)[1]
        if np.ptp(unsure) > _SURE_GAINS:
            warnings.append(
                f"equalise_gains takes the brightness from frames with saturated or masked parts, so that gains may be "
                f"wrong by up to {percent(float(np.ptp(unsure)))}; estimate them with calibration.gain"
            )
    negative = int((intensities < 0).sum(where=True if mask is None else mask))
    if negative:
        warnings.append(f"negative intensities count as zero ({count(negative, 'pixel')})")
    if len(intensities) == 1:
        warnings.append("a single height does not separate amplitude from phase well; record at least two")
    if recipe.super_resolution > 1 and len(intensities) < 2 * recipe.super_resolution**2:
        warnings.append(
            f"there are fewer values in {count(len(intensities), 'frame')} than the object has unknowns at a "
            f"super-resolution of {recipe.super_resolution}; record at least {2 * recipe.super_resolution**2}, "
            "displaced against each other by fractions of a pixel, or add a prior"
        )
    np.clip(intensities, 0, None, out=intensities)
    where = True if mask is None else mask
    peak = float(np.max(intensities, where=where, initial=0) - np.min(intensities, where=where, initial=np.inf))
    unit = recipe.intensity_scale * float(np.mean(intensities, dtype=np.float64, where=where))
    intensities /= np.float32(unit)
    gains = recipe.gains
    if gains is None:
        gains = _brightness(intensities, mask) if recipe.equalise_gains else (1.0,) * len(intensities)
    amplitudes = np.sqrt(intensities, out=intensities)
    return PreparedFrames(
        amplitudes, mask, peak, unit, gains, tuple(warnings), prepared.at_least, odd.numbers, altered.measures_light
    )


def corrected(recipe: RecordingRecipe, data: LenslessData) -> Prepared:
    """Check a recording, and prepare it with the settings of the recipe.

    Integers are divided by the largest value of their type if the recipe asks for it; those of 32 bits by the
    largest value of the bits that they use, at least 16.

    Raises
    ------
    InputError
        If frames are not finite, or shapes do not fit together.
    """
    frames = data.frames
    check_frames(frames)
    mask = _checked_mask(data.mask, frames.shape)
    is_scaled = frames.dtype.kind in "ui" and recipe.integer_scaling == "type_maximum"
    scale = 1 / _largest(frames) if is_scaled else 1.0
    prepared = to_one_scale(
        recipe, prepare_frames(recipe.preprocess, frames, mask, data.references, scale, data.missing)
    )
    doubt = frames_last(frames.shape, recipe.axes)
    return prepared if doubt is None else replace(prepared, notes=(*prepared.notes, doubt))


def _largest(frames: Array) -> int:
    """Return the largest value of a camera with integers of this type."""
    if frames.dtype.itemsize <= 2:
        return int(np.iinfo(frames.dtype).max)
    # no camera has 32 bits; the frames were converted, and 16 bits stored in 32 give the same result
    return int((1 << max(int(frames.max()).bit_length(), 16)) - 1)


def checked_illumination(data: LenslessData) -> Array | None:
    """Return the illumination as complex64, or as float32 if its phase is flat, (Y, X); None if it is even.

    Raises
    ------
    InputError
        If it has another shape than the frames, or is not finite, or its amplitude is zero everywhere.
    """
    shape = data.frames.shape[1:]
    amplitude, phase = (
        None if image is None else _checked_light(image, shape, name)
        for image, name in ((data.illumination, "illumination"), (data.illumination_phase, "illumination_phase"))
    )
    if amplitude is not None and not amplitude.any():
        raise InputError("The illumination is zero everywhere; correct the image", "illumination")
    if phase is None:
        return amplitude
    return np.asarray(np.exp(1j * phase) * (1 if amplitude is None else amplitude), np.complex64)


def _checked_light(image: Array, shape: tuple[int, ...], name: str) -> Array:
    image = np.squeeze(image)
    if image.shape != shape:
        raise InputError(
            f"The illumination has {_times(image.shape)} pixels but the frames have {_times(shape)}; crop one to match "
            "the other",
            name,
        )
    image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError("The illumination holds values that are not finite; correct the image", name)
    return image


def _checked_mask(mask: Array | None, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    if mask is None:
        return None
    mask = np.squeeze(mask)
    if mask.shape not in (shape, shape[1:]):
        raise InputError(
            f"The mask has {_times(mask.shape)} pixels but the frames have {_times(shape)}; crop one to match the other"
        )
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise InputError("The mask holds NaN; make it zero where pixels must be ignored, and one elsewhere", "mask")
    valid = np.broadcast_to(mask != 0, shape)
    left = valid.sum((1, 2))
    if left.min() < min(_FEWEST_PIXELS, valid[0].size):
        number = int(left.argmin())
        raise InputError(
            f"The mask leaves {count(int(left[number]), 'pixel')} of frame {number + 1}; make it non-zero where pixels "
            "are good",
            "mask",
        )
    return valid.copy()


def _brightness(intensities: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None) -> tuple[float, ...]:
    means = _means(intensities, mask)
    return tuple(float(mean) for mean in means / means.mean())


def _light(
    intensities: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None, at_least: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean of each frame, (N,), and the part of it that may be missing.

    A pixel that is saturated, or masked in some frames only, is unlikely to be twice as bright as the brightest other.
    """
    anywhere = None if mask is None else np.broadcast_to(mask.any(0), mask.shape)
    means, unsure = _means(intensities, anywhere), np.zeros(len(intensities))
    for missing in (at_least, None if mask is None or anywhere is None else anywhere & ~mask):
        if missing is not None:
            unsure += missing.mean((1, 2))
    return means, unsure * intensities.max((1, 2)) / means


def _means(intensities: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float64]:
    return np.asarray(np.mean(intensities, axis=(1, 2), dtype=np.float64, where=True if mask is None else mask))


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
