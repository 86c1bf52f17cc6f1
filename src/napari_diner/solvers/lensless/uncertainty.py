"""Uncertainty of a reconstruction: the noise of the recording propagated to amplitude and phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.bands import Band, band_mask, octaves
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.lensless.noise import NoiseModel, fine_noise, fit_noise
from napari_diner.solvers.lensless.problem import PhaseProblem, sum_of_squares
from napari_diner.solvers.lensless.uncertainty_settings import UncertaintySettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

# degrees of freedom, relative to the recorded values, below which the residual does not determine the noise
_FREEDOM_NEEDED = 0.05


@dataclass(frozen=True)
class BandUncertainty:
    """One octave of the phase: its content and its uncertainty."""

    band: Band
    phase_sigma_rad: float
    """Root mean square over the field of the standard deviation within the band."""
    phase_rms_rad: float
    """Root mean square of the phase within the band."""


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations of a reconstruction."""

    phase: Tensor
    """Radians, (Y, X)."""
    amplitude: Tensor
    """In the units of the amplitude, (Y, X)."""
    phase_bands: Tensor
    """Radians, one page an octave from fine to coarse, (B, Y, X)."""
    bands: tuple[BandUncertainty, ...]
    noise: NoiseModel
    freedom: float
    """Fraction of the recorded values that the unknowns of the object leave as degrees of freedom, 0 to 1."""
    samples: int

    def in_units(self, amplitude: float, intensity: float) -> Uncertainty:
        """Return the same in other units of amplitude and intensity."""
        return replace(self, amplitude=amplitude * self.amplitude, noise=self.noise.in_units(intensity))

    @property
    def noise_is_known(self) -> bool:
        """Whether the noise was estimated from the residual instead of the finest structure of the frames."""
        return self.freedom > _FREEDOM_NEEDED


