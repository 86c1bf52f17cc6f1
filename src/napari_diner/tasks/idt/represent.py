"""The unknown of diffraction tomography: the contrast that a representation stands for."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.representations.registry import build, representation
from napari_diner.representations.unknown import Scaled
from napari_diner.solvers.idt.problem import scale_of
from napari_diner.solvers.starting_values import fit_values
from napari_diner.tasks.idt.recipe import IdtRecipe

_TABLE_WIDTH = 3
_LATTICE_SIZES = {1: 64, 2: 64, 3: 24}
# of the learning rate, for representations that start from voxels: to refine what is known without undoing it
_WARM_FACTOR = 0.1


def build_unknown(recipe: IdtRecipe, volume: Tensor, generator: torch.Generator) -> tuple[Scaled, tuple[float, float]]:
    """Build the representation of Δε_re and Δε_im that a recipe asks for, in units of the scale of a volume.

    Parameters
    ----------
    recipe
        Solver, sizes, seed.
    volume
        Contrast, (2, Z, Y, X). Representations that can hold values start from it, others from a nearly empty volume.
    generator
        Source of random keys; networks draw from torch's global generator, which is seeded.

    Returns
    -------
    Scaled
        The unknown, on the device of `volume`.
    tuple[float, float]
        Contrast that an output of one stands for.
    """
    torch.manual_seed(recipe.seed)
    width = recipe.diner.table_width or _TABLE_WIDTH
    diner = recipe.diner.complete(width, _LATTICE_SIZES[width])
    shape = (volume.shape[1], volume.shape[2], volume.shape[3])
    part = build(recipe.solver, shape, 2, recipe.model_copy(update={"diner": diner}), generator).to(volume.device)
    scale = scale_of(volume)
    unknown = Scaled(part, volume.new_tensor(scale)).to(volume.device)
    if representation(recipe.solver).holds_values:
        fit_values(part, unknown.decompose(volume), generator)
    return unknown, scale


def learning_rate(solver: str) -> float:
    """Return the step size of Adam that suits a representation."""
    entry = representation(solver)
    return entry.learning_rate * (_WARM_FACTOR if entry.holds_values else 1.0)
