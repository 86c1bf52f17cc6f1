"""The steps from frames as recorded to frames as a model explains them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.errors import InputError
from napari_diner.io.images import read_image
from napari_diner.preprocess.pixels import crop, dead_pixels, fill, saturated_pixels, split, upsample
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.surfaces import fit_surface

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# what lets through less of the light than this part of the mean cannot be divided by
_DARKEST = 0.02


@dataclass(frozen=True)
class References:
    """Images that say something about the sensor and the light: (Y, X) or (N, Y, X), in the units of the frames.

    Parameters
    ----------
    dark
        Recorded without light.
    flat
        Recorded under even light.
    empty
        Recorded without the sample.
    """

    dark: Array | None = None
    flat: Array | None = None
    empty: Array | None = None


@dataclass(frozen=True)
class Prepared:
    """Frames as a model explains them.

    Parameters
    ----------
    intensities
        Float32, (N, Y, X) on the final grid, finite; pixels outside the mask hold values of their neighbours.
    mask
        True where pixels count, (N, Y, X), or None if all do.
    notes
        Sentences for the report: what was masked.
    """

    intensities: Floats
    mask: Mask | None
    notes: tuple[str, ...]


def read_references(settings: PreprocessSettings) -> References:
    """Read the images that the settings name.

    Raises
    ------
    InputError
        If a file cannot be used.
    """
    paths = (settings.dark, settings.flat, settings.empty)
    return References(*(None if path is None else read_image(path) for path in paths))


def prepared_shape(settings: PreprocessSettings, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the pixels (Y, X) of frames of this shape after cropping and upsampling."""
    height, width = shape if settings.crop_px is None else settings.crop_px[2:]
    return height * settings.upsample, width * settings.upsample


def prepare_frames(
    settings: PreprocessSettings, frames: Array, mask: Mask | None, references: References, scale: float = 1.0
) -> Prepared:
    """Crop, mask, correct and upsample a recording.

    ``(I − dark) / (flat − dark) / (empty − dark)``, with both divisors brought to a mean of one, so that the scale of
    the intensities stays; then each frame is divided by its own background, likewise. Pixels that are saturated, dead
    or that the flat field or the empty field leave dark drop out of the mask.

    Parameters
    ----------
    settings
        What to do.
    frames
        Intensities as recorded, (N, Y, X).
    mask
        True where pixels count, (N, Y, X), or None.
    references
        The images that the settings speak of.
    scale
        Factor from the units of the file to intensities.

    Returns
    -------
    Prepared
        Frames and mask on the final grid.

    Raises
    ------
    InputError
        If the rectangle does not fit, a reference has another shape, or a background is not positive.
    """
    check_crop(settings, frames.shape)
    raw = crop(frames, settings.crop_px)
    notes: list[str] = []
    valid = np.ones(raw.shape, bool) if mask is None else crop(mask, settings.crop_px).copy()
    if settings.saturation is not None:
        full = saturated_pixels(raw, settings.saturation) & valid
        notes += _counted(full, "saturated")
        valid &= ~full
    _check_finite(raw, valid)
    if settings.dead_pixels is not None:
        dead = dead_pixels(np.where(valid, raw, 0), settings.dead_pixels)
        notes += _counted(dead, "dead")
        valid &= ~dead
    dark = _matching(references.dark, "dark frame", settings, frames.shape)
    divisors: list[Array] = []
    for name, image in (("flat field", references.flat), ("empty field", references.empty)):
        divisor = _divisor(_matching(image, name, settings, frames.shape), dark, name)
        if divisor is not None:
            useless = np.broadcast_to(divisor < _DARKEST, raw.shape) & valid
            notes += _counted(useless, f"too dark in the {name}")
            valid &= ~useless
            divisors.append(np.maximum(divisor, _DARKEST))
    if not valid.any(axis=(1, 2)).all():
        raise InputError(
            "The mask leaves no pixel of some frame; make it non-zero where pixels are good, or raise the saturation "
            "level"
        )
    factor = settings.upsample
    intensities = np.empty((len(raw), raw.shape[1] * factor, raw.shape[2] * factor), np.float32)
    for number, frame in enumerate(raw):
        good = valid[number]
        image = np.where(good, frame, 0).astype(np.float32)
        if dark is not None:
            image = image - _page(dark, number)
        for divisor in divisors:
            image = image / _page(divisor, number)
        # blur and splines would spread what a masked pixel holds
        image = fill(image, good) * np.float32(scale)
        image = _without_background(settings, image, good, number)
        intensities[number] = upsample(image, factor)
        if factor > 1 and image.min() >= 0:
            np.maximum(intensities[number], 0, out=intensities[number])  # splines overshoot
    return Prepared(intensities, None if mask is None and valid.all() else split(valid, factor), tuple(notes))


def onto_grid(settings: PreprocessSettings, image: Array) -> Array:
    """Return an image of the sensor's shape, such as an illumination, (Y, X), on the final grid."""
    return upsample(crop(image, settings.crop_px), settings.upsample)


def background_of(settings: PreprocessSettings, frame: Floats, mask: Mask) -> Floats:
    """Return what a frame is at large: blurred, or as a fitted polynomial, (Y, X); one if there is to be none."""
    if settings.background == "blur":
        blur: Callable[[Array], Array] = lambda image: ndimage.gaussian_filter(  # noqa: E731
            image.astype(np.float64), settings.blur_px, mode="reflect", truncate=3
        )
        wide: Floats = (blur(frame * mask) / np.maximum(blur(mask), 1e-6)).astype(np.float32)
        return wide
    if settings.background == "polynomial":
        return fit_surface(frame, settings.polynomial_degree, mask).values().astype(np.float32)
    return np.ones_like(frame)


def check_crop(settings: PreprocessSettings, shape: tuple[int, ...]) -> None:
    """Check that the rectangle to crop lies within frames of this shape.

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
            f"The crop of {height}×{width} pixels from row {top} and column {left} does not lie within frames of "
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


def _matching(image: Array | None, name: str, settings: PreprocessSettings, shape: tuple[int, ...]) -> Array | None:
    """Return a reference, cropped as the frames are, as float32 (Y, X) or (N, Y, X)."""
    if image is None:
        return None
    image = np.squeeze(image)
    if image.shape not in (shape, shape[1:]):
        given, wanted = ("×".join(str(size) for size in sizes) for sizes in (image.shape, shape))
        raise InputError(f"The {name} has {given} pixels but the frames have {wanted}; give one of the same sensor")
    image = crop(image, settings.crop_px).astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError(f"The {name} holds values that are not finite (NaN or infinity); mend its image")
    return image


def _divisor(image: Array | None, dark: Array | None, name: str) -> Array | None:
    """Return a reference less the dark frame, with a mean of one over each page."""
    if image is None:
        return None
    light = image if dark is None else image - dark
    mean = light.mean(axis=(-2, -1), keepdims=True)
    if not (mean > 0).all():
        raise InputError(f"The {name} is no brighter than the dark frame; check which file is which")
    return np.asarray(light / mean)


def _page(image: Array, number: int) -> Array:
    return image[number] if image.ndim == 3 else image


def _check_finite(frames: Array, valid: Mask) -> None:
    for number, (frame, good) in enumerate(zip(frames, valid, strict=True), start=1):
        if not (np.isfinite(frame) | ~good).all():
            raise InputError(
                f"Frame {number} holds values that are not finite (NaN or infinity); mend it or give a mask"
            )


def _counted(mask: Mask, what: str) -> list[str]:
    count = int(mask.sum())
    return [f"{count} pixels are {what} and are ignored"] if count else []
