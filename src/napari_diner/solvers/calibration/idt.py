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
from napari_diner.physics.idt.transfer import Dispersion
from napari_diner.solvers.calibration.frame_spectra import COMPLEX, MOST_FREQUENCIES, FrameSpectra
from napari_diner.solvers.calibration.pupil import PupilEquations, PupilSearch, RefinedPupil, pupil_equations
from napari_diner.solvers.calibration.spectral_circles import fitted_pattern
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

Vector = npt.NDArray[np.float64]

# sweeps before which α and τ² are chosen
_CHOICES = (1, 2, 3, 4, 5, 6, 8, 10, 14)
# the finest step of a search, and the first step except in the first sweeps, in steps of frequency
_FINEST = 0.04
_FIRST_LATER = 0.4
# root mean square change, in steps of frequency, below which the sweeps end
_SETTLED = 0.03
# the largest change of a coefficient of the pupil below which they do; sweeps before which directions move only if it
# is below the second number, as wrong phases would mislead them; and absorption of another kind of object
_SETTLED_RAD, _LEADING, _LED_RAD = 0.003, 8, 0.03
_TRANSPARENT = 0.3
# least α over the mean power of M at the first sweep with a pupil, and its factor from one to the next: with little
# noise, the object would explain any pupil
_LEAST_ALPHA, _COOLING = 0.3, 0.2
_DOF = 4.0


