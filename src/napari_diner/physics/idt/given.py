"""A linear model from precomputed transfer functions, such as those published with a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Unpack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.errors import InputError
from napari_diner.physics.idt.base import Precision
from napari_diner.physics.idt.geometry import Slices
from napari_diner.physics.idt.linear import LinearModel, by_size, default_block, without_nyquist
from napari_diner.physics.lensless.contrast_transfer import mirrored


class TransferFunctions(Protocol):
    """Transfer functions of all frames, (N, Z, Y, X): an array, or a file that gives frame i as ``H[i]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, Z, Y, X)."""

    def __getitem__(self, frame: int, /) -> npt.ArrayLike:
        """Return the transfer function of one frame, complex, (Z, Y, X)."""


class GivenTransfer(LinearModel):
    """The linear model with precomputed transfer functions.

    Only the part that real volumes and data can have is used: that with H(−u) = H*(u), without Nyquist.

    Parameters
    ----------
    H_re, H_im
        Transfer functions of Δε_re and Δε_im, complex, (N, Z, Y, X).
    slices
        The volume, the medium and the light; only its shape matters here.
    centred
        Whether frequency zero is in the middle, at [Y//2, X//2], and not at [0, 0] as for ``fft2``.
    block_elements
        Approximate maximum number of complex numbers in a temporary; depends on the device if None.
    precision
        `dtype`, complex64 by default, and `device` of the spectra.

    Raises
    ------
    InputError
        If they are not of the shape (N, Z, Y, X), or a value is not finite.
    """

    def __init__(
        self,
        H_re: TransferFunctions,
        H_im: TransferFunctions,
        slices: Slices,
        *,
        centred: bool = False,
        block_elements: int | None = None,
        **precision: Unpack[Precision],
    ) -> None:
        shape = tuple(int(size) for size in H_re.shape)
        if shape[1:] != slices.shape or shape != tuple(H_im.shape):
            raise InputError(
                f"The transfer functions have the shapes {shape} and {tuple(H_im.shape)}; both must be (N, Z, Y, X), "
                f"with the volume (Z, Y, X) = {slices.shape}"
            )
        super().__init__(slices, shape[0], **precision)
        self.block_elements = block_elements if block_elements is not None else default_block(self.device)
        kept = without_nyquist(self.shape[1:])
        responds = torch.zeros(self.half, dtype=torch.bool)
        for frame in range(self.frames):
            for H in (H_re, H_im):
                responds |= (self._half(H[frame], centred, frame).abs() > 0).any(0)
        active = by_size((responds & kept).flatten().nonzero().flatten(), self.shape[1:])
        planes = self.shape[0]
        self.tables = torch.empty(self.frames, 2 * planes, len(active), dtype=self.dtype, device=self.device)
        """H_re of all slices, then H_im of all slices, at the active frequencies; complex, (N, 2Z, K)."""
        for frame in range(self.frames):
            for part, H in enumerate((H_re, H_im)):
                half = self._half(H[frame], centred, frame).flatten(1)[:, active]
                self.tables[frame, part * planes : (part + 1) * planes] = half.to(self.device, self.dtype)
        self.active = active.to(self.device)

    def _half(self, H: npt.ArrayLike, centred: bool, frame: int) -> Tensor:
        """Return the half-spectrum of one frame's H (Z, Y, X), complex, (Z, Y, X//2+1)."""
        full = torch.as_tensor(np.asarray(H)).to(torch.complex128)
        if not torch.isfinite(full).all():
            raise InputError(
                f"The transfer functions of frame {frame + 1} have values that are not finite; correct them"
            )
        if centred:
            full = torch.fft.ifftshift(full, (-2, -1))
        return ((full + mirrored(full).conj()) / 2)[..., : self.half[1]]

    def forward_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return the half-spectra of the data from those of the contrast; see `LinearModel.forward_spectrum`."""
        chosen = self.chosen(frames)
        contrast = spectrum.flatten(2).flatten(0, 1)
        data = torch.zeros(len(chosen), contrast.shape[-1], dtype=self.dtype, device=self.device)
        for block in self.blocks(2 * self.shape[0]):
            places = self.active[block]
            part = contrast[:, places]
            for row, frame in enumerate(chosen):
                data[row, places] = (self.tables[frame, :, block] * part).sum(0)
        halves: Tensor = data.unflatten(-1, self.half)
        return halves

    def adjoint_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Apply the conjugate transpose of `forward_spectrum`; see `LinearModel.adjoint_spectrum`."""
        data = spectrum.flatten(1)
        contrast = torch.zeros(2 * self.shape[0], data.shape[-1], dtype=self.dtype, device=self.device)
        for block in self.blocks(2 * self.shape[0]):
            places = self.active[block]
            total = torch.zeros(2 * self.shape[0], len(places), dtype=self.dtype, device=self.device)
            for row, frame in enumerate(self.chosen(frames)):
                total += self.tables[frame, :, block].conj() * data[row, places]
            contrast[:, places] = total
        halves: Tensor = contrast.unflatten(-1, self.half).unflatten(0, (2, -1))
        return halves

    def transfer(self, frame: int, slices: Sequence[int] | slice | None = None) -> tuple[Tensor, Tensor]:
        """Return the transfer functions H_re and H_im of one frame; see `LinearModel.transfer`."""
        planes = self.tables[frame].unflatten(0, (2, -1))[:, slice(None) if slices is None else slices]
        full = torch.zeros(*planes.shape[:2], self.half[0] * self.half[1], dtype=self.dtype, device=self.device)
        full[..., self.active] = planes
        H_re, H_im = full.unflatten(-1, self.half)
        return H_re, H_im

    def matrices(self, block: slice) -> Tensor:
        """Return the matrix of each frequency of a block; see `LinearModel.matrices`."""
        return self.tables[..., block].permute(2, 0, 1)
