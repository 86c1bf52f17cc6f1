"""DINER as published: the reference for the benchmarks.

A full-resolution table with a small network behind it, which is evaluated on every key at every step; automatic
differentiation; mean square error; Adam (Xie et al., CVPR 2023, Secs. 4.1, 5.1 and 5.3). It shares no code with the
package; the transfer functions of the lensless model are passed in.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn


class Sine(nn.Module):
    """sin(30 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return sin(30 x)."""
        return torch.sin(30 * x)


class PlainTable(nn.Module):
    """One learnable key for each sample, and the network width → 64 → … → 64 → outputs."""

    def __init__(self, samples: int, outputs: int = 1, *, kind: str = "siren", width: int = 2, layers: int = 2) -> None:
        super().__init__()
        self.table = nn.Parameter(1e-4 * (2 * torch.rand(samples, width) - 1))
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Linear(64 if layer else width, 64), Sine() if kind == "siren" else nn.ReLU()]
        self.net = nn.Sequential(*parts, nn.Linear(64, outputs))
        if kind == "siren":
            with torch.no_grad():
                for number, linear in enumerate(part for part in self.net if isinstance(part, nn.Linear)):
                    bound = 1 / width if number == 0 else math.sqrt(6 / 64) / 30
                    linear.weight.uniform_(-bound, bound)

    def forward(self) -> Tensor:
        """Return the values of all samples, (samples, outputs)."""
        return self.net(self.table)


def plain_fit(values: Tensor, epochs: int, **settings: object) -> tuple[PlainTable, float]:
    """Fit values, (samples, outputs); return the model and the mean seconds per epoch after the first."""
    torch.manual_seed(0)
    model = PlainTable(len(values), values.shape[1], **settings)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    began = time.perf_counter()
    for epoch in range(epochs + 1):
        if epoch == 1:
            began = time.perf_counter()
        optimizer.zero_grad()
        loss = (model() - values).square().mean()
        loss.backward()
        optimizer.step()
    return model, (time.perf_counter() - began) / epochs


class PlainDiner(nn.Module):
    """Amplitude and phase, and their intensities (N, Y, X) through given transfer functions."""

    def __init__(self, transfers: Tensor) -> None:
        super().__init__()
        self.transfers = transfers
        self.shape = transfers.shape[1:]
        self.amplitude = PlainTable(self.shape.numel())
        self.phase = PlainTable(self.shape.numel())

    def field(self) -> Tensor:
        """Return the complex object, (Y, X)."""
        return (self.amplitude()[:, 0] * torch.exp(1j * self.phase()[:, 0])).reshape(self.shape)

    def forward(self) -> Tensor:
        """Return the intensities, (N, Y, X)."""
        return torch.fft.ifft2(self.transfers * torch.fft.fft2(self.field())).abs() ** 2
