"""Priors of an object, as terms that are added to the misfit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import ContrastPower
from napari_diner.solvers.lensless import smoothness
from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.total_variation import TotalVariation

# initial excess of the weight, and the factor by which it is reduced each time
_EXCESS, _RELAXATION = 16.0, 2**0.5
# RMS of the steps of a smooth field's real and of its imaginary part from pixel to pixel, relative to the amplitude
_SMOOTH_STEP = 0.1
# power of a ring of frequencies without an object, relative to its noise; largest factor of smoothness; and the part of
# its power that has to be left for a ring to be judged
_LEAST_DETAIL, _STIFFEST, _HARDLY_SEEN = 0.02, 1e3, 1e-4


@dataclass(frozen=True)
class Priors:
    """The terms that priors add to the mean square misfit of the amplitudes.

    Total variation corresponds to a distribution of differences with the density ``exp(-|Dφ| / b)``; with noise of the
    variance σ² in the amplitudes of N frames, the most probable object minimises the misfit plus

        ``τ (mean TV),  τ = 2 σ² / (N b)``.

    The variance is that of the misfit itself, corrected for the two unknowns of each pixel, so that it is estimated
    anew as the fit goes on, and the prior fades away where there is no noise. Outside a support,
    ``κ mean |log (O / Ō)|²`` is added, with Ō the mean of the field there. A smooth field has normally distributed
    differences of the variance s², which adds ``σ² / (N s²) mean |DO|²``.
    """

    settings: PriorSettings
    """Settings of the priors."""
    brightness: float
    """Amplitude of the empty object that is as bright as the recording."""
    periodic: bool
    """Whether the field is periodic."""
    values_per_pixel: float
    """Recorded values per pixel of the object: N, without masked values and pixels beyond the sensor."""
    freedom: float = 1.0
    """Fraction of the recorded values that the object leaves as degrees of freedom."""
    most_smooth: float = 0.0
    """Largest weight of smoothness, which a field with an unknown surround needs to be determined; zero for none."""
    smooth_part: Tensor | None = None
    """True where the field is smooth, (Y, X); everywhere if None."""
    smooth_factors: Tensor | None = None
    """Factors of smoothness for each ring of frequencies, at least one; all one if None. See `with_spectrum`."""
    support: Tensor | None = None
    """True where there may be a specimen, (Y, X), or None."""
    factor: float = 1.0
    """Factor on the weight for the noise."""
    variance: float = 0.0
    """Variance of the noise of the amplitudes."""
    excess: float = 1.0
    """Factor of the weight over the one for the noise."""

    @property
    def weight(self) -> float:
        """Weight τ of the total variation."""
        usual = 2 * self.variance / (self.values_per_pixel * self.settings.usual_step)
        return self.excess * self.factor * usual

    @property
    def settled(self) -> bool:
        """Whether the weight has been reduced to the one for the noise."""
        return self.excess == 1

    def exaggerated(self) -> Priors:
        """Return excessively strong initial priors, so that strong edges appear first instead of thinned noise.

        Every call of `relaxed` reduces the excess.
        """
        return self if self._tv is None else replace(self, excess=_EXCESS)

    def relaxed(self) -> Priors:
        """Return priors with less excess."""
        return self if self.settled else replace(self, excess=max(1.0, self.excess / _RELAXATION))

    def adapted(self, misfit: float) -> Priors:
        """Return priors for the noise estimated from a misfit, the mean square of the amplitudes' errors."""
        return replace(self, variance=misfit / self.freedom)

    def with_factor(self, factor: float) -> Priors:
        """Return priors with another factor on the weight."""
        return replace(self, factor=factor)

    def with_spectrum(self, field: Tensor, transfer: ContrastPower) -> Priors:
        """Return priors whose smoothness is that of a field in all rings of frequencies where it is the smoother.

        Normally distributed steps of the variance s² mean the power ``p = 2 M s² / |D|²`` of each frequency, for M
        pixels. Most specimens have less of the finest detail, where a source that blurs the frames leaves mostly noise.
        The power P of a ring follows from that of the field, which the prior has reduced and the noise increased
        (empirical Bayes): ``|O|² = P (W_C² + W_S²)/2 + M σ² (W_C²/Σ|C|² + W_S²/Σ|S|²)`` on average, with
        ``W = Σ|C|² / (Σ|C|² + N κ |D|²)``. The factor is p/P, at least one.

        Parameters
        ----------
        field
            The field O, (Y, X), reconstructed with these priors.
        transfer
            Response of the frames to each frequency.
        """
        if self.smoothness_weight == 0:
            return self
        shape = (transfer.phase.shape[0], transfer.phase.shape[1])
        stiffness = smoothness.curvature(shape, field.device, self.smooth_factors)
        kept, noise = torch.zeros_like(transfer.phase), torch.zeros_like(transfer.phase)
        for power in transfer:
            damped = power + self.values_per_pixel * self.smoothness_weight * stiffness
            kept += (power / damped.clamp_min(1e-12)).square() / 2
            noise += power / damped.clamp_min(1e-12).square()
        variance = field.numel() * self.variance
        kept, noise = (smoothness.ring_means(image)[0] for image in (kept, variance * noise))
        seen, counts = smoothness.ring_means(torch.fft.fft2(field).abs().square())
        # beyond the scatter of the noise; what remains of it where there is no object
        power = torch.maximum(seen - (1 + 2 / counts.sqrt()) * noise, _LEAST_DETAIL * noise) / kept.clamp_min(1e-30)
        step = _SMOOTH_STEP * self.brightness
        steepness = smoothness.ring_means(smoothness.curvature(shape, field.device))[0].clamp_min(1e-6)
        factors = (2 * field.numel() * step**2 / steepness / power.clamp_min(1e-30)).clamp(1, _STIFFEST)
        return replace(self, smooth_factors=torch.where(kept > _HARDLY_SEEN, factors, 1.0))

    @property
    def _tv(self) -> TotalVariation | None:
        if self.settings.total_variation == "off":
            return None
        return TotalVariation(
            phase=self.settings.of != "amplitude",
            amplitude=self.settings.of != "phase",
            periodic=self.periodic,
            brightness=self.brightness,
        )

    @property
    def _pull(self) -> float:
        # the derivative of an amplitude by log-amplitude is the amplitude itself
        return self.settings.support_strength * self.brightness**2 / self.values_per_pixel

    @property
    def smoothness_weight(self) -> float:
        """Weight σ² / (N s²) of the mean square of the differences."""
        step = _SMOOTH_STEP * self.brightness
        return min(self.variance / (self.values_per_pixel * step**2), self.most_smooth)

    def evaluate(self, field: Tensor) -> tuple[float, Tensor]:
        """Return the terms added to the misfit, and their derivative by Re O plus i times that by Im O, (Y, X)."""
        cost, slope, tv = 0.0, torch.zeros_like(field), self._tv
        if tv is not None and self.weight > 0:
            value, derivative = tv.evaluate(field)
            cost += self.weight * value
            slope += self.weight * derivative
        if self.support is not None:
            departure = self._departure(field, self.support)
            cost += self._pull * float(departure.abs().square().mean())
            slope += (2 * self._pull / field.numel()) * departure
        power = (field.real**2 + field.imag**2).clamp_min(1e-12)
        # a change dO of the field is one by dO / O of log-amplitude and phase
        slope = slope * field / power
        if self.smoothness_weight > 0:
            value, derivative = smoothness.roughness(field, self.smooth_part, self.smooth_factors)
            cost += self.smoothness_weight * value
            slope += self.smoothness_weight * derivative
        return cost, slope

    def quadratic(self, field: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the operator of half the second derivatives by log-amplitude and phase near a field."""
        tv = self._tv
        weights = None if tv is None else tv.weights(field)
        strength, pull = 0.5 * self.weight / field.numel(), self._pull / field.numel()
        smooth, rough = self.smoothness_weight, smoothness.quadratic(field, self.smooth_part, self.smooth_factors)

        def apply(step: Tensor) -> Tensor:
            result = torch.zeros_like(step) if weights is None else strength * weights.apply(step)
            if self.support is not None:
                result += pull * torch.where(self.support, 0, step)
            if smooth > 0:
                result += smooth * rough(step)
            return result

        return apply

    def stiffness(self, field: Tensor, scaling: Tensor) -> tuple[float, float]:
        """Return the typical coefficients of |Dδ|² for log-amplitude and phase, in scaled unknowns."""
        tv, smooth = self._tv, 0.0
        if self.smoothness_weight > 0:
            smooth = self.smoothness_weight / field.numel() * float((field.abs() * scaling).square().median())
        if tv is None:
            return smooth, smooth
        weights = tv.weights(field)
        scale = 0.5 * self.weight / field.numel()
        amplitude, phase = (
            scale * float((weight * scaling.square()).median()) for weight in (weights.amplitude, weights.phase)
        )
        return smooth + amplitude, smooth + phase

    @staticmethod
    def _departure(field: Tensor, support: Tensor) -> Tensor:
        """Return log (O / Ō) outside the support and zero within: log-amplitude plus i times phase, (Y, X)."""
        ratio = field / field[~support].mean()
        power = (ratio.real**2 + ratio.imag**2).clamp_min(1e-12)
        departure = torch.complex(0.5 * power.log(), ratio.angle())
        return torch.where(support, 0, departure)
