"""Weights of the recorded amplitudes, from the noise in a first reconstruction."""

from __future__ import annotations

from torch import Tensor

from napari_diner.solvers.lensless.noise import NoiseModel, fit_noise
from napari_diner.solvers.lensless.problem import PhaseProblem

# number of standard deviations beyond which an amplitude is probably an outlier
_OUTLIER = 3.0


def weigh(problem: PhaseProblem, field: Tensor, *, robust: bool) -> tuple[PhaseProblem, NoiseModel]:
    """Weight the amplitudes of a problem by the inverse of their variance.

    The most likely object under normal noise of the variance v minimises ``Σ (|U| − √I)² / v``; v is that of shot and
    read noise, fitted to the residual. A heavier tail, ``Σ log(1 + r²/(c² v))`` with c = 3, gives an outlier less
    weight the larger it is: the weight is divided by ``1 + r²/(c² v)`` (iteratively reweighted least squares; Holland
    and Welsch, Commun. Stat. Theory Methods 6, 813 (1977)).

    Parameters
    ----------
    problem
        The problem to minimise.
    field
        Complex field, (Y, X), that explains the data already.
    robust
        Whether outliers get less weight.

    Returns
    -------
    problem
        The problem with weights, or without if the frames have no noise.
    noise
        The estimated noise.
    """
    modulus = problem.modulus(field)
    residual = problem.unexplained(modulus - problem.amplitudes)
    noise = fit_noise(modulus, residual, problem.exact, robust=robust)
    weights = modulus  # in place, as arrays may be large
    for page, rest in zip(weights, residual, strict=True):
        variance = noise.variance(page)
        if not bool((variance > 0).all()):
            # frames without noise are explained to the last digit; no weights are needed
            return problem.with_weights(None), noise
        page.copy_(1 / (variance + rest.square() / _OUTLIER**2) if robust else 1 / variance)
    mean = weights.mean() if problem.mask is None else weights[problem.mask].mean()
    return problem.with_weights(weights.div_(mean)), noise
