"""Smoothed total variation of phase and amplitude, with its quadratic majorant."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# differences below this (radians; relative to the mean amplitude) count as smooth
_CORNER = 1e-2
# amplitudes below this part of the mean have no meaningful phase
_DARK = 1e-3


@dataclass(frozen=True)
class Weights:
    """Lagged diffusivities: the quadratic ``½ Σ w |Dδ|²`` that approximates the total variation near a field."""

    amplitude: Tensor
    """Weights w of the squared differences of log-amplitude to the next pixels, (Y, X)."""
    phase: Tensor
    """The same for the phase."""
    periodic: bool
    """Whether the last pixel's next one is the first."""

    def apply(self, step: Tensor) -> Tensor:
        """Return Dᵀ w D δ of a change δ of log-amplitude (real) and phase (imaginary), (Y, X)."""
        parts = []
        for part, weight in ((step.real, self.amplitude), (step.imag, self.phase)):
            total = torch.zeros_like(part)
            for axis in (0, 1):
                total += adjoint(weight * difference(part, axis, self.periodic), axis)
            parts.append(total)
        return torch.complex(parts[0], parts[1])


class TotalVariation:
    """The isotropic total variation of a complex field's phase and amplitude, each a mean over the pixels.

    ``mean √(|Dφ|² + ε²) + mean √(|a Dl|² / ā² + ε²)`` with D the differences to the next pixels (those of the phase
    wrapped to ±π), l the log-amplitude, ā the mean amplitude (Rudin, Osher and Fatemi, Physica D 60, 259 (1992)). A
    step of lagged diffusivity (Vogel and Oman, SIAM J. Sci. Comput. 17, 227 (1996)) replaces it by a quadratic.

    Parameters
    ----------
    phase, amplitude
        Which of the two count.
    periodic
        Whether the field is periodic, so that differences across its edges count.
    brightness
        Mean amplitude ā.
    """

    def __init__(self, *, phase: bool, amplitude: bool, periodic: bool, brightness: float) -> None:
        self._of_phase, self._of_amplitude = phase, amplitude
        self._periodic = periodic
        self._brightness = brightness

    def evaluate(self, field: Tensor) -> tuple[float, Tensor]:
        """Return the total variation, and its derivative by log-amplitude plus i times that by the phase, (Y, X)."""
        logs, phases = self._differences(field)
        weights, value = self._weigh(field, logs, phases)
        parts = []
        for weight, slopes in ((weights.amplitude, logs), (weights.phase, phases)):
            parts.append(adjoint(weight * slopes[0], 0) + adjoint(weight * slopes[1], 1))
        return value, torch.complex(parts[0], parts[1]) / field.numel()

    def weights(self, field: Tensor) -> Weights:
        """Return the quadratic at a field, to be divided by the number of pixels."""
        return self._weigh(field, *self._differences(field))[0]

    def _differences(self, field: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the differences of log-amplitude and of phase along both axes."""
        power = field.real**2 + field.imag**2
        logs = 0.5 * power.clamp_min((_DARK * self._brightness) ** 2).log()
        phases = []
        for axis in (0, 1):
            product = torch.roll(field, -1, axis) * field.conj()
            if not self._periodic:
                product.select(axis, -1).fill_(1)
            phases.append(product.angle())
        return [difference(logs, axis, self._periodic) for axis in (0, 1)], phases

    def _weigh(self, field: Tensor, logs: list[Tensor], phases: list[Tensor]) -> tuple[Weights, float]:
        value = 0.0
        weights = [torch.zeros_like(field.real), torch.zeros_like(field.real)]
        if self._of_amplitude:
            relative = (field.real**2 + field.imag**2) / self._brightness**2
            root = (relative * (logs[0] ** 2 + logs[1] ** 2) + _CORNER**2).sqrt()
            weights[0] = relative / root
            value += float(root.mean())
        if self._of_phase:
            root = (phases[0] ** 2 + phases[1] ** 2 + _CORNER**2).sqrt()
            weights[1] = 1 / root
            value += float(root.mean())
        return Weights(weights[0], weights[1], self._periodic), value


def difference(values: Tensor, axis: int, periodic: bool) -> Tensor:
    """Return the difference to the next pixel along an axis; zero for the last one unless the field is periodic."""
    slopes = torch.roll(values, -1, axis) - values
    if not periodic:
        slopes.select(axis, -1).zero_()
    return slopes


def adjoint(slopes: Tensor, axis: int) -> Tensor:
    """Return the adjoint of `difference`; of a field that is not periodic, the last slopes must be zero."""
    return torch.roll(slopes, 1, axis) - slopes
