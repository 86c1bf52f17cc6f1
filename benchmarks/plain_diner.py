"""DINER for lensless imaging written as the paper says: the reference that the package is measured against.

Two full-resolution tables (amplitude and phase) with a SIREN of two hidden layers of 64 neurons behind each; the
network is evaluated on every key at every step; automatic differentiation through the Fourier transforms; mean square
error of the intensities; Adam. (Xie et al., CVPR 2023, Secs. 4.1 and 5.3.) It shares no code with the package but
the transfer functions, which are data to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Sine(nn.Module):
    """sin(30 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(30 x)."""
        return torch.sin(30 * x)


class TableAndSiren(nn.Module):
    """One learnable key of width 2 for each pixel, and the network 2 → 64 → 64 → 1."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(1e-4 * (2 * torch.rand(pixels, 2) - 1))
        self.net = nn.Sequential(nn.Linear(2, 64), Sine(), nn.Linear(64, 64), Sine(), nn.Linear(64, 1))
        with torch.no_grad():
            self.net[0].weight.uniform_(-1 / 2, 1 / 2)
            for index in (2, 4):
                bound = math.sqrt(6 / 64) / 30
                self.net[index].weight.uniform_(-bound, bound)

    def forward(self) -> Tensor:
        """Return the values of all pixels."""
        return self.net(self.table)[:, 0]


class PlainDiner(nn.Module):
    """Amplitude and phase, and the intensities (N, Y, X) that they make through the transfer functions given."""

    def __init__(self, transfers: Tensor) -> None:
        super().__init__()
        self.transfers = transfers
        self.shape = transfers.shape[1:]
        self.amplitude = TableAndSiren(self.shape.numel())
        self.phase = TableAndSiren(self.shape.numel())

    def field(self) -> Tensor:
        """Return the complex object, (Y, X)."""
        return (self.amplitude() * torch.exp(1j * self.phase())).reshape(self.shape)

    def forward(self) -> Tensor:
        """Return the intensities, (N, Y, X)."""
        return torch.fft.ifft2(self.transfers * torch.fft.fft2(self.field())).abs() ** 2
