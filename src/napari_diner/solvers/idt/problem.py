"""The inverse problem of diffraction tomography: a volume that explains the recorded intensities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.padding import Padding
from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.idt.regularisers import Sign, TotalVariation, VolumePriors, of_sign
from napari_diner.solvers.problem import Batch, Evaluation

# rounding of the total variation for gradients, relative to the scale of the contrast: far below relevant slopes
_ROUNDING = 1e-3


@dataclass(frozen=True)
class VolumeProblem:
    """Find the contrast x ≥ 0 that minimises ``½ Σ |P(x) − g|² + α/2 Σ |x|² + τ TV(x)``; a `Problem`.

    At saturated pixels, which are lower bounds of the light, ``min(P(x) − g, 0)`` replaces ``P(x) − g``. There
    is no comparison beyond the edges of the field of view.
    """

    model: IDTModel
    """P: contrast (2, Z, Y', X') to data (N, Y', X')."""
    data: Tensor
    """g = I / I_background − 1, real, (N, Y, X)."""
    priors: VolumePriors
    """α, τ, and signs."""
    tv: TotalVariation
    """The total variation, with the proportions of the voxels."""
    frames: tuple[int, ...] | None = None
    """Frames to use; all if None."""
    slope: LinearModel | None = None
    """A linear model of the same volume and frames, for solvers that need one if `model` is not linear."""
    at_least: Tensor | None = None
    """Boolean, (N, Y, X), True where pixels are saturated, so that the recorded g is a lower bound; None if all
    are exact."""
    scale: tuple[float, float] | None = None
    """Typical size of Δε_re and Δε_im, for the rounding of the total variation for gradients; None
    for that of each estimate."""
    padding: Padding | None = None
    """Position of the field of view, (Y, X), in the wider volume, (Y', X'); None if they are the same and the volume
    is periodic."""
    without_level: Tensor | None = None
    """Boolean, (N,), True for frames that were divided by their own mean, so that their g + 1 is I / I_background up to
    a factor: samples that scatter strongly deflect light out of the pupil. A model that is not linear predicts it; a
    linear one predicts no change of the mean by phase. None if all have their level."""

    @property
    def device(self) -> torch.device:
        """Device of data and volumes."""
        return self.model.device

    @property
    def linear(self) -> LinearModel:
        """The model, or its linear approximation.

        Raises
        ------
        TypeError
            If the model is not linear and there is no `slope`.
        """
        if isinstance(self.model, LinearModel):
            return self.model
        if self.slope is None:
            raise TypeError("the closed form needs a linear model")
        return self.slope

    @property
    def counted(self) -> list[int]:
        """Numbers of the used frames."""
        return list(range(self.model.frames) if self.frames is None else self.frames)

    def with_priors(self, priors: VolumePriors) -> VolumeProblem:
        """Return the problem with other priors."""
        return replace(self, priors=priors)

    def misfit(self, contrast: Tensor, frames: Batch = None) -> Tensor:
        """Return ``½ Σ |P(x) − g|²``, with gradient, over all used frames or over some."""
        return self.residual(contrast, self.frames if frames is None else frames).square().sum() / 2

    @torch.no_grad()
    def loss(self, contrast: Tensor) -> float:
        """Return the loss of a contrast, with the exact total variation, regardless of positivity."""
        return float(self.misfit(contrast)) + self.penalty(contrast)

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
        """Return the nearest contrast with the required signs."""
        return self.priors.projected(contrast)

    def evaluate(self, contrast: Tensor) -> Evaluation:
        """Return loss, gradient and misfit of a contrast, with the total variation rounded.

        Values of the wrong sign count as zero; their gradient is kept where a descent step leads back.
        """
        at = contrast.detach().requires_grad_()
        with torch.enable_grad():
            loss, misfit = self._differentiable(at, None)
        (gradient,) = torch.autograd.grad(loss, at)
        return Evaluation(float(loss.detach()), gradient, float(misfit.detach()))

    def linearise(self, contrast: Tensor) -> LinearisedVolume:
        """Return the derivative of the data at a contrast."""
        return LinearisedVolume(self, contrast)

    @torch.no_grad()
    def objective(self, unknown: Unknown) -> float:
        """Return the loss of the exact contrast of an unknown."""
        return self.loss(self.projected(unknown.exact()))

    def batches(self, size: int | None, generator: torch.Generator | None) -> Sequence[Batch]:
        """Return the frames in random parts of at most `size`, as even as possible."""
        frames = self.counted
        if size is None or size >= len(frames):
            return [None]
        order = torch.randperm(len(frames), generator=generator).tolist()
        count = math.ceil(len(order) / size)
        return [[frames[place] for place in order[first::count]] for first in range(count)]

    def descend(self, unknown: Unknown, batch: Batch, *, exact: bool) -> Tensor:
        """Add the gradient of the rounded loss to the parameters of an unknown; return the loss."""
        loss, _ = self._differentiable(unknown.exact() if exact else unknown(), batch)
        loss.backward()
        return loss.detach()

    def residual(self, contrast: Tensor, frames: Batch) -> Tensor:
        """Return the residual of some frames or of all, (N, Y, X), zero at fulfilled bounds."""
        batch = None if frames is None else [int(frame) for frame in frames]
        predicted = self.seen(self.model.forward(contrast, batch))
        return predicted - self.targets(predicted.detach(), batch)

    def targets(self, predicted: Tensor, frames: Sequence[int] | None) -> Tensor:
        """Return the data, (N, Y, X), at the level of the prediction, with fulfilled bounds replaced by it."""
        chosen = slice(None) if frames is None else list(frames)
        data = self.data[chosen]
        at_least = None if self.at_least is None else self.at_least[chosen]
        if self.without_level is not None and not isinstance(self.model, LinearModel):
            data = _at_level(data, predicted, self.without_level[chosen], at_least)
        return data if at_least is None else data.where(~at_least, data.maximum(predicted))

    def seen(self, images: Tensor) -> Tensor:
        """Return the field of view, (..., Y, X), of images or volumes (..., Y', X')."""
        return images if self.padding is None else self.padding.crop(images)

    def seen_adjoint(self, images: Tensor) -> Tensor:
        """Apply the adjoint of `seen`: surround images (..., Y, X) with zeros."""
        return images if self.padding is None else self.padding.crop_adjoint(images)

    @property
    def is_complete(self) -> bool:
        """Whether there are exact data for each pixel of the model."""
        return self.at_least is None and self.padding is None

    @torch.no_grad()
    def completed(self, contrast: Tensor) -> tuple[Tensor, float]:
        """Return exact data of the used frames for all pixels of the model, (N, Y', X'), and a contrast's loss.

        Beyond the edges and at fulfilled bounds, they are the predictions of the contrast. With ``g̃ = max(g, P(x))``
        at saturated pixels, and ``g̃ = P(x)`` beyond the edges, ``½ Σ |P − g̃|²`` equals the misfit at x and is nowhere
        below it. Minimising a sequence of such majorants minimises the misfit (Hunter and Lange, Am.
        Stat. 58, 30 (2004)), with solvers for exact data.
        """
        data = self.model.forward(contrast, self.frames)
        inside = self.seen(data)
        targets = self.targets(inside, self.frames)
        loss = float((inside - targets).square().sum()) / 2 + self.penalty(contrast)
        inside.copy_(targets)
        return data, loss

    @torch.no_grad()
    def exact(self, contrast: Tensor) -> Tensor:
        """Return the data, (N, Y, X), with fulfilled bounds replaced by the predictions of a contrast."""
        return self.data if self.at_least is None else self.targets(self.seen(self.model.forward(contrast)), None)

    def _differentiable(self, contrast: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return loss and misfit with gradients, the misfit of some frames scaled up to all."""
        priors = self.priors
        scale = scale_of(contrast.detach()) if self.scale is None else self.scale
        contrast = _OfSign.apply(contrast, priors.signs)  # type: ignore[no-untyped-call]
        misfit = self.misfit(contrast, batch)
        if batch is not None:
            misfit = misfit * (len(self.counted) / len(batch))
        loss = misfit
        if priors.tikhonov:
            loss = loss + priors.tikhonov / 2 * contrast.square().sum()
        if priors.tv:
            for part, unit in zip(contrast, scale, strict=True):
                loss = loss + priors.tv * self.tv.smooth(part, _ROUNDING * unit)
        return loss, misfit