class UncertaintyEstimate(Resumable):
    """Propagate noise of the estimated size through the linearised reconstruction, sample by sample.

    Least squares turns noise e of the amplitudes into an error ``δ = (JᵀJ)⁻¹ Jᵀ e`` of log-amplitude and phase. Some
    random e with the variance of the residual, divided by the remaining degrees of freedom
    (``M − tr J(JᵀJ)⁻¹Jᵀ``, the trace from the same samples, Hutchinson, Commun. Stat. Simul. Comput. 18, 1059 (1989)),
    give samples of δ, as in the randomised estimates of covariances in inverse problems (e.g. Bekas, Kokiopoulou and
    Saad, Appl. Numer. Math. 57, 1214 (2007)).

    Few samples are sufficient since their squares are averaged locally in each octave, over about one
    period, within which the noise of that octave is nearly constant. Each octave then has hundreds of independent
    values; only of the coarsest, which covers the whole field with a dozen, the mean over the field is taken.

    Parameters
    ----------
    problem
        The recording and its model.
    field
        The reconstructed field, complex, of the object's shape. The estimates hold where it has converged: they do not
        include errors of the model, wrongly wrapped phases, or incomplete convergence.
    settings
        Samples and inner steps.
    pixel_size_um
        Distance between neighbouring pixels.
    seed
        Of the random noise.
    """

    kept = ("_used", "_squares", "_generator")
    answer = ("_used", "_squares")

    def __init__(
        self, problem: PhaseProblem, field: Tensor, settings: UncertaintySettings, pixel_size_um: float, seed: int = 0
    ) -> None:
        self.problem = problem
        self.settings = settings
        self._field, self._padding = field, problem.model.padding
        self._linear = problem.linearise(field)
        self._modulus = problem.modulus(field)
        self._generator = torch.Generator().manual_seed(seed)
        view, device = problem.model.field_of_view, problem.model.device
        fy, fx = (f.to(torch.float32).to(device) for f in frequencies(view, pixel_size_um))
        self._frequency = torch.hypot(fy, fx[:, : fx.shape[1] // 2 + 1].abs())
        self.bands = octaves(view, pixel_size_um)
        """Octaves of the grid, from fine to coarse."""
        residual = self._linear.residual()
        self._misfit = sum_of_squares(residual)
        read_sigma = settings.noise
        shape = fit_noise(self._modulus, residual, problem.exact)
        self._noise = shape if read_sigma is None else NoiseModel(0.0, read_sigma**2 / 4)
        self._variance = self._noise.variance(self._modulus)
        answering = problem.answering(self._modulus)
        if answering is not None:
            self._variance = self._variance.where(answering, 0)
        self._total = sum_of_squares(self._variance.sqrt())
        self._used: list[float] = []
        squares = torch.zeros(2, len(self.bands), *view, dtype=problem.amplitudes.dtype)
        self._squares = squares.to(problem.model.device)
        """Sums over the samples of the squared phase and log-amplitude in each octave, (2, B, Y, X)."""

    def steps(self) -> Iterator[Step]:
        """Take one sample after the other."""
        count, loss = self.settings.samples, self._misfit / self.problem.valid
        for number in range(len(self._used) + 1, count + 1):
            normal = torch.randn(self._variance.shape, generator=self._generator, dtype=self._variance.dtype).to(
                self._variance.device
            )
            noise = normal * self._variance.sqrt()
            error = torch.zeros_like(self._field)
            for taken, solution in enumerate(self._linear.solutions(noise, self.settings.cg_steps)):
                error = solution
                yield Step(number, count, loss, taken / (self.settings.cg_steps + 1))
            self._used.append(float((noise * self._linear.apply(error)).sum()))
            visible = self._padding.view(error)
            for part, values in enumerate((visible.imag, visible.real)):
                spectrum = torch.fft.rfft2(values)
                for index, band in enumerate(self.bands):
                    within = band_mask(band, self._frequency)
                    if part == 1 and index == len(self.bands) - 1:
                        within = within | (self._frequency == 0)  # a constant phase cannot be measured
                    self._squares[part, index] += torch.fft.irfft2(spectrum * within, s=values.shape).square()
            yield Step(number, count, loss, resumable=True)

    def result(self) -> Uncertainty | None:
        """Return the standard deviations from the samples so far; None before the first."""
        samples = len(self._used)
        if not samples:
            return None
        used = sum(self._used) / samples
        freedom = max(1 - used / self._total, 0.0) if self._total > 0 else 0.0
        factor = 1.0
        if self.settings.noise is None and self._total > 0:
            factor = self._misfit / (self._total * max(freedom, _FREEDOM_NEEDED))
            if freedom <= _FREEDOM_NEEDED:
                even = fine_noise(self.problem.filled_amplitudes()).shot * self.problem.valid / self._total
                factor = max(factor, even)
        variances = torch.empty_like(self._squares)
        for index, band in enumerate(self.bands):
            for part in range(2):
                variances[part, index] = self._smooth(self._squares[part, index] * (factor / samples), band)
        # without its mean, so that as little as possible is beyond the cut at ±π
        field = self._padding.view(self._field)
        phase = (field * torch.exp(-1j * field.sum().angle())).angle()
        spectrum = torch.fft.rfft2(phase)
        bands = []
        for index, band in enumerate(self.bands):
            part = torch.fft.irfft2(spectrum * band_mask(band, self._frequency), s=phase.shape)
            bands.append(
                BandUncertainty(band, float(variances[0, index].mean() ** 0.5), float(part.square().mean() ** 0.5))
            )
        return Uncertainty(
            phase=variances[0].sum(0).sqrt(),
            amplitude=field.abs() * variances[1].sum(0).sqrt(),
            phase_bands=variances[0].sqrt(),
            bands=tuple(bands),
            noise=self._noise.scaled(factor),
            freedom=freedom,
            samples=samples,
        )

    current = result

    def _smooth(self, square: Tensor, band: Band) -> Tensor:
        """Average over about one period of a band, periodically; over the whole field for the coarsest."""
        if band.low == 0:
            return square.mean().expand(square.shape)
        width_um = 1 / band.low
        blur = torch.exp(-2 * (torch.pi * width_um * self._frequency) ** 2)
        smooth: Tensor = torch.fft.irfft2(torch.fft.rfft2(square) * blur, s=square.shape)
        return smooth.clamp_min(0)
