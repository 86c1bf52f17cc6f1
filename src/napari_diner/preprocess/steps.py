"""Preparation of recorded frames for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.preprocess.borders import UP_TO_THE_EDGES, margins
from napari_diner.preprocess.full_well import full_well_doubts
from napari_diner.preprocess.mosaic import mosaic, note, tiled
from napari_diner.preprocess.no_data import NOT_AROUND, broken_pixels, isolated, no_data_value, outliers
from napari_diner.preprocess.overlays import DRAWN, described, overlays
from napari_diner.preprocess.pixels import crop, dead_pixels, fill, split, split_and_spread, upsample
from napari_diner.preprocess.references import check_no_frame, dark_doubts, doubts
from napari_diner.preprocess.saturation import Levels, at_levels, saturated, saturation_levels
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.soundness import check_finite, check_resolved, check_same_type
from napari_diner.preprocess.surfaces import fit_surface
from napari_diner.wording import digits

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)
Mask = npt.NDArray[np.bool_]

# a saturated pixel that deviates from its neighbours in all frames by so many standard deviations is broken
_HOT_SIGMAS = 8.0
# a divisor below this part of its mean is useless
_DARKEST = 0.02


@dataclass(frozen=True)
class References:
    """Reference images of the sensor and the light, (Y, X) or (N, Y, X), in the units of the frames."""

    dark: Array | None = None
    """Recorded without light."""
    flat: Array | None = None
    """Recorded under uniform light."""
    empty: Array | None = None
    """Recorded without the sample."""


@dataclass(frozen=True)
class Prepared:
    """Prepared frames."""

    intensities: Floats
    """Float32, (N, Y, X) on the final grid, finite; pixels outside the mask have the values of neighbours."""
    mask: Mask | None
    """True at valid pixels, (N, Y, X), or None if all are valid."""
    notes: tuple[str, ...]
    """Sentences for the report on masked and saturated pixels."""
    at_least: Mask | None = None
    """True at saturated pixels, (N, Y, X), which are at least as bright as recorded; None if there are none."""


def prepared_shape(settings: PreprocessSettings, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the size (Y, X) of frames of this size after cropping and upsampling."""
    height, width = shape if settings.crop_px is None else settings.crop_px[2:]
    return height * settings.upsample, width * settings.upsample


