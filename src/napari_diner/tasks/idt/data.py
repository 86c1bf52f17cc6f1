"""The data of diffraction tomography: reading a recording, checking it, and removing the background."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.errors import InputError, about
from napari_diner.io.arrays import Array
from napari_diner.io.images import read_image
from napari_diner.io.stacks import check_frames
from napari_diner.physics.idt.given import TransferFunctions
from napari_diner.preprocess.borders import margins
from napari_diner.preprocess.changed import Changed, changed
from napari_diner.preprocess.full_well import full_well_doubts
from napari_diner.preprocess.mosaic import mosaic, note, tiled
from napari_diner.preprocess.no_data import NOT_AROUND, broken_pixels, filled, isolated, no_data_value, outliers
from napari_diner.preprocess.overlays import DRAWN, described, overlays
from napari_diner.preprocess.references import check_no_frame
from napari_diner.preprocess.saturation import saturated
from napari_diner.preprocess.soundness import black, check_finite, check_not_constant, check_same_type
from napari_diner.preprocess.steps import bounding, counted, levels_of
from napari_diner.tasks.idt.given_transfer import open_transfer
from napari_diner.tasks.idt.memory import of_stack
from napari_diner.tasks.idt.recipe import BACKGROUNDS, OF_FRAMES, IdtRecipe
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.stored_array import Origin, read_stack, stack_of
from napari_diner.tasks.task import Frames
from napari_diner.wording import digits

# a frame with a larger mean contrast does not match its background, unless this part of the field is at the level of
# the background
_OFF_LEVEL, _EMPTY_PART = 0.1, 0.15
# standard deviation of the contrast of samples that deflect light out of the pupil, and relative to what they lose: at
# least 0.3 and 0.5 for cells of 5 to 8 rad and balls of up to 10 rad that fill the field
_STRONG, _DEFLECTED = 0.2, 0.45
# part of the pixels of a frame with about the same contrast, from which that is the level of the background
_ONE_LEVEL = 0.5
# contrast of the empty field that counts, part of the frames that have it, and of the pixels that show it
_COMMON, _NEARLY_ALL, _CLOSE = 0.02, 0.9, 0.3
# part of the pixels of a frame, saturated, from which its mean cannot be estimated
_MOST_CUT = 0.5
# brightening across the field, and part of the mean of all frames, from which it is not that of a sample
_STEEP, _MOSTLY = 0.1, 0.8

_ARRAY = "array"
"""Name of a background that is neither a file nor a layer."""
_LEAST_VARIATION = 1e-5
"""Variation of intensities relative to their mean below which they contain an offset."""
_OF_CONTRAST = 0.5
"""Largest deviation of the mean of I / I_background from one that a sample causes."""
_OF_INTENSITY = 1.5
"""Largest standard deviation of intensities relative to their mean; that of fully developed speckle is 1."""


@dataclass(frozen=True)
class IdtData(Origin):
    """A recording."""

    frames: Array
    """Intensities, (N, Y, X), one frame per illumination."""
    background: Array | None = None
    """Image of the empty field, (Y, X), or one per frame, (N, Y, X), of the same or a coarser sampling; or None."""
    transfer: tuple[TransferFunctions, TransferFunctions] | None = None
    """Transfer functions of Δε_re and Δε_im to use instead of computed ones, (N, Z, Y, X) each, or None."""

    @functools.cached_property
    def changed(self) -> Changed:
        """What was done to the values of the frames after they were recorded."""
        return changed(np.asarray(self.frames))


def assemble(recipe: IdtRecipe, frames: Frames | None = None) -> IdtData:
    """Return the recording of a recipe, see `Task.assemble`; only the headers of transfer functions are read."""
    stack = stack_of(recipe, recipe.stack, frames, recipe.pixel_size_um)
    if len(stack.shape) == 3:  # the check of the frames refuses anything else
        of_stack(recipe, stack).check()
    background = None if frames is None else frames.attachments.get("background")
    if background is None and recipe.background not in BACKGROUNDS:
        with about("background"):
            background = read_image(recipe.background)
    values, source = stack.values(functools.partial(read_stack, read_as=stack.read_as))
    return IdtData(
        frames=values,
        background=background,
        pixel_size_um=stack.pixel_size_um,
        source=source,
        transfer=open_transfer(recipe),
        read_as=stack.read_as,
        files=stack.files,
        notes=stack.notes,
        warnings=stack.warnings,
        missing=stack.missing,
    )


def without(data: IdtData, left_out: LeftOut) -> IdtData:
    """Return a recording without some frames, and their backgrounds and files."""
    if not left_out.numbers:
        return data
    return replace(
        data,
        frames=data.frames[left_out.kept],
        background=left_out.pages(data.background),
        files=left_out.rest(data.files),
    )


def with_file_facts(recipe: IdtRecipe, data: IdtData) -> IdtRecipe:
    """Return a recipe with the name of the data, and with their pixel size if it has none.

    An array in place of the file of a background is used whatever the recipe says.
    """
    facts: dict[str, object] = {"stack": data.source, **data.read_as}
    if data.background is not None and recipe.background in BACKGROUNDS:
        facts["background"] = _ARRAY
    if recipe.pixel_size_um is None and data.pixel_size_um is not None:
        facts["pixel_size_um"] = data.pixel_size_um
    return recipe.updated(facts)


def saturated_in(recipe: IdtRecipe, data: IdtData) -> tuple[npt.NDArray[np.bool_] | None, list[str]]:
    """Return the saturated pixels that bound the light, (N, Y, X), or None; and notes about saturation."""
    if recipe.saturated == "believe":
        return None, []
    frames = np.asarray(data.frames)
    levels = levels_of(recipe.saturation, frames)
    full = saturated(frames, levels)
    full &= ~isolated(frames, full)
    return (full, bounding(full, levels)) if full.any() else (None, full_well_doubts(frames, levels))


def contrast_of(recipe: IdtRecipe, data: IdtData) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return the data of the model, g = I / I_background − 1, (N, Y, X), and warnings.

    Raises
    ------
    InputError
        If frames are not finite or dark, or the background does not fit them.
    """
    frames = np.asarray(data.frames)
    values, notes = cleaned(recipe, data)
    _check_kind(recipe.background, values, is_real=frames.dtype.kind == "f" and not _offset(recipe))
    contrast, warnings = _contrast(recipe, data, values)
    return contrast, [*notes, *warnings, *_slope(contrast)]


