from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from napari_diner.errors import OutOfMemoryError
from napari_diner.solvers.idt import tikhonov
from napari_diner.solvers.idt.tikhonov import ClosedForm, _decomposed
from tests.solvers.idt.small_volumes import TV, born, dense, dense_differences, noise

SHAPE = (3, 6, 7)


@pytest.mark.parametrize("frames", [4, 9], ids=["fewer frames than unknowns", "more frames than unknowns"])
@pytest.mark.parametrize("alpha", [1e-3, 3.0])
def test_closed_form_is_the_dense_least_squares_solution(frames: int, alpha: float) -> None:
    model = born(SHAPE, frames)
    matrix, data = dense(model), noise(frames, *SHAPE[1:])
    wanted = torch.linalg.solve(matrix.T @ matrix + alpha * torch.eye(matrix.shape[1]), matrix.T @ data.flatten())
    found = ClosedForm(model).solve(data, alpha)
    assert torch.allclose(found.flatten(), wanted, atol=1e-11 * float(wanted.abs().max()) / min(alpha, 1))


@pytest.mark.parametrize("frames", [4, 9])
def test_closed_form_with_slopes_in_the_penalty_is_the_dense_solution(frames: int) -> None:
    model, rho, sigma = born(SHAPE, frames), 0.3, 0.2
    matrix, slopes = dense(model), dense_differences(SHAPE, TV)
    penalty = slopes.T @ slopes + sigma * torch.eye(matrix.shape[1])
    data, centre = noise(frames, *SHAPE[1:], seed=1), noise(2, *SHAPE, seed=2)
    wanted = torch.linalg.solve(
        matrix.T @ matrix + rho * penalty, matrix.T @ data.flatten() + rho * penalty @ centre.flatten()
    )
    closed = ClosedForm(model, TV.eigenvalues(SHAPE) + sigma)
    found = model.from_spectrum(closed.nearest(model.spectrum(data), model.spectrum(centre), rho))
    assert torch.allclose(found.flatten(), wanted, atol=1e-10)


def test_frames_left_out_do_not_count() -> None:
    model, kept = born(SHAPE, 6), [0, 2, 5]
    data = noise(6, *SHAPE[1:])
    few = born(SHAPE, 6)
    rows = dense(few).view(6, -1, 2 * 3 * 6 * 7)[kept].flatten(0, 1)
    wanted = torch.linalg.solve(rows.T @ rows + 0.1 * torch.eye(rows.shape[1]), rows.T @ data[kept].flatten())
    found = ClosedForm(model, frames=kept).solve(data[kept], 0.1)
    assert torch.allclose(found.flatten(), wanted, atol=1e-10)


def test_small_blocks_of_frequencies_give_the_same() -> None:
    data = noise(4, *SHAPE[1:])
    whole, pieces = born(SHAPE, 4), born(SHAPE, 4)
    pieces.block_elements = 1
    difference = ClosedForm(whole).solve(data, 0.1) - ClosedForm(pieces).solve(data, 0.1)
    assert float(difference.abs().max()) < 1e-11


def test_factorising_piece_by_piece_gives_coarse_volumes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tikhonov, "_WORK", 1.0)
    model, kept = born((3, 12, 14), 5), [0, 1, 3]
    model.block_elements = 1
    closed, whole = ClosedForm(model, frames=kept, at_once=False), ClosedForm(model, frames=kept)
    spectrum = model.spectrum(noise(3, 12, 14))
    exact = whole.correction(spectrum, 0.1)
    shares, size = [], torch.hypot(torch.fft.fftfreq(12)[:, None], torch.fft.rfftfreq(14)[None])
    for done in closed.factorise():
        shares.append(done)
        seen = torch.zeros(size.numel(), dtype=torch.bool)
        seen[model.active[: closed.known]] = True
        # the lowest frequencies come first
        assert float(size.flatten()[seen].max()) <= float(size.flatten()[model.active[closed.known :]].min()) + 1e-6
        coarse = closed.coarse(spectrum, 0.1)
        assert torch.allclose(coarse, exact * seen.view_as(size), atol=1e-11)
    assert shares == sorted(set(shares))
    assert len(shares) == len(model.active) - 1
    assert closed.is_whole
    assert torch.equal(closed.correction(spectrum, 0.1), exact)


def test_what_does_not_fit_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = born(SHAPE, 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=len(model.active) * 4 * 4 * 16 - 1))
    with pytest.raises(OutOfMemoryError, match="closed form"):
        ClosedForm(model)


@pytest.mark.parametrize("passing", [1, 3, 7])
def test_frequencies_that_few_frames_pass_on_are_decomposed_in_single_precision(passing: int) -> None:
    generator = torch.Generator().manual_seed(passing)
    matrices = torch.zeros(50, 18, 16, dtype=torch.complex64)
    matrices[:, torch.randperm(18, generator=generator)[:passing]] = torch.randn(
        50, passing, 16, dtype=torch.complex64, generator=generator
    )
    squares, vectors = _decomposed(matrices)
    product = (vectors * squares[:, None]) @ vectors.mH
    assert torch.allclose(product, matrices @ matrices.mH, atol=1e-3)
