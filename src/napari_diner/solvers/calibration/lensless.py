"""Joint estimation of distances, shifts and gains of a lensless recording with the object."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.solvers.calibration.calibrated import Calibrated
from napari_diner.solvers.calibration.elimination import Elimination, Normal, seen_part, trusted_part
from napari_diner.solvers.calibration.frame_geometry import (
    COLUMNS,
    DOWN,
    RIGHT,
    SOURCE,
    Derivatives,
    Geometry,
    Parameter,
    Prior,
    Vector,
    Z,
    directions,
)
from napari_diner.solvers.calibration.gauge import placed, unwound
from napari_diner.solvers.calibration.object_plane import Plane, PlaneSearch, Refocusing
from napari_diner.solvers.calibration.recorded_band import explained_up_to, passband
from napari_diner.solvers.calibration.registration import register
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings, GaussNewtonSettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

# a step is too long if the misfit grows by more than this factor after the object has followed
_WORSE = 1.02
# longest step of a distance, in depths of field, of a shift, in pixels, and of the square of a source, relative
_LONGEST_Z, _LONGEST_SHIFT_PX, _LONGEST_SOURCE = 0.5, 2.0, 2.0
# relative change of the square of the source below which it is nearly correct
_SOURCE_NEAR = 0.1
# largest registered shifts, in pixels, that are left to the second-order steps
_REGISTERED_PX = 0.3
# initial damping of the object, and its factors on success and on failure
_DAMPING = 1e-2
_DAMPING_DOWN, _DAMPING_UP = 0.1, 16.0
# after a step that failed in spite of three times the damping
_DAMPING_FAILED = _DAMPING_UP**3
# fraction of the standard errors below which moves end the rounds
_STILL = 0.1
_MOST_SHRINKAGE = 0.8


class SelfCalibration(Resumable):
    """Estimate geometry and object together, by second-order steps with the object eliminated.

    Each round improves the object for the current geometry by a step of `GaussNewton`, computes the response of the
    object to all moves of the geometry (`Elimination`), and moves both. The gauge is fixed at the end: the plane of the
    object by its sharpness (`PlaneSearch`) and by the nominal distances, weighted by their precision; the position of
    the object such that the line through the shifts meets z = 0 at the same point as for the nominal ones, as for a
    tilted illumination; its brightness by the mean of the log-gains; and whole turns of phase across a periodic field,
    which are equivalent to shifts in proportion to z, such that the mean of the object's field is its strongest
    frequency. Once the geometry is nearly correct, detail finer than the model explains is excluded
    (`explained_up_to`).

    Parameters
    ----------
    problem
        The problem, with the initial geometry.
    build
        Makes the forward model of a geometry.
    derivatives
        Derivatives of fields by distances and shifts.
    given
        The initial geometry, which is also the mean of the prior.
    prior
        Standard deviations of the prior, and bounds.
    wanted
        What to estimate.
    depth_of_field_um
        Depth of field of the grid.
    least_source_um
        The smallest source that the model distinguishes from a point.
    rounds, object_steps, answer_steps, warm_up
        Maximum number of rounds; inner steps per round for the object, and for its response to each move;
        initial rounds of alternating projections.
    """

    answer = (
        "geometry", "_field", "_normal", "_shrinkage", "_settled_to", "rounds_done", "_up_to", "_seen", "_loss",
    )  # fmt: skip
    kept = (*answer, "_answers", "_damping", "_last_step", "_band", "_near", "_band_known", "_before", "_rested")

    def __init__(
        self,
        problem: PhaseProblem,
        build: Callable[[Geometry], MultiHeight],
        derivatives: Derivatives,
        given: Geometry,
        prior: Prior,
        wanted: Collection[Parameter],
        *,
        depth_of_field_um: float,
        least_source_um: float = 0.0,
        rounds: int = 4,
        object_steps: int = 20,
        answer_steps: int = 3,
        warm_up: int = 50,
    ) -> None:
        self.given, self.prior, self.wanted = given, prior, wanted
        self.geometry = given
        self.depth_of_field_um, self.least_source_um = depth_of_field_um, least_source_um
        self.rounds, self.object_steps, self.answer_steps, self.warm_up = rounds, object_steps, answer_steps, warm_up
        self._first = problem
        self._build, self._derivatives = build, derivatives
        self._moves = directions(wanted, given.distances_um)
        self._displaces = bool({"shift", "tilt"} & set(wanted))
        self._answers: Tensor | None = None
        self._normal: Normal | None = None
        self._settled_to: _Settled | None = None
        self._damping = _DAMPING
        self.rounds_done = 0
        """Rounds taken so far."""
        self._last_step = np.zeros(self._moves.shape[2])
        self._padding = problem.model.padding
        # the object's frequencies that reach any frame
        self._seen = seen_part(build(given))
        self._up_to: float | None = None
        self._band: Tensor | None = None
        self._near = self._band_known = self._rested = False
        self._loss = math.inf
        self._shrinkage = 0.0
        self._before: tuple[Geometry, Tensor] | None = None
        self._field = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())

    def steps(self) -> Iterator[Step]:
        """Yield a step after each update."""
        if not self.rounds_done:
            self._begin()
            yield self._step(0, 0.1)
            problem = self._problem()
            rounds = AlternatingProjections(problem, self._field, AlternatingSettings(iterations=self.warm_up))
            for step in rounds.steps():
                self._field, self._loss = rounds.result(), step.loss
                yield self._step(0, 0.1 + 0.9 * step.done)
        while self.rounds_done < self.rounds and not self._rested:
            number = self.rounds_done + 1
            yield from self._round(number)
            self.rounds_done = number
            self._rested = not (self._unwind() or self._narrow()) and self._at_rest()
            yield replace(self._step(number, 1.0), resumable=True)
        self._settled_to = yield from self._settle()

    def _step(self, number: int, within: float) -> Step:
        return Step(number + 1, self.rounds + 2, self._loss, within)

    def _problem(self, model: MultiHeight | None = None) -> PhaseProblem:
        return self._first.with_model(model or self._model())

    def _model(self) -> MultiHeight:
        model = self._build(self.geometry)
        if self._band is not None:
            model.transfers *= self._band
        return model

    def _begin(self) -> None:
        """Start from a weak object, with registered frames if displacements may be large."""
        problem = self._problem()
        if "shift" in self.wanted:
            shifts_um = register(problem, self._derivatives.optics.pixel_size_um)
            if np.abs(shifts_um).max() > _REGISTERED_PX * self._derivatives.optics.pixel_size_um:
                table = self.geometry.table
                table[:, DOWN : RIGHT + 1] += shifts_um
                self.geometry = self._bounded(table)
                problem = self._problem()
                self._field = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())

    def _round(self, number: int) -> Iterator[Step]:
        """Improve the object, then move the geometry and the object with it."""
        model = self._model()
        problem = self._problem(model)
        settings = GaussNewtonSettings(warm_up=0, iterations=1, cg_steps=self.object_steps, damping=self._damping)
        before = self._field
        solver = GaussNewton(problem, before, settings)
        for inner in solver.steps():
            yield self._step(number, 0.4 * inner.within)
        self._field = solver.result()
        loss = problem.value(self._field)
        failed = self._field is before
        self._damping = min(
            self._damping * (_DAMPING_FAILED if failed else _DAMPING_DOWN if loss < self._loss else _DAMPING_UP), 1.0
        )
        if self._before is not None and loss > _WORSE * self._loss:
            # halfway back, with the previous object
            geometry, self._field = self._before
            self.geometry = Geometry.of((self.geometry.table + geometry.table) / 2)
            self._last_step /= 2
            return
        self._loss = loss
        variance = self._variance(loss * self._first.valid)
        elimination = Elimination(problem, model, self._field, self._derivatives, self._moves, self._answers, variance)
        count = self._moves.shape[2]
        for move in range(count):
            elimination.improve(move, self.answer_steps)
            yield self._step(number, 0.4 + 0.6 * (move + 1) / (count + 1))
        self._answers = elimination.answers
        normal = self._normal = elimination.normal()
        step = self._limited(np.asarray(-np.linalg.solve(*self._with_prior(normal)), np.float64))
        self._shrinkage = self._shrunk(normal, step)
        # the next round shows whether it was too long, once the object has adapted to the noise
        self._before = self.geometry, self._field
        self.geometry = self._bounded(self.geometry.table + self._moves @ step)
        self._field = self._field * torch.exp(elimination.answer(step))
        self._last_step = step

    def _shrunk(self, normal: Normal, step: Vector) -> float:
        """Return the part of the last step that remains for this one, 0 to 0.8.

        With noise in the object, the normal matrix is larger than the true derivative of its right-hand side; each step
        is then too short, and the errors are too small, by the same factor.
        """
        last = normal.matrix @ self._last_step
        square = float(self._last_step @ last)
        return float(np.clip(step @ last / square, 0, _MOST_SHRINKAGE)) if square > 0 else 0.0

    def _limited(self, step: Vector) -> Vector:
        """Return a step limited to the range of the linearisation for all frames."""
        moves = np.abs(self._moves @ step).max(0)
        shift = _LONGEST_SHIFT_PX * self._derivatives.optics.pixel_size_um
        source = _LONGEST_SOURCE * max(self.geometry.source_um, self.given.source_um) ** 2
        longest = np.array([_LONGEST_Z * self.depth_of_field_um, shift, shift, math.log(2), max(source, 1e-12)])
        part = min(1.0, float((longest / np.maximum(moves, 1e-12)).min()))
        # a wrong source would be compensated by detail that the frames do not contain
        self._near |= part == 1 and moves[SOURCE] <= _SOURCE_NEAR * self.geometry.source_um**2
        limited: Vector = part * step
        return limited

    def _variance(self, square: float) -> float:
        """Return the variance of the noise: the squared residual over the remaining degrees of freedom."""
        unknowns: float = 2 * self._seen * math.prod(self._first.model.shape) + self._moves.shape[2]
        return square / max(self._first.valid - unknowns, 1)

    def _with_prior(self, normal: Normal) -> tuple[Vector, Vector]:
        """Return the normal equations including the prior, both in units of the noise."""
        variance = self._variance(normal.square)
        weights = self.prior.deviations**-2.0
        pull = np.einsum("nck,nc,ncl->kl", self._moves, weights, self._moves)
        away = np.einsum("nck,nc,nc->k", self._moves, weights, self.geometry.table - self.given.table)
        return normal.matrix + variance * pull, normal.right + variance * away

    def _bounded(self, table: Vector) -> Geometry:
        nominal, bounds = self.given.table, self.prior.bounds
        least = nominal - bounds
        least[:, SOURCE] = np.maximum(least[:, SOURCE], self.least_source_um**2)
        return Geometry.of(np.clip(table, least, nominal + bounds))

    def _at_rest(self) -> bool:
        """Return whether all moves in the last round were below a part of their errors."""
        if self._normal is None:
            return False
        errors = np.sqrt(np.diag(self._scatter(self._normal)))
        return bool((np.abs(self._last_step) < _STILL * errors).all())

    def _scatter(self, normal: Normal) -> Vector:
        """Return the covariance of the moves: the scatter, corrected for the residual absorbed by the object."""
        inverse = np.linalg.inv(self._with_prior(normal)[0])
        growth = self._variance(normal.square) * self._first.valid / max(normal.square, 1e-300)
        scatter: Vector = inverse @ (growth * normal.spread) @ inverse
        return scatter

    def _unwind(self) -> bool:
        """Remove whole turns of phase from a periodic object; return whether there were any."""
        if not self._displaces or not self._padding.is_identity:
            return False
        without_turns = unwound(self._field, self.geometry, self._derivatives)
        if without_turns is None:
            return False
        self._field, self.geometry = without_turns
        self._answers = self._before = None
        return True

    def _narrow(self) -> bool:
        """Exclude detail finer than the model explains; return whether there was any. Done once.

        This detail would otherwise dominate, as derivatives by distance and shift grow with the frequency.
        """
        if not self._near or self._band_known:
            return False
        self._band_known = True
        problem = self._problem()
        self._up_to = explained_up_to(problem, self._field)
        if self._up_to is None:
            return False
        self._band = passband(problem.model, self._up_to)
        self._field = self._padding.crop(ifft2(self._band * torch.fft.fft2(self._padding.pad(self._field))))
        self._seen = seen_part(self._model())
        self._answers = self._before = None
        self._damping, self._loss = _DAMPING, math.inf
        self._last_step = np.zeros_like(self._last_step)
        return True

    def _settle(self) -> Generator[Step, None, _Settled]:
        """Fix the gauge: plane and position of the object."""
        geometry, field, plane = self.geometry, self._field, None
        deviation = float(self.prior.deviations[:, Z].mean())
        # without a plane, the common distance is as certain as the nominal distances
        variance = deviation**2
        if "z" in self.wanted:
            model = self._model()
            refocusing = Refocusing(field, model, self._derivatives)
            away = float((geometry.distances_um - self.given.distances_um).mean())
            exact = self._first.exact
            mask = None if exact is None else exact.all(0)
            noise = self._variance(self._loss * self._first.valid) if math.isfinite(self._loss) else 0.0
            part = trusted_part(model.spectrum(field), model, noise)
            trusted = Refocusing(field, model, self._derivatives, part)
            search = PlaneSearch(trusted, 3 * deviation + abs(away), self.depth_of_field_um, mask)
            for done in search.steps():
                yield self._step(self.rounds + 1, done)
            plane = search.result()
            precision, prior_precision = max(plane.error_um, 1e-6) ** -2, deviation**-2
            variance = 1 / (precision + prior_precision)
            offset = (precision * plane.offset_um - prior_precision * away) * variance
            geometry, field = geometry.displaced(offset), refocusing.at(offset)
        if self._displaces:
            field, geometry = placed(field, geometry, self.given, self._derivatives, self._padding)
        yield self._step(self.rounds + 1, 1.0)
        return _Settled(geometry, field, plane, variance)

    def current(self) -> Calibrated:
        """Return the current geometry and object, before fixing the gauge."""
        variance = float(self.prior.deviations[:, Z].mean()) ** 2
        return self._calibrated(_Settled(self.geometry, self._field, None, variance))

    def result(self) -> Calibrated:
        """Return the best geometry and object so far.

        Before the first round is complete, the errors are those of the nominal geometry.
        """
        settled = self._settled_to
        return self._calibrated(_returned(self._settle()) if settled is None else settled)

    def _calibrated(self, settled: _Settled) -> Calibrated:
        flat = self._moves.reshape(-1, self._moves.shape[2])
        noise = math.nan
        if self._normal is None:
            weights = np.einsum("nck,nc,ncl->kl", self._moves, self.prior.deviations**-2.0, self._moves)
            moves = np.linalg.inv(weights)
        else:
            moves = self._scatter(self._normal) / (1 - self._shrinkage) ** 2
            noise = math.sqrt(self._variance(self._normal.square))
        covariance = flat @ moves @ flat.T
        if "z" in self.wanted:
            common = np.zeros((len(self._moves), COLUMNS))
            common[:, Z] = 1
            covariance += settled.plane_variance * np.outer(common.ravel(), common.ravel())
        away = np.abs(settled.geometry.table - self.given.table)
        return Calibrated(
            settled.geometry,
            settled.field,
            covariance,
            settled.plane,
            noise,
            np.asarray((away >= 0.999 * self.prior.bounds).any(1)),
            self._up_to,
        )


@dataclass(frozen=True)
class _Settled:
    """Geometry and object with the gauge fixed, and the variance of the common distance."""

    geometry: Geometry
    field: Tensor
    plane: Plane | None
    plane_variance: float


def _returned(work: Generator[Step, None, _Settled]) -> _Settled:
    """Exhaust a generator and return its return value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            settled: _Settled = end.value
            return settled
