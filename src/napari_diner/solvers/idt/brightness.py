"""Brightness of dark-field frames, by the prediction of a volume from bright field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.idt.dark_field import DarkField
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.padding import Padding
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step


@dataclass(frozen=True)
class Brightness:
    """How bright dark-field frames are, compared with a prediction, and how well it explains them."""

    factors: tuple[float, ...]
    """``cov(P, I) / var(P)`` for each frame, with its intensity I and the prediction P."""
    unexplained: float
    """``Σ |g(P) − g(I / b)|² / Σ |g(I / b)|²`` over all frames, for the amplitudes g of `DarkField`; b is the factor,
    or 1 if the brightness is known."""


class BrightnessFit(Resumable):
    """Compare dark-field frames with the prediction of a volume; a `Solver` of one step.

    Structure that the volume lacks, stray light and noise hardly change the factors, as they are hardly correlated with
    the prediction.

    Parameters
    ----------
    model
        Of the dark-field frames alone.
    intensity
        Their intensities relative to the incident light, (D, Y, X).
    volume
        Contrast, (2, Z, Y', X').
    padding
        Position of the field of view; None if it is the whole volume.
    is_known
        Whether the intensities are exact, so that factors other than one are errors of the prediction.
    """

    kept = answer = ("_found",)

    def __init__(
        self, model: SSNPModel, intensity: Tensor, volume: Tensor, padding: Padding | None, *, is_known: bool
    ) -> None:
        self._model, self._intensity, self._volume = model, intensity, volume
        self._padding, self._is_known = padding, is_known
        self._found: Brightness | None = None

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Predict the frames."""
        predicted = self._model.intensities(self._volume)
        predicted = predicted if self._padding is None else self._padding.crop(predicted)
        recorded, units = self._intensity, self._model.dark_field
        varying = predicted - predicted.mean((1, 2), keepdim=True)
        power = varying.square().sum((1, 2)).clamp_min(torch.finfo(predicted.dtype).tiny)
        factors = (varying * recorded).sum((1, 2)) / power
        scale = torch.ones_like(factors) if self._is_known else brightness_of(factors)
        target = recorded_data(units, recorded / scale[:, None, None])
        left = units.data(predicted) - target
        total = float(target.square().sum()) or 1.0
        self._found = Brightness(tuple(factors.tolist()), float(left.square().sum()) / total)
        yield Step(1, 1, self._found.unexplained, resumable=True)

    def result(self) -> Brightness | None:
        """Return the brightness; None before the step."""
        return self._found

    current = result


def brightness_of(factors: Tensor) -> Tensor:
    """Return factors that can divide frames, (D,): those without any resemblance to a prediction count as one."""
    return torch.where(factors > 0, factors, 1.0)


def recorded_data(units: DarkField, intensity: Tensor) -> Tensor:
    """Return the data of recorded intensities of dark-field frames, (D, Y, X), below −ε of which noise is cut off."""
    return units.data(torch.maximum(intensity, -units.floor[:, None, None].to(intensity)))
