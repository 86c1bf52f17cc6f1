"""How one picture is displaced, turned and enlarged against another, and pictures without turn and enlargement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize
from skimage.registration import phase_cross_correlation

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.float64]

# details between these standard deviations of a blur, in pixels of the grid they are looked at on, are compared
_FINEST_PX, _COARSEST_PX = 0.6, 8.0
# grids for a first look are thinned out by a power of two up to this one, as long as so many pixels are left
_MOST_THINNED, _FEWEST_PX = 8, 48
# drawings that tell what chance does
_CHANCES = 4


@dataclass(frozen=True)
class Similarity:
    """How a picture lies against another one.

    About the centre of the field the picture is turned and enlarged; what is left when that is taken out is displaced.
    A point x of the other picture is found at ``c + M (x + d − c)``, with the centre c and M the turn and scale.

    Parameters
    ----------
    dy_px, dx_px
        The displacement d, down and to the right, in pixels.
    rotation_deg
        The turn, counter-clockwise as seen with y pointing down, in degrees.
    scale
        How much larger the picture is.
    """

    dy_px: float = 0.0
    dx_px: float = 0.0
    rotation_deg: float = 0.0
    scale: float = 1.0

    @property
    def shift_px(self) -> Vector:
        """The displacement (dy, dx), (2,)."""
        return np.array([self.dy_px, self.dx_px])

    @property
    def matrix(self) -> Vector:
        """Turn and scale M of vectors (y, x), (2, 2)."""
        angle = np.deg2rad(self.rotation_deg)
        turn: Vector = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return self.scale * turn

    def then(self, further: Similarity, part: float = 1.0) -> Similarity:
        """Return this, and a part of what was found on top of it: in the picture without this turn, scale and shift."""
        return Similarity(
            self.dy_px + part * further.dy_px,
            self.dx_px + part * further.dx_px,
            self.rotation_deg + part * further.rotation_deg,
            self.scale * further.scale**part,
        )

    def relative_to(self, other: Similarity) -> Similarity:
        """Return what of this is left if the other one is none."""
        return self.then(other, -1.0)

    def turned_by_px(self, shape: tuple[int, int]) -> float:
        """Return how far turn and scale move the middle of the edges of a field (Y, X), in pixels."""
        return float(np.linalg.norm((self.matrix - np.eye(2))[0])) * max(shape) / 2


def unturned(image: Array, found: Similarity, order: int = 3) -> Array:
    """Return a picture with its turn and scale taken out, but not its displacement.

    Parameters
    ----------
    image
        Real values or a boolean mask, (Y, X).
    found
        How it lies against another one.
    order
        Degree of the interpolating splines.

    Returns
    -------
    Array
        Values beyond the edge are those at the edge, as float32; a mask is False where any of its pixels, or one
        beyond the edge, would take part.
    """
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - found.matrix @ centre
    values = image.astype(np.float32)
    if image.dtype == bool:
        kept: Array = ndimage.affine_transform(values, found.matrix, offset, order=1, mode="constant") > 0.999
        return kept
    turned: Array = ndimage.affine_transform(values, found.matrix, offset, order=order, mode="nearest")
    return turned


def thinnings(shape: tuple[int, int]) -> tuple[int, ...]:
    """Return by which factors to thin out the grid of a picture (Y, X) for a first look, the coarser one first."""
    factor = _MOST_THINNED
    while factor > 1 and min(shape) < _FEWEST_PX * factor:
        factor //= 2
    return (factor, factor // 2) if factor > 1 else (1,)


def overlap_window(shape: tuple[int, ...], shift_px: Vector) -> Array:
    """Return weights (Y, X) for what a picture and one that is displaced by (dy, dx) have in common.

    They fall to zero at the edges, which would speak for no displacement at all.
    """
    profiles = []
    for size, shift in zip(shape, np.round(shift_px).astype(int), strict=True):
        profile = np.zeros(size, np.float32)
        first = max(0, -shift)
        last = max(first, min(size, size - shift))
        profile[first:last] = np.hanning(last - first)
        profiles.append(profile)
    weights: Array = np.outer(*profiles)
    return weights


def rough_shift(reference: Array, image: Array, expected: Similarity, thin: int) -> tuple[Similarity, float]:
    """Find the displacement of a picture, whatever it is, from the peak of the cross-correlation.

    Parameters
    ----------
    reference, image
        Real or complex, (Y, X).
    expected
        How the picture is known to lie; what is found is near it rather than anywhere.
    thin
        By which factor to thin out the grid.

    Returns
    -------
    Similarity
        The displacement to about half a pixel of the thinned grid, with the turn and scale expected.
    float
        How much higher the peak is than for pictures that have the same spectrum as this one, with phases drawn at
        random, and so nothing in common with the reference: around 1 it is chance.
    """
    still, moving = (_details(picture, thin) for picture in (reference, image))
    weights = overlap_window(reference.shape, expected.shift_px)[::thin, ::thin]
    back = -expected.shift_px / thin
    moving = np.stack([ndimage.shift(channel, back, order=1, mode="nearest") for channel in moving])
    spectra = [np.fft.fft2(weights * _joined(channels)) for channels in (still, moving)]
    highest = _highest(*spectra)
    if highest == 0:  # one of them is flat
        return expected, 0.0
    chance = max(_highest(spectra[0], np.fft.fft2(weights * other)) for other in _others(_joined(moving)))
    towards, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *spectra, space="fourier", upsample_factor=4, normalization=None
    )
    dy, dx = -thin * np.asarray(towards)
    return expected.then(Similarity(float(dy), float(dx))), highest / chance


def fit_similarity(
    reference: Array, image: Array, start: Similarity, weights: Array | None = None, *, turn: bool, thin: int = 1
) -> tuple[Similarity, float]:
    """Refine how a picture lies, by making its normalised correlation with another one as large as possible.

    Least squares between both, brought to the same norm; details that are very fine or very wide do not count.

    Parameters
    ----------
    reference, image
        Real or complex, (Y, X).
    start
        How the picture lies, to within some pixels of the thinned grid.
    weights
        What each pixel of the reference counts, (Y, X); `overlap_window` if None.
    turn
        Whether turn and scale are to be found; otherwise they stay as in `start`.
    thin
        By which factor to thin out the grid.

    Returns
    -------
    Similarity
        What was found.
    float
        The normalised correlation, at most 1.
    """
    if weights is None:
        weights = overlap_window(reference.shape, start.shift_px)
    residual, derivative = _misfit(reference, image, weights, thin)
    linear = _linear(start)
    free = 4 if turn else 2

    def whole(parameters: Vector) -> Vector:
        return np.concatenate([parameters, linear[free:]])

    found = optimize.least_squares(
        lambda parameters: residual(whole(parameters)),
        linear[:free],
        lambda parameters: derivative(whole(parameters))[:, :free],
        method="lm",
        x_scale=np.array([1.0, 1.0, *(2 / max(reference.shape),) * 2])[:free],
        xtol=1e-4,
        ftol=1e-6,
        max_nfev=30,
    )
    dy, dx, a, b = whole(found.x)
    return Similarity(dy, dx, float(np.rad2deg(np.arctan2(b, 1 + a))), float(np.hypot(1 + a, b))), 1 - float(found.cost)


def _linear(found: Similarity) -> Vector:
    """Return (dy, dx, a, b) with the matrix [[1 + a, −b], [b, 1 + a]]."""
    matrix = found.matrix
    return np.array([*found.shift_px, matrix[0, 0] - 1, matrix[1, 0]])


def _misfit(
    reference: Array, image: Array, weights: Array, thin: int
) -> tuple[Callable[[Vector], Vector], Callable[[Vector], Array]]:
    """Return the residual of two pictures brought to the same norm as a function of (dy, dx, a, b); its derivative."""
    still, moving = _details(reference, thin), _details(image, thin)
    weight = weights[::thin, ::thin]
    still = weight * still
    still /= float(np.linalg.norm(still)) or 1.0
    splines = [ndimage.spline_filter(channel, order=3, mode="mirror") for channel in moving]
    centre = (np.array(reference.shape) - 1) / 2
    y, x = (thin * np.arange(size) - middle for size, middle in zip(still.shape[1:], centre, strict=True))
    last: dict[bytes, tuple[Array, float]] = {}

    def moved(parameters: Vector) -> tuple[Array, float]:
        key = parameters.tobytes()
        if key not in last:
            last.clear()
            a, b = parameters[2:]
            matrix = np.array([[1 + a, -b], [b, 1 + a]])
            offset = (centre + matrix @ (parameters[:2] - centre)) / thin
            picture = np.stack(
                [ndimage.affine_transform(s, matrix, offset, order=3, mode="mirror", prefilter=False) for s in splines]
            )
            last[key] = picture, float(np.linalg.norm(weight * picture)) or 1.0
        return last[key]

    def residual(parameters: Vector) -> Vector:
        picture, norm = moved(parameters)
        difference: Vector = (weight * picture / norm - still).ravel().astype(np.float64)
        return difference

    def derivative(parameters: Vector) -> Array:
        picture, norm = moved(parameters)
        down, right = (slope / thin for slope in np.gradient(picture, axis=(1, 2)))
        dy, dx = y[:, None] + parameters[0], x[None, :] + parameters[1]
        changes = (down, right, down * dy + right * dx, right * dy - down * dx)
        columns = [(weight * change / norm).ravel() for change in changes]
        unit = (weight * picture / norm).ravel()
        return np.stack([column - unit * (unit @ column) for column in columns], axis=1)

    return residual, derivative


def _details(picture: Array, thin: int) -> Array:
    """Return what is neither very fine nor very wide on a thinned grid, real and imaginary part apart, (C, Y, X)."""
    channels = (picture.real, picture.imag) if np.iscomplexobj(picture) else (picture,)
    fine = [ndimage.gaussian_filter(c, thin * _FINEST_PX, mode="reflect")[::thin, ::thin] for c in channels]
    details: Array = np.stack([c - ndimage.gaussian_filter(c, _COARSEST_PX, mode="reflect", truncate=3) for c in fine])
    return details


def _highest(reference: Array, image: Array) -> float:
    """Return the peak of the cross-correlation of two spectra."""
    return float(np.abs(np.fft.ifft2(reference.conj() * image)).max())


def _others(picture: Array) -> Iterator[Array]:
    """Return pictures with the spectrum of this one and phases drawn at random, (Y, X) each."""
    magnitude = np.abs(np.fft.fft2(picture))
    random = np.random.default_rng(0)
    for _ in range(_CHANCES):
        other = np.fft.ifft2(magnitude * np.exp(2j * np.pi * random.random(picture.shape)))
        yield other if np.iscomplexobj(picture) else np.sqrt(2) * other.real


def _joined(channels: Array) -> Array:
    joined: Array = channels[0] if len(channels) == 1 else channels[0] + 1j * channels[1]
    return joined
