"""Linear models of diffraction tomography, diagonal in the transverse frequency."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.errors import InputError
from napari_diner.physics.idt.base import IDTModel, Linear


class LinearModel(IDTModel):
    """The weak-object model ``ĝ_i(u) = Σ_m H_re,im(u) F[Δε_re,m](u) + H_im,im(u) F[Δε_im,m](u)``, Eq. 6.

    Volumes and data are real, so spectra are the halves that ``torch.fft.rfft2`` gives, (Y, X//2+1). A transfer
    function obeys H(−u) = H*(u), and is zero in the Nyquist row and column of even sizes. `active` lists the
    frequencies to which any frame responds; all others are zero in the data and undetermined in the volume.
    """

    active: Tensor
    """Indices of the K frequencies to which any frame responds, in the flattened half-spectrum, in the order of
    `by_size`; int64, (K,).
    """
    block_elements: int
    """Approximate maximum number of complex numbers in a temporary."""

    @property
    def half(self) -> tuple[int, int]:
        """Shape of a half-spectrum, (Y, X//2+1)."""
        return self.shape[1], self.shape[2] // 2 + 1

    def forward(self, contrast: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return the data that the model predicts; see `IDTModel.forward`."""
        self._check_volume(contrast)
        predicted: Tensor = Linear.apply(  # type: ignore[no-untyped-call]
            contrast, lambda x: self._forward(x, frames), lambda y: self.adjoint(y, frames)
        )
        return predicted

    def linearised(self, contrast: Tensor, frames: Sequence[int] | None = None) -> LinearisedLinear:
        """Return the data of a contrast, and the derivative, which is the same at all contrasts."""
        return LinearisedLinear(self, self.forward(contrast, frames), frames)

    def adjoint(self, data: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Apply the adjoint of `forward`; returns a real volume, (2, Z, Y, X).

        Parameters
        ----------
        data
            Real, (N, Y, X).
        frames
            Indices of these frames; all if None.

        Raises
        ------
        InputError
            If the data have the wrong shape.
        """
        expected = (len(self.chosen(frames)), *self.shape[1:])
        if tuple(data.shape) != expected:
            raise InputError(f"The data have the shape {tuple(data.shape)}; the model needs {expected}")
        volume: Tensor = Linear.apply(  # type: ignore[no-untyped-call]
            data, lambda y: self._adjoint(y, frames), lambda x: self.forward(x, frames)
        )
        return volume

    def spectrum(self, images: Tensor) -> Tensor:
        """Return the half-spectra of real images (..., Y, X), complex, (..., Y, X//2+1)."""
        spectrum: Tensor = torch.fft.rfft2(images.to(self.device, self.real_dtype))
        return spectrum

    def from_spectrum(self, spectrum: Tensor) -> Tensor:
        """Return the real images (..., Y, X) of half-spectra (..., Y, X//2+1)."""
        images: Tensor = torch.fft.irfft2(spectrum, s=self.shape[1:])
        return images

    @abstractmethod
    def forward_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return the half-spectra of the data, (N, Y, X//2+1), from those of the contrast.

        Parameters
        ----------
        spectrum
            Complex, (2, Z, Y, X//2+1).
        frames
            Frames to predict; all if None.
        """

    @abstractmethod
    def adjoint_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Apply the conjugate transpose of `forward_spectrum` at each frequency; returns (2, Z, Y, X//2+1).

        Preceded by `spectrum` and followed by `from_spectrum`, this is the adjoint of `forward`.

        Parameters
        ----------
        spectrum
            Complex, (N, Y, X//2+1).
        frames
            Indices of these frames; all if None.
        """

    @abstractmethod
    def transfer(self, frame: int, slices: Sequence[int] | slice | None = None) -> tuple[Tensor, Tensor]:
        """Return the transfer functions H_re and H_im of one frame, complex, (Z, Y, X//2+1).

        Parameters
        ----------
        frame
            Index of the frame.
        slices
            Slices; all if None.
        """

    @abstractmethod
    def matrices(self, block: slice) -> Tensor:
        """Return the matrix M(u), ĝ(u) = M(u) Δε̂(u), of each frequency of a block.

        Parameters
        ----------
        block
            Part of `active`, as from `blocks`.

        Returns
        -------
        Tensor
            Complex, (K, N, 2Z): for each of the frequencies ``active[block]`` a matrix from the Z values of F[Δε_re]
            followed by the Z values of F[Δε_im] to the N data.
        """

    def blocks(self, elements_per_frequency: int) -> Iterator[slice]:
        """Divide `active` into blocks whose temporaries stay within `block_elements`.

        Parameters
        ----------
        elements_per_frequency
            Numbers that the caller stores per frequency, e.g. N · 2Z for `matrices`.
        """
        size = max(1, self.block_elements // elements_per_frequency)
        for start in range(0, len(self.active), size):
            yield slice(start, min(start + size, len(self.active)))

    def _forward(self, contrast: Tensor, frames: Sequence[int] | None) -> Tensor:
        return self.from_spectrum(self.forward_spectrum(self.spectrum(contrast), frames))

    def _adjoint(self, data: Tensor, frames: Sequence[int] | None) -> Tensor:
        return self.from_spectrum(self.adjoint_spectrum(self.spectrum(data), frames))


@dataclass(frozen=True)
class LinearisedLinear:
    """A linear model near a contrast; a `LinearisedModel`."""

    model: LinearModel
    data: Tensor
    frames: Sequence[int] | None

    def apply(self, change: Tensor) -> Tensor:
        """Return the data of a change of the contrast."""
        return self.model.forward(change, self.frames)

    def adjoint(self, data: Tensor) -> Tensor:
        """Apply the adjoint of the model."""
        return self.model.adjoint(data, self.frames)


def default_block(device: torch.device) -> int:
    """Return `LinearModel.block_elements` for a device: what fits in the cache, or what keeps a graphics card busy."""
    return 2**16 if device.type == "cpu" else 2**24


def by_size(active: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return indices into a flattened half-spectrum of images of a shape in the order of the size of the frequency."""
    rows, columns = shape
    row, column = active // (columns // 2 + 1), active % (columns // 2 + 1)
    row = torch.where(row > rows // 2, row - rows, row)
    return active[((row / rows) ** 2 + (column / columns) ** 2).argsort(stable=True)]


def without_nyquist(shape: tuple[int, int]) -> Tensor:
    """Return a mask of the frequencies of a half-spectrum outside the Nyquist row and column, (Y, X//2+1)."""
    kept = torch.ones(shape[0], shape[1] // 2 + 1, dtype=torch.bool)
    if shape[0] % 2 == 0:
        kept[shape[0] // 2] = False
    if shape[1] % 2 == 0:
        kept[:, -1] = False
    return kept
