"""Weights that nobody has to guess: those that predict best a frame that was not used.

What explains the data too closely explains their noise, and what explains too little leaves structure in them; both
predict a frame badly that was left out. No level of noise needs to be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel, without_nyquist
from napari_diner.solvers.idt.admm import Admm, factorised
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm

# weights of the total variation, beside that which evens out as much as noise in the data does to a volume: first the
# largest, then each smaller than the last, until predictions have got worse
_LARGEST_TV = 100.0
_TV_RATIO = 10**0.5
_MOST_TV = 8
_TV_ITERATIONS = 15
# one frame in so many is left out
_HELD_OUT = 4


@dataclass(frozen=True)
class Choice:
    """A weight that was chosen, and what for.

    Parameters
    ----------
    value
        The weight.
    candidates
        The weights that were tried, ascending.
    errors
        Root mean square of the difference between frames that were left out and what the others predict of them, for
        each candidate.
    method
        How, in a few words for the report.
    """

    value: float
    candidates: tuple[float, ...]
    errors: tuple[float, ...]
    method: str


def choose_tikhonov(closed: ClosedForm, data: Tensor, count: int = 41) -> Choice:
    """Choose α of `ClosedForm` by leaving out one frame at a time.

    For all N solutions without one frame nothing has to be solved: with C = (M B⁻¹ M* + α)⁻¹, frame i differs from
    what the others predict of it by ``(C g)_i / C_ii`` at each frequency (Allen's PRESS, Technometrics 16, 125 (1974)).

    Parameters
    ----------
    closed
        The factorised problem.
    data
        g, real, (N, Y, X).
    count
        Candidates, evenly spaced in their logarithm over all that make a difference.
    """
    model = closed.model
    pixels = model.shape[1] * model.shape[2]
    spectrum = model.spectrum(data)
    largest = float(closed.eigenvalues.max())
    candidates = np.geomspace(1e-7 * largest, largest, count)
    shares = _shares(model)
    # at other frequencies the others predict nothing, whatever α
    outside = float(data.square().sum()) * pixels - _energy(spectrum.flatten(1)[:, model.active], shares)
    totals = torch.zeros(count, dtype=torch.float64)
    coefficients = closed.coefficients(spectrum)
    for block in model.blocks(len(closed.frames) * closed.rank):
        values, vectors = closed.eigenvalues[block], closed.vectors[block]
        # where there are more frames than unknowns, V spans a part only; the rest is divided by α alone
        active = spectrum.flatten(1)[:, model.active[block]].T
        rest = active - (vectors @ coefficients[block][..., None])[..., 0]
        lengths = vectors.real.square() + vectors.imag.square()
        for place, alpha in enumerate(candidates):
            spread = 1 / (values + alpha)
            solved = (vectors @ (coefficients[block] * spread)[..., None])[..., 0]
            diagonal = (lengths @ spread[..., None])[..., 0]
            if closed.rank < len(closed.frames):
                solved = solved + rest / alpha
                diagonal = diagonal + (1 - lengths.sum(-1)).clamp_min(0) / alpha
            totals[place] += _energy((solved / diagonal).T, shares[block])
    errors = ((totals + max(outside, 0.0)) / (len(closed.frames) * pixels**2)).sqrt().tolist()
    return _least(candidates.tolist(), errors, "each frame predicted from all others")


def choose_tv(
    problem: VolumeProblem,
    start: Tensor,
    *,
    candidates: Sequence[float] | None = None,
    iterations: int = _TV_ITERATIONS,
    report: Callable[[float], None] | None = None,
) -> Choice:
    """Choose the weight τ of the total variation by what `Admm` predicts of a few frames that it was not shown.

    Parameters
    ----------
    problem
        With a linear model; its τ is not looked at, its other priors are kept.
    start
        Contrast to start from, (2, Z, Y, X).
    candidates
        Weights to try; if None, from that down at which noise and all else is evened out.
    iterations
        Steps of `Admm` for each candidate; each starts where the last, next larger one ended.
    report
        Is told which part of the work is done, 0 to 1.

    Raises
    ------
    ValueError
        If there is only one frame.
    TypeError
        If the model is not linear.
    """
    count = problem.model.frames
    if count < 2:
        raise ValueError("a single frame cannot be predicted from others")
    # apart from each other but not regularly so, as patterns of illumination are regular
    left_out = sorted({(_HELD_OUT * place + place % 2) % count for place in range(-(-count // _HELD_OUT))})
    shown = tuple(frame for frame in range(count) if frame not in left_out)
    part = replace(problem, frames=shown)
    closed = factorised(part)
    given = candidates is not None
    if candidates is None:
        largest = _LARGEST_TV * noise_in_volume(closed, problem.data)
        candidates = [largest / _TV_RATIO**place for place in range(_MOST_TV)]
    errors: dict[float, float] = {}
    for place, tau in enumerate(sorted(candidates, reverse=True)):
        admm = Admm(replace(part, priors=replace(part.priors, tv=tau)), start, iterations, closed=closed)
        for step in admm.steps():
            if report is not None:
                report((place + step.done) / len(candidates))
        start = admm.volume()
        with torch.no_grad():
            errors[tau] = math.sqrt(2 * float(problem.misfit(start, left_out)) / problem.data[left_out].numel())
        if not given and errors[tau] > 1.02 * min(errors.values()):
            break
    tried = sorted(errors)
    method = f"{len(left_out)} frames predicted from the other {len(shown)}"
    return _least(tried, [errors[tau] for tau in tried], method)


def noise_level(model: LinearModel, data: Tensor) -> float:
    """Estimate the standard deviation of white noise in data, (N, Y, X).

    No object gives anything at frequencies that no illumination brings through the objective; what is there is noise.
    """
    spectrum = model.spectrum(data).flatten(1)
    quiet = without_nyquist(model.shape[1:]).to(model.device).flatten()
    quiet[model.active] = False
    quiet[0] = False
    if not quiet.any():
        return float(data.std())
    mean = spectrum[:, quiet].abs().square().mean()
    return math.sqrt(float(mean) / (model.shape[1] * model.shape[2]))


def noise_in_volume(closed: ClosedForm, data: Tensor) -> float:
    """Return the standard deviation, in a voxel, of M* applied to the noise of the data.

    A weight of the total variation well below it leaves the noise as it is, one well above it only what is stronger.
    """
    model = closed.model
    energy = 0.0
    shares = _shares(model)
    for block in model.blocks(len(closed.frames) * 2 * model.shape[0]):
        matrices = model.matrices(block)[:, closed.frames]
        energy += float(((matrices.real.square() + matrices.imag.square()).sum((1, 2)) * shares[block]).sum())
    voxels = 2 * model.shape[0] * model.shape[1] * model.shape[2]
    return noise_level(model, data) * math.sqrt(energy / voxels)


def _shares(model: LinearModel) -> Tensor:
    """Return how often each active frequency of the half-spectrum is in the whole one: with its mirror image, or 1."""
    first_column = model.active % model.half[1] == 0
    return torch.where(first_column, 1.0, 2.0).to(model.real_dtype)


def _energy(spectrum: Tensor, shares: Tensor) -> float:
    """Return the sum of squares of (N, K), weighted by (K,)."""
    return float(((spectrum.real.square() + spectrum.imag.square()) * shares).sum())


def _least(candidates: list[float], errors: list[float], method: str) -> Choice:
    best = min(range(len(errors)), key=errors.__getitem__)
    return Choice(candidates[best], tuple(candidates), tuple(errors), method)
