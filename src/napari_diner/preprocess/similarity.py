"""Registration of images by displacement, rotation and scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize
from skimage.registration import phase_cross_correlation

Array = npt.NDArray[np.floating | np.complexfloating | np.bool_]
Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

# details between these standard deviations of a blur, in pixels of the thinned grid, are compared
_FINEST_PX, _COARSEST_PX = 0.6, 8.0
# grids are first thinned by a power of two up to this one, as long as so many pixels remain
_MOST_THINNED, _FEWEST_PX = 8, 48
_CHANCES = 4  # number of random images to estimate the height of a peak by chance


@dataclass(frozen=True)
class Similarity:
    """Displacement, rotation and scale of an image relative to a reference.

    A point x of the reference appears at ``c + M (x + d − c)``, with the centre c of the field and the rotation and
    scale M.
    """

    dy_px: float = 0.0
    """Displacement downwards, in pixels."""
    dx_px: float = 0.0
    """Displacement to the right, in pixels."""
    rotation_deg: float = 0.0
    """Rotation, counter-clockwise with y pointing down, in degrees."""
    scale: float = 1.0
    """Magnification of the image."""

    @property
    def shift_px(self) -> Vector:
        """The displacement (dy, dx), (2,)."""
        return np.array([self.dy_px, self.dx_px])

    @property
    def matrix(self) -> Vector:
        """Rotation and scale M of vectors (y, x), (2, 2)."""
        angle = np.deg2rad(self.rotation_deg)
        return np.asarray(self.scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))

    def then(self, further: Similarity, part: float = 1.0) -> Similarity:
        """Return this followed by a part of a further one, estimated in the image without this one."""
        return Similarity(
            self.dy_px + part * further.dy_px,
            self.dx_px + part * further.dx_px,
            self.rotation_deg + part * further.rotation_deg,
            self.scale * further.scale**part,
        )

    def relative_to(self, other: Similarity) -> Similarity:
        """Return this relative to another one."""
        return self.then(other, -1.0)

    def turned_by_px(self, shape: tuple[int, int]) -> float:
        """Return the shift of the middle of the edges of a field (Y, X) by rotation and scale, in pixels."""
        return float(np.linalg.norm((self.matrix - np.eye(2))[0])) * max(shape) / 2


def unturned(image: Array, place: Similarity) -> Array:
    """Return an image, (Y, X), with its rotation and scale removed, but not its displacement.

    Values are float32; beyond the edge they are those at the edge.
    """
    return _unturned(image, place, 3, "nearest")


def unturned_mask(mask: Mask, place: Similarity) -> Mask:
    """Return a mask with its rotation and scale removed; False where any pixel is interpolated from a False one."""
    return _unturned(mask, place, 1, "constant") > 0.999


def _unturned(image: Array, place: Similarity, order: int, mode: str) -> Array:
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - place.matrix @ centre
    values = image.astype(np.float32)
    return np.asarray(ndimage.affine_transform(values, place.matrix, offset, order=order, mode=mode))


def thinnings(shape: tuple[int, int]) -> tuple[int, ...]:
    """Return the factors by which to thin the grid of an image (Y, X) at first, the coarser one first."""
    factor = _MOST_THINNED
    while factor > 1 and min(shape) < _FEWEST_PX * factor:
        factor //= 2
    return (factor, factor // 2) if factor > 1 else (1,)


def overlap_window(shape: tuple[int, ...], shift_px: Vector) -> Array:
    """Return weights (Y, X) for the common part of an image and one displaced by (dy, dx).

    They fall to zero at the edges, which would otherwise favour no displacement.
    """
    profiles = []
    for size, shift in zip(shape, np.round(shift_px).astype(int), strict=True):
        profile = np.zeros(size, np.float32)
        first = max(0, -shift)
        last = max(first, min(size, size - shift))
        profile[first:last] = np.hanning(last - first)
        profiles.append(profile)
    return np.outer(*profiles)


def rough_shift(reference: Array, image: Array, expected: Similarity, thin: int) -> tuple[Similarity, float]:
    """Find a displacement of any size from the peak of the cross-correlation.

    Parameters
    ----------
    reference, image
        Real or complex, (Y, X).
    expected
        Expected placement; the search is centred on it.
    thin
        Factor by which to thin the grid.

    Returns
    -------
    Similarity
        The displacement to about half a pixel of the thinned grid, with the expected rotation and scale.
    float
        Height of the peak relative to images with the same spectrum and random phases, which have nothing in common
        with the reference: close to 1, the peak is chance.
    """
    still, moving = (_details(whole, thin) for whole in (reference, image))
    weights = overlap_window(reference.shape, expected.shift_px)[::thin, ::thin]
    back = -expected.shift_px / thin
    moving = np.stack([ndimage.shift(channel, back, order=1, mode="nearest") for channel in moving])
    spectra = [np.fft.fft2(weights * _joined(channels)) for channels in (still, moving)]
    highest = _highest(*spectra)
    if highest == 0:  # one image is flat
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
    """Refine the placement of an image by maximising its normalised correlation with a reference.

    Least squares between both, normalised; very fine and very wide details are excluded.

    Parameters
    ----------
    reference, image
        Real or complex, (Y, X).
    start
        Initial placement, to within some pixels of the thinned grid.
    weights
        Weights of the pixels of the reference, (Y, X); `overlap_window` if None.
    turn
        Whether to find rotation and scale; otherwise they stay as in `start`.
    thin
        Factor by which to thin the grid.

    Returns
    -------
    Similarity
        The placement.
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

    solution = optimize.least_squares(
        lambda parameters: residual(whole(parameters)),
        linear[:free],
        lambda parameters: derivative(whole(parameters))[:, :free],
        method="lm",
        x_scale=np.array([1.0, 1.0, *(2 / max(reference.shape),) * 2])[:free],
        xtol=1e-4,
        ftol=1e-6,
        max_nfev=30,
    )
    dy, dx, a, b = whole(solution.x)
    place = Similarity(dy, dx, float(np.rad2deg(np.arctan2(b, 1 + a))), float(np.hypot(1 + a, b)))
    return place, 1 - float(solution.cost)


