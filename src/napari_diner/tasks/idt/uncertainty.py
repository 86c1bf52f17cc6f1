"""Uncertainty of a refractive index: volumes, figures by octave, and sentences on what is not recorded."""

from __future__ import annotations

import math
from typing import Any

import torch

from napari_diner.io.arrays import Array, NamedArray
from napari_diner.physics.bands import Band
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.recorded import axial_reach
from napari_diner.solvers.idt.admm import Admm, factorised
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.idt.least_squares import LeastSquares
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.uncertainty import PRIOR_FACTOR, Again, VolumeUncertainty
from napari_diner.tasks.idt.optics import ComputedModels, Models
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.regions import DEVIATIONS, PRIOR_CHANGE, UNCERTAINTY
from napari_diner.wording import digits

# a residual above the noise by this factor is not noise alone
_BEYOND_NOISE = 1.2
# frequencies of an octave at which the recorded range is evaluated
_RADII = 16


def again(problem: VolumeProblem, recipe: IdtRecipe) -> Again:
    """Return the solver of a recipe for other data of a problem, factorised once; that for voxels if it is a network.

    Parameters
    ----------
    problem
        The problem that was solved.
    recipe
        Solver and iterations.
    """
    if recipe.solver == "tikhonov":
        least_squares = ClosedForm(problem.linear, frames=problem.frames)
        return lambda other, start: LeastSquares(other, least_squares)
    if isinstance(problem.model, LinearModel):
        closed = factorised(problem)
        return lambda other, start: Admm(other, start, recipe.iterations, closed=closed)
    if recipe.multislice.method == "gauss-newton":
        closed = factorised(problem)
        return lambda other, start: GaussNewtonVoxels(other, start, recipe.multislice.newton_iterations, closed=closed)
    return lambda other, start: MultiSliceVoxels(other, start, recipe.multislice.iterations)


def uncertainty_volumes(estimate: VolumeUncertainty, voxel_um: tuple[float, float, float]) -> tuple[NamedArray, ...]:
    """Return the volumes of an estimate.

    Returns
    -------
    tuple[NamedArray, ...]
        ``n_uncertainty`` and ``n_im_uncertainty``, standard deviations by noise, (Z, Y, X); ``n_prior_change``, half
        the difference between weaker and stronger priors, (Z, Y, X); ``n_deviations``, samples of the error of n_re by
        noise, (C, Z, Y, X), for sums over regions, within which the errors of voxels are correlated.
    """

    def values(tensor: torch.Tensor) -> Array:
        return tensor.float().cpu().numpy()

    volumes = [
        NamedArray(DEVIATIONS, values(estimate.deviations), "CZYX", (1.0, *voxel_um)),
        NamedArray("n_im_uncertainty", values(estimate.n_im), "ZYX", voxel_um),
        NamedArray(UNCERTAINTY, values(estimate.n_re), "ZYX", voxel_um),
    ]
    if estimate.prior_change is not None:
        volumes.insert(1, NamedArray(PRIOR_CHANGE, values(estimate.prior_change), "ZYX", voxel_um))
    return tuple(volumes)


def uncertainty_report(
    estimate: VolumeUncertainty, models: Models, recipe: IdtRecipe, residual_rms: float
) -> dict[str, Any]:
    """Return the figures for the report, with ``statements``: sentences on noise, priors and the missing cone.

    Parameters
    ----------
    estimate
        The estimate.
    models
        Optics and directions.
    recipe
        The recipe; its solver determines what was sampled.
    residual_rms
        Root mean square of model minus data.
    """
    rows: list[dict[str, float | None]] = []
    for entry in estimate.bands:
        reach = _reach(models, entry.band)
        rows.append(
            {
                "low_per_um": entry.band.low,
                "high_per_um": entry.band.high,
                "n_sigma": entry.sigma,
                "n_rms": entry.rms,
                "axial_per_um": reach,
                "axial_period_um": None if not reach else 1 / reach,
            }
        )
    noise = math.sqrt(sum(sigma**2 for sigma in estimate.noise) / len(estimate.noise))
    change = estimate.prior_change
    statements = [_not_recorded(estimate, rows), _noise_only(recipe), *_drowned(estimate)]
    if change is not None:
        statements.append(
            f"Priors {PRIOR_FACTOR:g} times as strong or as weak change n by ±{digits(_rms(change))} (rms; noise: "
            f"{digits(_rms(estimate.n_re))}); where n_prior_change is above n_uncertainty, n is determined by the "
            "priors."
        )
    if residual_rms > _BEYOND_NOISE * noise:
        statements.append(
            f"The frames differ from the model by {digits(residual_rms / noise)} times their noise: there are errors "
            "of directions, background or model, which the bars do not contain."
        )
    return {
        "samples": len(estimate.deviations),
        "n_sigma": _rms(estimate.n_re),
        "n_im_sigma": _rms(estimate.n_im),
        "n_prior_change": None if change is None else _rms(change),
        "prior_factor": PRIOR_FACTOR,
        "noise": list(estimate.noise),
        "bands": rows,
        "statements": statements,
    }


def _rms(volume: torch.Tensor) -> float:
    return float(volume.square().mean().sqrt())


def _reach(models: Models, band: Band) -> float | None:
    """Return the highest axial frequency recorded within a band; None if transfer functions are given."""
    if not isinstance(models, ComputedModels):
        return None
    lateral = torch.linspace(band.low, band.high, _RADII + 1, dtype=torch.float64)[1:]
    return axial_reach(models.geometry, models.illumination, lateral)


def _not_recorded(estimate: VolumeUncertainty, rows: list[dict[str, float | None]]) -> str:
    """Name the finest detail along z that is recorded for each lateral octave: the missing cone in words."""
    if all(row["axial_per_um"] is None for row in rows):
        return "The transfer functions are given, so that the missing cone is not known here."
    parts = [
        f"below {digits(row['axial_period_um'])} µm for {entry.band.text} across"
        for entry, row in zip(estimate.bands, rows, strict=True)
        if row["axial_period_um"]
    ]
    lateral = [entry.band.text for entry, row in zip(estimate.bands, rows, strict=True) if not row["axial_period_um"]]
    beyond = f", and none at all for {', '.join(lateral)} across" if lateral else ""
    return (
        f"The frames contain no periods along z {', '.join(parts)}{beyond}; what n shows of them is due to the priors."
    )


def _noise_only(recipe: IdtRecipe) -> str:
    """Say what the bars contain."""
    sampled = recipe.solver if recipe.solver in ("tikhonov", "voxels") else "voxels (in place of the representation)"
    return (
        f"The bars are for noise only: they are the scatter of reconstructions by {sampled} with the same weights from "
        "recordings that differ by noise."
    )


def _drowned(estimate: VolumeUncertainty) -> list[str]:
    """Name the octaves in which noise dominates the index."""
    noisy = [entry.band.text for entry in estimate.bands if entry.sigma > 0 and entry.rms**2 < 2 * entry.sigma**2]
    return [f"n contains more noise than object in these bands: {', '.join(noisy)}."] if noisy else []
