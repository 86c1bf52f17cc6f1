"""Joint refinement of directions and brightness of illuminations with the object.

Assume Fourier coefficients of the object with zero mean and variance τ², and noise of variance σ². Under the linear
model, the data y of all frames at one frequency then have the covariance τ² (M M* + α), α = σ²/τ². The object is
integrated out in closed form, and the agreement of each frame with all others follows likewise: with
C = (M M* + α)⁻¹, frame i differs from its prediction by the others, m_i x_{-i}, by (C y)_i / C_ii, and the variance of
that difference is τ² s_i, s_i = 1/C_ii. Frame i, with its row m(θ) of M for the direction θ, contributes to the
log-likelihood

    L_i(θ) = −Σ_u  |y_i − m(θ) x_{-i}|² / (τ² s(θ)) + log s(θ)

(prediction-error decomposition of a Gaussian likelihood; Rasmussen & Williams, Gaussian Processes for Machine Learning,
Sec. 5.4.2). Each direction in turn is moved to the maximum of L_i, then all objects x_{-i} are solved for again.

Two features determine the direction: the phase with which slices out of focus appear, and the sharp edge of the
aperture, beyond which the predictions of the others vanish (s = α there). The edge makes L_i step-like, hence a search
on successively finer grids instead of derivatives. Everything is diagonal in frequency: a part of the frequencies
suffices, and no volume is ever stored. α and τ² are maximum-likelihood estimates, for each band of frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import EDGE, Illumination, Source
from napari_diner.physics.idt.transfer import Dispersion, born_amplitude
from napari_diner.solvers.calibration.spectral_circles import fitted_pattern
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

Vector = npt.NDArray[np.float64]

# maximum number of frequencies, the part of them chosen for their energy in the data, and the bands with an α each
_MOST_FREQUENCIES = 2000
_STRONG_PART = 0.5
_BANDS = 8
# numbers in the covariances of all frequencies together
_MOST_NUMBERS = 2**22
# sweeps before which α and τ² are chosen
_CHOICES = (1, 2, 3, 4, 5, 6, 8, 10, 14)
# the finest step of a search, and the first step except in the first sweeps, in steps of frequency
_FINEST = 0.04
_FIRST_LATER = 0.4
# root mean square change, in steps of frequency, below which the sweeps end
_SETTLED = 0.03
_DOF = 4.0
_COMPLEX, _REAL = torch.complex64, torch.float32


@dataclass(frozen=True)
class RefinedIllumination:
    """Illuminations and gains."""

    apertures: Vector
    """(NA_y, NA_x) of each source, (S, 2)."""
    gains: Vector
    """Brightness of each frame relative to its background, (N,); their geometric mean is one."""
    unexplained_rms: tuple[float, float]
    """Root mean square difference per pixel between frames and predictions, at the first and the last step."""


class IlluminationRefinement(Resumable):
    """Refine directions and gains; a `Solver`.

    Parameters
    ----------
    geometry
        The volume and the objective.
    illumination
        Initial illumination, within the objective's aperture.
    data
        g = I / I_background − 1, real, (N, Y, X).
    directions, gain
        Quantities to refine.
    together
        Move all directions as one pattern: shifted, rotated and scaled.
    range_na
        Search range about the initial directions.
    iterations
        Maximum number of sweeps over all frames.
    dispersion
        As in `BornModel`.
    """

    kept = (
        "apertures", "gains", "_unexplained", "alpha", "object_power", "_sweep", "_change", "_converged", "_first",
        "_chance", "_order",
    )  # fmt: skip
    answer = ("apertures", "gains", "_unexplained")

    def __init__(
        self,
        geometry: VolumeGeometry,
        illumination: Illumination,
        data: Tensor,
        *,
        directions: bool = True,
        gain: bool = False,
        together: bool = False,
        range_na: float = 0.05,
        iterations: int = 12,
        dispersion: Dispersion = "exact",
    ) -> None:
        self.geometry = geometry
        self.illumination = illumination
        self.directions, self.gain, self.together = directions, gain, together
        self.range_na = range_na
        self.iterations = iterations
        self.dispersion = dispersion
        self.start = illumination.apertures
        self.apertures = self.start.copy()
        self.gains = np.ones(len(illumination))
        self._unexplained = (math.nan, math.nan)
        self._sweep, self._change, self._converged = 0, math.inf, False
        self._first = range_na / 3
        self._chance = np.random.default_rng(0)
        self._order = self._chance.permutation(len(self.start))
        self._z = torch.from_numpy(geometry.slice_positions_um).to(_REAL)
        self._choose_frequencies(data)
        bands = len(self._bands)
        self.alpha = torch.full((bands,), math.nan, dtype=torch.float64)
        """α of each band of frequencies, (B,)."""
        self.object_power = torch.ones(bands, dtype=torch.float64)
        """τ² of each band, (B,)."""

    def result(self) -> RefinedIllumination:
        """Return the current directions and gains; with `together`, a pattern fitted to independent directions."""
        apertures = self.apertures.copy()
        if self.together and self.directions:
            apertures = brought_inside(fitted_pattern(self.start, apertures), self.geometry.na)
        return RefinedIllumination(apertures, self.gains.copy(), self._unexplained)

    current = result

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Sweep over all frames until convergence; the loss is the RMS difference between frames and predictions."""
        unit = self._step * self.geometry.wavelength_um
        sources = len(self.start)
        while self._sweep < self.iterations and not self._converged:
            sweep = self._sweep + 1
            if sweep in _CHOICES:
                self._choose_weights()
            prediction = self._predict()
            self._unexplained = (self._unexplained[0] if sweep > 1 else prediction.loss, prediction.loss)
            moved = self.apertures.copy()
            # half of them at a time, so that frames do not chase each other
            half = -(-sources // 2)
            self._order = np.roll(self._order, half) if sweep % 2 == 0 else self._chance.permutation(sources)
            turn = self._order[:half] if self.directions else self._order[:0]
            for number, source in enumerate(turn):
                moved[source] = self._search(source, prediction, self._first)
                yield Step(sweep, self.iterations, prediction.loss, (number + 1) / (sources + 1))
            if self.gain:
                self.gains *= self._brighter(prediction)
                self.gains /= np.exp(np.log(self.gains).mean())
            change = float(np.sqrt(((moved - self.apertures) ** 2).sum(1).mean())) / unit
            self.apertures = moved
            self._first = _FIRST_LATER * unit if sweep > 1 else self._first
            self._converged = max(change, self._change) < _SETTLED
            self._sweep, self._change = sweep, change
            yield Step(sweep, self.iterations, prediction.loss, resumable=True)

    def _choose_frequencies(self, data: Tensor) -> None:
        geometry = self.geometry
        rows, columns = geometry.shape[1:]
        half = columns // 2 + 1
        self._step = 1 / (min(rows, columns) * geometry.pixel_size_um)
        fy = torch.fft.fftfreq(rows, geometry.pixel_size_um, dtype=torch.float64)[:, None].expand(rows, half)
        fx = torch.fft.rfftfreq(columns, geometry.pixel_size_um, dtype=torch.float64)[None, :].expand(rows, half)
        passed = fy**2 + fx**2 <= (2 * geometry.cutoff) ** 2
        if rows % 2 == 0:
            passed[rows // 2] = False
        if columns % 2 == 0:
            passed[:, -1] = False
        # the mean is that of the background, but determines the gains
        passed[0, 0] = self.gain
        spectrum = torch.fft.rfft2(data.cpu()).flatten(1)
        places = passed.flatten().nonzero().flatten()
        energy = spectrum[:, places].abs().square().sum(0)
        most = min(_MOST_FREQUENCIES, max(_MOST_NUMBERS // len(data) ** 2, 64))
        order = torch.argsort(energy, descending=True)
        strong = int(most * _STRONG_PART)
        rest = order[strong:]
        chance = torch.randperm(len(rest), generator=torch.Generator().manual_seed(0))
        chosen = torch.cat([order[:strong], rest[chance]])[:most]
        places = places[chosen]
        places = places[torch.argsort(torch.hypot(fy.flatten()[places], fx.flatten()[places]))]
        self._fy, self._fx = fy.flatten()[places], fx.flatten()[places]
        self._spectrum = spectrum[:, places].T.to(torch.complex128)
        """Spectrum of the data, (K, N), by ascending frequency."""
        self._mean = torch.where(places == 0, float(rows * columns), 0.0).to(torch.float64)
        """Spectrum of an image of ones, (K,)."""
        self._shares = torch.where(places % half == 0, 1.0, 2.0).to(torch.float64)
        """Multiplicity of each frequency in the full spectrum, (K,)."""
        cuts = np.linspace(0, len(places), min(_BANDS, len(places)) + 1).astype(int)
        self._bands = [slice(a, b) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]

    def _data(self) -> Tensor:
        """Return y, the data divided by the gains, (K, N)."""
        mean = self._mean[:, None]
        data: Tensor = (self._spectrum + mean) / torch.from_numpy(self.gains) - mean
        return data

    def _products(self) -> Tensor:
        """Return M M*, complex, (K, N, N)."""
        matrix = self._matrix().to(torch.complex128)
        return matrix @ matrix.mH

    def _choose_weights(self) -> None:
        """Choose α and τ² of each band by maximum likelihood."""
        products, data = self._products(), self._data()
        frames = data.shape[1]
        eye = torch.eye(frames, dtype=products.dtype)
        for place, band in enumerate(self._bands):
            part, y, shares = products[band], data[band], self._shares[band]
            scale = float(part.diagonal(dim1=1, dim2=2).real.mean()) + 1e-12
            count = float(shares.sum()) * frames
            best = math.inf
            for alpha in np.geomspace(1e-5, 10, 16) * scale:
                factor = torch.linalg.cholesky(part + alpha * eye)
                solved = torch.linalg.solve_triangular(factor, y[..., None], upper=False)[..., 0]
                power = float((solved.abs().square().sum(1) * shares).sum()) / count
                spread = 2 * float((factor.diagonal(dim1=1, dim2=2).real.log().sum(1) * shares).sum())
                value = count * math.log(power + 1e-300) + spread
                if value < best:
                    best, self.alpha[place], self.object_power[place] = value, float(alpha), max(power, 1e-300)

    def _predict(self) -> _Prediction:
        """Return the prediction of each frame by all others."""
        data = self._data()
        matrix = self._matrix()
        alpha = torch.cat([self.alpha[i].expand(b.stop - b.start) for i, b in enumerate(self._bands)])
        power = torch.cat([self.object_power[i].expand(b.stop - b.start) for i, b in enumerate(self._bands)])
        wide = matrix.to(torch.complex128)
        covariance = wide @ wide.mH + alpha[:, None, None] * torch.eye(data.shape[1], dtype=torch.complex128)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        solved = (inverse @ data[..., None])[..., 0]
        diagonal = inverse.diagonal(dim1=1, dim2=2).real
        differences = solved / diagonal
        # C y without frame i, by subtracting the column of frame i
        without = solved[..., None] - inverse * differences[:, None]
        volumes = matrix.mH @ without.to(_COMPLEX)
        variances = 1 / diagonal
        inside = matrix.abs().amax(-1) > 0
        usual = (variances * inside).sum(1) / inside.sum(1).clamp_min(1)
        usual = torch.maximum(usual, alpha * 1.0001)
        pixels = self.geometry.shape[1] * self.geometry.shape[2]
        total = (differences.abs().square() * self._shares[:, None]).sum() / (self._shares.sum() * data.shape[1])
        return _Prediction(
            data.to(_COMPLEX),
            volumes,
            torch.where(inside, variances, usual[:, None]),
            alpha,
            power,
            math.sqrt(float(total) / pixels),
        )

    def _search(self, source: int, prediction: _Prediction, first: float) -> Vector:
        """Return the most likely direction of a source, by successively finer grids."""
        frame = int(self.illumination.frame_of_source[source])
        volume = prediction.volumes[..., frame].unflatten(-1, (2, -1))
        imaginary = 1j * volume[:, 1]
        sides = (volume[:, 0] + imaginary, volume[:, 0] - imaginary)
        weight = float(self.illumination.weights[source])
        rest = torch.zeros(len(self._fy), dtype=_COMPLEX)
        covered = torch.zeros(len(self._fy), dtype=torch.bool)
        for other in np.flatnonzero(self.illumination.frame_of_source == frame).tolist():
            if other != source:
                scattered, inside = self._scattered(self.apertures[other], sides)
                rest += float(self.illumination.weights[other]) * scattered
                covered |= inside
        y = prediction.data[:, frame] - rest
        unit = self._step * self.geometry.wavelength_um
        at: Vector = self.apertures[source]
        step, reach = max(first, _FINEST * unit), 3
        tried: dict[tuple[float, float], float] = {}
        while step >= _FINEST * unit:
            centre = at
            for offset in np.ndindex(reach * 2 + 1, reach * 2 + 1):
                place = centre + step * (np.array(offset) - reach)
                key = (round(place[0] / unit, 6), round(place[1] / unit, 6))
                if key in tried or np.hypot(*place) > self.geometry.na * (1 + EDGE):
                    continue
                if np.hypot(*(place - self.start[source])) > 1.5 * self.range_na:
                    continue
                scattered, inside = self._scattered(place, sides)
                variance = torch.where(inside | covered, prediction.variances[:, frame], prediction.alpha)
                wrong = (y - weight * scattered).abs().double().square() / (prediction.power * variance)
                tried[key] = -float(((_DOF * (wrong / _DOF).log1p() + variance.log()) * self._shares).sum())
                if tried[key] >= max(tried.values()):
                    at = place
            step /= 2
            reach = 2
        return at

    def _scattered(self, aperture: Vector, sides: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the responses to one source for Δε_re ± jΔε_im, (K, Z), and passing frequencies, (K,)."""
        total = torch.zeros(len(self._fy), dtype=_COMPLEX)
        inside = torch.zeros(len(self._fy), dtype=torch.bool)
        for sign, side in zip((1, -1), sides, strict=True):
            a, phases, passes = self._side(aperture, sign)
            total[passes] += a * (phases * side[passes]).sum(1)
            inside |= passes
        return total, inside

    def _side(self, aperture: Vector, sign: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return A(u) of the slice z = 0, or A*(−u), phases of all slices, (K', Z), and passing frequencies, (K,)."""
        a, delta, pupil = born_amplitude(
            sign * self._fy, sign * self._fx, tuple(aperture.tolist()), self.geometry, self.dispersion
        )
        passes = a != 0
        angle = (-2 * math.pi * sign * delta[passes]).to(_REAL)[:, None] * self._z
        if self.geometry.is_aberrated:
            angle += (sign * pupil[passes]).to(_REAL)[:, None]
        phases = torch.complex(angle.cos(), angle.sin())
        return (1j * sign * a[passes]).to(_COMPLEX), phases, passes

    def _matrix(self) -> Tensor:
        """Return the matrix of each frequency, (K, N, 2Z): H_re of all slices, then H_im."""
        planes = len(self._z)
        matrix = torch.zeros(len(self._fy), len(self.illumination), 2, planes, dtype=_COMPLEX)
        sources = zip(self.illumination.frame_of_source.tolist(), self.illumination.weights.tolist(), strict=True)
        for aperture, (frame, weight) in zip(self.apertures, sources, strict=True):
            for sign in (1, -1):
                a, phases, passes = self._side(aperture, sign)
                response = weight * a[:, None] * phases
                matrix[passes, frame, 0] += response
                matrix[passes, frame, 1] += 1j * sign * response
        return matrix.flatten(2)

    def _brighter(self, prediction: _Prediction) -> Vector:
        """Return the brightness of each frame relative to its prediction by the others, (N,)."""
        weights = self._shares[:, None] / (prediction.power[:, None] * prediction.variances)
        matrix = self._matrix()
        predicted = torch.einsum("knz,kzn->kn", matrix, prediction.volumes).to(torch.complex128) + self._mean[:, None]
        recorded = prediction.data.to(torch.complex128) + self._mean[:, None]
        ratio = ((predicted.conj() * recorded).real * weights).sum(0) / (predicted.abs().square() * weights).sum(0)
        brighter: Vector = ratio.clamp(0.5, 2.0).numpy()
        return brighter


@dataclass(frozen=True)
class _Prediction:
    """The prediction of each frame by all others."""

    data: Tensor
    """y, (K, N)."""
    volumes: Tensor
    """x_{-i}, (K, 2Z, N)."""
    variances: Tensor
    """s of the differences for passing light of a frame, (K, N), in units of τ²."""
    alpha: Tensor
    """α = s for light that does not pass, (K,)."""
    power: Tensor
    """τ², (K,)."""
    loss: float
    """Root of the mean square difference, for each pixel."""


def moved(illumination: Illumination, apertures: Vector) -> Illumination:
    """Return an illumination with other directions, (S, 2), and the same weights."""
    places = iter(apertures.tolist())
    return Illumination(
        tuple(
            tuple(Source(y, x, s.weight) for s, (y, x) in zip(frame, places, strict=False))
            for frame in illumination.frames
        )
    )


def brought_inside(apertures: Vector, na: float) -> Vector:
    """Return directions, with those beyond the edge of the objective's aperture moved to it."""
    radius = np.linalg.norm(apertures, axis=1, keepdims=True)
    inside: Vector = apertures * np.minimum(1.0, na / np.maximum(radius, 1e-12))
    return inside
