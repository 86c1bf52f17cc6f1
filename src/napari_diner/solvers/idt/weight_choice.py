"""Choice of the weights of the priors by cross-validation: those that best predict left-out frames.

A volume that explains the data too closely explains their noise, and one that explains too little misses structure;
both predict a left-out frame badly. The noise level need not be known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel, without_nyquist
from napari_diner.physics.padding import fading
from napari_diner.solvers.idt.admm import Admm, factorised
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

# weights of the total variation, relative to the noise of the data in a volume: first a large one, then
# successively smaller ones until predictions get worse; and larger ones if the first was best
_LARGE_TV = 8.0
# noise that is assumed at least, relative to the data: without noise, errors of the model take its place
_LEAST_NOISE = 2e-3
_TV_RATIO = 2.0
_LARGER_RATIO = 4.0
_MOST_TV = 10
_TV_ITERATIONS = 8
# ρ of `Admm`, relative to the strongest response: the same for all weights, as each continues from the last
_RHO = 1 / 150
# factor above which a prediction is certainly worse, and factor within which it is equally good: among equally
# good volumes, the smoother one is closer to the truth
_WORSE = 1.02
_AS_GOOD = 1.005
# one frame in so many is left out
_HELD_OUT = 4
# number of frequencies that suffices to compare penalties
_ENOUGH = 4096


@dataclass(frozen=True)
class Choice:
    """A chosen weight, and the reasons."""

    value: float
    """The weight."""
    candidates: tuple[float, ...]
    """The candidates, ascending."""
    errors: tuple[float, ...]
    """Root mean square difference between left-out frames and their prediction by the others, for each candidate."""
    method: str
    """The method in a few words, for the report."""


def choose_tikhonov(closed: ClosedForm, data: Tensor, count: int = 41, *, enough: int = _ENOUGH) -> Choice:
    """Choose α of `ClosedForm` by leaving out one frame at a time.

    For all N solutions without one frame nothing has to be solved: with C = (M B⁻¹ M* + α)⁻¹, frame i differs from
    its prediction by the others by ``(C g)_i / C_ii`` at each frequency (Allen's PRESS, Technometrics 16, 125 (1974)).
    Of many frequencies, every few are compared; those that are not factorised yet are left out.

    Parameters
    ----------
    closed
        The factorised problem.
    data
        g, real, (N, Y, X).
    count
        Number of candidates, evenly spaced in their logarithm over the relevant range.
    enough
        Approximate number of frequencies to compare.
    """
    model = closed.model
    pixels = model.shape[1] * model.shape[2]
    spectrum = model.spectrum(data).flatten(1)
    largest = float(closed.eigenvalues.max())
    candidates = np.geomspace(1e-7 * largest, largest, count)
    shares = _shares(model)
    # at other frequencies the others predict nothing for any α
    outside = float(data.square().sum()) * pixels - _energy(spectrum, model.active, shares)
    totals = torch.zeros(count, dtype=torch.float64)
    places = torch.arange(0, closed.known, -(-closed.known // enough), device=model.device)
    shares = shares * (closed.known / len(places))
    alphas = torch.from_numpy(candidates).to(model.device, model.real_dtype)
    for some in places.split(max(1, model.block_elements // (len(closed.frames) * max(closed.rank, count)))):
        values, vectors = closed.eigenvalues[some], closed.vectors[some]
        active = spectrum[:, model.active[some]].T
        coefficients = (vectors.mH @ active[..., None])[..., 0]
        # if there are more frames than unknowns, V spans only a part; the rest is divided by α
        rest = active - (vectors @ coefficients[..., None])[..., 0]
        lengths = vectors.real.square() + vectors.imag.square()
        spread = 1 / (values[..., None] + alphas)
        solved = vectors @ (coefficients[..., None] * spread)
        diagonal = lengths @ spread
        if closed.rank < len(closed.frames):
            solved = solved + rest[..., None] / alphas
            diagonal = diagonal + (1 - lengths.sum(-1)).clamp_min(0)[..., None] / alphas
        # in this order: their squares may exceed the range of single precision
        left = (solved / diagonal).abs().square()
        totals += (left.sum(1) * shares[some, None]).sum(0).double().cpu()
    errors = ((totals + max(outside, 0.0)) / (len(closed.frames) * pixels**2)).sqrt().tolist()
    return _least(candidates.tolist(), errors, "each frame predicted from all others")


class TvSearch(Resumable):
    """Choose the weight τ of the total variation by the predictions of left-out frames; a `Solver`.

    Parameters
    ----------
    problem
        With a linear model; its τ is ignored, its other priors are kept.
    start
        Contrast to start from, (2, Z, Y, X).
    candidates
        Weights to try; if None, downwards from one that smooths out everything.
    iterations
        Steps of `Admm` for each candidate; each starts where the next larger one ended.

    Raises
    ------
    ValueError
        If there is only one frame.
    TypeError
        If the model is not linear.
    """

    kept = ("_errors", "_admm")
    answer = ("_errors",)

    def __init__(
        self,
        problem: VolumeProblem,
        start: Tensor,
        *,
        candidates: Sequence[float] | None = None,
        iterations: int = _TV_ITERATIONS,
    ) -> None:
        count = problem.model.frames
        if count < 2:
            raise ValueError("a single frame cannot be predicted from others")
        # irregularly spaced, as patterns of illumination are regular
        self.left_out = sorted({(_HELD_OUT * place + place % 2) % count for place in range(-(-count // _HELD_OUT))})
        self.shown = tuple(frame for frame in range(count) if frame not in self.left_out)
        self._problem = problem
        self._part = replace(problem, frames=self.shown)
        self._closed = factorised(replace(self._part, priors=replace(problem.priors, tv=1.0)))
        self._given = candidates is not None
        if candidates is None:
            large = _LARGE_TV * noise_in_volume(
                self._closed.model, problem.exact(start), self.shown, least=_LEAST_NOISE
            )
            candidates = [large / _TV_RATIO**place for place in range(_MOST_TV)]
        self._candidates = sorted(candidates, reverse=True)
        self._errors: dict[float, float] = {}
        self._admm = Admm(self._with(self._candidates[0]), start, iterations, 0.0, self._closed, _RHO)

    def steps(self) -> Iterator[Step]:
        """Try one weight after the other; the completed fraction of the work is an upper bound."""
        total, tried = len(self._candidates), list[float]()
        preparation = self._closed.preparation((total + 2) * self._admm.iterations)
        for done in self._admm.prepare():
            yield Step(0, 1, within=done, preparation=preparation)
        for place, tau in enumerate(self._candidates):
            if tau not in self._errors:
                # the first start is far away
                for done in self._try(tau, 1 if place else 3):
                    yield Step(1, 1, within=(place + done) / total, preparation=preparation)
                yield Step(1, 1, within=(place + 1) / total, resumable=True, preparation=preparation)
            tried.append(self._errors[tau])
            if not self._given and tried[-1] > _WORSE * min(tried):
                break
        largest = self._candidates[0]
        if self._given or tried[0] > min(tried):
            yield Step(1, 1)
            return
        # these data are not dominated by noise
        for _ in range(_MOST_TV):
            largest *= _LARGER_RATIO
            if largest not in self._errors:
                for _ in self._try(largest, 2):
                    yield Step(1, 1)
                yield Step(1, 1, resumable=True)
            tried.append(self._errors[largest])
            if tried[-1] > _WORSE * min(tried):
                return

    def _with(self, tau: float) -> VolumeProblem:
        return replace(self._part, priors=replace(self._part.priors, tv=tau))

    def _try(self, tau: float, rounds: int) -> Iterator[float]:
        """Continue with another weight; yield the completed fraction of its steps."""
        admm = self._admm
        admm.aim(self._with(tau), admm.copy())
        for part in range(rounds):
            for step in admm.steps():
                yield (part + step.done) / rounds
        with torch.no_grad():
            misfit = float(self._problem.misfit(admm.copy(), self.left_out))
        self._errors[tau] = math.sqrt(2 * misfit / self._problem.data[self.left_out].numel())

    def result(self) -> Choice | None:
        """Return the largest weight so far that predicts as well as the best; None before the first."""
        tried = sorted(self._errors)
        if not tried:
            return None
        errors = [self._errors[tau] for tau in tried]
        method = f"{len(self.left_out)} frames predicted from the other {len(self.shown)}"
        best = max(tau for tau, error in zip(tried, errors, strict=True) if error <= _AS_GOOD * min(errors))
        return Choice(best, tuple(tried), tuple(errors), method)

    current = result


def noise_level(model: LinearModel, data: Tensor) -> float:
    """Estimate the standard deviation of white noise in data, (N, Y, X), of the pixels of the model or of fewer.

    Objects do not contribute to frequencies that no illumination transmits through the objective, where there is
    only noise. A part of the field is faded out towards its edges, whose jumps would contribute to all frequencies.
    """
    energy = float(data[0].numel())
    if data.shape[1:] != model.shape[1:]:
        fade = fading(data.shape[1], data.shape[2], part=1.0).to(data)
        data, energy = data * fade, float(fade.square().sum())
    spectrum = torch.fft.rfft2(data.to(model.device, model.real_dtype), s=model.shape[1:]).flatten(1)
    quiet = without_nyquist(model.shape[1:]).to(model.device).flatten()
    quiet[model.active] = False
    quiet[0] = False
    if not quiet.any():
        return float(data.std())
    # the median is not affected by leakage from the transmitted frequencies; that of the mean of
    # N exponential variables is (1 − 1/9N)³ (Wilson and Hilferty, PNAS 17, 684 (1931))
    median = float(spectrum[:, quiet].abs().square().mean(0).median())
    return math.sqrt(median / energy / (1 - 1 / (9 * len(data))) ** 3)


def noise_in_volume(
    model: LinearModel, data: Tensor, frames: Sequence[int] | None = None, *, least: float = 0.0
) -> float:
    """Return the standard deviation, in a voxel, of M* applied to the noise of the data of some frames, or of all.

    The noise is assumed to be at least the part `least` of the standard deviation of the data. A weight of the total
    variation well below the returned value keeps the noise, one well above it removes weak structure.
    """
    energy = 0.0
    shares = _shares(model)
    chosen = list(range(model.frames)) if frames is None else list(frames)
    # of many frequencies, in the order of their size, every few tell the sum
    every = max(1, len(model.active) // _ENOUGH)
    size = every * max(1, model.block_elements // (model.frames * 2 * model.shape[0]))
    for start in range(0, len(model.active), size):
        block = slice(start, start + size, every)
        matrices = model.matrices(block)[:, chosen]
        energy += every * float(((matrices.real.square() + matrices.imag.square()).sum((1, 2)) * shares[block]).sum())
    voxels = 2 * model.shape[0] * model.shape[1] * model.shape[2]
    return max(noise_level(model, data), least * float(data.std())) * math.sqrt(energy / voxels)


def _shares(model: LinearModel) -> Tensor:
    """Return the multiplicity of each active frequency of the half-spectrum in the full one: 2 or 1."""
    first_column = model.active % model.half[1] == 0
    return torch.where(first_column, 1.0, 2.0).to(model.real_dtype)


def _energy(spectrum: Tensor, active: Tensor, shares: Tensor) -> float:
    """Return the sum of squares of a half-spectrum (N, K') at some places, (K,), weighted by (K,)."""
    squares = sum((frame.real.square() + frame.imag.square() for frame in spectrum), torch.zeros(()).to(shares))
    return float((squares[active] * shares).sum())


def _least(candidates: list[float], errors: list[float], method: str) -> Choice:
    best = min(range(len(errors)), key=errors.__getitem__)
    return Choice(candidates[best], tuple(candidates), tuple(errors), method)
