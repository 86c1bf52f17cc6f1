"""Check of the distances against the frames: a warning before each run.

The linear theory of weak objects (`preprocess.distances`) quickly shows whether another order, another distance of one
frame, or a common factor may fit better. A short reconstruction of the middle of the field then tests it, so that no
warning relies on an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.plausibility import periods_kept
from napari_diner.preprocess.distances import DistanceFit, reversed_order
from napari_diner.preprocess.settings import Metric
from napari_diner.preprocess.sharpness import block_sums, sharpness
from napari_diner.preprocess.soundness import numbered, repeated
from napari_diner.tasks.frame_list import listed
from napari_diner.tasks.lensless.out_of_focus import reverse_is_sharper
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.short_look import CLEAR, ShortLook, Suspicion, instead
from napari_diner.wording import change, digits

# mean log ratio of the residuals of the linear theory above which an alternative is tried
_BETTER_ORDER, _BETTER_SCALE, _BETTER_SINGLE = 0.003, 0.04, 0.03
# a reversed list fits equally well if its residual is worse by less than this, and its object is sharper beyond
# doubt above this log ratio in so many of 16 blocks
_AS_WELL, _SHARPER, _BLOCKS = 0.02, 0.2, 14
# largest ratio of the unexplained shares of an alternative and of the nominal distances
_CONFIRMED_ORDER = 0.97
# what frames of which one has another distance leave beyond noise with the right one, unlike those with other errors
_EXPLAINED = 0.05
# part beyond noise from which another order may be better, but is not right
_HOPELESS = 0.2
# part beyond noise of a small part of the field, after as many steps as a confirmation takes, from which other scales
# are tried: strong samples are not explained by a few
_LEAST = 1.2e-4
# periods of the finest detail whose light reaches the sensor from the nearest plausible distance
_FEWEST_PERIODS = 4.0
# common factors that are tried beside those of the linear theory, their largest number, ratios of finer ones, and limit
_NEAR, _MOST, _STEPS, _FARTHEST = (0.8, 1.25), 3, (1.2, 1.06), 50.0
# candidates nearer to each other than this factor are tried once
_ALIKE = 1.05
# factors of the steps between distances, some of which are tried first, and the next ones only around the best
_STRETCHES, _NEXT = (0.5, 0.8, 1.25, 2.0), 1.26
_METRIC: Metric = "gini_gradient"

Vector = npt.NDArray[np.float64]


def misplaced(recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, look: ShortLook) -> list[Suspicion]:
    """Return a suspicion if frames fit better with their distances in another order.

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
    fit = distance_fit(recipe, setup, prepared)
    if fit is None:
        return []
    nominal = np.asarray(setup.heights.distances_um)
    misfit, (best, order) = fit.misfit(nominal), fit.best_order(nominal)
    if best < misfit - _BETTER_ORDER:
        order = _sharper_way(fit, likelier_way(fit, nominal, order))
        before, after = look.at(nominal), look.at(order)
        is_it = after.share < _CONFIRMED_ORDER * before.share and after.beyond_noise < _HOPELESS
        # a frame that was saved twice fits better at its own distance
        if is_it and not repeated(prepared.amplitudes):
            text = f"{_of_order(nominal, order)}: {instead(before, after)}; check the list of distances"
            return [Suspicion.confirmed(text, before, after)]
        return []
    turned = _sharper_way(fit, nominal)
    if turned is not nominal:
        return [Suspicion(reverse_is_sharper(turned))]
    return []


def mistaken(
    recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, look: ShortLook, small: ShortLook
) -> list[Suspicion]:
    """Return a suspicion if frames fit much better with another distance of a single frame; see `rescaled`.

    Distances that are calibrated are not checked.
    """
    fit = None if recipe.calibration.z else distance_fit(recipe, setup, prepared)
    if fit is None:
        return []
    nominal = np.asarray(setup.heights.distances_um)
    misfit, frame, factor = fit.best_single(nominal)
    if misfit > fit.misfit(nominal) - _BETTER_SINGLE:
        return []
    corrected = nominal.copy()
    corrected[frame] *= factor
    if small.at(corrected, quick=True).share > small.about.share:
        return []
    before, after = look.at(nominal), look.at(corrected)
    is_it = look.is_much_better(after, before, CLEAR) and after.beyond_noise < _EXPLAINED
    if not is_it or repeated(prepared.amplitudes):
        return []
    text = (
        f"frame {frame + 1} fits better with a distance of about {digits(corrected[frame], 3)} µm instead of "
        f"{nominal[frame]:g} µm, or with a wavelength about {change(factor)}: {instead(before, after)}; check the list "
        "of distances, or calibrate them (calibration.z)"
    )
    return [Suspicion.confirmed(text, before, after)]


