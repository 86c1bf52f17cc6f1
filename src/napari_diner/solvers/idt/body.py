"""A start for samples of several radians: a homogeneous body in place of the sample.

Intensities hardly depend on the bulk of a sample: what varies slowly across the axis changes neither the brightness nor
the direction of light very much. Solvers that start empty therefore find its detail first, and never its bulk once that
delays light by more than a wavelength: its absence is a local minimum. From a homogeneous body of about the right place
and strength, however, they find both.

The place of the body is found from a reconstruction with a large weight of the total variation: its silhouette along
the axis, inflated to bodies that are a little flatter than balls, as the frames do not show how far a body extends
along the axis. Its strength is found by trial: a few Gauss-Newton steps from bodies of different strength, of which the
most successful two continue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from torch import Tensor

from napari_diner.solvers.idt.admm import factorised
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

_PHASES_RAD = (2.0, 3.0, 4.5, 6.7, 10.0, 15.0)
# weights of the total variation relative to that of the problem: for the silhouette, and afterwards
_SMOOTHEST, _SMOOTH = 64.0, 16.0
# number of volumes that continue after the trials
_BEST = 2
# steps for the silhouette, of each trial, and from each of the best
_FIRST, _TRIAL, _CONTINUED = 12, 8, 12
STEPS = _FIRST + _TRIAL * (1 + len(_PHASES_RAD)) + _CONTINUED * _BEST
"""Gauss-Newton steps of a search."""
# level of the silhouette, relative to the largest projection
_LEVEL = 0.25
# height of a body relative to that of a ball of the same silhouette, and largest part of the volume that it fills
_FLATNESS, _FILLED = 0.7, 0.8


@dataclass(frozen=True)
class Candidate:
    """A volume that could be the start."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    loss: float
    """Its loss in the problem."""


