"""Check of the distances against the frames: a warning before each run.

The linear theory of weak objects (`preprocess.distances`) quickly shows whether another order, or a common factor, may
fit better. A short reconstruction of the middle of the field then tests it, so that no warning relies on an
approximation.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.preprocess.distances import DistanceFit, reversed_order
from napari_diner.preprocess.settings import Metric
from napari_diner.preprocess.sharpness import block_sums, sharpness
from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.frame_list import listed
from napari_diner.tasks.lensless.data import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.short_look import ShortLook, instead
from napari_diner.tasks.wording import change

# mean log ratio of the residuals of the linear theory above which an alternative is tried
_BETTER_ORDER, _BETTER_SCALE = 0.003, 0.04
# a reversed list fits equally well if its residual is worse by less than this, and its object is sharper beyond
# doubt above this log ratio in so many of 16 blocks
_AS_WELL, _SHARPER, _BLOCKS = 0.02, 0.2, 14
# largest ratio of the unexplained shares of an alternative and of the nominal distances
_CONFIRMED_ORDER = 0.97
# factors about a common factor to refine it beyond the linear theory
_STEPS = (1 / 1.06, 1.0, 1.06)
_METRIC: Metric = "gini_gradient"

Vector = npt.NDArray[np.float64]


def misplaced(recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, look: ShortLook) -> list[str]:
    """Return a sentence if frames fit better with their distances in another order, or all longer or shorter.

    Frames that are yet to be registered are not checked, nor those of a point source, which depend on the distances by
    their magnification.

    Parameters
    ----------
    recipe
        The resolved recipe.
    setup, prepared
        The prepared frames and their geometry.
    look
        Reconstructs them for a moment.
    """
    if recipe.registration != "off" or recipe.source_distance_um is not None:
        return []
    repeats = setup.padding_mode == "none"
    fit = DistanceFit(prepared.amplitudes, setup.frame_optics, setup.heights.shifts_um, repeats=repeats)
    if not fit.is_usable:
        return []
    nominal = np.asarray(setup.heights.distances_um)
    misfit, (best, order), factor = fit.misfit(nominal), fit.best_order(nominal), fit.best_scale(nominal)
    scaled = fit.misfit(factor * nominal)
    # with entirely wrong distances, some other order always fits a little better
    if scaled < min(misfit - _BETTER_SCALE, best) and (warning := _of_scale(look, nominal, factor)):
        return [warning]
    if best < misfit - _BETTER_ORDER:
        order = _sharper_way(fit, order)
        before, after = look.at(nominal), look.at(order)
        if after.share < _CONFIRMED_ORDER * before.share:
            return [f"{_of_order(nominal, order)}: {instead(before, after)}; check the list of distances"]
        return []
    turned = _sharper_way(fit, nominal)
    if turned is not nominal:
        return [
            "the distances in reverse order explain the frames as well, and show a sharper sample; check whether the "
            f"list should be {listed(turned.tolist())} µm"
        ]
    return []


def _of_scale(look: ShortLook, given: Vector, factor: float) -> str:
    """Return a warning if frames fit better with all distances longer or shorter; empty otherwise."""
    before = look.at(given)
    # strong objects lead to an exaggerated factor near one
    looks = [(look.at(one * given), one) for one in (factor, factor**0.5)]
    after, factor = min(looks, key=lambda pair: pair[0].share)
    if not look.is_much_better(after, before):
        return ""
    factor *= _towards_best(*(look.at(factor * step * given).share for step in _STEPS))
    return (
        f"the frames fit better with all distances, or the wavelength, about {change(factor)}, or pixels about "
        f"{change(factor**-0.5)}: {instead(before, after)}; check these and the medium (the frames fix only λz/np²)"
    )


def _sharper_way(fit: DistanceFit, distances_um: Vector) -> Vector:
    """Return distances, or the same in reverse if they explain the frames equally well with a sharper object."""
    turned = reversed_order(distances_um)
    if fit.misfit(turned) > fit.misfit(distances_um) + _AS_WELL:
        return distances_um
    sums = [block_sums(torch.from_numpy(fit.weak_object(way)), _METRIC) for way in (distances_um, turned)]
    whole = [float(sharpness(part.sum(0), _METRIC)) for part in sums]
    blocks = int((sharpness(sums[1], _METRIC) > sharpness(sums[0], _METRIC)).sum())
    return turned if whole[1] > math.exp(_SHARPER) * whole[0] and blocks >= _BLOCKS else distances_um


def _of_order(nominal: Vector, order: Vector) -> str:
    moved = np.flatnonzero(nominal != order)
    if len(moved) == 2:
        return f"{numbered(moved)} fit better with their distances exchanged"
    return f"the frames fit better with the distances in another order, {listed(order.tolist())} µm"


def _towards_best(smaller: float, same: float, larger: float) -> float:
    """Return the factor, within `_STEPS`, at the minimum of the parabola through the unexplained shares."""
    curvature = smaller - 2 * same + larger
    if curvature <= 0:
        return _STEPS[0] if smaller < larger else _STEPS[-1]
    return float(_STEPS[-1] ** np.clip((smaller - larger) / (2 * curvature), -1, 1))
