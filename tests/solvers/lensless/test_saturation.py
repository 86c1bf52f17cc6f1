"""Saturated pixels as lower bounds, in the misfit and in everything derived from it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.sensor import Sensor
from napari_diner.physics.lensless.tiles import TiledMultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import Kind, PhaseProblem
from napari_diner.solvers.lensless.uncertainty import UncertaintyEstimate
from napari_diner.solvers.lensless.uncertainty_settings import UncertaintySettings
from napari_diner.solvers.lensless.weighting import weigh
from napari_diner.solvers.settings import AlternatingSettings, GaussNewtonSettings
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import complex_noise, low_passed, noise
from tests.solvers.lensless.small_problems import Recording, psnr_db, record, rich_problem

KINDS: list[Kind] = ["amplitude", "intensity"]
PIXEL_UM = 1.12


def saturated(problem: PhaseProblem, share: float = 0.4) -> PhaseProblem:
    """The problem with its brightest pixels saturated."""
    level = problem.amplitudes.quantile(1 - share)
    return PhaseProblem(problem.model, problem.amplitudes.clamp_max(level), problem.mask, problem.amplitudes >= level)


def binned() -> PhaseProblem:
    """A problem with pixels of the sensor that cover 2×2 of the object's."""
    model = MultiHeight(
        (8, 12), Heights(Optics(PIXEL_UM / 2, 0.532), (20.0, 30.0)), sensor=Sensor(2), dtype=torch.complex128
    )
    return PhaseProblem(model, noise((2, 4, 6)).abs() + 0.2)


PROBLEMS = {
    "plain": saturated(rich_problem(masked=False, padding=False)),
    "masked and padded": saturated(rich_problem(masked=True, padding=True)),
    "binned": saturated(binned()),
}


@pytest.fixture(params=list(PROBLEMS))
def problem(request: pytest.FixtureRequest) -> PhaseProblem:
    return PROBLEMS[request.param]


def relative(image: Tensor) -> Tensor:
    """An image in its own range, from 0 to 1."""
    return (image - image.min()) / (image.max() - image.min())


def field_of(problem: PhaseProblem, seed: int = 1) -> Tensor:
    """A field that is brighter than some of the saturated pixels, and darker than others."""
    field = complex_noise(problem.model.shape, seed)
    counted = problem.at_least if problem.mask is None else problem.at_least & problem.mask
    field = 1.03 * field * (problem.amplitudes[counted] / problem.modulus(field)[counted]).median()
    above = problem.modulus(field)[counted] >= problem.amplitudes[counted]
    assert 0 < int(above.sum()) < above.numel()
    return field


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_too_dark_counts_of_a_saturated_pixel(problem: PhaseProblem, kind: Kind) -> None:
    field = field_of(problem)
    modulus = problem.modulus(field)
    error = modulus - problem.amplitudes if kind == "amplitude" else modulus**2 - problem.amplitudes**2
    error = torch.where(problem.at_least, error.clamp_max(0), error)
    if problem.mask is not None:
        error = error[problem.mask]
    expected = float(error.square().mean())
    assert problem.with_kind(kind).evaluate(field).misfit == pytest.approx(expected, rel=1e-12)
    if kind == "intensity":
        assert problem.intensity_error(problem.intensity_residual(field)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(problem: PhaseProblem, kind: Kind) -> None:
    field = field_of(problem).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: 3 * problem.with_kind(kind).loss(f), (field,), rtol=1e-6, atol=1e-9)