class LinearisedVolume:
    """The data of a problem linearised about a contrast; a `Linearisation`."""

    @torch.no_grad()
    def __init__(self, problem: VolumeProblem, contrast: Tensor) -> None:
        self.problem = problem
        self._model = problem.model.linearised(contrast.detach(), problem.frames)
        predicted = problem.seen(self._model.data)
        self._residual = predicted - problem.targets(predicted, problem.frames)
        self._answers = self._answering()

    def _answering(self) -> Tensor | None:
        """Return where the data depend on the contrast, (N, Y, X): not at fulfilled bounds; None for everywhere."""
        at_least = self.problem.at_least
        if at_least is None:
            return None
        bounds = at_least if self.problem.frames is None else at_least[list(self.problem.frames)]
        return ~bounds | (self._residual < 0)

    def residual(self) -> Tensor:
        """Return model minus data, (N, Y, X), zero at fulfilled bounds."""
        return self._residual

    @torch.no_grad()
    def apply(self, change: Tensor) -> Tensor:
        """Return the change of the data, (N, Y, X), for a change of the contrast, (2, Z, Y', X')."""
        data = self.problem.seen(self._model.apply(change))
        return data if self._answers is None else data.where(self._answers, 0)

    def adjoint(self, data: Tensor) -> Tensor:
        """Apply the transpose of `apply`: (N, Y, X) to (2, Z, Y', X')."""
        data = data if self._answers is None else data.where(self._answers, 0)
        return self._model.adjoint(self.problem.seen_adjoint(data))


