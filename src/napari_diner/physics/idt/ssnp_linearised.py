"""The multi-slice model linearised about a contrast, with its exact adjoint.

A change of the contrast changes the kicks: with the field U at a kick, ``δU′ ← δU′ − κ δU − (dκ/dΔε) δΔε U``. The
fields at all kicks are stored if they fit the memory, so that the derivative and its adjoint each cost as much as one
prediction; otherwise they are computed again for each application, which doubles the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_diner.device import available_memory
from napari_diner.physics.fourier import ifft2
from napari_diner.physics.idt.stored_fields import STORED_BYTES, STORED_BYTES_OF_A_CARD, USED

if TYPE_CHECKING:
    from napari_diner.physics.idt.ssnp import SourceBatch, SSNPModel


class LinearisedMarch:
    """The data of the multi-slice model near a contrast; a `LinearisedModel`.

    Parameters
    ----------
    model
        The model.
    contrast
        Contrast to linearise about, (2, Z, Y, X).
    frames
        Frames to predict; all if None.
    """

    @torch.no_grad()
    def __init__(self, model: SSNPModel, contrast: Tensor, frames: Sequence[int] | None = None) -> None:
        self.model, self.frames = model, frames
        self._planes = [model.plane(contrast, plane) for plane in range(model.shape[0])]
        change = model.empty(frames)
        self._batches = list(model.batches(frames, contrast))
        kicks = model.shape[0] * model.steps_per_slice * sum(len(batch.places) for batch in self._batches)
        size = kicks * model.shape[1] * model.shape[2] * torch.finfo(model.dtype).bits // 4
        if model.device.type == "cpu":
            stores = size <= min(STORED_BYTES, USED * available_memory())
        else:
            stores = size <= STORED_BYTES_OF_A_CARD
        self._stored: list[tuple[list[Tensor], Tensor] | None] = []
        for batch in self._batches:
            fields, image = self._fields(batch)
            change.index_add_(0, batch.places, batch.weights * (image.real**2 + image.imag**2))
            self._stored.append((fields, image) if stores else None)
        dark_field = model.dark_field.chosen(frames)
        self.data, self._dark_field = dark_field.data(change), dark_field.linearised(change)

    def _empty(self) -> Tensor:
        model = self.model
        return torch.zeros(
            len(model.chosen(self.frames)), *model.shape[1:], dtype=model.real_dtype, device=model.device
        )

    def _fields(self, batch: SourceBatch) -> tuple[list[Tensor], Tensor]:
        """Return the field at each kick, complex, (S, Y, X), and in the plane in focus."""
        fields = []
        field, slope = batch.start()
        for plane, delta in enumerate(self._planes):
            kick = batch.kick(delta)
            for step in range(self.model.steps_per_slice):
                if plane or step:
                    field, slope = batch.drift(field, slope)
                fields.append(ifft2(field))
                slope = slope - torch.fft.fft2(kick * fields[-1])
        return fields, batch.image(field, slope)

    @torch.no_grad()
    def apply(self, change: Tensor) -> Tensor:
        """Return the change of the data, real, (N, Y, X), for a change of the contrast, (2, Z, Y, X)."""
        data, steps = self._empty(), self.model.steps_per_slice
        for batch, stored in zip(self._batches, self._stored, strict=True):
            fields, image = stored or self._fields(batch)
            field, slope = torch.zeros_like(image), torch.zeros_like(image)
            for plane, delta in enumerate(self._planes):
                kick = batch.kick(delta)
                change_of_kick = batch.kick_derivative(delta) * self.model.plane(change, plane)
                for place in range(plane * steps, (plane + 1) * steps):
                    if place:
                        field, slope = batch.drift(field, slope)
                    slope -= torch.fft.fft2(kick * ifft2(field) + change_of_kick * fields[place])
            data.index_add_(0, batch.places, 2 * batch.weights * (image.conj() * batch.image(field, slope)).real)
        return data if self._dark_field is None else self._dark_field.apply(data)

    @torch.no_grad()
    def adjoint(self, data: Tensor) -> Tensor:
        """Apply the transpose of `apply`: real, (N, Y, X) to (2, Z, Y, X)."""
        model, steps = self.model, self.model.steps_per_slice
        data = data if self._dark_field is None else self._dark_field.adjoint(data)
        total = torch.zeros(2, *model.shape, dtype=model.real_dtype, device=model.device)
        pixels = model.shape[1] * model.shape[2]
        for batch, stored in zip(self._batches, self._stored, strict=True):
            fields, image = stored or self._fields(batch)
            # the adjoint of ifft2 is fft2 over the number of pixels
            pulled_back = torch.fft.fft2(2 * batch.weights * data[batch.places] * image) / pixels
            field, slope = batch.image_of_field.conj() * pulled_back, batch.image_of_slope.conj() * pulled_back
            for plane in range(model.shape[0] - 1, -1, -1):
                delta = self._planes[plane]
                kick = batch.kick(delta).conj()
                of_kick = torch.zeros_like(image)
                for place in range((plane + 1) * steps - 1, plane * steps - 1, -1):
                    pulled = ifft2(slope)
                    of_kick -= fields[place].conj() * pulled
                    field = field - torch.fft.fft2(kick * pulled)
                    if place:
                        field, slope = batch.drift_adjoint(field, slope)
                of_delta = pixels * (batch.kick_derivative(delta).conj() * of_kick).sum(0)
                total[0, plane] += of_delta.real
                total[1, plane] += of_delta.imag
        return total