def test_the_derivative_is_that_of_the_residual(problem: PhaseProblem) -> None:
    field, change = field_of(problem), complex_noise(problem.model.shape, 2)
    ahead, behind = (problem.linearise(field * torch.exp(step * change)).residual() for step in (1e-5, -1e-5))
    linear = problem.linearise(field)
    torch.testing.assert_close(linear.apply(change), (ahead - behind) / 2e-5, atol=1e-6, rtol=1e-6)
    assert_adjoint(linear.apply, linear.adjoint, change, noise(tuple(problem.amplitudes.shape), 3))
    gradient = 2 / problem.valid * linear.adjoint(linear.residual())
    torch.testing.assert_close(field.conj() * problem.evaluate(field).gradient, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_where_no_pixel_is_saturated(kind: Kind) -> None:
    plain = rich_problem(masked=True, padding=True).with_kind(kind)
    none = torch.zeros_like(plain.amplitudes, dtype=torch.bool)
    same = PhaseProblem(plain.model, plain.amplitudes, plain.mask, none).with_kind(kind)
    field = complex_noise(plain.model.shape, 1)
    for one, other in zip(plain.evaluate(field), same.evaluate(field), strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    change = complex_noise(plain.model.shape, 2)
    assert torch.equal(plain.linearise(field).apply(change), same.linearise(field).apply(change))


def test_projections_keep_what_is_brighter_than_a_saturated_pixel() -> None:
    # one height in lossless light, so that a round is the projection itself
    model = MultiHeight((16, 20), Heights(Optics(PIXEL_UM, 0.532), (30.0,)), dtype=torch.complex128)
    start = complex_noise((16, 20), 4)
    recorded = noise((1, 16, 20), 5).abs() + 0.1
    at_least = noise((1, 16, 20), 6) > 0
    problem = PhaseProblem(model, recorded, None, at_least)
    projections = AlternatingProjections(problem, start, AlternatingSettings(iterations=2, momentum=False))
    list(projections.steps())
    before, after = problem.modulus(start), problem.modulus(projections.result())
    torch.testing.assert_close(after, torch.where(at_least, torch.maximum(before, recorded), recorded))


def test_parts_of_the_sensor_are_judged_each_for_itself() -> None:
    heights = Heights(Optics(PIXEL_UM, 0.532), (20.0, 30.0))
    whole = MultiHeight((64, 80), heights, dtype=torch.complex128)
    tiled = TiledMultiHeight((64, 80), heights, 48, dtype=torch.complex128)
    field = complex_noise((64, 80), 1)
    amplitudes, at_least = whole.fields(complex_noise((64, 80), 2)).abs(), noise((2, 64, 80), 3) > 0
    one, other = (PhaseProblem(tiled, amplitudes, None, at_least), PhaseProblem(whole, amplitudes, None, at_least))
    torch.testing.assert_close(one.evaluate(field).misfit, other.evaluate(field).misfit, rtol=0.02, atol=0)
    residuals = [each.linearise(field).residual() for each in (one, other)]
    assert ((residuals[0] > 0) & at_least).sum() == ((residuals[1] > 0) & at_least).sum() == 0


@pytest.mark.parametrize("share", [0.15])
def test_the_object_is_found_behind_saturated_pixels(recording: Recording, share: float) -> None:
    one_sided = saturated(recording.problem, share)
    believed = PhaseProblem(one_sided.model, one_sided.amplitudes)
    found = {}
    for name, each in (("one-sided", one_sided), ("believed", believed)):
        solver = GaussNewton(each, each.flat_field(), GaussNewtonSettings(iterations=20))
        list(solver.steps())
        found[name] = psnr_db(solver.result(), recording.truth)
    assert min(found["one-sided"]) > 50
    assert max(found["believed"]) < 40


def test_bounds_do_not_hold_a_phase_that_is_still_wrong() -> None:
    # a full turn of phase, and a fifth of the pixels saturated
    shape, share = (48, 48), 0.2
    absorption, delay = (low_passed(noise(shape, seed), 60) for seed in (4, 54))
    model = MultiHeight(shape, Heights(Optics(PIXEL_UM, 0.532), (60.0, 85.0, 120.0, 170.0)), dtype=torch.complex64)
    truth = torch.polar(1 - 0.5 * relative(absorption), 6.28 * relative(delay)).to(torch.complex64)
    exact = PhaseProblem(model, model.fields(truth).abs())
    solver = GaussNewton(saturated(exact, share), exact.flat_field(), GaussNewtonSettings(iterations=20))
    list(solver.steps())
    assert min(psnr_db(solver.result(), truth)) > 60


def test_noise_is_that_of_pixels_that_are_exact() -> None:
    recording = record(torch.complex64)
    noisy = recording.problem.amplitudes + 0.01 * noise(tuple(recording.problem.amplitudes.shape), 7).float()
    exact = PhaseProblem(recording.problem.model, noisy)
    clipped = saturated(exact, 0.3)
    _, expected = weigh(exact, recording.truth, robust=False)
    weighted, estimated = weigh(clipped, recording.truth, robust=False)
    sigma = [noise.variance(torch.tensor(0.7)).sqrt() for noise in (expected, estimated)]
    torch.testing.assert_close(sigma[0], sigma[1], rtol=0.05, atol=0)
    assert weighted.at_least is not None


def test_a_lost_bound_is_less_certain_than_a_value() -> None:
    recording = record(torch.complex64)
    noisy = recording.problem.amplitudes + 0.01 * noise(tuple(recording.problem.amplitudes.shape), 7).float()
    exact = PhaseProblem(recording.problem.model, noisy)
    # where the truth is brighter than they could record, saturated pixels say nothing more
    sigmas = []
    for problem in (exact, saturated(exact, 0.5)):
        estimate = UncertaintyEstimate(
            problem, recording.truth, UncertaintySettings(samples=4, noise=0.01), PIXEL_UM, seed=1
        )
        list(estimate.steps())
        uncertainty = estimate.result()
        assert uncertainty is not None
        sigmas.append(float(uncertainty.phase.mean()))
    assert sigmas[1] > 1.1 * sigmas[0]


def test_settings_of_the_problem_keep_what_is_saturated(problem: PhaseProblem) -> None:
    other = problem.with_weights(torch.ones_like(problem.amplitudes)).with_kind("intensity").with_model(problem.model)
    assert other.at_least is problem.at_least
