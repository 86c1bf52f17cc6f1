"""Uncertainty of a volume: noise, and the weight of the priors, propagated through its reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.bands import Band, band_mask, octaves
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.settings import VolumeUncertaintySettings
from napari_diner.solvers.idt.weight_choice import noise_level
from napari_diner.solvers.solver import Resumable, Solver
from napari_diner.solvers.step import Step

PRIOR_FACTOR = 4.0
"""Factor by which the weights of the priors are raised and lowered."""
# deviations from their mean need at least as many samples
_FEWEST = 2

Again = Callable[[VolumeProblem, Tensor], Solver[Tensor]]
"""Builds the solver of a reconstruction for another problem of the same model, from a start."""


@dataclass(frozen=True)
class VolumeBand:
    """One octave of the transverse frequencies of a volume."""

    band: Band
    sigma: float
    """Root mean square over the volume of the standard deviation of n_re within the band."""
    rms: float
    """Root mean square of n_re within the band."""


@dataclass(frozen=True)
class VolumeUncertainty:
    """Standard deviations of a refractive index."""

    n_re: Tensor
    """Of n_re, (Z, Y, X)."""
    n_im: Tensor
    """Of n_im, (Z, Y, X)."""
    deviations: Tensor
    """Deviations of n_re by samples of the noise, (S, Z, Y, X), whose variances are those of `n_re`."""
    prior_change: Tensor | None
    """Half the difference of n_re between priors that are weaker and stronger by `PRIOR_FACTOR`, (Z, Y, X); None if
    there are no weights, or there was no time."""
    bands: tuple[VolumeBand, ...]
    noise: tuple[float, ...]
    """Standard deviation of the noise of each frame, relative to the background."""


class VolumeUncertaintyEstimate(Resumable):
    """Reconstruct the predictions of a volume with noise of the estimated size, again and again; a `Solver`.

    A parametric bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, Ch. 6 (1993)): each sample is the
    reconstruction of ``P(x) + e``, by the solver and with the weights of x, and with independent noise e in each pixel.
    For the closed form, which is linear, this samples the exact covariance; for total variation and positivity, steps
    of the size of the noise include the changes of the active constraints, which a derivative at x would not. Squared
    deviations are averaged over about half the resolution, as the deviations of few samples scatter.

    The estimate describes the scatter of reconstructions by noise about their mean. It contains neither what the
    priors add where frequencies are not recorded, nor errors of the model. How far the former matters is shown by the
    change of the volume with the weights of the priors.

    Parameters
    ----------
    problem
        The problem that the volume solves.
    volume
        Contrast, (2, Z, Y, X).
    again
        Builds the solver.
    settings
        Number of samples, and the noise if it is known.
    pixel_size_um
        Distance between neighbouring pixels.
    resolution_um
        Lateral resolution, e.g. λ/(2 NA).
    seed
        Of the random noise.
    """

    kept = answer = ("_samples", "_changed", "_generator")

    def __init__(
        self,
        problem: VolumeProblem,
        volume: Tensor,
        again: Again,
        settings: VolumeUncertaintySettings,
        pixel_size_um: float,
        resolution_um: float,
        seed: int = 0,
    ) -> None:
        self.problem, self.settings = problem, settings
        self._volume, self._again = volume, again
        self._pixel_size_um, self._resolution_um = pixel_size_um, resolution_um
        residual = problem.linearise(volume).residual()
        if settings.noise is None:
            # the volume predicts nothing at the frequencies that show the noise alone
            self._noise = [noise_level(problem.linear, frame[None]) for frame in residual]
        else:
            self._noise = [settings.noise] * len(residual)
        self._samples: list[Tensor] = []
        self._changed: list[Tensor] = []
        self._generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Take one sample after the other, then the two reconstructions with other weights of the priors."""
        problem, priors = self.problem, self.problem.priors
        weighted = priors.tv > 0 or priors.tikhonov > 0
        total = self.settings.samples + (2 if weighted else 0)
        predicted = problem.seen(problem.model.forward(self._volume))
        sigma = torch.tensor(self._noise, dtype=predicted.dtype)[:, None, None]
        while len(self._samples) < self.settings.samples:
            noise = sigma * torch.randn(predicted.shape, generator=self._generator, dtype=predicted.dtype)
            data = predicted + noise.to(predicted.device)
            if problem.at_least is not None:
                data = data.where(~problem.at_least, problem.data)
            yield from self._solved(replace(problem, data=data), self._samples, total)
        while weighted and len(self._changed) < 2:
            factor = 1 / PRIOR_FACTOR if not self._changed else PRIOR_FACTOR
            changed = replace(priors, tv=factor * priors.tv, tikhonov=factor * priors.tikhonov)
            yield from self._solved(problem.with_priors(changed), self._changed, total)

    def _solved(self, problem: VolumeProblem, into: list[Tensor], total: int) -> Iterator[Step]:
        """Append the index of the solution of a problem, (2, Z, Y, X), to a list."""
        done = len(self._samples) + len(self._changed)
        solver = self._again(problem, self._volume)
        loss = float("nan")
        for step in solver.steps():
            loss = step.loss
            yield Step(done + 1, total, loss, step.done)
        into.append(self._index(solver.result()))
        yield Step(done + 1, total, loss, resumable=True)

    def _index(self, contrast: Tensor) -> Tensor:
        """Return n_re and n_im within the field of view, (2, Z, Y, X)."""
        return torch.stack(refractive_index(self.problem.seen(contrast), self.problem.model.slices.medium_index))

    def result(self) -> VolumeUncertainty | None:
        """Return the standard deviations from the samples so far; None if there are fewer than two."""
        if len(self._samples) < _FEWEST:
            return None
        samples = torch.stack(self._samples)
        deviations = (samples - samples.mean(0)) * (len(samples) / (len(samples) - 1)) ** 0.5
        sigmas = [self._averaged(deviations[:, part].square().mean(0)).sqrt() for part in (0, 1)]
        change = None
        if len(self._changed) == 2:
            change = (self._changed[0][0] - self._changed[1][0]) / 2
        return VolumeUncertainty(
            sigmas[0], sigmas[1], deviations[:, 0], change, self._bands(deviations[:, 0]), tuple(self._noise)
        )

    current = result

    def _averaged(self, square: Tensor) -> Tensor:
        """Average over half the lateral resolution and neighbouring slices."""
        from scipy.ndimage import gaussian_filter

        width = self._resolution_um / 2 / self._pixel_size_um
        smooth = gaussian_filter(square.cpu().numpy(), (1.0, width, width), mode="nearest")
        return torch.from_numpy(smooth).to(square)

    def _bands(self, deviations: Tensor) -> tuple[VolumeBand, ...]:
        view = (deviations.shape[-2], deviations.shape[-1])
        fy, fx = frequencies(view, self._pixel_size_um)
        frequency = torch.hypot(fy, fx[:, : view[1] // 2 + 1].abs()).to(deviations.device)
        index = self._index(self._volume)[0]

        def rms(spectrum: Tensor, band: Band) -> float:
            part = torch.fft.irfft2(spectrum * band_mask(band, frequency), s=view)
            return float(part.square().mean().sqrt())

        spectra = torch.fft.rfft2(deviations), torch.fft.rfft2(index)
        return tuple(
            VolumeBand(band, *(rms(spectrum, band) for spectrum in spectra))
            for band in octaves(view, self._pixel_size_um)
        )
