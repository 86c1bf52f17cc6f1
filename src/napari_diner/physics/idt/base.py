"""The interface of the models of intensity diffraction tomography."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypedDict

import torch
from torch import Tensor

from napari_diner.errors import InputError
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.idt.geometry import Slices


class Precision(TypedDict, total=False):
    """Complex type and device of a model."""

    dtype: torch.dtype
    device: torch.device | str


class LinearisedModel(Protocol):
    """A model near a contrast: P(x + δ) ≈ P(x) + J δ."""

    @property
    def data(self) -> Tensor:
        """P(x), real, (N, Y, X)."""

    def apply(self, change: Tensor) -> Tensor:
        """Return J δ, real, (N, Y, X), for a change δ of the contrast, (2, Z, Y, X)."""

    def adjoint(self, data: Tensor) -> Tensor:
        """Apply the transpose of `apply`: real, (N, Y, X) to (2, Z, Y, X)."""


class IDTModel(ABC):
    """From the contrast of permittivity to the data g = I / I_background − 1 of each frame.

    Parameters
    ----------
    slices
        The volume, the medium and the light.
    frames
        Number N of frames.
    dtype, device
        Complex type and device of the fields and spectra; volumes and data have the real type of the same precision,
        `real_dtype`.
    """

    def __init__(
        self,
        slices: Slices,
        frames: int,
        *,
        dtype: torch.dtype = torch.complex64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.slices = slices
        self.shape = slices.shape
        self.frames = frames
        self.dtype = dtype
        self.real_dtype = dtype.to_real()
        self.device = torch.device(device)

    @abstractmethod
    def forward(self, contrast: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return the predicted data g = I / I_background − 1, (N, Y, X), differentiably.

        Parameters
        ----------
        contrast
            Δε_re and Δε_im, real, (2, Z, Y, X).
        frames
            Frames to predict, in this order; all if None.
        """

    @abstractmethod
    def linearised(self, contrast: Tensor, frames: Sequence[int] | None = None) -> LinearisedModel:
        """Return the data of a contrast, (2, Z, Y, X), and their derivative there, for some frames or for all."""

    def intensities(self, contrast: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return intensities relative to those of the empty medium, 1 + g, real, (N, Y, X)."""
        return 1 + self.forward(contrast, frames)

    def peak_phase(self, contrast: Tensor) -> float:
        """Return the largest phase delay along the axis in rad, ``max |2π/λ Σ_z (n_re − n0) Δz|``.

        The linear model holds below about 0.3 rad and is unreliable above 0.5 rad.

        Parameters
        ----------
        contrast
            Δε_re and Δε_im, real, (2, Z, Y, X).
        """
        with torch.no_grad():
            projected = torch.zeros(contrast.shape[-2:], dtype=torch.float32, device=contrast.device)
            for plane in range(contrast.shape[1]):
                n_re, _ = refractive_index(contrast[:, plane], self.slices.medium_index)
                projected += n_re - self.slices.medium_index
        return float(projected.abs().max()) * self.slices.wavenumber * self.slices.slice_spacing_um

    def chosen(self, frames: Sequence[int] | None) -> list[int]:
        """Return the numbers of some frames, or of all if None."""
        return list(range(self.frames)) if frames is None else list(frames)

    def _check_volume(self, contrast: Tensor) -> None:
        if tuple(contrast.shape) != (2, *self.shape):
            raise InputError(f"The contrast has the shape {tuple(contrast.shape)}; the model needs {(2, *self.shape)}")


class Linear(torch.autograd.Function):
    """A linear operator whose gradient is its adjoint; nothing is stored between the two."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, operator: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return ``operator(x)``."""
        ctx.pair = (adjoint, operator)
        return operator(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return ``adjoint(gradient)``."""
        adjoint, operator = ctx.pair
        gradient: Tensor = Linear.apply(gradients[0], adjoint, operator)  # type: ignore[no-untyped-call]
        return gradient, None, None


def frequency_device(device: torch.device) -> torch.device:
    """Return a device that computes phases in double precision: `device`, unless it lacks that (Apple's)."""
    return torch.device("cpu") if device.type == "mps" else device
