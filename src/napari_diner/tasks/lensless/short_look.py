"""Short reconstructions of a part of a recording, to confirm suspected errors of its geometry."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.settings import PaddingSettings
from napari_diner.processors import one_thread
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.tasks.lensless.calibrate import middle, of_the_sensor
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import percent

SIDES_PX = (192, 96)
"""Pixels across that confirm a suspicion, and that are enough to compare many."""

_SHORT = GaussNewtonSettings(warm_up=30, iterations=3, cg_steps=10, damping=1e-2)
_SHORTER = GaussNewtonSettings(warm_up=15, iterations=1, cg_steps=6, damping=1e-2)
# what a change of the geometry may leave of what was unexplained beyond noise, and standard errors that make it certain
_CONFIRMED, _CERTAIN = 0.5, 5.0
_NEXT_TO_NOTHING = 1e-5
# share that a change has to explain, noise or not, as shares of samples without noise depend on the number of steps;
# and share up to which this counts: if most is noise, geometries differ in how much of it an object can fit
_ENOUGH, _MOSTLY_NOISE = 5e-4, 0.3
# part of the share that is left, from which that beyond noise tells more
_MOSTLY_LEFT = 0.8
# smallest part of valid pixels
_LEAST_VALID = 0.3
CLEAR = 0.3
"""What an error of a kind that would explain a part of others as well may leave of that share."""

Vector = npt.NDArray[np.float64]


class Suspicion(NamedTuple):
    """A suspected error, and how much better the frames are explained without it."""

    text: str
    """Sentence for the report."""
    left: float = 1.0
    """Unexplained share without the error, relative to that with it: all or beyond noise, whichever is less."""

    @classmethod
    def confirmed(cls, text: str, before: Unexplained, after: Unexplained) -> Suspicion:
        """Return a suspicion that short reconstructions confirm."""
        beyond_noise = after.beyond_noise / max(before.beyond_noise, 1e-12)
        return cls(text, min(beyond_noise, after.share / max(before.share, 1e-12)))


class ShortLook:
    """Short reconstructions of the middle of a field with different geometries.

    Parameters
    ----------
    setup, prepared
        The prepared frames and their geometry.
    builder
        Builds forward models.
    side_px
        Most pixels of the part along each axis.
    """

    def __init__(self, setup: Setup, prepared: PreparedFrames, builder: ModelBuilder, side_px: int) -> None:
        setup, builder = of_the_sensor(setup, builder)
        cut = middle(prepared.amplitudes.shape[1:], side_px)
        if cut is not None:
            prepared = prepared.part(*cut)
            setup = dataclasses.replace(setup, padding=PaddingSettings(mode="unknown"))
            if builder.illumination is not None:
                builder = dataclasses.replace(builder, illumination=builder.illumination[cut])
        self._setup, self._prepared, self._builder = setup, prepared, builder

    @property
    def is_usable(self) -> bool:
        """Whether there are several frames, as a single one is explained by any geometry, and enough valid pixels."""
        mask = self._prepared.mask
        return len(self._prepared.amplitudes) > 1 and (mask is None or bool(mask.mean((1, 2)).min() > _LEAST_VALID))

    @property
    def intensities(self) -> npt.NDArray[np.float32]:
        """The frames of the part, (N, Y, X)."""
        return np.square(self._prepared.amplitudes)

    @functools.cached_property
    def given(self) -> Unexplained:
        """How much of the variation of the frames is left unexplained."""
        return self._unexplained(self._setup)

    @functools.cached_property
    def about(self) -> Unexplained:
        """About how much of the variation of the frames is left unexplained."""
        return self._unexplained(self._setup, steps=_SHORTER)

    def of(self, intensities: npt.NDArray[np.float32], *, quick: bool = False) -> Unexplained:
        """Return how much of the variation of other frames, (N, Y, X), is left unexplained, or about how much."""
        amplitudes = np.sqrt(intensities / intensities.mean()).astype(np.float32)
        prepared = dataclasses.replace(self._prepared, amplitudes=amplitudes)
        return self._unexplained(self._setup, prepared, _SHORTER if quick else _SHORT)

    def at(self, distances_um: Vector, *, quick: bool = False) -> Unexplained:
        """Return the unexplained share of the variation of the frames with other distances, or about that."""
        nominal = self._setup.heights.distances_um
        if np.array_equal(distances_um, nominal):
            return self.about if quick else self.given
        setup = self._setup.with_heights(distances_um=tuple(distances_um.tolist()))
        return self._unexplained(setup, steps=_SHORTER if quick else _SHORT)

    def moved(self, moves_px: Vector) -> Unexplained:
        """Return the unexplained share with displacements (dy, dx) of the frames, in pixels, (N, 2)."""
        shifts = moves_px * self._setup.frame_optics.pixel_size_um
        shifts_um = tuple((float(dy), float(dx)) for dy, dx in shifts)
        return self._unexplained(self._setup.with_heights(shifts_um=shifts_um))

    def with_gains(self, gains: Vector | None) -> Unexplained:
        """Return the same with other gains of the frames, or with those of the setup."""
        if gains is None:
            return self.given
        return self._unexplained(self._setup.with_heights(gains=tuple(gains.tolist())))

    def _unexplained(
        self, setup: Setup, prepared: PreparedFrames | None = None, steps: GaussNewtonSettings = _SHORT
    ) -> Unexplained:
        problem = self._builder.problem(setup, self._prepared if prepared is None else prepared)
        start = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
        solver = GaussNewton(problem, start, steps)
        with one_thread():
            for _ in solver.steps():
                pass
        residuals = problem.intensity_residual(solver.result()), problem.flat_residual()
        return Unexplained.of(*(residual.cpu().numpy() for residual in residuals))

    def is_certain(self, unexplained: Unexplained) -> bool:
        """Return whether a share beyond noise is significant, and large enough to matter."""
        return unexplained.beyond_noise > max(self._error(unexplained), _NEXT_TO_NOTHING)

    def is_much_better(self, after: Unexplained, before: Unexplained, most: float = _CONFIRMED) -> bool:
        """Return whether a change significantly reduces the share beyond noise, to this part of it at most.

        Residuals of wrong geometries may alternate from pixel to pixel, so that neither neighbours are alike nor is
        anything left beyond noise. What another geometry explains is then no noise, unless that is most of the frames.
        """
        explained = before.share - after.share
        if before.share < _MOSTLY_NOISE and explained >= max((1 - most) * before.share, _ENOUGH):
            return True
        less = before.beyond_noise - after.beyond_noise
        return (
            self.is_certain(before)
            and after.share < before.share
            and less >= max((1 - most) * before.beyond_noise, self._error(before))
        )

    def _error(self, unexplained: Unexplained) -> float:
        return _CERTAIN * unexplained.share / math.sqrt(self._prepared.amplitudes.size)


def instead(before: Unexplained, after: Unexplained) -> str:
    """Return the effect of a change in words: on all that is left, or beyond noise where most of it is noise."""
    shares, noise = (after.share, before.share), ""
    if after.share > _MOSTLY_LEFT * before.share:
        shares, noise = (after.beyond_noise, before.beyond_noise), " beyond noise"
    least = "less than 0.001 %" if shares[0] < _NEXT_TO_NOTHING else percent(shares[0])
    return f"a short reconstruction leaves {least} unexplained{noise} instead of {percent(shares[1])}"
