"""An object that moves laterally against its illumination from frame to frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Unpack

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import ModelOptions, MultiHeight, Pixels, Respond
from napari_diner.physics.propagation import frequencies


class MovedMultiHeight(MultiHeight):
    """The model of frames with an illumination of their own, ``I_k = g_k/s · |PSF_k ∗ (P_k·O)|²``.

    An object displaced by s_k in an illumination P gives the same frame as one at rest in ``P_k(r) = P(r + s_k)``,
    apart from a displacement of the frame by s_k. With the roles exchanged, it is the model of an unknown illumination
    for a known object, with the illuminations ``O(r − s_k)``; see `displaced`.

    Parameters
    ----------
    shape, heights
        As of `LenslessModel`.
    illuminations
        Complex fields P_k, (N, Y, X), on the grid of the object.
    options
        Other parameters of `LenslessModel`.
    """

    def __init__(
        self, shape: tuple[int, int], heights: Heights, illuminations: Tensor, **options: Unpack[ModelOptions]
    ) -> None:
        super().__init__(shape, heights, **options)
        self.illuminations = illuminations.to(self.device, self.dtype)
        power = self.illuminations.real.square() + self.illuminations.imag.square()
        self.illumination = power.mean(0).sqrt().to(self.dtype)
        """Root mean square of the illuminations, which stands for them where frames are not told apart."""

    def _lit(self, field: Tensor, frame: int) -> Tensor:
        spectrum: Tensor = torch.fft.fft2(self.padding.pad(self.illuminations[frame] * field))
        return spectrum

    def _add_back(self, back: Tensor, answer: Tensor, frame: int) -> None:
        spectrum = torch.zeros(self.padding.padded_shape, dtype=self.dtype, device=self.device)
        self.add_field_adjoint(spectrum, answer, frame)
        field = self.padding.pad_adjoint(ifft2(spectrum))
        back.addcmul_(self.illuminations[frame].conj(), field)

    def propagated(self, field: Tensor) -> Iterator[tuple[int, Pixels, Tensor]]:
        """Propagate the object's field (Y, X) to one sensor plane after another."""
        for frame in range(self.frames):
            yield frame, self._whole, self.field(self._lit(field, frame), frame)

    def round_trip(self, field: Tensor, respond: Respond) -> Tensor:
        """Return ``Σ_k A_k^H respond(A_k O)``; see `LenslessModel.round_trip`."""

        def of(frames: range) -> Tensor:
            back = torch.zeros_like(field)
            for frame in frames:
                U = self.field(self._lit(field, frame), frame)
                self._add_back(back, respond(frame, self._whole, U), frame)
            return back

        return self.summed(of)

    def collect(self, answer: Callable[[int, Pixels], Tensor]) -> Tensor:
        """Return ``Σ_k A_k^H u_k``; see `LenslessModel.collect`."""
        back = torch.zeros(self.shape, dtype=self.dtype, device=self.device)
        for frame in range(self.frames):
            self._add_back(back, answer(frame, self._whole), frame)
        return back


def displaced(field: Tensor, shifts_um: Sequence[tuple[float, float]], pixel_size_um: float) -> Tensor:
    """Return a periodic field, (Y, X), displaced by each of the shifts (dy, dx), down and to the right: (N, Y, X)."""
    fy, fx = frequencies((field.shape[0], field.shape[1]), pixel_size_um)
    spectrum = torch.fft.fft2(field)
    fields = [
        ifft2(spectrum * torch.exp(-2j * math.pi * (fy * dy + fx * dx)).to(field.device, field.dtype))
        for dy, dx in shifts_um
    ]
    return torch.stack(fields)
