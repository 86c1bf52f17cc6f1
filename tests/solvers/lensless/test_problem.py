"""The misfit: value, gradient, and ignored pixels."""

from __future__ import annotations

import pytest
import torch

from napari_diner import processors
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.processors import apart
from napari_diner.solvers.lensless.problem import Kind, PhaseProblem
from tests.kit.fields import complex_noise
from tests.solvers.lensless.small_problems import Recording, Space, record, rich_problem

KINDS: list[Kind] = ["amplitude", "intensity"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_the_misfit_is_the_mean_square_over_valid_pixels(kind: Kind, masked: bool) -> None:
    problem = rich_problem(masked, padding=True)
    field = complex_noise((5, 6), 1)
    model = problem.model.fields(field).abs()
    error = model - problem.amplitudes if kind == "amplitude" else model**2 - problem.amplitudes**2
    expected = error.square() if problem.mask is None else error.square()[problem.mask]
    problem = problem.with_kind(kind)
    assert problem.evaluate(field).misfit == pytest.approx(float(expected.mean()), rel=1e-12)
    weighted = problem.with_weights(torch.rand_like(problem.amplitudes))
    for each in (problem, weighted):
        for misfit in (each.misfit(field), each.misfit_of(each.modulus(field))):
            assert misfit == pytest.approx(each.evaluate(field).misfit, rel=1e-12)
        assert each.value(field) == pytest.approx(each.evaluate(field).loss, rel=1e-12)
    if kind == "intensity":
        assert problem.intensity_error(problem.intensity_residual(field)) == pytest.approx(
            float(expected.mean()), rel=1e-12
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [False, True, "unknown"])
def test_the_gradient_is_that_of_finite_differences(kind: Kind, masked: bool, padding: Space) -> None:
    problem = rich_problem(masked, padding)
    field = complex_noise(problem.model.shape, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: 3 * problem.with_kind(kind).loss(f), (field,), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_automatic_differentiation(kind: Kind) -> None:
    problem = rich_problem(masked=True, padding=True)
    field = complex_noise((5, 6), 1).requires_grad_()
    intensities = problem.model.intensities(field)
    error = (
        intensities.sqrt() - problem.amplitudes if kind == "amplitude" else intensities - problem.amplitudes.square()
    )
    error[problem.mask].square().mean().backward()
    assert torch.allclose(problem.with_kind(kind).evaluate(field.detach()).gradient, field.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1e6, float("nan"), float("inf")])
def test_masked_pixels_have_no_influence(kind: Kind, value: float) -> None:
    recording = record()
    mask = torch.ones_like(recording.problem.amplitudes, dtype=torch.bool)
    mask[1, 5:9, 3:20] = False
    spoilt = recording.problem.amplitudes.where(mask, value)
    clean = PhaseProblem(recording.problem.model, recording.problem.amplitudes, mask)
    problem = PhaseProblem(recording.problem.model, spoilt, mask)
    field = complex_noise(problem.model.shape, 2)
    loss, gradient, misfit = problem.with_kind(kind).evaluate(field)
    expected, expected_gradient, _ = clean.with_kind(kind).evaluate(field)
    assert loss == misfit == expected
    assert torch.equal(gradient, expected_gradient)
    assert problem.intensity_error(problem.intensity_residual(field)) == clean.intensity_error(
        clean.intensity_residual(field)
    )
    assert torch.equal(problem.flat_field(), clean.flat_field())
    assert bool(torch.isfinite(problem.filled_amplitudes()).all())
    assert problem.valid == mask.sum()
    # but the others have
    assert misfit != recording.problem.with_kind(kind).evaluate(field).misfit


def test_a_mask_of_one_page_is_for_all_frames() -> None:
    recording = record()
    page = torch.ones(recording.problem.model.shape, dtype=torch.bool)
    page[:4] = False
    one = PhaseProblem(recording.problem.model, recording.problem.amplitudes, page)
    all_frames = PhaseProblem(recording.problem.model, recording.problem.amplitudes, page.expand(4, -1, -1).clone())
    field = complex_noise(page.shape, 2)
    assert one.valid == all_frames.valid == 4 * 28 * 40
    assert torch.equal(one.evaluate(field).gradient, all_frames.evaluate(field).gradient)


def test_the_truth_fits(recording: Recording) -> None:
    _, gradient, misfit = recording.problem.evaluate(recording.truth)
    assert misfit < 1e-30
    assert float(gradient.abs().max()) < 1e-15
    assert recording.problem.intensity_error(recording.problem.intensity_residual(recording.truth)) < 1e-30


def test_a_dark_pixel_has_a_finite_gradient() -> None:
    model = MultiHeight((8, 8), Heights(Optics(1.12, 0.532), (50.0,)))
    problem = PhaseProblem(model, torch.ones(1, 8, 8))
    _, gradient, misfit = problem.evaluate(torch.zeros(8, 8, dtype=torch.complex64))
    assert misfit == 1
    assert bool(torch.isfinite(gradient.real).all())


@pytest.mark.parametrize("masked", [False, True])
def test_the_flat_field_has_the_recorded_brightness(masked: bool) -> None:
    problem = rich_problem(masked, padding=True)
    flat = problem.flat_field()
    assert float(flat.abs().std()) < 1e-15
    brightness = problem.model.intensities(flat)
    if problem.mask is not None:
        brightness = brightness[problem.mask]
    assert float(brightness.sum()) == pytest.approx(float(problem.amplitudes.square().sum()), rel=1e-12)


def test_masked_amplitudes_are_filled_with_the_mean_of_their_frame() -> None:
    problem = rich_problem(masked=True, padding=False)
    assert problem.mask is not None
    filled = problem.filled_amplitudes()
    for frame in range(2):
        mean = problem.amplitudes[frame][problem.mask[frame]].mean()
        assert torch.allclose(filled[frame][~problem.mask[frame]], mean)
    assert torch.equal(filled[problem.mask], problem.amplitudes[problem.mask])


@pytest.mark.parametrize("masked", [False, True])
def test_the_residual_of_the_empty_object(masked: bool) -> None:
    problem = rich_problem(masked, padding=True)
    flat = problem.flat_field()
    assert torch.allclose(problem.flat_residual(), problem.intensity_residual(flat), rtol=1e-10, atol=1e-12)
    mask = torch.ones_like(problem.amplitudes, dtype=torch.bool) if problem.mask is None else problem.mask
    light = problem.model.intensities(flat)[mask].sum()
    assert float(light) == pytest.approx(float(problem.amplitudes.square().sum()), rel=1e-10)


def test_threads_with_a_frame_each_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = record(torch.complex64).problem
    field, before = complex_noise(problem.model.shape, 1).to(torch.complex64), torch.get_num_threads()
    step = complex_noise(problem.model.shape, 2).to(torch.complex64)

    def found() -> tuple[float, torch.Tensor, torch.Tensor]:
        loss, gradient, _ = problem.evaluate(field)
        return loss, gradient, problem.linearise(field).normal(torch.ones(problem.model.shape))(step)

    whole = found()
    monkeypatch.setattr(processors, "_FEWEST_DIVIDED", 1)
    torch.set_num_threads(3)
    with apart():
        divided, again = found(), found()
    torch.set_num_threads(before)
    assert divided[0] == again[0] == pytest.approx(whole[0], rel=1e-6)
    for one, other, expected in zip(divided[1:], again[1:], whole[1:], strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))
