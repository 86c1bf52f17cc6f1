"""The representation that a recipe asks for."""

from __future__ import annotations

import torch

from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.tasks.fit.recipe import FitRecipe


def build_representation(
    recipe: FitRecipe, shape: tuple[int, ...], outputs: int, generator: torch.Generator | None = None
) -> Representation:
    """Build the representation that a resolved recipe asks for, with its starting parameters.

    Networks draw theirs from torch's global generator.

    Parameters
    ----------
    recipe
        A recipe in which the table width (DINER) or the size of the hash grid is a number.
    shape
        Samples of the signal; for a DINER it may be (U,), a key for each distinct value.
    outputs
        Numbers for each sample.
    generator
        Source of the random initial keys.
    """
    if recipe.representation == "pixels":
        return Pixels(shape, outputs)
    if recipe.representation == "diner":
        assert recipe.table_width is not None
        return Diner(shape, outputs, recipe.diner_settings(recipe.table_width), generator)
    if recipe.representation == "hash-grid":
        from napari_diner.representations.hash_grid import HashGrid

        return HashGrid(shape, outputs, recipe.network, recipe.hash_grid)
    from napari_diner.representations.networks import build_pe_mlp, build_siren

    if recipe.representation == "siren":
        return build_siren(shape, outputs, recipe.network)
    return build_pe_mlp(shape, outputs, recipe.network, recipe.encoding)