def _offset(recipe: IdtRecipe) -> float:
    return 0.0 if recipe.background in ("none", "ratio") else recipe.background_offset


def cleaned(recipe: IdtRecipe, data: IdtData) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return frames without the camera offset, (N, Y, X), with broken pixels filled, and notes about them.

    Raises
    ------
    InputError
        If frames are not finite or constant.
    """
    frames = np.asarray(data.frames)
    check_frames(frames)
    check_finite(frames, data.missing)
    check_not_constant(frames)
    # before the check of the kind of frames, as they change the mean
    empty = no_data_value(frames)
    if empty is not None:
        raise InputError(
            f"{int((frames == empty).sum())} pixels of the frames hold {empty:g}, far from all other values, as "
            "where there are no data; crop the frames, or fill these pixels"
        )
    unrecorded = int(margins(frames).sum())
    if unrecorded:
        raise InputError(
            f"{unrecorded} pixels at the edges of the frames are without data, as they hold nothing but one value; "
            "crop the frames to the part that all of them show"
        )
    drawn = overlays(frames)
    if drawn.any():
        raise InputError(
            f"{int(drawn.any(0).sum())} pixels {described(drawn)} are {DRAWN}, and not recorded; crop the field, or "
            "give the frames as they were before"
        )
    # the offset may exceed the light by so much that single precision would lose it
    values = np.stack([np.asarray(frame - np.float64(_offset(recipe)), np.float32) for frame in frames])
    notes, full = (
        [*black(frames), *data.changed.warnings],
        saturated(frames, levels_of(recipe.saturation, frames)),
    )
    # ratios and images of the background contain it
    cells = mosaic(values) if recipe.background in OF_FRAMES else None
    if cells is not None:
        values /= tiled(cells, values.shape)
        notes.append(note(cells))
    for find, what in (
        (broken_pixels, "dead or hot"),
        (lambda values: isolated(values, full), NOT_AROUND),
        (outliers, "far above or below all others of a frame"),
    ):
        bad = find(values)
        if bad.any():
            values = filled(values, bad)
            notes += counted(bad, what, "filled from the pixels around")
    return values, notes


def _contrast(
    recipe: IdtRecipe, data: IdtData, values: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], list[str]]:
    if recipe.background == "none":
        return values, _level(values, "frames that are contrasts, I / I_background − 1, have a mean of about zero")
    if recipe.background == "ratio":
        values -= 1
        return values, _level(values, "frames that are ratios, I / I_background, have a mean of about one")
    for number, (frame, empty) in enumerate(zip(values, backgrounds(recipe, data, values), strict=True), 1):
        if not (empty > 0).all():
            raise InputError(
                f"The background of frame {number} is not above zero everywhere; check the camera offset and the image"
            )
        frame /= empty
        frame -= 1
    cause = "the background was recorded with another brightness, or the sample absorbs all over the field"
    return values, _level(values, cause)


def _check_kind(background: str, frames: Array, *, is_real: bool) -> None:
    """Check that frames match the setting of the background: intensities, I / I_background, or that minus one.

    Raises
    ------
    InputError
        If they evidently do not.
    """
    means = np.array([frame.mean(dtype=np.float64) for frame in frames])
    spreads = np.array([frame.std(dtype=np.float64) for frame in frames])
    mean, spread = float(np.median(means)), float(np.median(spreads))
    if background == "none":
        if abs(mean) > max(_OF_CONTRAST, spread):
            kind = "ratio" if abs(mean - 1) < _OF_CONTRAST else "mean"
            raise InputError(
                f"The frames have a mean of {digits(mean, 4)}, but I / I_background − 1 has one of 0; set {{field}} "
                f"to {kind}",
                "background",
            )
    elif background == "ratio":
        if abs(mean - 1) > _OF_CONTRAST:
            kind = "none" if abs(mean) < _OF_CONTRAST else "mean"
            raise InputError(
                f"The frames have a mean of {digits(mean, 4)}, but I / I_background has one of 1; set {{field}} to "
                f"{kind}",
                "background",
            )
    elif spread < _LEAST_VARIATION * abs(mean):
        raise InputError(
            f"The frames vary by only {digits(spread / abs(mean), 1)} of their mean, less than any light does; set "
            f"{{field}} to the grey level of the camera without light",
            "background_offset",
        )
    elif is_real and spread > _OF_INTENSITY * abs(mean):
        raise InputError(
            f"The frames vary by {digits(spread, 3)} about a mean of {digits(mean, 3)}, as I / I_background − 1 does "
            "and intensities do not; set {field} to none",
            "background",
        )


def backgrounds(recipe: IdtRecipe, data: IdtData, values: npt.NDArray[np.float32]) -> Iterable[npt.NDArray[np.float32]]:
    """Return the background of each frame: (1, 1), or (Y, X)."""
    if recipe.background == "mean":
        return _means(recipe, data, values)
    if recipe.background == "blur":
        sigma = recipe.background_blur_um / recipe.voxel_um[-1]
        return (ndimage.gaussian_filter(frame, sigma, mode="nearest") for frame in values)
    if data.background is None:
        raise InputError(
            f"The background {recipe.background} was not read; name an image file, or one of {BACKGROUNDS}",
            "background",
        )
    check_same_type(data.background, "background", np.asarray(data.frames), "frames")
    check_no_frame(np.squeeze(data.background), np.asarray(data.frames), "background")
    image = np.asarray(data.background, dtype=np.float32) - np.float32(recipe.background_offset)
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or len(image) not in (1, len(values)) or not np.isfinite(image).all():
        raise InputError(
            f"The background has the shape {image.shape} but the frames {values.shape}; give one, or one per frame",
            "background",
        )
    factors = [size / coarse for size, coarse in zip(values.shape[1:], image.shape[1:], strict=True)]
    if factors[0] != factors[1] or factors[0] < 1 or factors[0] % 1:
        raise InputError(
            f"The background has {image.shape[1]}×{image.shape[2]} pixels but the frames have "
            f"{values.shape[1]}×{values.shape[2]}; give the same size, or an integer fraction of it",
            "background",
        )
    zoom = int(factors[0])
    fine = (
        ndimage.zoom(frame, zoom, order=1, mode="nearest", grid_mode=True) if zoom > 1 else frame for frame in image
    )
    return fine if len(image) == len(values) else [next(fine)] * len(values)


def _means(recipe: IdtRecipe, data: IdtData, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of each frame, (N, 1, 1), as if none of its brightest pixels were cut off by saturation.

    The darkest pixels, as many as are saturated, are cut off at their level as well (the winsorised mean; Tukey, Ann.
    Math. Stat. 33, 1 (1962)): weak phases brighten and darken the light about equally.
    """
    frames = np.asarray(data.frames)
    full = saturated(frames, levels_of(recipe.saturation, frames)).mean((1, 2))
    means = np.empty((len(values), 1, 1), np.float32)
    for mean, frame, share in zip(means, values, full.tolist(), strict=True):
        is_cut = recipe.saturated != "believe" and share < _MOST_CUT
        darkest = np.quantile(frame, share) if is_cut and share else -np.inf
        mean[:] = np.maximum(frame, darkest).mean(dtype=np.float64)
    return means