def _at_level(data: Tensor, predicted: Tensor, without: Tensor, at_least: Tensor | None) -> Tensor:
    """Return data, (N, Y, X), where frames without a level have the mean of their prediction where both are exact."""
    recorded, expected = data + 1, predicted + 1
    if at_least is not None:
        recorded, expected = recorded.masked_fill(at_least, 0), expected.masked_fill(at_least, 0)
    factors = expected.mean((1, 2)) / recorded.mean((1, 2))
    # of a frame without light, or of a prediction far from the truth, there is no factor
    factors = factors.where(without & factors.isfinite() & (factors > 0), 1)
    return (data + 1) * factors[:, None, None] - 1


def scale_of(contrast: Tensor) -> tuple[float, float]:
    """Return the largest values of Δε_re and Δε_im of a contrast, (2, Z, Y, X); 1 if all are zero."""
    real, imaginary = (float(part.abs().max()) or 1.0 for part in contrast)
    return real, imaginary


class _OfSign(torch.autograd.Function):
    """Values of the wrong sign count as zero; their gradients pass where a descent step leads back."""

    @staticmethod
    def forward(ctx: Any, contrast: Tensor, signs: tuple[Sign, Sign]) -> Tensor:
        """Return the contrast (2, Z, Y, X) with the required signs."""
        ctx.save_for_backward(contrast)
        ctx.signs = signs
        return torch.stack([of_sign(part, sign) for part, sign in zip(contrast, signs, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient, without components that push values further beyond zero."""
        (contrast,) = ctx.saved_tensors
        passed = gradients[0].clone()
        for gradient, part, sign in zip(passed, contrast, ctx.signs, strict=True):
            if sign:
                gradient.masked_fill_((sign * part <= 0) & (sign * gradient > 0), 0)
        return passed, None