def rescaled(
    recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, look: ShortLook, small: ShortLook
) -> list[Suspicion]:
    """Return a suspicion if frames fit better with all distances longer or shorter; see `misplaced`.

    Parameters
    ----------
    recipe, setup, prepared, look
        As for `misplaced`.
    small
        Reconstructs a smaller part, to search for the factor.
    """
    fit = distance_fit(recipe, setup, prepared)
    if fit is None:
        return []
    nominal = np.asarray(setup.heights.distances_um)
    candidates = fit.scales(nominal, _MOST)
    is_linear = bool(candidates) and fit.misfit(candidates[0] * nominal) < fit.misfit(nominal) - _BETTER_SCALE
    if not is_linear and small.given.beyond_noise < _LEAST:
        return []
    shares = {1.0: small.about.share}

    def best_of(factors: Iterable[float]) -> float:
        shares.update({one: small.at(one * nominal, quick=True).share for one in factors if one not in shares})
        return min(shares, key=shares.__getitem__)

    optics, field_um = setup.frame_optics, min(prepared.amplitudes.shape[1:]) * setup.frame_optics.pixel_size_um
    nearest = float(nominal.min())
    near = [one for one in _NEAR if not any(1 / _ALIKE < one / other < _ALIKE for other in candidates)]
    factor = best_of(
        one for one in (*candidates, *near) if periods_kept(optics, one * nearest, field_um) > _FEWEST_PERIODS
    )
    for step in _STEPS if factor != 1 else ():
        # frames of noise may fit ever better farther away
        while 1 / _FARTHEST < (better := best_of((factor * step, factor / step))) < _FARTHEST and better != factor:
            factor = better
    if factor == 1:
        return []
    before, after = look.at(nominal), look.at(factor * nominal)
    if not look.is_much_better(after, before):
        return []
    step = _STEPS[-1]
    factor *= _towards_best(
        step, look.at(factor / step * nominal).share, after.share, look.at(factor * step * nominal).share
    )
    text = (
        f"the frames fit better with all distances, or the wavelength, about {change(factor)}, or pixels about "
        f"{change(factor**-0.5)}: {instead(before, after)}; check these and the medium (the frames fix only λz/np²)"
    )
    return [Suspicion.confirmed(text, before, after)]


def stretched(
    recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, look: ShortLook, small: ShortLook
) -> list[Suspicion]:
    """Return a suspicion if frames fit better with longer or shorter steps between their distances; see `rescaled`.

    The nearest distance is kept: frames hardly tell a length that is common to all, as of the gap before the sensor,
    so that a common factor is no remedy for wrong steps if it moves frames too far away.
    """
    if recipe.calibration.z or distance_fit(recipe, setup, prepared) is None:
        return []
    nominal = np.asarray(setup.heights.distances_um)
    nearest = float(nominal.min())
    if nominal.max() == nearest or small.given.beyond_noise < _LEAST:
        return []

    def share(factor: float, *, quick: bool = False) -> float:
        part = small if quick else look
        return part.at(nearest + factor * (nominal - nearest), quick=quick).share

    shares = {one: share(one, quick=True) for one in (1.0, *_STRETCHES)}
    factor = min(shares, key=shares.__getitem__)
    if factor == 1:
        return []
    shares |= {one: share(one, quick=True) for one in (factor / _NEXT, factor * _NEXT)}
    factor = min(shares, key=shares.__getitem__)
    before, after = look.at(nominal), look.at(nearest + factor * (nominal - nearest))
    if not look.is_much_better(after, before):
        return []
    step = _STEPS[0]
    factor *= _towards_best(step, share(factor / step), after.share, share(factor * step))
    text = (
        f"the frames fit better with steps between their distances that are about {change(factor)}: "
        f"{instead(before, after)}; check the list of distances"
    )
    return [Suspicion.confirmed(text, before, after)]


def distance_fit(recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames) -> DistanceFit | None:
    """Return the linear theory of frames, or None if it does not apply."""
    if recipe.registration != "off" or recipe.source_distance_um is not None:
        return None
    repeats = setup.padding_mode == "none"
    fit = DistanceFit(prepared.amplitudes, setup.frame_optics, setup.heights.shifts_um, repeats=repeats)
    return fit if fit.is_usable else None


def likelier_way(fit: DistanceFit, nominal: Vector, order: Vector) -> Vector:
    """Return distances, or the same in reverse if they explain the frames equally well and are nearer to a list."""
    turned = reversed_order(order)
    if np.array_equal(turned, nominal) or fit.misfit(turned) > fit.misfit(order) + _AS_WELL:
        return order
    return min(order, turned, key=lambda one: int((one != nominal).sum()))


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


def _towards_best(step: float, smaller: float, same: float, larger: float) -> float:
    """Return the factor, within a step, at the minimum of the parabola through three unexplained shares."""
    curvature = smaller - 2 * same + larger
    if curvature <= 0:
        return 1 / step if smaller < larger else step
    return float(step ** np.clip((smaller - larger) / (2 * curvature), -1, 1))
