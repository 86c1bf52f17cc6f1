"""What the closed form says about the contrast of a sample: the skewness of the index, and whether absorbers are dense.

Rotating all directions by 180° turns the sign of the index, but not that of the absorption. What absorbs is denser than
its surroundings, and light that is scattered out of the objective's aperture, most by what is densest, looks like
absorption. Along z the index should therefore agree with the absorption: their correlation tells the sign where
positive and negative parts of the index balance, so that its distribution is not skewed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.solvers.calibration.contrast_sign import agreed_by_middle, image_of, of_volume, sign_of, skewness


@dataclass(frozen=True)
class FoundContrast:
    """The volume that explains the frames, at some frequencies; computed when asked for."""

    matrix: Tensor
    """Responses, (K, N, 2Z): those of the index in all slices, then those of the absorption."""
    solved: Tensor
    """C⁻¹ y, (K, N)."""
    places: Tensor
    """Where the frequencies are in a flattened half-spectrum, (K,)."""
    low: int
    """How many of them are the lowest; the first ones."""
    shape: tuple[int, int]
    """Rows and columns of the field."""
    is_weak: bool
    """Whether the volume is good enough to decide."""
    is_cut: bool
    """Whether the sample continues beyond the edges."""

    @functools.cached_property
    @torch.no_grad()
    def skewness(self) -> float:
        """Skewness of the phase along z, or of the volume if that leaves the sign open."""
        low = slice(self.low)
        responses = self._responses(0)
        phase = torch.einsum("kn,kn->k", responses[low].sum(-1), self.solved[low])
        skew = float(skewness(image_of(phase[None], self.places[low], self.shape)))
        is_open = not sign_of(skew)
        if (self.is_weak and is_open) or self.is_cut:
            slices = image_of(torch.einsum("knz,kn->zk", responses, self.solved), self.places, self.shape)
            if self.is_weak and is_open:
                skew = of_volume(slices) or skew
            if self.is_cut:
                skew = agreed_by_middle(skew, slices)
        return skew

    @functools.cached_property
    @torch.no_grad()
    def agreement(self) -> float:
        """Correlation of index and absorption along z."""
        both = torch.stack([torch.einsum("kn,kn->k", self._responses(part).sum(-1), self.solved) for part in (0, 1)])
        index, absorption = image_of(both, self.places, self.shape)
        size = float(index.norm() * absorption.norm())
        return float((index * absorption).sum()) / size if size > 0 else 0.0

    def _responses(self, part: int) -> Tensor:
        responses: Tensor = self.matrix.unflatten(-1, (2, -1))[:, :, part].conj()
        return responses
