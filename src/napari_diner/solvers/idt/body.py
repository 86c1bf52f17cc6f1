"""A start for samples of several radians: a homogeneous body in place of the sample.

Intensities hardly depend on the bulk of a sample: what varies slowly across the axis changes neither the brightness nor
the direction of light very much. Solvers that start empty therefore find its detail first, and never its bulk once that
delays light by more than a wavelength: its absence is a local minimum. From a homogeneous body of about the right place
and strength, however, they find both.

Bodies of many shapes and strengths are compared by their predictions, without any steps: about the right one explains
the frames much better than no body, whereas steps from a wrong one lead to a local minimum that seems better than the
first steps from a right one. The shapes are `silhouettes` of the sample along the axis, inflated to ellipsoids, as the
frames do not show how far a body extends along the axis. A few Gauss-Newton steps start from each of the best bodies,
and the most successful two continue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.solvers.idt.admm import factorised
from napari_diner.solvers.idt.body_shapes import SILHOUETTES, USUAL, Mask, body_of, sign_of, silhouettes
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_PHASES_RAD = (2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 15.0)
_FLATNESSES = (0.7, 1.0)
# frames by which bodies are compared
_FEW = 8
# positions along z of the best bodies, in units of the resolution across the axis
_LIFTS = (-2, -1, 1, 2)
# weights of the total variation relative to that of the problem: for the silhouette, and afterwards
_SMOOTHEST, _SMOOTH = 64.0, 16.0
# bodies to take steps from: the best of different silhouettes, and in any case the strengths of the flatter one of the
# usual silhouette that come first; and number of volumes that continue after these trials
_TRIED, _USUAL, _USUAL_FLATNESS, _BEST = 4, 2, 0, 2
# steps for a smooth reconstruction, of each trial, and from each of the best
_FIRST, _TRIAL, _CONTINUED = 12, 8, 12
# number of the pass that compares bodies
_COMPARED = 2
# Gauss-Newton steps that take as long as the comparison of bodies
_COMPARISON = 20
STEPS = _FIRST + _TRIAL * (1 + _TRIED + _USUAL) + _COMPARISON + _CONTINUED * _BEST
"""Gauss-Newton steps of a search, or as long as it takes."""


@dataclass(frozen=True)
class Candidate:
    """A volume that could be the start."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    loss: float
    """Its loss in the problem."""