def _linear(place: Similarity) -> Vector:
    """Return (dy, dx, a, b) with the matrix [[1 + a, −b], [b, 1 + a]]."""
    matrix = place.matrix
    return np.array([*place.shift_px, matrix[0, 0] - 1, matrix[1, 0]])


def _misfit(
    reference: Array, image: Array, weights: Array, thin: int
) -> tuple[Callable[[Vector], Vector], Callable[[Vector], Array]]:
    """Return the residual of two normalised images as a function of (dy, dx, a, b), and its derivative."""
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


def _details(image: Array, thin: int) -> Array:
    """Return the band-passed image on a thinned grid, real and imaginary part apart, (C, Y, X)."""
    channels = (image.real, image.imag) if np.iscomplexobj(image) else (image,)
    fine = [ndimage.gaussian_filter(c, thin * _FINEST_PX, mode="reflect")[::thin, ::thin] for c in channels]
    return np.stack([c - ndimage.gaussian_filter(c, _COARSEST_PX, mode="reflect", truncate=3) for c in fine])


def _highest(reference: Array, image: Array) -> float:
    """Return the peak of the cross-correlation of two spectra."""
    return float(np.abs(np.fft.ifft2(reference.conj() * image)).max())


def _others(image: Array) -> Iterator[Array]:
    """Yield images with the spectrum of this one and random phases, (Y, X) each."""
    magnitude = np.abs(np.fft.fft2(image))
    random = np.random.default_rng(0)
    for _ in range(_CHANCES):
        other = np.fft.ifft2(magnitude * np.exp(2j * np.pi * random.random(image.shape)))
        yield other if np.iscomplexobj(image) else np.sqrt(2) * other.real


def _joined(channels: Array) -> Array:
    return np.asarray(channels[0] if len(channels) == 1 else channels[0] + 1j * channels[1])
