"""Measures of sharpness, which are largest in the plane of the sample.

Each is a function of sums over pixels, which are stored for the blocks of a grid, so that the sharpness without one of
the blocks, and with it the uncertainty of a focus, takes no further computation.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from napari_diner.preprocess.settings import Metric

BLOCKS = 4
"""Blocks along each axis of the grid."""
_BINS = 256
# gradients beyond this many times their mean share the last bin
_BRIGHTEST = 30.0


def block_sums(field: Tensor, metric: Metric) -> Tensor:
    """Return the sums over pixels from which `sharpness` is computed, (blocks, figures), float64.

    Parameters
    ----------
    field
        Complex field with a mean intensity of about one, (Y, X).
    metric
        Measures of the gradient |∇U| of the complex field, which is sparse if edges of amplitude or phase are in focus
        (Zhang et al., Opt. Lett. 42, 3824 (2017)): ``"sparse_gradient"``, its moments ⟨|∇U|⁴⟩/⟨|∇U|²⟩², which are the
        most robust to noise; ``"tamura_gradient"``, its Tamura coefficient √(σ/µ); ``"gini_gradient"``, its Gini
        coefficient. ``"tamura_amplitude"``: the Tamura coefficient of the gradient of the amplitude.
        ``"normalised_variance"``, ``"tenengrad"``, ``"laplacian"``: variance, mean squared gradient and mean squared
        Laplacian of the intensity over the square of its mean (Langehanenberg et al., Appl. Opt. 47, D176 (2008)),
        which are smallest and not largest for a transparent sample in focus.
    """
    if metric == "normalised_variance":
        intensity = _square(field)
        return _by_block(torch.stack([torch.ones_like(intensity), intensity, intensity**2]))
    if metric in ("tenengrad", "laplacian"):
        intensity = _square(field)
        detail = _laplacian(intensity) if metric == "laplacian" else _gradient(intensity)
        inner = intensity[1:-1, 1:-1]
        return _by_block(torch.stack([torch.ones_like(inner), inner, detail**2]))
    gradient = _gradient(field.abs() if metric == "tamura_amplitude" else field)
    if metric == "gini_gradient":
        return _histograms(gradient)
    if metric == "sparse_gradient":
        gradient = gradient**2
    return _by_block(torch.stack([torch.ones_like(gradient), gradient, gradient**2]))


def sharpness(sums: Tensor, metric: Metric) -> Tensor:
    """Return the sharpness from sums of `block_sums` over blocks: (..., figures) → (...)."""
    if metric == "gini_gradient":
        counts, totals = sums[..., :_BINS], sums[..., _BINS:]
        share = counts / counts.sum(-1, keepdim=True).clamp_min(1e-300)
        lorenz = totals.cumsum(-1) / totals.sum(-1, keepdim=True).clamp_min(1e-300)
        before = torch.nn.functional.pad(lorenz[..., :-1], (1, 0))
        return 1 - (share * (lorenz + before)).sum(-1)
    mean, square = sums[..., 1] / sums[..., 0], sums[..., 2] / sums[..., 0]
    if metric in ("tenengrad", "laplacian"):
        return square / mean**2
    if metric == "sparse_gradient":
        return square / mean.clamp_min(1e-300) ** 2
    variance = (square / mean.clamp_min(1e-300) ** 2 - 1).clamp_min(0)
    return variance if metric == "normalised_variance" else variance.sqrt().sqrt()


def _square(field: Tensor) -> Tensor:
    return field.real**2 + field.imag**2 if field.is_complex() else field**2


def _gradient(image: Tensor) -> Tensor:
    """Return the length of the gradient, from differences of next neighbours, (Y − 2, X − 2)."""
    down = image[2:, 1:-1] - image[1:-1, 1:-1]
    right = image[1:-1, 2:] - image[1:-1, 1:-1]
    return (_square(down) + _square(right)).sqrt()


def _laplacian(image: Tensor) -> Tensor:
    around = image[2:, 1:-1] + image[:-2, 1:-1] + image[1:-1, 2:] + image[1:-1, :-2]
    return around - 4 * image[1:-1, 1:-1]


def _edges(size: int) -> list[int]:
    return [size * block // BLOCKS for block in range(BLOCKS + 1)]


def _by_block(values: Tensor) -> Tensor:
    """Add up images (K, Y, X) over the blocks of a grid: (blocks, K)."""
    rows, columns = _edges(values.shape[1]), _edges(values.shape[2])
    strips = [values[:, top:bottom].sum(1, dtype=torch.float64) for top, bottom in pairwise(rows)]
    parts = [strip[:, left:right].sum(1) for strip in strips for left, right in pairwise(columns)]
    return torch.stack(parts)


def _histograms(values: Tensor) -> Tensor:
    """Return, for each block, the number of values in each bin and their sum: (blocks, 2·bins)."""
    relative = (values / (_BRIGHTEST * values.mean().clamp_min(1e-30))).clamp(0, 1).sqrt()
    bins = (relative * (_BINS - 1)).long()
    rows, columns = _edges(values.shape[0]), _edges(values.shape[1])
    histograms = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            part = bins[top:bottom, left:right].reshape(-1)
            weights = values[top:bottom, left:right].reshape(-1).double()
            counts = torch.bincount(part, minlength=_BINS).double()
            histograms.append(torch.cat([counts, torch.bincount(part, weights, minlength=_BINS)]))
    return torch.stack(histograms)