class BodySearch(Resumable):
    """Find a volume from which Gauss-Newton steps lead to a sample of several radians; a `Solver`.

    Parameters
    ----------
    problem
        The problem to minimise, with a weight of the total variation that suits its noise.
    voxel_um
        Size of a voxel, (z, y, x).
    resolution_um
        Resolution across the axis, by which silhouettes and bodies are smoothed.
    is_enough
        Whether a volume explains the data well enough to need no body; asked for the start without one.
    phases_rad
        Phases by which the bodies to try delay light.
    """

    kept = ("_silhouetted", "_present", "_candidates", "_pass")
    answer = ("_present", "_candidates")

    def __init__(
        self,
        problem: VolumeProblem,
        voxel_um: tuple[float, float, float],
        resolution_um: float,
        is_enough: Callable[[Tensor], bool] = lambda volume: False,
        phases_rad: Sequence[float] = _PHASES_RAD,
    ) -> None:
        self.problem = problem
        self._voxel_um, self._resolution_um = voxel_um, resolution_um
        self._is_enough, self._phases_rad = is_enough, phases_rad
        trials = 1 + len(phases_rad)
        self._trials_end = 1 + trials
        self._passes = (_FIRST, *(_TRIAL,) * trials, *(_CONTINUED,) * min(_BEST, trials))
        self._closed = factorised(problem)
        model = problem.model
        self._silhouetted = torch.zeros(2, *model.shape, dtype=model.real_dtype, device=model.device)
        self._present = self._silhouetted
        self._candidates: list[Candidate] = []
        self._pass = 0

    def steps(self) -> Iterator[Step]:
        """Iterate; the loss is that of the current volume with the larger weight of the total variation."""
        total = sum(self._passes)
        while self._pass < len(self._passes):
            before, number = sum(self._passes[: self._pass]), self._passes[self._pass]
            solver = GaussNewtonVoxels(self._smoothed(), self._start(), number, closed=self._closed)
            loss = math.nan
            for step in solver.steps():
                self._present, loss = solver.result(), step.loss
                if 0 < step.iteration < number:
                    yield Step(before + step.iteration, total, loss)
            del solver  # before the next one: what it stores takes much memory
            self._absorb(self._present)
            yield Step(before + number, total, loss, resumable=True)

    def _smoothed(self) -> VolumeProblem:
        priors = self.problem.priors
        return self.problem.with_priors(replace(priors, tv=(_SMOOTH if self._pass else _SMOOTHEST) * priors.tv))

    def _start(self) -> Tensor:
        """Return the start of the present pass."""
        if self._pass <= 1:
            return self._silhouetted
        if self._pass < self._trials_end:
            body = body_of(self._silhouetted, self._voxel_um, self._resolution_um)
            peak = self.problem.linear.peak_phase(body)
            return body * (self._phases_rad[self._pass - 2] / peak) if peak else body
        return self._candidates[self._pass - self._trials_end].volume

    def _absorb(self, volume: Tensor) -> None:
        """Take the volume of a pass."""
        ended, self._pass = self._pass, self._pass + 1
        if ended == 0:
            self._silhouetted = volume
            return
        candidate = Candidate(volume, self.problem.loss(volume))
        if ended >= self._trials_end:
            self._candidates[ended - self._trials_end] = candidate
            return
        self._candidates = sorted([*self._candidates, candidate], key=lambda each: each.loss)[:_BEST]
        if ended == 1 and self._is_enough(volume):
            self._pass = len(self._passes)

    def result(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), with the required signs."""
        if not self._candidates:
            return self._present
        return min(self._candidates, key=lambda each: each.loss).volume

    def current(self) -> Tensor:
        """Return the current volume."""
        return self._present


def body_of(volume: Tensor, voxel_um: tuple[float, float, float], resolution_um: float) -> Tensor:
    """Return homogeneous bodies without absorption, of the silhouettes of a volume along the axis.

    A round silhouette of radius R becomes an ellipsoid: the half height at a distance d from the edge is
    ``0.7 √(d (2R − d))``, with the largest distance R within a silhouette of any shape. Each body has the mean position
    along z of its part of the volume.

    Parameters
    ----------
    volume
        Contrast, (2, Z, Y, X).
    voxel_um
        Size of a voxel, (z, y, x).
    resolution_um
        Standard deviation by which silhouettes and the edges of bodies are smoothed.

    Returns
    -------
    Tensor
        Contrast of about 1 or −1 within bodies, which is the sign of the mean contrast, (2, Z, Y, X).
    """
    contrast = volume[0].detach().cpu().double().numpy()
    sigma = tuple(resolution_um / size for size in voxel_um)
    sign = -1.0 if contrast.sum() < 0 else 1.0
    contrast = np.maximum(sign * contrast, 0)
    projection = gaussian_filter(contrast.sum(0), sigma[1:])
    parts, count = label(projection > _LEVEL * projection.max())
    distance = distance_transform_edt(parts > 0, sampling=voxel_um[1:])
    z = (np.arange(len(contrast)) - (len(contrast) - 1) / 2) * voxel_um[0]
    inside = np.zeros(contrast.shape)
    for part in range(1, count + 1):
        inside[_inflated(parts == part, distance, contrast, z)] = 1.0
    body = torch.from_numpy(sign * gaussian_filter(inside, sigma)).to(volume)
    return torch.stack([body, torch.zeros_like(body)])


def _inflated(
    part: npt.NDArray[np.bool_],
    distance_um: npt.NDArray[np.floating],
    contrast: npt.NDArray[np.floating],
    z_um: npt.NDArray[np.floating],
) -> npt.NDArray[np.bool_]:
    """Return the voxels of the body of a silhouette, (Z, Y, X)."""
    radius = distance_um[part].max()
    height = _FLATNESS * np.sqrt(np.maximum(distance_um * (2 * radius - distance_um), 0))
    height = np.where(part, np.minimum(height, _FILLED * max(z_um.max(), 1e-9)), 0)
    weights = (contrast * part).sum((1, 2))
    centre = float(weights @ z_um / weights.sum())
    inside: npt.NDArray[np.bool_] = np.abs(z_um[:, None, None] - centre) < height
    return inside