def prepare_frames(
    settings: PreprocessSettings,
    frames: Array,
    mask: Mask | None,
    references: References,
    scale: float = 1.0,
    missing_values: str = "",
) -> Prepared:
    """Crop, mask, correct and upsample a recording.

    ``(I − dark) / (flat − dark) / (empty − dark)``, with both divisors normalised to a mean of one, which preserves the
    scale of the intensities; then each frame is divided by its own normalised background. Pixels that are dead, or dark
    in the flat or empty field, are masked. Saturated pixels are masked, too, if set; otherwise all corrections convert
    their level to a lower bound of the intensity, and only those that are saturated in all frames without saturated
    neighbours, such as hot pixels, are masked. Without flat and empty field, the filters of a colour camera are
    estimated; see `mosaic`.

    Parameters
    ----------
    settings
        The steps to apply.
    frames
        Recorded intensities, (N, Y, X).
    mask
        True at valid pixels, (N, Y, X), or None.
    references
        The reference images.
    scale
        Factor from the units of the file to intensities.
    missing_values
        Numbers in the file that are read as NaN, for messages.

    Raises
    ------
    InputError
        If the crop does not fit, a reference has the wrong size, or a background is not positive.
    """
    check_crop(settings, frames.shape)
    if references.dark is not None:
        others = {"frames": frames, "flat field": references.flat, "empty field": references.empty}
        for name, other in others.items():
            if other is not None:
                check_same_type(references.dark, "dark frame", other, name)
    raw = crop(frames, settings.crop_px)
    notes: list[str] = []
    valid = np.ones(raw.shape, bool) if mask is None else crop(mask, settings.crop_px).copy()
    missing = no_data_value(raw)
    if missing is not None:
        empty = (raw == missing) & valid
        notes += counted(empty, f"without data, as they hold {missing:g},")
        valid &= ~empty
    drawn = overlays(frames)
    burnt = crop(drawn, settings.crop_px) & valid
    notes += counted(burnt, f"{DRAWN} {described(drawn)}") if burnt.any() else []
    valid &= ~burnt
    unrecorded = margins(raw) & valid
    notes += counted(unrecorded, UP_TO_THE_EDGES)
    valid &= ~unrecorded
    dark = _matching(references.dark, "dark frame", settings, frames.shape)
    cells, even = None, _without(raw, valid)
    if references.flat is None and references.empty is None:  # these contain it
        cells = mosaic(even if dark is None else even - dark)
    if cells is not None:
        even = even / tiled(cells, raw.shape)
        notes.append(note(cells))
    if settings.dead_pixels is None:
        broken = broken_pixels(even)
        notes += counted(broken, "dead or hot")
        valid &= ~broken
    at_least, full = None, np.zeros(raw.shape, bool)
    if settings.saturated != "believe":
        recorded = ~drawn if missing is None else ~drawn & (frames != missing)
        levels = levels_of(settings.saturation, frames, None if recorded.all() else recorded)
        full = saturated(raw, levels) & valid
        notes += full_well_doubts(_without(raw, valid), levels)
        bad, what = (
            (full, f"saturated {at_levels(levels)}")
            if settings.saturated == "mask"
            else (_hot(raw, valid, full), "hot")
        )
        notes += counted(bad, what)
        valid &= ~bad
        full &= ~bad
        alone = isolated(raw, full)
        notes += counted(alone, NOT_AROUND)
        valid &= ~alone
        full &= ~alone
        notes += bounding(full, levels)
        at_least = full if full.any() else None
    check_finite(raw, missing_values, valid)
    if settings.dead_pixels is None:
        single = outliers(_without(raw, valid)) & ~full
        notes += counted(single, "far above or below all others of a frame")
        valid &= ~single
    if settings.dead_pixels is not None:
        dead = dead_pixels(np.where(valid, raw, 0), settings.dead_pixels)
        notes += counted(dead, "dead")
        valid &= ~dead
    if references.dark is None:
        check_resolved(raw, valid)
    if dark is not None:
        _check_darker(dark, raw, valid)
        notes += dark_doubts(dark, _without(raw, valid), "frames")
    divisors: list[Floats] = [] if cells is None else [tiled(cells, raw.shape)]
    for name, reference in (("flat field", references.flat), ("empty field", references.empty)):
        recorded = _matching(reference, name, settings, frames.shape)
        if recorded is not None:
            check_no_frame(recorded, raw, name)
        divisor = _divisor(recorded, dark, name)
        if recorded is not None and divisor is not None:
            notes += [] if dark is None else dark_doubts(dark, recorded, name)
            notes += doubts(recorded, divisor, _without(raw, valid), name)
            useless = np.broadcast_to(divisor < _DARKEST, raw.shape) & valid
            notes += counted(useless, f"too dark in the {name}")
            valid &= ~useless
            divisors.append(np.maximum(divisor, _DARKEST))
    exact = valid if at_least is None else valid & ~at_least
    if not exact.any(axis=(1, 2)).all():
        raise InputError(
            "All pixels of a frame are masked or saturated; make the mask non-zero where pixels are valid, or raise "
            "the saturation level"
        )
    factor = settings.upsample
    intensities = np.empty((len(raw), raw.shape[1] * factor, raw.shape[2] * factor), np.float32)
    for number, frame in enumerate(raw):
        good = valid[number]
        values = np.where(good, frame, 0)
        # single precision may lose the light on a large offset
        image: Floats = (values if dark is None else values - _page(dark, number)).astype(np.float32)
        for divisor in divisors:
            image = image / _page(divisor, number)
        # blur and splines would spread the value of a masked pixel
        image = _without_background(settings, np.float32(scale) * fill(image, good), good, number)
        intensities[number] = upsample(image, factor)
        if factor > 1 and image.min() >= 0:
            np.maximum(intensities[number], 0, out=intensities[number])  # splines overshoot
    return Prepared(
        intensities,
        None if mask is None and valid.all() else split(valid, factor),
        tuple(notes),
        None if at_least is None else split_and_spread(at_least, factor),
    )


def _without(frames: Array, valid: Mask) -> Array:
    """Return frames with invalid pixels replaced by the nearest valid ones."""
    return frames if valid.all() else np.stack([fill(*page) for page in zip(frames, valid, strict=True)])


def _check_darker(dark: Doubles, frames: Array, valid: Mask) -> None:
    """Check that a dark frame is darker than the frames on average.

    Raises
    ------
    InputError
        If it is not.
    """
    without, lit = float(dark.mean()), float(np.mean(frames, dtype=np.float64, where=valid))
    if without >= lit:
        raise InputError(
            f"The dark frame has a mean of {digits(without, 4)}, and the frames have one of {digits(lit, 4)}, which "
            "is no brighter; check which file is which"
        )