def _level(contrast: npt.NDArray[np.float32], cause: str) -> list[str]:
    """Return a warning if a frame differs from its background on average and nowhere shows its level.

    A strong sample in part of the field changes the mean, too, but leaves the background visible elsewhere. One that
    fills the field deflects light out of the pupil; its frames vary strongly.
    """
    levels = contrast.mean((1, 2), dtype=np.float64)
    number = int(np.abs(levels).argmax())
    offset, frame = float(levels[number]), contrast[number]
    is_empty = (np.abs(frame) < _OFF_LEVEL / 2).mean() > _EMPTY_PART
    if abs(offset) <= _OFF_LEVEL or is_empty or _deflects(frame, offset):
        return _common_level(contrast, cause)
    return [f"frame {number + 1} is {abs(offset):.0%} {_side(offset)} than its background on average; {cause}"]


def _common_level(contrast: npt.NDArray[np.float32], cause: str) -> list[str]:
    """Return a warning if the most frequent contrast of nearly all frames is about the same but not 0.

    It is that of the empty field, unless the mean is on the other side.
    """
    levels = np.array([_most_frequent(frame) for frame in contrast])
    offset, mean = float(np.median(levels)), float(contrast.mean(dtype=np.float64))
    scatter = float(np.quantile(np.abs(levels - offset), _NEARLY_ALL))
    if abs(offset) < _COMMON or max(scatter, abs(mean - offset)) > abs(offset) / 2:
        return []
    if np.median([_deflects(frame, offset) for frame in contrast]):
        return []
    return [f"all frames are {digits(100 * abs(offset))} % {_side(offset)} than their background; {cause}"]


