"""Distances, shifts and gains of a lensless recording, found together with the object."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.multiheight import MultiHeight
from napari_diner.solvers.alternating import AlternatingProjections
from napari_diner.solvers.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.elimination import Elimination, Normal
from napari_diner.solvers.lensless.geometry import (
    COLUMNS,
    DOWN,
    RIGHT,
    Derivatives,
    Geometry,
    Parameter,
    Vector,
    Z,
    directions,
    trend,
)
from napari_diner.solvers.lensless.plane import Plane, PlaneSearch, Refocusing
from napari_diner.solvers.lensless.registration import register
from napari_diner.solvers.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings, GaussNewtonSettings
from napari_diner.solvers.step import Step

_FRACTIONS = (1.0, 0.5, 0.25, 0.1)
# registered shifts below this, in pixels, are left to the second-order steps
_REGISTERED_PX = 0.3
# how much stronger than its mean another frequency of the object must be for whole turns of phase to be taken off
_UNWIND = 1.5
# damping of the first step of the object, and how it changes on success and on failure
_DAMPING = 1e-2
_DAMPING_DOWN, _DAMPING_UP = 0.1, 16.0
# a round that moves nothing by more than this part of its error is the last one
_STILL = 0.1


@dataclass(frozen=True)
class Prior:
    """What is known beforehand of each frame: standard deviations about what is given, and how far to go at most.

    Parameters
    ----------
    deviations
        Standard deviations of distance (µm), shifts (µm) and log-gain, (N, 4).
    bounds
        Largest distances from what is given, (N, 4).
    """

    deviations: Vector
    bounds: Vector


@dataclass(frozen=True)
class Calibrated:
    """What was found.

    Parameters
    ----------
    geometry
        Distances, shifts, gains.
    field
        The object that goes with them, (Y, X).
    covariance
        Of the moves of `directions`, in the order of the table of `Geometry`: (4N, 4N), in squares of its units.
    plane
        What the object's own look said of the common distance; None if distances were not asked for.
    noise
        Standard deviation of the recorded amplitudes' noise.
    at_bounds
        Which frames were stopped by a bound, (N,).
    """

    geometry: Geometry
    field: Tensor
    covariance: Vector
    plane: Plane | None
    noise: float
    at_bounds: Vector


class SelfCalibration:
    """Find geometry and object together, by second-order steps with the object eliminated.

    Each round improves the object for the present geometry by a step of `GaussNewton`, lets the object answer to all
    moves of the geometry (`Elimination`), and moves both. What the frames cannot tell is settled in the end: the plane
    of the object by its own look (`PlaneSearch`) and by the distances given, in proportion to their precision; the
    place of the object so that the line through the shifts meets z = 0 where that of the given ones does, as a tilted
    illumination has it; its brightness by the mean of the log-gains; and the whole turns of phase across a periodic
    field, which shifts in proportion to z undo, so that the mean of the object's field is its strongest frequency.

    Parameters
    ----------
    amplitudes
        Square roots of the recorded intensities, (N, Y, X).
    mask
        True where pixels count, (N, Y, X), or None.
    build
        Makes the forward model of a geometry.
    derivatives
        How fields answer to distances and shifts.
    given
        The geometry to start from, towards which the result is drawn.
    prior
        How strongly, and how far it may go.
    wanted
        What to find.
    depth_of_field_um
        Depth of field of the grid.
    rounds, object_steps, answer_steps, warm_up
        At most so many rounds; inner steps of the object, and of its answer to each move, in a round; rounds of
        alternating projections before all.
    """

    def __init__(
        self,
        amplitudes: Tensor,
        mask: Tensor | None,
        build: Callable[[Geometry], MultiHeight],
        derivatives: Derivatives,
        given: Geometry,
        prior: Prior,
        wanted: Collection[Parameter],
        *,
        depth_of_field_um: float,
        rounds: int = 4,
        object_steps: int = 20,
        answer_steps: int = 3,
        warm_up: int = 50,
    ) -> None:
        self.given, self.prior, self.wanted = given, prior, wanted
        self.geometry = given
        self.depth_of_field_um = depth_of_field_um
        self.rounds, self.object_steps, self.answer_steps, self.warm_up = rounds, object_steps, answer_steps, warm_up
        self._amplitudes, self._mask = amplitudes, mask
        self._build, self._derivatives = build, derivatives
        self._moves = directions(wanted, given.distances_um)
        self._answers: Tensor | None = None
        self._field: Tensor | None = None
        self._normal: Normal | None = None
        self._plane: Plane | None = None
        self._plane_variance = 0.0
        self._damping = _DAMPING
        self.rounds_done = 0
        """Rounds taken so far."""
        self._last_step = np.zeros(self._moves.shape[2])
        self._padding = build(given).padding
        self._valid = amplitudes.numel() if mask is None else int(mask.sum())
        self._loss = math.inf
        self._through = False

    def field(self) -> Tensor:
        """Return the object so far: complex, (Y, X)."""
        assert self._field is not None
        return self._field

    def steps(self) -> Iterator[Step]:
        """Do the work."""
        self._begin()
        yield self._step(0, 0.1)
        problem = self._problem()
        rounds = AlternatingProjections(problem, self.field(), AlternatingSettings(iterations=self.warm_up))
        for step in rounds.steps():
            self._field, self._loss = rounds.field(), step.loss
            yield self._step(0, 0.1 + 0.9 * step.done)
        for number in range(1, self.rounds + 1):
            yield from self._round(number)
            self.rounds_done = number
            if not self._unwind() and self._settled():
                break
        yield from self._settle()

    def _step(self, number: int, within: float) -> Step:
        return Step(number + 1, self.rounds + 2, self._loss, within)

    def _problem(self) -> PhaseProblem:
        return PhaseProblem(self._build(self.geometry), self._amplitudes, self._mask)

    def _begin(self) -> None:
        """Start from a weak object, with frames registered if they may be displaced by much."""
        problem = self._problem()
        if "shift" in self.wanted:
            found = register(problem, self._derivatives.pixel_size_um)
            if np.abs(found).max() > _REGISTERED_PX * self._derivatives.pixel_size_um:
                table = self.geometry.table
                table[:, DOWN : RIGHT + 1] += found
                self.geometry = self._bounded(table)
                problem = self._problem()
        self._field = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())

    def _round(self, number: int) -> Iterator[Step]:
        """Improve the object, then move the geometry and the object with it."""
        problem = self._problem()
        settings = GaussNewtonSettings(warm_up=0, iterations=1, cg_steps=self.object_steps, damping=self._damping)
        solver = GaussNewton(problem, self.field(), settings)
        for step in solver.steps():
            yield self._step(number, 0.4 * step.within)
        self._field = solver.field()
        before = self._loss
        loss, _ = problem.evaluate(self._field)
        self._damping *= _DAMPING_DOWN if loss < before else _DAMPING_UP
        elimination = Elimination(problem, self._field, self._derivatives, self._moves, self._answers)
        count = self._moves.shape[2]
        for move in range(count):
            elimination.improve(move, self.answer_steps)
            yield self._step(number, 0.4 + 0.6 * (move + 1) / (count + 1))
        self._answers = elimination.answers
        normal = self._normal = elimination.normal()
        self._loss = loss
        step = -np.linalg.solve(*self._with_prior(normal))
        for fraction in _FRACTIONS:
            geometry = self._bounded(self.geometry.table + fraction * (self._moves @ step))
            field = self._field * torch.exp(elimination.answer(fraction * step))
            trial, _ = PhaseProblem(self._build(geometry), self._amplitudes, self._mask).evaluate(field)
            if trial < loss:
                self.geometry, self._field, self._loss = geometry, field, trial
                break
        self._last_step = step
        yield self._step(number, 1.0)

    def _variance(self, normal: Normal) -> float:
        """Return the variance of the noise: the residual's square over what object and geometry leave of the data."""
        unknowns = 2 * self._amplitudes[0].numel() + self._moves.shape[2]
        return normal.square / max(self._valid - unknowns, 1)

    def _with_prior(self, normal: Normal) -> tuple[Vector, Vector]:
        """Return the normal equations with the pull towards what is given, both in units of the noise."""
        variance = self._variance(normal)
        weights = self.prior.deviations**-2.0
        pull = np.einsum("nck,nc,ncl->kl", self._moves, weights, self._moves)
        away = np.einsum("nck,nc,nc->k", self._moves, weights, self.geometry.table - self.given.table)
        return normal.matrix + variance * pull, normal.right + variance * away

    def _bounded(self, table: Vector) -> Geometry:
        given, bounds = self.given.table, self.prior.bounds
        return Geometry.of(np.clip(table, given - bounds, given + bounds))

    def _settled(self) -> bool:
        """Tell whether the last round moved nothing by more than a part of its error."""
        assert self._normal is not None
        matrix, _ = self._with_prior(self._normal)
        errors = np.sqrt(self._variance(self._normal) * np.diag(np.linalg.inv(matrix)))
        return bool((np.abs(self._last_step) < _STILL * errors).all())

    def _unwind(self) -> bool:
        """Take whole turns of phase off a periodic object, and displace the frames in proportion to z instead.

        Returns
        -------
        bool
            Whether there were any.
        """
        field = self.field()
        if not {"shift", "tilt"} & set(self.wanted) or not self._padding.is_identity:
            return False
        spectrum = torch.fft.fft2(field).abs()
        strongest = int(spectrum.argmax())
        if spectrum.flatten()[strongest] < _UNWIND * spectrum[0, 0]:
            return False
        turns = np.array(np.unravel_index(strongest, field.shape), float)
        sizes = np.array(field.shape)
        turns = np.where(turns > sizes / 2, turns - sizes, turns)
        y, x = (torch.arange(size, device=field.device, dtype=torch.float64) / size for size in field.shape)
        ramp = 2 * math.pi * (turns[0] * y[:, None] + turns[1] * x[None, :])
        tilt = self._derivatives.tilt_of(turns / (sizes * self._derivatives.pixel_size_um))
        geometry = self.geometry
        self._field = field * torch.polar(torch.ones_like(ramp), -ramp).to(field.dtype)
        self.geometry = Geometry(
            geometry.distances_um, geometry.shifts_um + np.outer(geometry.distances_um, tilt), geometry.gains
        )
        self._answers = None
        return True

    def _settle(self) -> Iterator[Step]:
        """Decide what no frame can tell: the plane of the object and its place."""
        if "z" in self.wanted:
            model = self._build(self.geometry)
            refocusing = Refocusing(self.field(), model, self._derivatives)
            away = float((self.geometry.distances_um - self.given.distances_um).mean())
            deviation = float(self.prior.deviations[:, Z].mean())
            mask = None if self._mask is None else self._mask.all(0)
            search = PlaneSearch(refocusing, 3 * deviation + abs(away), self.depth_of_field_um, mask)
            for done in search.steps():
                yield self._step(self.rounds + 1, done)
            plane = self._plane = search.result()
            seen, known = max(plane.error_um, 1e-6) ** -2, deviation**-2
            offset = (seen * plane.offset_um - known * away) / (seen + known)
            self._plane_variance = 1 / (seen + known)
            self.geometry = self.geometry.displaced(offset)
            self._field = refocusing.at(offset)
        if {"shift", "tilt"} & set(self.wanted):
            self._place()
        self._through = True
        yield self._step(self.rounds + 1, 1.0)

    def finish(self) -> None:
        """Go through what is left of `steps` but for the rounds, if it was left early."""
        if not self._through:
            for _ in self._settle():
                pass

    def _place(self) -> None:
        """Choose the mean of the shifts, and displace the object the other way.

        Two opinions, weighted by their variances: a line through the shifts meets z = 0 where that of the given ones
        does, which is as good as the shifts lie on a line; and their mean is that of the given ones.
        """
        distances, moved = self.geometry.distances_um, self.geometry.shifts_um - self.given.shifts_um
        line = trend(distances, moved)
        frames, spread = len(distances), float(np.square(distances - distances.mean()).sum())
        lever = 1 / frames + distances.mean() ** 2 / max(spread, 1e-12)
        by_line = np.square(line.rest_um).mean() * lever
        centred = moved - moved.mean(0)
        by_mean = np.square(centred).mean() / frames
        share = by_mean / (by_line + by_mean) if by_mean > 0 else 0.0
        offset = -share * line.intercept_um - (1 - share) * moved.mean(0)
        geometry = self.geometry
        self.geometry = Geometry(geometry.distances_um, geometry.shifts_um + offset, geometry.gains)
        phase = 1j * sum(
            -step * self._derivatives.of(column).imag for column, step in zip((DOWN, RIGHT), offset, strict=True)
        )
        spectrum = torch.fft.fft2(self._padding.pad(self.field()))
        self._field = self._padding.crop(torch.fft.ifft2(spectrum * torch.exp(phase)))

    def result(self) -> Calibrated:
        """Return what has been found so far.

        As long as no round is through, the errors are those of what was given.
        """
        flat = self._moves.reshape(-1, self._moves.shape[2])
        noise = math.nan
        if self._normal is None:
            weights = np.einsum("nck,nc,ncl->kl", self._moves, self.prior.deviations**-2.0, self._moves)
            moves = np.linalg.inv(weights)
        else:
            inverse = np.linalg.inv(self._with_prior(self._normal)[0])
            # the scatter of the right-hand side, grown by what the fit of the object took off the residual
            variance = self._variance(self._normal)
            growth = variance * self._valid / max(self._normal.square, 1e-300)
            moves = inverse @ (growth * self._normal.spread) @ inverse
            noise = math.sqrt(variance)
        covariance = flat @ moves @ flat.T
        if self._plane is not None:
            common = np.zeros((len(self._moves), COLUMNS))
            common[:, Z] = 1
            covariance += self._plane_variance * np.outer(common.ravel(), common.ravel())
        away = np.abs(self.geometry.table - self.given.table)
        return Calibrated(
            self.geometry,
            self.field(),
            covariance,
            self._plane,
            noise,
            (away >= 0.999 * self.prior.bounds).any(1),
        )
