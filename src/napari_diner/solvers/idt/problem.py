"""What a volume has to explain, and what is asked of it besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.idt.base import IDTModel
from napari_diner.solvers.idt.regularisers import Priors, TotalVariation


@dataclass(frozen=True)
class VolumeProblem:
    """Find the contrast x that minimises ``½ Σ |P(x) − g|² + α/2 Σ |x|² + τ TV(x)``, where asked with x ≥ 0.

    Parameters
    ----------
    model
        P: contrast (2, Z, Y, X) to data (N, Y, X).
    data
        g = I / I_background − 1, real, (N, Y, X).
    priors
        α, τ, and what must not be negative.
    tv
        The total variation, with the proportions of the voxels.
    frames
        Which of the frames count; all if None.
    """

    model: IDTModel
    data: Tensor
    priors: Priors
    tv: TotalVariation
    frames: tuple[int, ...] | None = None

    def misfit(self, contrast: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return ``½ Σ |P(x) − g|²``, with gradient, of the frames that count, or of the frames given."""
        chosen = self.frames if frames is None else frames
        data = self.data if chosen is None else self.data[list(chosen)]
        return (self.model.forward(contrast, chosen) - data).square().sum() / 2

    @torch.no_grad()
    def objective(self, contrast: Tensor) -> tuple[float, float]:
        """Return what is minimised, and the misfit in it, at a contrast; positivity is not looked at."""
        misfit = float(self.misfit(contrast))
        return misfit + self.penalty(contrast), misfit

    @torch.no_grad()
    def penalty(self, contrast: Tensor) -> float:
        """Return ``α/2 Σ |x|² + τ TV(x)``."""
        value = 0.0
        if self.priors.tikhonov:
            value += self.priors.tikhonov / 2 * float(contrast.square().sum())
        if self.priors.tv:
            value += self.priors.tv * self.tv.value(contrast)
        return value

    def projected(self, contrast: Tensor) -> Tensor:
        """Return the nearest contrast that is not negative where it must not be."""
        return self.priors.projected(contrast)
