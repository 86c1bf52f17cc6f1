"""The calibration of illuminations from the recording itself: its solvers, and its part of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.solvers.calibration.idt import IlluminationRefinement, RefinedIllumination, brought_inside
from napari_diner.solvers.calibration.spectral_circles import CircleFit, CircleSearch
from napari_diner.tasks.idt.calibration_settings import CalibrationSettings
from napari_diner.tasks.idt.optics import ComputedModels

Vector = npt.NDArray[np.float64]

# steps of frequency by which circles are blurred: the spectrum of a finite frame has no finer detail
_BLUR_STEPS = 1.5


@dataclass(frozen=True)
class IlluminationCalibration:
    """A calibration in progress.

    Parameters
    ----------
    settings
        What to estimate.
    given
        The illumination to start from; see `within_aperture`.
    likelihood_gain
        How much likelier the directions from the circles are than the given ones, as log-likelihood per frame.
    refined
        Result of the refinement.
    """

    settings: CalibrationSettings
    given: Illumination
    likelihood_gain: float | None = None
    refined: RefinedIllumination | None = None

    @property
    def searches_circles(self) -> bool:
        """Whether directions come from circles; with several sources in a frame they cannot."""
        return self.settings.illuminations != "given" and not _is_multiplexed(self.given)

    @property
    def refines(self) -> bool:
        """Whether directions or gains are refined."""
        return self.settings.illuminations == "refine" or self.settings.gain

    @property
    def together(self) -> bool:
        """Whether all directions move as one pattern."""
        return self.settings.move == "together"

    def circle_search(self, models: ComputedModels, data: Tensor) -> CircleSearch:
        """Return the solver that finds directions by circles."""
        return CircleSearch(
            data.cpu().numpy(),
            self.given.apertures,
            models.geometry,
            range_na=self.settings.search_na,
            together=self.together,
        )

    def refinement(self, models: ComputedModels, data: Tensor) -> IlluminationRefinement:
        """Return the solver that refines directions and gains."""
        return IlluminationRefinement(
            models.geometry,
            models.illumination,
            data.cpu(),
            directions=self.settings.illuminations == "refine",
            gain=self.settings.gain,
            together=self.together,
            range_na=self.settings.search_na,
            iterations=self.settings.iterations,
            dispersion=models.dispersion,
        )

    def from_circles(self, fit: CircleFit, models: ComputedModels) -> ComputedModels:
        """Return models with the directions from circles."""
        geometry, given = models.geometry, self.given.apertures
        apertures = brought_inside(fit.apertures, geometry.na)
        if self.settings.illuminations == "refine" and not self.together:
            # where circles are no farther away than their blur, the refinement starts from the given direction
            step_na = geometry.wavelength_um / (min(geometry.shape[1:]) * geometry.pixel_size_um)
            close = np.hypot(*(apertures - given).T) < _BLUR_STEPS * step_na
            apertures = np.where(close[:, None], given, apertures)
        return models.at(apertures)

    def report(self, illumination: Illumination) -> dict[str, object]:
        """Return the estimated illumination, and how far it is from the given one."""
        given, apertures = self.given.apertures, illumination.apertures
        away = apertures - given
        report: dict[str, object] = {
            "illuminations": self.settings.illuminations,
            "move": self.settings.move,
            "illuminations_na_given": given.tolist(),
            "illuminations_na": apertures.tolist(),
            "shifts_na": away.tolist(),
            "shift_deg": _angles_deg(given, apertures).tolist(),
            "mean_shift_na": away.mean(0).tolist(),
            "rms_shift_na": float(np.sqrt((away**2).sum(1).mean())),
            **_scale_and_rotation(given, apertures),
        }
        if self.likelihood_gain is not None:
            report["circles_log_likelihood_gain"] = self.likelihood_gain
        if self.refined is not None:
            report["gains"] = self.refined.gains.tolist()
            report["unexplained_rms"] = list(self.refined.unexplained_rms)
        return report


def check_calibration(settings: CalibrationSettings, illumination: Illumination) -> None:
    """Check that the illumination can be calibrated as the settings ask.

    Raises
    ------
    RecipeError
        If circles are to be found in frames with several sources.
    """
    if settings.illuminations == "circles" and _is_multiplexed(illumination):
        raise RecipeError(
            "Circles can be found only in frames with one source each; set {field} to refine",
            "calibration.illuminations",
        )


def without_gains(data: Tensor, gains: Vector) -> Tensor:
    """Return data g = I / I_background − 1, (N, Y, X), with the brightness of each frame divided by its gain."""
    scale = torch.from_numpy(gains.astype(np.float32)).to(data.device)[:, None, None]
    return (data + 1) / scale - 1


def _is_multiplexed(illumination: Illumination) -> bool:
    return len(illumination.apertures) != len(illumination)


def _angles_deg(first: Vector, second: Vector) -> Vector:
    """Return the angles between directions in air, (S,); directions that do not exist in air count as horizontal."""
    rays = [
        np.concatenate([one, np.sqrt(np.clip(1 - (one**2).sum(1, keepdims=True), 0, 1))], 1) for one in (first, second)
    ]
    # more precise for small angles than the arc cosine
    angles: Vector = np.rad2deg(2 * np.arcsin(np.clip(np.linalg.norm(rays[0] - rays[1], axis=1) / 2, 0, 1)))
    return angles


def _scale_and_rotation(given: Vector, found: Vector) -> dict[str, float]:
    """Return the least-squares scale and rotation (from +x towards +y) of a pattern."""
    if len(given) < 2:
        return {}
    before = (given - given.mean(0)) @ np.array([1j, 1])
    after = (found - found.mean(0)) @ np.array([1j, 1])
    energy = float((np.abs(before) ** 2).sum())
    if energy == 0:
        return {}
    ratio = complex((before.conj() * after).sum() / energy)
    return {"scale": abs(ratio), "rotation_deg": float(np.rad2deg(np.angle(ratio)))}
