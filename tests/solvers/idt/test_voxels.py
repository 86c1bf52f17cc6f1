"""The registered solver for voxels suits the model of its problem."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.settings import MultisliceSettings
from napari_diner.solvers.registry import solvers
from napari_diner.solvers.solver import Budget
from tests.solvers.idt.small_volumes import TV, blocks, born

SHAPE = (4, 16, 18)
LINEAR = born(SHAPE, 6, torch.complex64)


@dataclass(frozen=True)
class Settings:
    """The settings of the solver."""

    iterations: int = 4
    multislice: MultisliceSettings = field(default_factory=lambda: MultisliceSettings(iterations=3))


def test_steps_are_those_of_the_model() -> None:
    scattering = SSNPModel(VolumeGeometry(SHAPE, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, 6, offset_deg=10))
    data = scattering.forward(blocks(SHAPE, 0.05).float())
    linear = VolumeProblem(LINEAR, data, VolumePriors(tv=1e-2, sign_re=1), TV)
    build = solvers("idt")["voxels"].builder()
    found = {}
    for name, problem in {"born": linear, "multislice": replace(linear, model=scattering, slope=LINEAR)}.items():
        solver = build(problem, torch.zeros(2, *SHAPE), Settings(), Budget())
        assert list(solver.steps())[-1].iteration == {"born": 4, "multislice": 3}[name]
        found[name] = solver.result()
        assert problem.loss(found[name]) < 0.5 * problem.loss(torch.zeros(2, *SHAPE))
    # multiple scattering leaves less of the data unexplained where it is what made them
    unexplained = [float((scattering.forward(volume) - data).norm()) for volume in found.values()]
    assert unexplained[1] < unexplained[0]
