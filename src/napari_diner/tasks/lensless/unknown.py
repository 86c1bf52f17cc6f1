"""The unknown of a lensless recipe: the represented field that gradient descent moves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation
from napari_diner.representations.complex_field import ComplexField
from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.solvers.starting_values import fit_values
from napari_diner.tasks.lensless.recipe import LenslessRecipe


def build_unknown(recipe: LenslessRecipe, start: Tensor, *, flat: bool) -> ComplexField:
    """Build the representation that a recipe asks for and give it the values of the start.

    Parameters
    ----------
    recipe
        Representation, ranges, seed.
    start
        Complex field, (Y, X).
    flat
        Whether `start` is a constant, which a network takes on by its last bias alone, its keys untouched.

    Returns
    -------
    ComplexField
        On the device of `start`.
    """
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    shape = (start.shape[0], start.shape[1])
    parts: list[Representation]
    if recipe.solver == "pixels":
        parts = [Pixels(shape, 2)]
    elif recipe.diner.tables == "shared":
        parts = [Diner(shape, 2, recipe.diner, generator)]
    else:
        parts = [Diner(shape, 1, recipe.diner, generator) for _ in range(2)]
    unknown = ComplexField(
        parts,
        # outputs of order one, whatever the units of the data
        amplitude_scale=float(start.abs().square().mean().sqrt()) or 1.0,
        phase_scale_rad=recipe.phase_scale_rad,
        amplitude_nonnegative=recipe.amplitude_nonnegative,
    ).to(start.device)
    for part, values in zip(parts, unknown.targets(start.abs(), start.angle()), strict=True):
        if flat and isinstance(part, Diner):
            _set_constant(part, values.mean((-2, -1)))
        else:
            fit_values(part, values, generator)
    return unknown


@torch.no_grad()
def _set_constant(diner: Diner, values: Tensor) -> None:
    """Move the last bias so that the mean key gives these values."""
    last = diner.backbone[-1]
    assert isinstance(last, nn.Linear)
    last.bias.add_(values - diner.backbone(diner.hash_table.mean(0)))
