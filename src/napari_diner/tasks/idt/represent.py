"""The representation of a volume that a recipe asks for."""

from __future__ import annotations

import torch

from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.tasks.idt.recipe import IdtRecipe

LEARNING_RATES = {"diner": 1e-4, "decaf": 8e-3}
"""Step size of Adam for each representation, if the recipe does not tell; found by trying."""


def build_representation(
    recipe: IdtRecipe, shape: tuple[int, int, int], generator: torch.Generator | None = None
) -> Representation:
    """Build the representation of Δε_re and Δε_im, for a volume (Z, Y, X), with its starting parameters.

    Parameters
    ----------
    recipe
        Solver, sizes, seed.
    shape
        Voxels (Z, Y, X).
    generator
        Source of the random initial keys; networks draw from torch's global generator, which is seeded.
    """
    torch.manual_seed(recipe.seed)
    if recipe.solver == "diner":
        return Diner(shape, 2, recipe.diner.complete(), generator)
    from napari_diner.representations.radial import RadialEncoding, RadialNetwork

    settings = recipe.decaf
    encoding = RadialEncoding(settings.directions, settings.lateral_frequencies, settings.axial_frequencies)
    return RadialNetwork(shape, 2, encoding, settings.hidden_layers, settings.hidden_features)
