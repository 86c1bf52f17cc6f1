"""Polynomial surfaces fitted to images: uneven illumination, tilt and curvature of a phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from napari_diner.preprocess.spread import spread

Image = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Surface:
    """A polynomial in y and x on an image."""

    shape: tuple[int, int]
    """Pixels (Y, X) of the image."""
    coefficients: npt.NDArray[np.float64]
    """Coefficients of Legendre polynomials P_i(y) P_j(x), y and x from −1 to 1 over the image, (degree + 1,) * 2."""

    def values(self) -> Image:
        """Return the surface at the centres of the pixels, (Y, X)."""
        grid: Image = legendre.leggrid2d(_centres(self.shape[0]), _centres(self.shape[1]), self.coefficients)
        return grid


# block means along each axis, which determine a surface of low degree as well as all pixels
_BLOCKS = 96
_ROUNDS, _CLIP = 8, 2.5


def fit_surface(image: Image, degree: int, mask: npt.NDArray[np.bool_] | None = None) -> Surface:
    """Fit a polynomial of total degree `degree` to an image, robustly.

    Least squares on means over blocks. Blocks that deviate by more than 2.5 robust standard deviations, such as a
    sample on its background, are excluded, and the fit is repeated until nothing changes.

    Parameters
    ----------
    image
        Real values, (Y, X), finite where the mask is true.
    degree
        Highest total power of y and x.
    mask
        True at valid pixels, (Y, X); all if None.

    Raises
    ------
    ValueError
        If the mask leaves fewer blocks than the polynomial has coefficients.
    """
    means, weights, y, x = _block_means(image, mask)
    rows, columns = np.meshgrid(y, x, indexing="ij")
    basis = legendre.legvander2d(rows.ravel(), columns.ravel(), [degree, degree])
    i, j = np.divmod(np.arange((degree + 1) ** 2), degree + 1)
    basis = basis[:, i + j <= degree]
    values, weights = means.ravel(), weights.ravel()
    used = weights > 0
    if used.sum() < basis.shape[1]:
        raise ValueError("the mask leaves too few pixels for a polynomial of this degree")
    for _ in range(_ROUNDS):
        root = np.sqrt(weights[used])
        solution = np.linalg.lstsq(basis[used] * root[:, None], values[used] * root, rcond=None)[0]
        residual = values - basis @ solution
        usual = float(spread(residual[used], around_zero=True))
        kept = (weights > 0) & (np.abs(residual) <= max(_CLIP * usual, 1e-12 * np.abs(values[used]).max()))
        if kept.sum() < basis.shape[1] or (kept == used).all():
            break
        used = kept
    coefficients = np.zeros((degree + 1, degree + 1))
    coefficients[i[i + j <= degree], j[i + j <= degree]] = solution
    return Surface((image.shape[0], image.shape[1]), coefficients)


def _centres(size: int) -> npt.NDArray[np.float64]:
    """Return the centres of the pixels on an axis that runs from −1 to 1."""
    return (2 * np.arange(size) + 1) / size - 1


def _block_means(image: Image, mask: npt.NDArray[np.bool_] | None) -> tuple[Image, Image, Image, Image]:
    """Return the means over the valid pixels of blocks, their numbers, and the centres of the blocks in y and x."""
    starts = [np.unique(np.linspace(0, size, min(size, _BLOCKS) + 1).astype(int)[:-1]) for size in image.shape]
    valid = np.ones(image.shape) if mask is None else mask.astype(np.float64)
    sums = np.where(valid > 0, image, 0).astype(np.float64)
    for axis, start in enumerate(starts):
        sums, valid = (np.add.reduceat(values, start, axis=axis) for values in (sums, valid))
    centres = [
        np.add.reduceat(_centres(size), start) / np.diff([*start, size])
        for size, start in zip(image.shape, starts, strict=True)
    ]
    return sums / np.maximum(valid, 1), valid, centres[0], centres[1]
