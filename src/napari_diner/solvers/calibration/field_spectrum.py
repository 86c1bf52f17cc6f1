"""Spectra of frames with their frequencies in order, for choosing some to compare geometries at."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import without_nyquist


class FieldSpectrum:
    """The spectra of frames; computed once, as hundreds of geometries are compared by the same frames.

    Parameters
    ----------
    data
        g = I / I_background − 1, real, (N, Y, X).
    is_cut
        Whether the sample continues beyond the edges.
    """

    def __init__(self, data: Tensor, *, is_cut: bool = False) -> None:
        self.is_cut = is_cut
        self.frames, self.shape = len(data), (int(data.shape[1]), int(data.shape[2]))
        rows, columns = self.shape
        fy = torch.fft.fftfreq(rows, dtype=torch.float64)[:, None]
        radius = torch.hypot(fy, torch.fft.rfftfreq(columns, dtype=torch.float64)).flatten()
        places = without_nyquist(self.shape).flatten().nonzero().flatten()
        self._places = places[torch.argsort(radius[places], stable=True)]
        self._radius = radius[self._places]
        self._values: Tensor = torch.fft.rfft2(data.cpu()).flatten(1)
        # one frame at a time, as copies of a wide field are large
        energy = torch.zeros(self._values.shape[1])
        for values in self._values:
            energy += values.abs().square()
        self._energy = energy[self._places]

    def chosen(self, most: int, lowest: float, highest: float) -> tuple[Tensor, int]:
        """Return the places of some frequencies in the flattened half-spectrum, and how many of them are the lowest.

        Parameters
        ----------
        most
            Number of frequencies: half of them the lowest, the others the strongest of the rest.
        lowest, highest
            Range of frequencies, in cycles per pixel; the lowest itself is left out.
        """
        limits = torch.tensor([lowest, highest], dtype=torch.float64)
        first, end = torch.searchsorted(self._radius, limits, right=True).tolist()
        end = max(first, end)
        middle = min(first + most // 2, end)
        rest = self._energy[middle:end]
        strongest = middle + rest.topk(min(most - most // 2, len(rest))).indices
        chosen = torch.cat([torch.arange(first, middle), strongest])
        return self._places[chosen], middle - first

    def at(self, places: Tensor) -> Tensor:
        """Return the spectra at some places of the flattened half-spectrum, complex, (K, N)."""
        return self._values[:, places].T

    def frequencies(self, places: Tensor, pixel_size_um: float) -> tuple[Tensor, Tensor]:
        """Return the frequencies (fy, fx) at some places, in cycles/µm for pixels of a size."""
        rows, columns = self.shape
        half = columns // 2 + 1
        fy = torch.fft.fftfreq(rows, pixel_size_um, dtype=torch.float64)
        return fy[places // half], torch.fft.rfftfreq(columns, pixel_size_um, dtype=torch.float64)[places % half]
