"""A complex field whose amplitude and phase are represented by networks or pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation


class ComplexField(nn.Module):
    """The field ``O = a · exp(iφ)`` with ``a = scale · |r₀|`` and ``φ = phase_scale · r₁`` of the represented r.

    Parameters
    ----------
    parts
        Representations whose outputs together are two: amplitude first, phase second.
    amplitude_scale
        Amplitude for one unit of output.
    phase_scale_rad
        Phase for one unit of output.
    amplitude_nonnegative
        Take the modulus of the first output; without it, a negative amplitude reads as a phase of π.
    """

    def __init__(
        self,
        parts: list[Representation],
        *,
        amplitude_scale: float = 1.0,
        phase_scale_rad: float = 1.0,
        amplitude_nonnegative: bool = True,
    ) -> None:
        super().__init__()
        self.parts = parts
        # the names under which the weights are saved
        for name, part in zip(("amplitude", "phase") if len(parts) == 2 else ("field",), parts, strict=True):
            self.add_module(name, part)
        self.amplitude_scale = amplitude_scale
        self.phase_scale_rad = phase_scale_rad
        self.amplitude_nonnegative = amplitude_nonnegative

    def forward(self) -> Tensor:
        """Return the field by the fastest way the representations offer: complex, (Y, X)."""
        return self._compose(torch.cat([part() for part in self.parts]))

    def exact(self) -> Tensor:
        """Return the field without approximation: complex, (Y, X)."""
        return self._compose(torch.cat([part.exact() for part in self.parts]))

    def _compose(self, outputs: Tensor) -> Tensor:
        amplitude, phase = outputs[0] * self.amplitude_scale, outputs[1] * self.phase_scale_rad
        if self.amplitude_nonnegative:
            amplitude = amplitude.abs()
        return torch.complex(amplitude * torch.cos(phase), amplitude * torch.sin(phase))

    def targets(self, amplitude: Tensor, phase: Tensor) -> list[Tensor]:
        """Return what each representation would have to output for this amplitude and phase, (Y, X) each."""
        wanted = torch.stack([amplitude / self.amplitude_scale, phase / self.phase_scale_rad])
        return list(wanted.split([part.outputs for part in self.parts]))

    def parameter_count(self) -> int:
        """Return the number of parameters of all representations."""
        return sum(parameter.numel() for parameter in self.parameters())