def _hot(frames: Array, valid: Mask, full: Mask) -> Mask:
    """Find pixels that are saturated and stand out in all frames, unlike patterns of light: (Y, X), or all False."""
    always = full.all(0)
    if len(frames) == 1 or not always.any():
        return np.zeros_like(always)
    return always & dead_pixels(np.where(valid, frames, 0), _HOT_SIGMAS)


def levels_of(level: float | None, frames: Array, valid: Mask | None = None) -> Levels:
    """Return the saturation level of each frame: the one in the settings, or those estimated from `frames`."""
    return saturation_levels(frames, valid) if level is None else np.full(len(frames), level)


def bounding(full: Mask, levels: Levels) -> list[str]:
    """Return a note on the number of pixels that are saturated at a level and bound the light; empty if none."""
    return counted(full, f"saturated {at_levels(levels)}", "taken as at least so bright")


def onto_grid(settings: PreprocessSettings, image: Array) -> Floats:
    """Return an image of the size of the sensor, such as an illumination, (Y, X), on the final grid."""
    return upsample(crop(image, settings.crop_px), settings.upsample)


def background_of(settings: PreprocessSettings, frame: Floats, mask: Mask) -> Floats:
    """Return the background of a frame, blurred or as a fitted polynomial, (Y, X); one if there is none."""
    if settings.background == "blur":
        sums, weights = (
            ndimage.gaussian_filter(image.astype(np.float64), settings.blur_px, mode="reflect", truncate=3)
            for image in (frame * mask, mask)
        )
        return np.asarray(sums / np.maximum(weights, 1e-6), np.float32)
    if settings.background == "polynomial":
        return fit_surface(frame, settings.polynomial_degree, mask).values().astype(np.float32)
    return np.ones_like(frame)


def check_crop(settings: PreprocessSettings, shape: tuple[int, ...]) -> None:
    """Check that the crop lies within frames of this size.

    Raises
    ------
    InputError
        If it does not.
    """
    if settings.crop_px is None:
        return
    top, left, height, width = settings.crop_px
    if top + height > shape[-2] or left + width > shape[-1]:
        raise InputError(
            f"The crop of {height}×{width} pixels from row {top} and column {left} is not within frames of "
            f"{shape[-2]}×{shape[-1]}; make it smaller or move it"
        )


def _without_background(settings: PreprocessSettings, image: Floats, good: Mask, number: int) -> Floats:
    if settings.background == "none":
        return image
    background = background_of(settings, image, good)
    mean = float(background.mean())
    if not background.min() > _DARKEST * max(mean, 0.0):
        raise InputError(
            f"The {settings.background} background of frame {number + 1} falls to zero within the frame; choose a "
            "wider blur, a lower degree, or another background"
        )
    return image * (mean / background)


def _matching(image: Array | None, name: str, settings: PreprocessSettings, shape: tuple[int, ...]) -> Doubles | None:
    """Return a reference, cropped as the frames, float64, (Y, X) or (N, Y, X)."""
    if image is None:
        return None
    image = np.squeeze(image)
    if image.shape not in (shape, shape[1:]):
        own, expected = ("×".join(map(str, size)) for size in (image.shape, shape))
        raise InputError(f"The {name} has {own} pixels but the frames have {expected}; give one of the same sensor")
    values = crop(image, settings.crop_px).astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"The {name} holds values that are not finite (NaN or infinity); correct its image")
    return values


def _divisor(image: Doubles | None, dark: Doubles | None, name: str) -> Floats | None:
    """Return a reference minus the dark frame, normalised to a mean of one per page."""
    if image is None:
        return None
    light = image if dark is None else image - dark
    mean = light.mean(axis=(-2, -1), keepdims=True)
    if not (mean > 0).all():
        raise InputError(f"The {name} is not brighter than the dark frame; check which file is which")
    return np.asarray(light / mean, np.float32)


def _page(image: npt.NDArray[Real], number: int) -> npt.NDArray[Real]:
    return image[number] if image.ndim == 3 else image


def counted(mask: Mask, what: str, taken_as: str = "ignored") -> list[str]:
    """Return a note on the number of pixels of a mask, their kind, and their treatment; empty if there are none.

    The mask is (Y, X) or (N, Y, X).
    """
    count = int(mask.sum())
    pixels, are = ("pixel", "is") if count == 1 else ("pixels", "are")
    return [f"{count} {pixels} {are} {what} and {are} {taken_as}"] if count else []