class BodySearch(Resumable):
    """Find a volume from which Gauss-Newton steps lead to a sample of several radians; a `Solver`.

    Parameters
    ----------
    problem
        The problem to minimise, with a weight of the total variation that suits its noise.
    voxel_um
        Size of a voxel, (z, y, x).
    resolution_um
        Resolution across the axis, by which silhouettes and bodies are smoothed.
    is_enough
        Whether a volume explains the data well enough to need no body; asked for the start without one.
    phases_rad
        Phases by which the bodies to try delay light.
    either_sign
        Whether bodies may also be thinner than the medium where the priors want a denser one, and the other way round.
    """

    kept = ("_silhouetted", "_present", "_bodies", "_candidates", "_pass")
    answer = ("_present", "_candidates")

    def __init__(
        self,
        problem: VolumeProblem,
        voxel_um: tuple[float, float, float],
        resolution_um: float,
        is_enough: Callable[[Tensor], bool] = lambda volume: False,
        phases_rad: Sequence[float] = _PHASES_RAD,
        *,
        either_sign: bool = False,
    ) -> None:
        self.problem = problem
        self._voxel_um, self._resolution_um = voxel_um, resolution_um
        self._is_enough, self._phases_rad, self._either_sign = is_enough, phases_rad, either_sign
        self._closed = factorised(problem)
        model = problem.model
        self._silhouetted = torch.zeros(2, *model.shape, dtype=model.real_dtype, device=model.device)
        self._present = self._silhouetted
        self._bodies: list[Candidate] = []
        self._candidates: list[Candidate] = []
        self._pass = 0

    @property
    def _passes(self) -> tuple[int, ...]:
        """Steps of each pass: the smooth reconstruction, the trial without a body, the comparison, the others."""
        bodies = _TRIED + _USUAL if self._pass <= _COMPARED else len(self._bodies)
        return (_FIRST, _TRIAL, SILHOUETTES, *(_TRIAL,) * bodies, *(_CONTINUED,) * min(_BEST, 1 + bodies))

    def steps(self) -> Iterator[Step]:
        """Iterate; the loss is that of the current volume with the larger weight of the total variation."""
        while self._pass < len(self._passes):
            passes = self._passes
            before, number, total = sum(passes[: self._pass]), passes[self._pass], sum(passes)
            loss = math.nan
            for step in self._compared() if self._pass == _COMPARED else self._stepped(number):
                loss = step.loss
                if 0 < step.iteration < number:
                    yield Step(before + step.iteration, total, loss)
            self._absorb(self._present)
            yield Step(before + number, total, loss, resumable=True)

    def _stepped(self, number: int) -> Iterator[Step]:
        """Take Gauss-Newton steps."""
        start = self._start()
        solver = GaussNewtonVoxels(self._smoothed(start), start, number, closed=self._closed)
        for step in solver.steps():
            self._present = solver.result()
            yield step

    def _smoothed(self, start: Tensor) -> VolumeProblem:
        """Return the problem for steps from a start, with its sign."""
        priors = self.problem.priors
        if priors.sign_re and self._pass > _COMPARED:
            priors = replace(priors, sign_re=sign_of(start))
        return self.problem.with_priors(replace(priors, tv=(_SMOOTH if self._pass else _SMOOTHEST) * priors.tv))

    def _start(self) -> Tensor:
        """Return the start of the present pass."""
        if self._pass < _COMPARED:
            return self._silhouetted
        place = self._pass - _COMPARED - 1
        if place < len(self._bodies):
            return self._bodies[place].volume
        return self._candidates[place - len(self._bodies)].volume

    @torch.no_grad()
    def _compared(self) -> Iterator[Step]:
        """Find the bodies that explain the frames best, one of each silhouette."""
        bodies: list[tuple[Candidate, Mask, float]] = []
        usual: list[Candidate] = []
        for number, silhouette in enumerate(self._silhouettes()):
            of_one = [(self._strengths(silhouette, flat), silhouette, flat) for flat in _FLATNESSES]
            if number == USUAL:
                usual = of_one[_USUAL_FLATNESS][0][:_USUAL]
            firsts = [(strengths[0], shape, flat) for strengths, shape, flat in of_one]
            bodies.append(min(firsts, key=lambda one: one[0].loss))
            yield Step(number + 1, SILHOUETTES, bodies[-1][0].loss)
        bodies.sort(key=lambda one: one[0].loss)
        lifts = sorted({round(lift * self._resolution_um / self._voxel_um[0]) for lift in _LIFTS})
        best = {body.loss: body for body in usual}  # a silhouette may be empty, and the same at several levels
        for body, silhouette, flat in bodies[:_TRIED]:
            lifted = [self._strengths(silhouette, flat, lift)[0] for lift in lifts if lift]
            placed = min([body, *lifted], key=lambda one: one.loss)
            best.setdefault(placed.loss, placed)
        self._bodies = [body for loss, body in best.items() if math.isfinite(loss)]

    def _silhouettes(self) -> list[Mask]:
        return silhouettes(self.problem, self._silhouetted, self._voxel_um, self._resolution_um)

    def _strengths(self, silhouette: Mask, flatness: float, lift: int = 0) -> list[Candidate]:
        """Return the bodies of a shape, the most successful first; one of infinite loss if there are none."""
        problem = self.problem
        body = body_of(silhouette, self._silhouetted, self._voxel_um, self._resolution_um, flatness, lift)
        peak = problem.linear.peak_phase(body)
        if not peak:
            return [Candidate(body, math.inf)]
        frames = problem.counted[:: max(1, round(len(problem.counted) / _FEW))]
        signs = (1, -1) if self._either_sign else (problem.priors.sign_re or sign_of(self._silhouetted),)
        several = [body * (sign * phase / peak) for sign in signs for phase in self._phases_rad]
        return sorted((Candidate(one, float(problem.misfit(one, frames))) for one in several), key=lambda one: one.loss)

    def _absorb(self, volume: Tensor) -> None:
        """Take the volume of a pass."""
        ended, self._pass = self._pass, self._pass + 1
        if ended == 0:
            self._silhouetted = volume
        if ended in (0, _COMPARED):
            return
        candidate = Candidate(volume, self.problem.loss(volume))
        continued = ended - _COMPARED - 1 - len(self._bodies)
        if continued >= 0:
            self._candidates[continued] = candidate
            return
        self._candidates = sorted([*self._candidates, candidate], key=lambda each: each.loss)[:_BEST]
        if ended < _COMPARED and self._is_enough(volume):
            self._pass = len(self._passes)

    def result(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), with the required signs."""
        if not self._candidates:
            return self._present
        return min(self._candidates, key=lambda each: each.loss).volume

    def current(self) -> Tensor:
        """Return the current volume."""
        return self._present