def _deflects(frame: npt.NDArray[np.float32], offset: float) -> bool:
    """Return whether a frame may be darker than its background because its sample deflects light out of the pupil.

    Such a frame varies strongly everywhere, whereas an empty part of it has one level.
    """
    level = (np.abs(frame - _most_frequent(frame)) < _OFF_LEVEL / 2).mean()
    varies = frame.std(dtype=np.float64) > max(_STRONG, _DEFLECTED * abs(offset))
    return bool(offset < 0 and varies and level < _ONE_LEVEL)


def _most_frequent(frame: npt.NDArray[np.float32]) -> float:
    """Return the middle of the narrowest interval with a given part of the pixels."""
    values = np.sort(frame, axis=None)
    count = max(int(_CLOSE * values.size), 1)
    widths = values[count:] - values[:-count]
    start = int(widths.argmin()) if widths.size else 0
    return float(values[start + count // 2])


def _side(offset: float) -> str:
    return "brighter" if offset > 0 else "darker"


def _slope(contrast: npt.NDArray[np.float32]) -> list[str]:
    """Return a warning if all frames brighten from one side of the field to the other, and do little else."""
    mean = contrast.mean(0, dtype=np.float64)
    y, x = (np.linspace(-0.5, 0.5, size) for size in mean.shape)
    mean -= mean.mean()
    plane = (y @ mean).mean() / (y @ y) * y[:, None] + (mean @ x).mean() / (x @ x) * x
    across = float(np.ptp(plane))
    if across < _STEEP or plane.var() < _MOSTLY * mean.var():
        return []
    return [
        f"all frames brighten by {across:.0%} from one side of the field to the other, as under uneven light; a "
        "background recorded without the sample removes it"
    ]
