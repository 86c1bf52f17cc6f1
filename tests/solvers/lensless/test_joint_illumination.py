"""Object and illumination solved for together."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.moved import MovedMultiHeight, displaced
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.joint_illumination import JointIllumination, OneIllumination
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from tests.kit.fields import relative_error, smooth_noise

SHAPE, OPTICS = (48, 48), Optics(1.2, 0.55)
TRUE = torch.polar(1 + 0.12 * smooth_noise(SHAPE, 1, 60), 0.5 * smooth_noise(SHAPE, 2, 60)).to(torch.complex64)


def light(decay: float) -> Tensor:
    log = torch.complex(0.25 * smooth_noise(SHAPE, 3, decay), 0.5 * smooth_noise(SHAPE, 4, decay))
    P = torch.exp(log).to(torch.complex64)
    return P / P.abs().square().mean().sqrt()


def turned(field: Tensor, onto: Tensor) -> Tensor:
    return field * (onto.flatten().vdot(field.flatten()).conj() / field.abs().square().sum())


def run(solver: JointIllumination | OneIllumination) -> None:
    for _ in solver.steps():
        pass


def test_three_positions_determine_both() -> None:
    P = light(150)
    places = [place for place in [(0.0, 0.0), (9.1, 4.0), (-5.3, 8.2)] for _ in range(2)]
    apart, distances = [(-dy, -dx) for dy, dx in places], (70.0, 110.0) * 3
    still, moving = Heights(OPTICS, distances), Heights(OPTICS, distances, shifts_um=places)

    def in_light(one: Tensor) -> MovedMultiHeight:
        return MovedMultiHeight(SHAPE, moving, displaced(one, apart, OPTICS.pixel_size_um))

    problem = PhaseProblem(in_light(P), in_light(P).moduli(TRUE))
    flat = torch.ones_like(P)
    solver = JointIllumination(
        lambda one: problem.with_model(in_light(one)),
        lambda one: problem.with_model(MovedMultiHeight(SHAPE, still, displaced(one, places, OPTICS.pixel_size_um))),
        flat,
        flat,
        finest_px=0.0,
        iterations=10,
        cg_steps=30,
    )
    run(solver)
    lit = solver.result()
    assert relative_error(turned(lit.light, P), P) < 0.02 < 0.2 < relative_error(turned(flat, P), P)
    assert relative_error(turned(lit.field, TRUE), TRUE) < 0.02
    # brightness and phase that either may have belong to the object
    assert abs(float(lit.light.abs().square().mean()) - 1) < 1e-4
    assert abs(float(lit.light.sum().angle())) < 1e-4


def test_at_one_position_what_is_smooth_belongs_to_the_illumination() -> None:
    P = light(4000)
    # an object without detail as slow as the illumination
    log = torch.log(TRUE)
    radius = torch.hypot(torch.fft.fftfreq(48)[:, None], torch.fft.fftfreq(48))
    body = torch.exp(torch.fft.ifft2(torch.fft.fft2(log) * ((radius > 3 / 48) | (radius == 0))))
    model = MultiHeight(SHAPE, Heights(OPTICS, (50.0, 70.0, 95.0, 130.0)))
    problem = PhaseProblem(model, model.moduli(P * body))
    solver = OneIllumination(problem, problem.flat_field(), 20.0, GaussNewtonSettings(warm_up=20, iterations=12))
    run(solver)
    lit = solver.result()
    assert relative_error(turned(lit.light, P), P) < 0.1 < 0.4 < relative_error(turned(torch.ones_like(P), P), P)
    assert relative_error(turned(lit.field, body), body) < 0.1
