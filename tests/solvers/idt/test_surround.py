"""Fields that are not periodic: the volume is also solved for beyond the edges of the frames."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.padding import Padding
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.least_squares import WeightedLeastSquares
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.weight_choice import noise_level
from tests.kit.adjoint import AdjointMixin, Operator
from tests.kit.fields import noise
from tests.solvers.idt.small_volumes import TV, born

FRAMES = 6
FIELD = Padding((13, 10), "unknown", 4)
SHAPE = (3, *FIELD.padded_shape)
LINEAR = born(SHAPE, FRAMES)
MODELS: dict[str, IDTModel] = {
    "born": LINEAR,
    "multislice": SSNPModel(
        VolumeGeometry(SHAPE, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, FRAMES), dtype=torch.complex128
    ),
}
TRUTH = 4e-3 * noise((2, *SHAPE), 1).clamp_min(0)


@pytest.fixture(params=list(MODELS))
def problem(request: pytest.FixtureRequest) -> VolumeProblem:
    model = MODELS[request.param]
    data = FIELD.crop(model.forward(TRUTH)) + 1e-3 * noise((FRAMES, *FIELD.shape), 2)
    return VolumeProblem(
        model, data, VolumePriors(tv=1e-3), TV, (0, 2, 3, 5), LINEAR, scale=(4e-3, 4e-3), padding=FIELD
    )


class TestDerivative(AdjointMixin):
    """The derivative of what the frames see."""

    @pytest.fixture
    def operator(self, problem: VolumeProblem) -> Operator:
        linear = problem.linearise(0.7 * TRUTH)
        return Operator(linear.apply, linear.adjoint, (2, *SHAPE), (4, *FIELD.shape), True, True)


def test_nothing_is_compared_beyond_the_edges(problem: VolumeProblem) -> None:
    frames = [2, 5]
    left = FIELD.crop(problem.model.forward(TRUTH, frames)) - problem.data[frames]
    assert float(problem.misfit(TRUTH, frames)) == pytest.approx(float(left.square().sum()) / 2)
    direction = noise((2, *SHAPE), 3)
    ahead, behind = (problem.evaluate(0.7 * TRUTH + step * direction).loss for step in (1e-7, -1e-7))
    slope = float((problem.evaluate(0.7 * TRUTH).gradient * direction).sum())
    assert slope == pytest.approx((ahead - behind) / 2e-7, rel=1e-4)


def test_completed_data_are_those_of_the_frames_and_of_the_model_around_them(problem: VolumeProblem) -> None:
    data, loss = problem.completed(TRUTH)
    chosen = list(problem.frames or ())
    torch.testing.assert_close(FIELD.crop(data), problem.data[chosen])
    around = ~FIELD.crop_adjoint(torch.ones(FIELD.shape, dtype=torch.bool))
    torch.testing.assert_close(data[:, around], problem.model.forward(TRUTH, chosen)[:, around])
    assert loss == pytest.approx(problem.loss(TRUTH))


def test_the_closed_form_comes_to_the_masked_least_squares() -> None:
    data = FIELD.crop(LINEAR.forward(TRUTH))
    problem = VolumeProblem(LINEAR, data, VolumePriors(tikhonov=5.0), TV, padding=FIELD)
    solver = WeightedLeastSquares(problem)
    losses = [step.loss for step in solver.steps()]
    assert losses == sorted(losses, reverse=True)
    gradient = problem.evaluate(solver.result().volume).gradient
    assert float(gradient.norm()) < 3e-2 * float(problem.evaluate(torch.zeros_like(TRUTH)).gradient.norm())


# noise as a volume is strong enough for multiple scattering to slow the chords down
@pytest.mark.parametrize(("name", "part"), [("born", 0.2), ("multislice", 0.6)])
def test_voxels_explain_what_a_periodic_volume_cannot(name: str, part: float) -> None:
    model = MODELS[name]
    data = FIELD.crop(model.forward(TRUTH))
    priors = VolumePriors(tv=1e-4, sign_re=1, sign_im=1)
    wide = VolumeProblem(model, data, priors, TV, slope=LINEAR, padding=FIELD)
    small = (3, *FIELD.shape)
    slope = born(small, FRAMES)
    narrow = slope
    if name == "multislice":
        geometry = VolumeGeometry(small, 0.5, 0.515, 1.33, 0.18, 0.65)
        narrow = SSNPModel(geometry, ring(0.637, FRAMES), dtype=torch.complex128)
    left = []
    for problem in (replace(wide, model=narrow, slope=slope, padding=None), wide):
        kind = Admm if name == "born" else MultiSliceVoxels
        solver = kind(problem, torch.zeros(2, *problem.model.shape, dtype=torch.float64), 40)
        for _ in solver.steps():
            pass
        left.append(float(problem.residual(solver.result(), None).norm() / data.norm()))
    assert left[1] < part * left[0]


def test_the_noise_of_a_part_is_not_mistaken_for_the_jump_at_its_edges() -> None:
    padding = Padding((64, 60), "unknown", 12)
    model = born((4, *padding.padded_shape), 3, torch.complex64)
    wide = born((4, 128, 128), 3, torch.complex64)
    seen = wide.forward(0.01 * noise((2, 4, 128, 128), 4, torch.float32))[:, 30:94, 40:100]
    level = float(seen.std()) / 20
    data = seen + level * noise((3, 64, 60), 5, torch.float32)
    assert noise_level(model, data) == pytest.approx(level, rel=0.15)
