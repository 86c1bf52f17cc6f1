"""The unknown of a task: a physical quantity given by representations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation


class Unknown(nn.Module, ABC):
    """The estimate ``x = g(r)`` for the outputs r of one or more representations.

    Parameters
    ----------
    parts
        Representations; their outputs are concatenated.
    names
        Names under which the parameters of each part are saved.
    """

    def __init__(self, parts: Sequence[Representation], names: Sequence[str] = ("field",)) -> None:
        super().__init__()
        self.parts = list(parts)
        for name, part in zip(names, parts, strict=True):
            self.add_module(name, part)

    @abstractmethod
    def compose(self, outputs: Tensor) -> Tensor:
        """Return the estimate g(r) for outputs r, (outputs, *shape)."""

    @abstractmethod
    def decompose(self, estimate: Tensor) -> Tensor:
        """Return outputs, (outputs, *shape), that `compose` turns into an estimate."""

    def forward(self) -> Tensor:
        """Return the estimate by the fastest method of the representations."""
        return self.compose(torch.cat([part() for part in self.parts]))

    def exact(self) -> Tensor:
        """Return the estimate without approximation."""
        return self.compose(torch.cat([part.exact() for part in self.parts]))

    def targets(self, estimate: Tensor) -> list[Tensor]:
        """Return the target of each part for an estimate, (outputs, *shape) each."""
        return list(self.decompose(estimate).split([part.outputs for part in self.parts]))

    def parameter_count(self) -> int:
        """Return the number of learnable parameters of all parts, tables included."""
        return sum(part.parameter_count() for part in self.parts)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the parameters."""
        return {name: value.clone() for name, value in self.state_dict().items()}

    def restore(self, parameters: Mapping[str, Tensor]) -> None:
        """Load parameters; others are unchanged."""
        self.load_state_dict(parameters, strict=False)


class Values(Unknown):
    """The outputs of one representation, for a fit."""

    def __init__(self, representation: Representation) -> None:
        super().__init__([representation])

    def compose(self, outputs: Tensor) -> Tensor:
        """Return the outputs."""
        return outputs

    def decompose(self, estimate: Tensor) -> Tensor:
        """Return the estimate."""
        return estimate


class Scaled(Unknown):
    """The outputs of one representation in physical units: ``x_k = scale_k r_k``.

    Parameters
    ----------
    representation
        Representation with outputs of order one.
    scale
        Value of x for an output of one, (outputs,).
    """

    scale: Tensor

    def __init__(self, representation: Representation, scale: Tensor) -> None:
        super().__init__([representation])
        column = scale.reshape(-1, *[1] * len(representation.shape))
        self.register_buffer("scale", column, persistent=False)

    def compose(self, outputs: Tensor) -> Tensor:
        """Return the outputs times the scale."""
        return outputs * self.scale

    def decompose(self, estimate: Tensor) -> Tensor:
        """Return the estimate over the scale."""
        return estimate / self.scale


class ComplexField(Unknown):
    """The field ``O = a · exp(iφ)`` with ``a = scale · |r₀|`` and ``φ = phase_scale · r₁``.

    Parameters
    ----------
    parts
        Representations whose outputs together are two: amplitude first, phase second.
    amplitude_scale
        Amplitude for one unit of output.
    phase_scale_rad
        Phase for one unit of output.
    amplitude_nonnegative
        Take the modulus of the first output; without it, a negative amplitude acts as a phase of π.
    """

    def __init__(
        self,
        parts: Sequence[Representation],
        *,
        amplitude_scale: float = 1.0,
        phase_scale_rad: float = 1.0,
        amplitude_nonnegative: bool = True,
    ) -> None:
        super().__init__(parts, ("amplitude", "phase") if len(parts) == 2 else ("field",))
        self.amplitude_scale = amplitude_scale
        self.phase_scale_rad = phase_scale_rad
        self.amplitude_nonnegative = amplitude_nonnegative

    def compose(self, outputs: Tensor) -> Tensor:
        """Return the complex field, (Y, X), for outputs (2, Y, X)."""
        amplitude, phase = outputs[0] * self.amplitude_scale, outputs[1] * self.phase_scale_rad
        if self.amplitude_nonnegative:
            amplitude = amplitude.abs()
        return torch.complex(amplitude * torch.cos(phase), amplitude * torch.sin(phase))

    def decompose(self, estimate: Tensor) -> Tensor:
        """Return scaled amplitude and phase, (2, Y, X), of a complex field."""
        return torch.stack([estimate.abs() / self.amplitude_scale, estimate.angle() / self.phase_scale_rad])
