"""Plausibility of the optics of an IDT recording. Does not import torch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import (
    SAMPLE_PIXEL,
    SLICE_SPACING,
    WAVELENGTH,
    check_field,
    unusual,
    unusual_medium,
)
from napari_diner.preprocess.spread import spread
from napari_diner.tasks.idt.recipe import OF_FRAMES, IdtRecipe
from napari_diner.wording import digits

# ratio of the pixel to the coarsest one without aliasing from which it is not that of the sample
_CAMERA = 10.0
# the largest usual radius of a light source over its distance
_WIDE_SOURCE = 0.15
# least blur of the background, in units of λ/NA
_BLURRED = 2.0
# frames from which a volume can be expected
_FEWEST_FRAMES = 4
# smallest trend of the brightness that counts, and its standard errors in many frames; in few, those of equal
# probability
_DRIFT, _CERTAIN = 0.015, 6.0
_BY_CHANCE = 2e-5
# dependence of the brightness on the direction of light: polynomials of second degree
_BY_DIRECTION = 6
_REWEIGHTED, _OUTLIER = 10, 4.685
# highest index of a gas, and one below those that are found of any other matter
_AIR, _MATTER = 1.01, 1.08

# difference of directions below which they are the same
_SAME_NA = 1e-3


def optics_doubts(recipe: IdtRecipe, shape: tuple[int, int]) -> list[str]:
    """Return warnings about the lengths in a recipe for frames (Y, X); sentences without a full stop.

    Raises
    ------
    RecipeError
        If the field is smaller than a wavelength.
    """
    slices = recipe.slices((recipe.slice_count, *shape))
    spacing, _, pixel = recipe.voxel_um
    odd = unusual(
        {
            "wavelength_um": (WAVELENGTH, slices.wavelength_um),
            "pixel_size_um": (SAMPLE_PIXEL, pixel),
            "slice_spacing_um": (SLICE_SPACING, spacing),
        }
    )
    odd |= unusual_medium(recipe.medium_index)
    limit = slices.wavelength_um / (4 * recipe.na) if recipe.na else pixel
    if pixel > _CAMERA * limit and not odd:
        odd["pixel_size_um"] = (
            f"the pixel of {pixel:g} µm is {pixel / limit:.0f} times coarser than λ/(4 NA) = {digits(limit, 3)} µm, "
            "which the objective needs; give that in the sample, the pixel of the camera divided by the magnification"
        )
    blur = recipe.background_blur_um
    if recipe.background == "blur" and recipe.na and blur < _BLURRED * slices.wavelength_um / recipe.na:
        odd["background_blur_um"] = (
            f"the blur of {blur:g} µm is finer than most detail, λ/NA = {digits(slices.wavelength_um / recipe.na)} "
            "µm, so that the sample becomes part of its background; choose one wider than the sample"
        )
    if recipe.source_na > _WIDE_SOURCE:
        odd["source_na"] = (
            f"light sources with a radius of {recipe.source_na:g} as a numerical aperture are unusually wide for "
            f"tomography, above {_WIDE_SOURCE:g}; check source_na, the radius divided by the distance in the same unit"
        )
    check_field(min(shape) * pixel, Optics(pixel, slices.wavelength_um, recipe.medium_index), odd)
    return list(odd.values())


def few_frames(frames: int, slices: int) -> list[str]:
    """Return a warning about a volume of some slices from few frames."""
    if frames >= _FEWEST_FRAMES or slices < 2:
        return []
    which = "1 frame" if frames == 1 else f"{frames} frames"
    return [
        f"{which} can hardly determine {slices} slices, nor show whether the directions are right; record more "
        "directions"
    ]


def one_direction(illumination: Illumination) -> list[str]:
    """Return a warning if all frames are said to have the same direction of light."""
    apertures = illumination.apertures
    count = int(illumination.frame_of_source.max()) + 1
    if count < 2 or float(np.ptp(apertures, axis=0).max()) > _SAME_NA:
        return []
    y, x = apertures[0]
    return [
        f"all {count} frames have the same direction of light, an NA of {digits(y, 3)} along y and {digits(x, 3)} "
        "along x, which cannot determine a volume; check illuminations"
    ]


def drift(recipe: IdtRecipe, contrasts: npt.NDArray[np.float32], illumination: Illumination) -> list[str]:
    """Return a warning about frames that become gradually brighter or darker, as when a lamp warms up.

    Parameters
    ----------
    recipe
        The recipe, whose background may have removed the trend.
    contrasts
        I / I_background − 1, (N, Y, X).
    illumination
        Directions of each frame.
    """
    count = len(contrasts)
    if recipe.background in OF_FRAMES or count < _BY_DIRECTION + 4:
        return []
    middle = np.zeros((count, 2))
    np.add.at(middle, illumination.frame_of_source, illumination.weights[:, None] * illumination.apertures)
    y, x = middle.T
    time = np.linspace(-0.5, 0.5, count)
    terms = np.stack([time, np.ones(count), y, x, y * y, x * x, x * y], axis=1)
    levels = contrasts.mean((1, 2), dtype=np.float64)
    weights = np.ones(count)
    for _ in range(_REWEIGHTED):  # frames at the edge of the pupil may be darker than any polynomial
        inverse = np.linalg.pinv(weights[:, None] * terms) * weights
        trend = inverse @ levels
        left = levels - terms @ trend
        sigma = float(spread(left)) or 1e-12
        weights = np.maximum(1 - (left / (_OUTLIER * sigma)) ** 2, 0)  # Tukey's biweight, as the root of a weight
    # terms fitted to few frames leave less than their scatter; frames of no weight do not count
    counted = int((weights > 0).sum())
    free = counted - terms.shape[1]
    if free < 1:
        return []
    scatter = sigma * math.sqrt(counted / free) * np.linalg.norm(inverse[0])
    certain = max(_CERTAIN, float(stdtrit(free, 1 - _BY_CHANCE)))
    change = float(trend[0])
    if abs(change) < max(_DRIFT, certain * float(scatter)):
        return []
    verb = "rises" if change > 0 else "falls"
    return [
        f"the brightness {verb} by {digits(100 * abs(change))} % from the first frame to the last, whatever their "
        "directions, as of a lamp that drifts; background: mean removes that, or an image of the empty field for each"
    ]


def warnings_of_medium(medium_index: float, highest_index: float) -> list[str]:
    """Return a warning if a sample in air would have an index that no liquid and no solid has.

    Parameters
    ----------
    medium_index
        Index of the medium.
    highest_index
        Highest index of the volume; that of a missing cone is lower than the true one.
    """
    if medium_index > _AIR or not medium_index < highest_index < _MATTER:
        return []
    return [
        f"the index of the sample is at most {digits(highest_index, 4)} in a medium of {medium_index:g}, which is "
        "that of air, while liquids and solids have 1.3 or more; check medium_index, which changes shapes along z, too"
    ]
