"""The unknown of diffraction tomography: the contrast as a representation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation
from napari_diner.representations.registry import build, representation
from napari_diner.representations.unknown import Scaled
from napari_diner.solvers.idt.problem import scale_of
from napari_diner.solvers.starting_values import fit_values
from napari_diner.tasks.idt.recipe import IdtRecipe

# factor on the learning rate of representations that start from voxels, to refine without undoing
_WARM_FACTOR = 0.1
# root mean square output of a representation of a nearly empty volume
_NEARLY_EMPTY = 0.01


def build_unknown(recipe: IdtRecipe, volume: Tensor, generator: torch.Generator) -> Scaled:
    """Build the representation of Δε_re and Δε_im of a recipe, in units of the scale of a volume.

    Parameters
    ----------
    recipe
        Solver, start, sizes, seed.
    volume
        Contrast, (2, Z, Y, X). Representations that can hold values are initialised with it if they start from voxels;
        others represent a nearly empty volume.
    generator
        Source of random keys; networks draw from torch's global generator, which is seeded.

    Returns
    -------
    Scaled
        On the device of `volume`.
    """
    torch.manual_seed(recipe.seed)
    shape = (volume.shape[1], volume.shape[2], volume.shape[3])
    part = build(recipe.solver, shape, 2, recipe.with_sizes(), generator)
    unknown = Scaled(part, volume.new_tensor(scale_of(volume))).to(volume.device)
    if recipe.start == "voxels" and representation(recipe.solver).holds_values:
        fit_values(part, unknown.decompose(volume), generator)
    else:
        _make_nearly_empty(part)
    return unknown


def learning_rate(recipe: IdtRecipe) -> float:
    """Return the step size of Adam for the representation of a recipe and its start."""
    return representation(recipe.solver).learning_rate * (_WARM_FACTOR if recipe.start == "voxels" else 1.0)


@torch.no_grad()
def _make_nearly_empty(part: Representation) -> None:
    """Make a representation return values far below one by scaling its last linear layer, if there is one."""
    size = float(part.exact().square().mean().sqrt())
    linear = [layer for layer in part.modules() if isinstance(layer, nn.Linear)]
    if linear and size > _NEARLY_EMPTY:
        for parameter in linear[-1].parameters():
            parameter.mul_(_NEARLY_EMPTY / size)
