"""From the sensor to the sample: pixels, distances and frames as parallel light would have given them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.physics.lensless.point_source import effective_distance_um, magnification
from napari_diner.preprocess.pixels import magnify, magnify_mask, split, upsample
from napari_diner.preprocess.steps import onto_grid, prepared_shape
from napari_diner.tasks.lensless.recipe import LenslessRecipe, Recording

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Kind = TypeVar("Kind", bound=Recording)


def magnifications(recipe: Recording) -> tuple[float, ...]:
    """Return by how much a point source magnifies each frame; 1 for parallel light."""
    if recipe.source_distance_um is None:
        return (1.0,) * len(recipe.distances_um)
    return tuple(
        magnification(recipe.source_distance_um, distance, recipe.source_distance_to)
        for distance in recipe.distances_um
    )


def at_the_sample(recipe: Kind) -> Kind:
    """Return the recipe of the prepared frames: finer pixels, parallel light, nothing left to prepare.

    Pixels are those of the object: of the finest frame, divided by its magnification M, by the upsampling and by the
    super-resolution; each distance becomes z/M (see `physics.lensless.point_source`), each shift on the sensor
    (dy, dx)/M.

    Parameters
    ----------
    recipe
        As the user wrote it.

    Returns
    -------
    Kind
        `recipe` itself if it says nothing of all this.
    """
    changes: dict[str, object] = {}
    factor = float(recipe.preprocess.upsample * finer(recipe))
    if recipe.source_distance_um is not None and recipe.distances_um:
        by = magnifications(recipe)
        factor *= max(by)
        changes["distances_um"] = tuple(map(effective_distance_um, recipe.distances_um, by))
        changes["source_distance_um"] = None
        shifts = getattr(recipe, "shifts_um", None)
        if shifts is not None:
            changes["shifts_um"] = tuple((dy / m, dx / m) for (dy, dx), m in zip(shifts, by, strict=True))
    if recipe.preprocess != type(recipe.preprocess)():
        changes["preprocess"] = type(recipe.preprocess)().model_dump()
    if factor != 1 and recipe.pixel_size_um is not None:
        changes["pixel_size_um"] = recipe.pixel_size_um / factor
    return recipe.updated(changes) if changes else recipe


def finer(recipe: Recording) -> int:
    """Return how many pixels of the object a pixel of the prepared frames is wide."""
    return recipe.super_resolution if isinstance(recipe, LenslessRecipe) else 1


def object_shape(recipe: Recording, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the pixels (Y, X) of the object for frames of a shape as recorded."""
    height, width = prepared_shape(recipe.preprocess, shape)
    return height * finer(recipe), width * finer(recipe)


def onto_object(recipe: Recording, image: npt.NDArray[Any]) -> Floats:
    """Return an image of the sensor's shape, such as an illumination, (Y, X), on the grid of the object."""
    return np.asarray(upsample(onto_grid(recipe.preprocess, image), finer(recipe)), np.float32)


def support_on_object(recipe: Recording, support: Mask) -> Mask:
    """Return which pixels of the object a support of the sensor's shape, (Y, X), allows."""
    inside: Mask = onto_grid(recipe.preprocess, support.astype(np.float32)) > 0.5
    return split(inside, finer(recipe))


def geometry_report(recipe: Recording, seen: Recording) -> dict[str, Any]:
    """Return for a report what a point source or a finer grid makes of pixels and distances; nothing if nothing.

    Parameters
    ----------
    recipe
        As the user wrote it.
    seen
        As the model sees it, see `at_the_sample`, with what a calibration has found.
    """
    if recipe.source_distance_um is None and seen.pixel_size_um == recipe.pixel_size_um:
        return {}
    geometry: dict[str, Any] = {"object_pixel_size_um": seen.pixel_size_um}
    if recipe.source_distance_um is not None:
        geometry["effective_distances_um"] = list(seen.distances_um)
        geometry["magnifications"] = list(magnifications(recipe))
    return geometry


def to_one_scale(recipe: Recording, intensities: Floats, mask: Mask | None) -> tuple[Floats, Mask | None]:
    """Bring frames that a point source magnified differently to the scale of the one magnified most.

    About the centre of the field, which is taken to lie on the axis; a source beside it displaces frames, which
    `shifts_um` describes. Where the sensor moved, farther frames are fainter by M², which is made good.

    Parameters
    ----------
    recipe
        As the user wrote it.
    intensities, mask
        As prepared, (N, Y, X).
    """
    by = magnifications(recipe)
    if len(by) != len(intensities) or max(by, default=1.0) == min(by, default=1.0):
        return intensities, mask
    most = max(by)
    scaled = np.empty_like(intensities)
    for number, (frame, m) in enumerate(zip(intensities, by, strict=True)):
        gain = (m / most) ** 2 if recipe.source_distance_to == "sample" else 1.0
        scaled[number] = np.float32(gain) * magnify(frame, most / m)
        if frame.min() >= 0:
            np.maximum(scaled[number], 0, out=scaled[number])  # splines overshoot
    if mask is not None:
        mask = np.stack([magnify_mask(page, most / m) for page, m in zip(mask, by, strict=True)])
    return scaled, mask
