"""Whether the optics of an IDT recording can be meant: checked before anything is computed. Free of torch."""

from __future__ import annotations

from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import (
    SAMPLE_PIXEL,
    SLICE_SPACING,
    WAVELENGTH,
    check_field,
    unusual,
    unusual_medium,
)
from napari_diner.tasks.idt.recipe import IdtRecipe


def optics_doubts(recipe: IdtRecipe, shape: tuple[int, int]) -> list[str]:
    """Return what is doubtful about the lengths of a recipe for frames (Y, X); sentences without a full stop.

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
    check_field(min(shape) * pixel, Optics(pixel, slices.wavelength_um, recipe.medium_index), odd)
    return list(odd.values())