@dataclass(frozen=True)
class RefinedIllumination:
    """Illuminations and gains."""

    apertures: Vector
    """(NA_y, NA_x) of each source, (S, 2)."""
    gains: Vector
    """Brightness of each frame relative to its background, (N,); their geometric mean is one."""
    unexplained_rms: tuple[float, float]
    """Root mean square difference per pixel between frames and predictions, at the first and the last step."""
    pupil: RefinedPupil | None = None
    """The pupil, if it was refined."""


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
    directions, gain, pupil
        Quantities to refine; the modes of the `pupil` are those from 5 to at least 11.
    together
        Move all directions as one pattern: shifted, rotated and scaled.
    range_na
        Search range about the initial directions.
    iterations
        Maximum number of sweeps over all frames.
    dispersion, source_na
        As in `FrameSpectra`.
    frequencies
        Maximum number of frequencies.
    finest
        Last step of the search for a direction, in steps of frequency.
    """

    kept = (
        "apertures", "gains", "_unexplained", "alpha", "object_power", "_sweep", "_change", "_converged", "_first",
        "_chance", "_order", "_is_led", "_pupil",
    )  # fmt: skip
    answer = ("apertures", "gains", "_unexplained", "_pupil")

    def __init__(
        self,
        geometry: VolumeGeometry,
        illumination: Illumination,
        data: Tensor,
        *,
        directions: bool = True,
        gain: bool = False,
        pupil: bool = False,
        together: bool = False,
        range_na: float = 0.05,
        iterations: int = 12,
        dispersion: Dispersion = "exact",
        source_na: float = 0.0,
        frequencies: int = MOST_FREQUENCIES,
        finest: float = _FINEST,
    ) -> None:
        self._geometry = geometry
        self.illumination = illumination
        self.directions, self.gain, self.together = directions, gain, together
        self.range_na = range_na
        self.iterations = iterations + _LEADING * pupil
        self.dispersion = dispersion
        self._pupil = PupilSearch(geometry.zernike_rad) if pupil else None
        self.start = illumination.apertures
        self.apertures = self.start.copy()
        self.gains = np.ones(len(illumination))
        self._unexplained = (math.nan, math.nan)
        self._sweep, self._change, self._converged = 0, math.inf, False
        self._first = range_na / 3
        self._chance = np.random.default_rng(0)
        self._order = self._chance.permutation(len(self.start))
        self._is_led = not pupil
        self._least_alpha = 0.0
        self._finest = finest
        self._spectra = FrameSpectra(
            geometry, data, with_mean=gain, dispersion=dispersion, source_na=source_na, frequencies=frequencies
        )
        bands = len(self._spectra.bands)
        self.alpha = torch.full((bands,), math.nan, dtype=torch.float64)
        """α of each band of frequencies, (B,)."""
        self.object_power = torch.ones(bands, dtype=torch.float64)
        """τ² of each band, (B,)."""

    def result(self) -> RefinedIllumination:
        """Return the current directions and gains; with `together`, a pattern fitted to independent directions."""
        apertures = self.apertures.copy()
        if self.together and self.directions:
            apertures = brought_inside(fitted_pattern(self.start, apertures), self.geometry.na)
        pupil = None if self._pupil is None else self._pupil.result()
        return RefinedIllumination(apertures, self.gains.copy(), self._unexplained, pupil)

    current = result

    @property
    def geometry(self) -> VolumeGeometry:
        """The volume and the objective, with the current pupil."""
        return self._geometry if self._pupil is None else self._pupil.of(self._geometry)

    @torch.no_grad()
    def steps(self) -> Iterator[Step]:
        """Sweep over all frames until convergence; the loss is the RMS difference between frames and predictions."""
        unit = self._spectra.step * self.geometry.wavelength_um
        sources = len(self.start)
        while self._sweep < self.iterations and not self._converged:
            sweep = self._sweep + 1
            self._least_alpha = 0.0 if self._pupil is None else _LEAST_ALPHA * _COOLING**self._sweep
            if sweep in _CHOICES:
                self.alpha, self.object_power = self._variances()
            turned = 0.0
            if self._pupil is not None:
                turned = self._pupil.advance(self._equations(self._pupil, (self.alpha, self.object_power)))
            self._is_led = self._is_led or turned < _LED_RAD or sweep > _LEADING
            prediction = self._predict()
            self._unexplained = (self._unexplained[0] if sweep > 1 else prediction.loss, prediction.loss)
            apertures = self.apertures.copy()
            # half of them at a time, so that frames do not chase each other
            half = -(-sources // 2)
            self._order = np.roll(self._order, half) if sweep % 2 == 0 else self._chance.permutation(sources)
            turn = self._order[:half] if self.directions and self._is_led else self._order[:0]
            for number, source in enumerate(turn):
                apertures[source] = self._search(source, prediction, self._first)
                yield Step(sweep, self.iterations, prediction.loss, (number + 1) / (sources + 1))
            if self.gain:
                self.gains *= self._brighter(prediction)
                self.gains /= np.exp(np.log(self.gains).mean())
            change = float(np.sqrt(((apertures - self.apertures) ** 2).sum(1).mean())) / unit
            self.apertures = apertures
            self._first = _FIRST_LATER * unit if sweep > 1 else self._first
            change = max(change, _SETTLED * turned / _SETTLED_RAD)
            self._converged = max(change, self._change) < _SETTLED
            self._sweep, self._change = sweep, change
            yield Step(sweep, self.iterations, prediction.loss, resumable=True)
        if self._pupil is not None and not math.isnan(float(self.alpha[0])):
            present = self._equations(self._pupil, (self.alpha, self.object_power), with_directions=self.directions)
            other = self._equations(self._pupil, self._variances(_TRANSPARENT), _TRANSPARENT)
            self._pupil.finish(present, other)

    def _equations(
        self,
        pupil: PupilSearch,
        variances: tuple[Tensor, Tensor],
        absorption: float = 1.0,
        with_directions: bool = False,
    ) -> PupilEquations:
        """Return the equations of the pupil, by α and τ² of each band, with or without those of the directions."""
        alpha, power = (self._spectra.by_frequency(of_bands) for of_bands in variances)
        moves = self.range_na * (self._pattern_moves() if self.together else np.eye(self.start.size))
        return pupil_equations(
            self._spectra,
            self.geometry,
            moved(self.illumination, self.apertures),
            self._spectra.data(self.gains),
            (alpha, power),
            pupil.modes,
            moves if with_directions else None,
            absorption,
        )

    def _pattern_moves(self) -> Vector:
        """Return shifts, rotation and scaling of the pattern, (2S, 4)."""
        y, x = (self.start / np.abs(self.start).max(initial=1e-12)).T
        zero, one = np.zeros_like(y), np.ones_like(y)
        moves = np.array([[one, zero], [zero, one], [x, -y], [y, x]])
        return moves.transpose(2, 1, 0).reshape(-1, 4)

    def _variances(self, absorption: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return α and τ² of each band by maximum likelihood, (B,) each."""
        illumination = moved(self.illumination, self.apertures)
        matrix = self._spectra.matrix(self.geometry, illumination, absorption).to(torch.complex128)
        products, data = matrix @ matrix.mH, self._spectra.data(self.gains)
        frames = data.shape[1]
        eye = torch.eye(frames, dtype=products.dtype)
        alphas, powers = torch.empty_like(self.alpha), torch.empty_like(self.object_power)
        for place, band in enumerate(self._spectra.bands):
            part, y, shares = products[band], data[band], self._spectra.shares[band]
            scale = float(part.diagonal(dim1=1, dim2=2).real.mean()) + 1e-12
            count = float(shares.sum()) * frames
            best = math.inf
            for alpha in np.geomspace(max(1e-5, self._least_alpha), 10, 16) * scale:
                factor = torch.linalg.cholesky(part + alpha * eye)
                solved = torch.linalg.solve_triangular(factor, y[..., None], upper=False)[..., 0]
                power = float((solved.abs().square().sum(1) * shares).sum()) / count
                spread = 2 * float((factor.diagonal(dim1=1, dim2=2).real.log().sum(1) * shares).sum())
                value = count * math.log(power + 1e-300) + spread
                if value < best:
                    best, alphas[place], powers[place] = value, float(alpha), max(power, 1e-300)
        return alphas, powers

    def _predict(self) -> _Prediction:
        """Return the prediction of each frame by all others."""
        data = self._spectra.data(self.gains)
        matrix = self._spectra.matrix(self.geometry, moved(self.illumination, self.apertures))
        alpha, power = self._spectra.by_frequency(self.alpha), self._spectra.by_frequency(self.object_power)
        wide = matrix.to(torch.complex128)
        covariance = wide @ wide.mH + alpha[:, None, None] * torch.eye(data.shape[1], dtype=torch.complex128)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        solved = (inverse @ data[..., None])[..., 0]
        diagonal = inverse.diagonal(dim1=1, dim2=2).real
        differences = solved / diagonal
        # C y without frame i, by subtracting the column of frame i
        without = solved[..., None] - inverse * differences[:, None]
        volumes = matrix.mH @ without.to(COMPLEX)
        variances = 1 / diagonal
        inside = matrix.abs().amax(-1) > 0
        usual = (variances * inside).sum(1) / inside.sum(1).clamp_min(1)
        usual = torch.maximum(usual, alpha * 1.0001)
        pixels = self.geometry.shape[1] * self.geometry.shape[2]
        total = (differences.abs().square() * self._spectra.shares[:, None]).sum() / (
            self._spectra.shares.sum() * data.shape[1]
        )
        return _Prediction(
            data.to(COMPLEX),
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
        rest = torch.zeros(len(self._spectra.fy), dtype=COMPLEX)
        covered = torch.zeros(len(self._spectra.fy), dtype=torch.bool)
        for other in np.flatnonzero(self.illumination.frame_of_source == frame).tolist():
            if other != source:
                scattered, inside = self._scattered(self.apertures[other], sides)
                rest += float(self.illumination.weights[other]) * scattered
                covered |= inside
        y = prediction.data[:, frame] - rest
        unit = self._spectra.step * self.geometry.wavelength_um
        at: Vector = self.apertures[source]
        step, reach = max(first, self._finest * unit), 3
        tried: dict[tuple[float, float], float] = {}
        while step >= self._finest * unit:
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
                tried[key] = -float(((_DOF * (wrong / _DOF).log1p() + variance.log()) * self._spectra.shares).sum())
                if tried[key] >= max(tried.values()):
                    at = place
            step /= 2
            reach = 2
        return at

    def _scattered(self, aperture: Vector, sides: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the responses to one source for Δε_re ± jΔε_im, (K, Z), and passing frequencies, (K,)."""
        total = torch.zeros(len(self._spectra.fy), dtype=COMPLEX)
        inside = torch.zeros(len(self._spectra.fy), dtype=torch.bool)
        for sign, side in zip((1, -1), sides, strict=True):
            a, phases, passes = self._spectra.side(self.geometry, (aperture[0], aperture[1]), sign)
            total[passes] += a * (phases * side[passes]).sum(1)
            inside |= passes
        return total, inside

    def _brighter(self, prediction: _Prediction) -> Vector:
        """Return the brightness of each frame relative to its prediction by the others, (N,)."""
        weights = self._spectra.shares[:, None] / (prediction.power[:, None] * prediction.variances)
        matrix = self._spectra.matrix(self.geometry, moved(self.illumination, self.apertures))
        predicted = (
            torch.einsum("knz,kzn->kn", matrix, prediction.volumes).to(torch.complex128) + self._spectra.mean[:, None]
        )
        recorded = prediction.data.to(torch.complex128) + self._spectra.mean[:, None]
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
