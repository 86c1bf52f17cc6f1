"""What is known of an object beforehand, as terms that are added to the misfit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.total_variation import TotalVariation

# how much too large the weight is at first, and by how much it comes down each time
_EXCESS, _RELAXATION = 16.0, 2**0.5


class Priors:
    """The terms that prior knowledge adds to the mean square misfit of the amplitudes.

    Total variation stands for a distribution of differences with the density ``exp(-|Dφ| / b)``; with noise of
    the variance σ² in the amplitudes of N frames, the most probable object minimises the misfit plus

        ``τ (mean TV),  τ = 2 σ² / (N b)``.

    The variance is that of the misfit itself, corrected for the two unknowns of each pixel, so that it is found anew
    as the fit goes on, and the prior fades away where there is no noise. Outside a support, ``κ mean |log (O / Ō)|²``
    is added, with Ō the mean of the field there.

    Parameters
    ----------
    settings
        What is known.
    brightness
        Amplitude of the empty object that is as bright as the recording.
    periodic
        Whether the field repeats itself.
    values_per_pixel
        Recorded values for each pixel of the object: N, less what is masked.
    support
        True where there may be a specimen, (Y, X), or None.
    """

    def __init__(
        self,
        settings: PriorSettings,
        brightness: float,
        *,
        periodic: bool,
        values_per_pixel: float,
        support: Tensor | None = None,
    ) -> None:
        self.settings = settings
        self.weight = 0.0
        """Weight τ of the total variation."""
        self.variance = 0.0
        """Variance of the noise of the amplitudes that the weight was chosen for."""
        self._values_per_pixel = values_per_pixel
        self._tv: TotalVariation | None = None
        if settings.total_variation != "off":
            self._tv = TotalVariation(
                phase=settings.of != "amplitude",
                amplitude=settings.of != "phase",
                periodic=periodic,
                brightness=brightness,
            )
        self._outside = None if support is None else ~support
        # the mean square of one amplitude answers to a change of log-amplitude with the amplitude itself
        self._pull = settings.support_strength * brightness**2 / values_per_pixel
        self.factor = settings.strength
        """Factor on the weight that the noise asks for."""
        self._excess = 1.0

    @property
    def has_support(self) -> bool:
        """Whether a support is known."""
        return self._outside is not None

    @property
    def settled(self) -> bool:
        """Whether the weight is no longer larger than what the noise asks for."""
        return self._excess == 1

    def exaggerate(self) -> None:
        """Begin with a weight that is far too large: few edges are found, and then more, instead of noise thinned out.

        It comes down with every call of `adapt`.
        """
        if self._tv is not None:
            self._excess = _EXCESS

    def adapt(self, misfit: float) -> None:
        """Choose the weight for the noise that a misfit tells, the mean square of the amplitudes' errors."""
        freedom = max(1 - 2 / self._values_per_pixel, 0.25)
        self.variance = misfit / freedom
        usual = 2 * self.variance / (self._values_per_pixel * self.settings.usual_step)
        self.weight = self._excess * self.factor * usual
        self._excess = max(1.0, self._excess / _RELAXATION)

    def evaluate(self, field: Tensor) -> tuple[float, Tensor]:
        """Return what is added to the misfit, and its derivative by Re O plus i times that by Im O, (Y, X)."""
        cost, slope = 0.0, torch.zeros_like(field)
        if self._tv is not None and self.weight > 0:
            value, derivative = self._tv.evaluate(field)
            cost += self.weight * value
            slope += self.weight * derivative
        if self._outside is not None:
            departure = self._departure(field)
            cost += self._pull * float(departure.abs().square().mean())
            slope += (2 * self._pull / field.numel()) * departure
        power = (field.real**2 + field.imag**2).clamp_min(1e-12)
        # a change dO of the field is one by dO / O of log-amplitude and phase
        return cost, slope * field / power

    def quadratic(self, field: Tensor) -> Callable[[Tensor], Tensor]:
        """Return half the matrix of second derivatives by log-amplitude and phase near a field, to be applied."""
        weights = None if self._tv is None else self._tv.weights(field)
        tv, pull = 0.5 * self.weight / field.numel(), self._pull / field.numel()

        def apply(step: Tensor) -> Tensor:
            result = torch.zeros_like(step) if weights is None else tv * weights.apply(step)
            if self._outside is not None:
                result += pull * torch.where(self._outside, step, 0)
            return result

        return apply

    def stiffness(self, field: Tensor, scaling: Tensor) -> tuple[float, float]:
        """Return the typical coefficients of |Dδ|² for log-amplitude and phase, in scaled unknowns."""
        if self._tv is None:
            return 0.0, 0.0
        weights = self._tv.weights(field)
        scale = 0.5 * self.weight / field.numel()
        amplitude, phase = (
            scale * float((weight * scaling.square()).median()) for weight in (weights.amplitude, weights.phase)
        )
        return amplitude, phase

    def _departure(self, field: Tensor) -> Tensor:
        """Return log (O / Ō) outside the support and zero within: log-amplitude plus i times phase, (Y, X)."""
        assert self._outside is not None
        mean = field[self._outside].mean()
        ratio = field / mean
        power = (ratio.real**2 + ratio.imag**2).clamp_min(1e-12)
        departure = torch.complex(0.5 * power.log(), ratio.angle())
        return torch.where(self._outside, departure, 0)
