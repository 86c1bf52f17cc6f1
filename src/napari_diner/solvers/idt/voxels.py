"""The voxels solver: ADMM for a linear model, chords or Gauss-Newton steps for any other."""

from __future__ import annotations

from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.settings import VoxelSettings
from napari_diner.solvers.solver import Budget


def build(problem: VolumeProblem, start: Tensor, recipe: VoxelSettings, budget: Budget) -> Admm | MultiSliceVoxels:
    """Build the solver for the model of a problem, with the settings of a recipe."""
    if isinstance(problem.model, LinearModel):
        return Admm(problem, start, recipe.iterations)
    if recipe.multislice.method == "gauss-newton":
        return GaussNewtonVoxels(problem, start, recipe.multislice.newton_iterations)
    return MultiSliceVoxels(problem, start, recipe.multislice.iterations)
