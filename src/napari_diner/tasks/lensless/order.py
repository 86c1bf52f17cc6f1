"""Whether the frames of a recording belong to the distances that they are given: a warning before each run.

The linear theory of weak objects (`preprocess.distances`) sees at once if another order, or a common factor, may fit
better. That is then tried in a short reconstruction of the middle of the field, so that no warning rests on an
approximation.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.settings import PaddingSettings
from napari_diner.preprocess.distances import DistanceFit, reversed_order
from napari_diner.preprocess.settings import Metric
from napari_diner.preprocess.sharpness import block_sums, sharpness
from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.tasks.frame_list import listed
from napari_diner.tasks.lensless.calibrate import middle, of_the_sensor
from napari_diner.tasks.lensless.data import PreparedFrames
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.tasks.wording import percent

# mean logarithm of the part that the linear theory leaves, by which something else must fit better to be tried
_BETTER_ORDER, _BETTER_SCALE = 0.003, 0.04
# a list in reverse fits as well if it is no worse by more than this, and its object is sharper beyond doubt from this
# logarithm of the ratio on, in so many of 16 blocks
_AS_WELL, _SHARPER, _BLOCKS = 0.02, 0.2, 14
# what a short reconstruction must leave of what the given distances leave unexplained; and, as a factor has a weaker
# effect, of what is beyond noise, where that is certain to so many standard errors
_CONFIRMED_ORDER, _CONFIRMED_SCALE, _CERTAIN = 0.97, 0.5, 5.0
_NEXT_TO_NOTHING = 1e-5
# factors at which a common factor is looked at again, to state it better than the linear theory does
_STEPS = (1 / 1.06, 1.0, 1.06)
_SIDE_PX = 192
_SHORT = GaussNewtonSettings(warm_up=30, iterations=3, cg_steps=10)
_METRIC: Metric = "gini_gradient"

Vector = npt.NDArray[np.float64]


def misplaced(recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, builder: ModelBuilder) -> list[str]:
    """Return a sentence if frames fit better with their distances in another order, or all longer or shorter.

    Nothing is said of frames that are yet to be registered, nor of those of a point source, which are magnified by
    their distances.

    Parameters
    ----------
    recipe
        The resolved recipe.
    setup, prepared
        The prepared frames and their geometry.
    builder
        Builds forward models.
    """
    if recipe.registration != "off" or recipe.source_distance_um is not None:
        return []
    repeats = setup.padding_mode == "none"
    fit = DistanceFit(prepared.amplitudes, setup.frame_optics, setup.heights.shifts_um, repeats=repeats)
    if not fit.is_usable:
        return []
    given = np.asarray(setup.heights.distances_um)
    look = _ShortLook(setup, prepared, builder)
    misfit, (best, order), factor = fit.misfit(given), fit.best_order(given), fit.best_scale(given)
    scaled = fit.misfit(factor * given)
    # with distances that are wrong altogether, some other order always fits a little better
    if scaled < min(misfit - _BETTER_SCALE, best) and (warning := _of_scale(look, given, factor)):
        return [warning]
    if best < misfit - _BETTER_ORDER:
        order = _sharper_way(fit, order)
        before, after = look.unexplained(given), look.unexplained(order)
        if after.share < _CONFIRMED_ORDER * before.share:
            return [f"{_of_order(given, order)}: {_instead(before, after)}; check the list of distances"]
        return []
    turned = _sharper_way(fit, given)
    if turned is not given:
        return [
            "the distances in reverse order explain the frames as well, and show a sharper sample; check whether the "
            f"list should be {listed(turned.tolist())} µm"
        ]
    return []


def _of_scale(look: _ShortLook, given: Vector, factor: float) -> str:
    """Return a sentence if frames fit better with all distances longer or shorter; empty if they do not."""
    before = look.unexplained(given)
    # strong objects exaggerate a factor near one
    looks = [(look.unexplained(one * given), one) for one in (factor, factor**0.5)]
    after, factor = min(looks, key=lambda pair: pair[0].share)
    less = before.beyond_noise - after.beyond_noise
    if after.share >= before.share or less < max(_CONFIRMED_SCALE * before.beyond_noise, look.error_of(before)):
        return ""
    factor *= _towards_best(*(look.unexplained(factor * step * given).share for step in _STEPS))
    return (
        f"the frames fit better with all distances, or the wavelength, about {_change(factor)}, or pixels about "
        f"{_change(factor**-0.5)}: {_instead(before, after)}; check these and the medium (the frames tell only λz/np²)"
    )


class _ShortLook:
    """Short reconstructions of the middle of a field; parameters as of `misplaced`."""

    def __init__(self, setup: Setup, prepared: PreparedFrames, builder: ModelBuilder) -> None:
        setup, builder = of_the_sensor(setup, builder)
        cut = middle(prepared.amplitudes.shape[1:], _SIDE_PX)
        if cut is not None:
            prepared = prepared.part(*cut)
            setup = dataclasses.replace(setup, padding=PaddingSettings(mode="unknown"))
            if builder.illumination is not None:
                builder = dataclasses.replace(builder, illumination=builder.illumination[cut])
        self._setup, self._prepared, self._builder = setup, prepared, builder

    def unexplained(self, distances_um: Vector) -> Unexplained:
        """Return how much of the variation of the frames is left unexplained with other distances."""
        setup = self._setup.with_heights(distances_um=tuple(distances_um.tolist()))
        problem = self._builder.problem(setup, self._prepared)
        start = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
        solver = GaussNewton(problem, start, _SHORT)
        for _ in solver.steps():
            pass
        fields = solver.result(), problem.flat_field()
        return Unexplained.of(*(problem.intensity_residual(one).cpu().numpy() for one in fields))

    def error_of(self, unexplained: Unexplained) -> float:
        """Return what is certain to be more than what noise alone seems to leave beyond noise."""
        return _CERTAIN * unexplained.share / math.sqrt(self._prepared.amplitudes.size)


def _sharper_way(fit: DistanceFit, distances_um: Vector) -> Vector:
    """Return distances, or the same in reverse if they explain the frames as well and show a sharper object."""
    turned = reversed_order(distances_um)
    if fit.misfit(turned) > fit.misfit(distances_um) + _AS_WELL:
        return distances_um
    sums = [block_sums(torch.from_numpy(fit.weak_object(way)), _METRIC) for way in (distances_um, turned)]
    whole = [float(sharpness(part.sum(0), _METRIC)) for part in sums]
    blocks = int((sharpness(sums[1], _METRIC) > sharpness(sums[0], _METRIC)).sum())
    return turned if whole[1] > math.exp(_SHARPER) * whole[0] and blocks >= _BLOCKS else distances_um


def _of_order(given: Vector, order: Vector) -> str:
    moved = np.flatnonzero(given != order)
    if len(moved) == 2:
        return f"{numbered(moved)} fit better with their distances exchanged"
    return f"the frames fit better with the distances in another order, {listed(order.tolist())} µm"


def _towards_best(smaller: float, same: float, larger: float) -> float:
    """Return the factor, within `_STEPS`, at which the parabola through what they leave unexplained is least."""
    curvature = smaller - 2 * same + larger
    if curvature <= 0:
        return _STEPS[0] if smaller < larger else _STEPS[-1]
    return float(_STEPS[-1] ** np.clip((smaller - larger) / (2 * curvature), -1, 1))


def _instead(before: Unexplained, after: Unexplained) -> str:
    least = "less than 0.001 %" if after.share < _NEXT_TO_NOTHING else percent(after.share)
    return f"a short reconstruction leaves {least} unexplained instead of {percent(before.share)}"


def _change(factor: float) -> str:
    if 0.52 < factor < 1.9:
        return f"{100 * abs(factor - 1):.0f} % {'larger' if factor > 1 else 'smaller'}"
    return f"{factor:.2g} times as large"
