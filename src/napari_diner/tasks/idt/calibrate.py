"""Self-calibration of illuminations and pupil: its solvers, and its part of the report."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.zernike import FIRST_MODE
from napari_diner.solvers.calibration.idt import IlluminationRefinement, RefinedIllumination, brought_inside
from napari_diner.solvers.calibration.spectral_circles import CircleFit, CircleSearch
from napari_diner.tasks.idt.calibration_settings import CalibrationSettings
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.other_optics import Recorded, other_pupil

Vector = npt.NDArray[np.float64]

# steps of frequency by which circles are blurred: the spectrum of a finite frame has no finer detail
_BLUR_STEPS = 1.5
# standard error of a mode of the pupil that the frames leave open
_UNSEEN_RAD = 0.5


@dataclass(frozen=True)
class IlluminationCalibration:
    """A calibration in progress."""

    settings: CalibrationSettings
    """Settings of the calibration."""
    given: Illumination
    """Initial illumination; see `within_aperture`."""
    models: ComputedModels
    """Models with the current estimate of the illumination."""
    likelihood_gain: float | None = None
    """Log-likelihood per frame of the directions from circles, relative to the nominal ones."""
    refined: RefinedIllumination | None = None
    """Result of the refinement."""

    @classmethod
    def of(cls, settings: CalibrationSettings, models: ComputedModels) -> IlluminationCalibration:
        """Return the calibration of the illumination of models.

        Raises
        ------
        RecipeError
            If directions are to come from circles in frames with several sources.
        """
        calibration = cls(settings, models.illumination, models)
        if settings.illuminations == "circles" and not calibration.searches_circles:
            raise RecipeError(
                "Circles can be found only in frames with one source each; set {field} to refine",
                "calibration.illuminations",
            )
        return calibration

    @property
    def searches_circles(self) -> bool:
        """Whether directions come from circles; with several sources in a frame they cannot."""
        return self.settings.illuminations != "given" and len(self.given.apertures) == len(self.given)

    def circle_search(self, data: Tensor) -> CircleSearch:
        """Return the solver that estimates directions from circles in data, (N, Y, X)."""
        return CircleSearch(
            data.cpu().numpy(),
            self.given.apertures,
            self.models.geometry,
            range_na=self.settings.search_na,
            together=self.settings.move == "together",
        )

    def refinement(self, data: Tensor) -> IlluminationRefinement:
        """Return the solver that refines directions, gains and pupil by data, (N, Y, X)."""
        settings = self.settings
        return IlluminationRefinement(
            self.models.geometry,
            self.models.illumination,
            data.cpu(),
            directions=settings.illuminations == "refine",
            gain=settings.gain,
            pupil=settings.pupil,
            together=settings.move == "together",
            range_na=settings.search_na,
            iterations=settings.iterations,
            dispersion=self.models.dispersion,
            source_na=self.models.source_na,
        )

    def with_circles(self, fit: CircleFit) -> IlluminationCalibration:
        """Return the calibration with directions from circles."""
        geometry, nominal = self.models.geometry, self.given.apertures
        apertures = brought_inside(fit.apertures, geometry.na)
        if self.settings.illuminations == "refine" and self.settings.move == "each":
            # for circles within their blur of the nominal ones, the refinement starts from the nominal direction
            step_na = geometry.wavelength_um / (min(geometry.shape[1:]) * geometry.pixel_size_um)
            close = np.hypot(*(apertures - nominal).T) < _BLUR_STEPS * step_na
            apertures = np.where(close[:, None], nominal, apertures)
        return replace(self, models=self.models.at(apertures), likelihood_gain=fit.likelihood_gain)

    def with_refinement(self, refined: RefinedIllumination) -> IlluminationCalibration:
        """Return the calibration with refined directions, gains and pupil."""
        models = self.models.at(refined.apertures)
        if refined.pupil is not None:
            models = models.aberrated(refined.pupil.zernike_rad)
        return replace(self, models=models, refined=refined)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence about modes of the pupil that the frames do not determine."""
        pupil = None if self.refined is None else self.refined.pupil
        if pupil is None:
            return ()
        unseen = [str(mode) for mode, error in enumerate(pupil.zernike_rad_se, FIRST_MODE) if error > _UNSEEN_RAD]
        if not unseen:
            return ()
        modes = f"modes {', '.join(unseen)}" if len(unseen) > 1 else f"mode {unseen[0]}"
        return (f"the frames do not determine the Zernike {modes} of the pupil, which may be wrong by over 0.5 rad",)

    def doubts(self, data: Tensor) -> tuple[str, ...]:
        """Return warnings about a refinement by data, (N, Y, X): sentences without a full stop."""
        if not self.settings.refines or self.settings.pupil:
            return self.warnings
        other = other_pupil(self.models, Recorded(data.cpu()))
        if other is None:
            return self.warnings
        return (
            *self.warnings,
            f"with the refined directions, {other}; the directions may have moved to make up for the aberrations",
        )

    def without_gains(self, data: Tensor) -> Tensor:
        """Return data g = I / I_background − 1, (N, Y, X), with the brightness of frames divided by their gains."""
        if self.refined is None or not self.settings.gain:
            return data
        gains = torch.from_numpy(self.refined.gains.astype(np.float32)).to(data.device)
        return (data + 1) / gains[:, None, None] - 1

    def report(self) -> dict[str, object]:
        """Return the estimated illumination, and its difference from the nominal one."""
        nominal, apertures = self.given.apertures, self.models.illumination.apertures
        away = apertures - nominal
        report: dict[str, object] = {
            "illuminations": self.settings.illuminations,
            "move": self.settings.move,
            "illuminations_na_given": nominal.tolist(),
            "illuminations_na": apertures.tolist(),
            "shifts_na": away.tolist(),
            "shift_deg": _angles_deg(nominal, apertures).tolist(),
            "mean_shift_na": away.mean(0).tolist(),
            "rms_shift_na": float(np.sqrt((away**2).sum(1).mean())),
            **_scale_and_rotation(nominal, apertures),
        }
        if self.likelihood_gain is not None:
            report["circles_log_likelihood_gain"] = self.likelihood_gain
        if self.refined is not None:
            report["gains"] = self.refined.gains.tolist()
            report["unexplained_rms"] = list(self.refined.unexplained_rms)
            pupil = self.refined.pupil
            if pupil is not None:
                report["zernike_modes"] = list(range(FIRST_MODE, FIRST_MODE + len(pupil.zernike_rad)))
                report["zernike_rad"] = list(pupil.zernike_rad)
                report["zernike_rad_se"] = list(pupil.zernike_rad_se)
                report["pupil_rms_rad"] = float(np.linalg.norm(pupil.zernike_rad))
        return report


def _angles_deg(first: Vector, second: Vector) -> Vector:
    """Return the angles between directions in air, (S,); directions that do not exist in air count as horizontal."""
    rays = [
        np.concatenate([one, np.sqrt(np.clip(1 - (one**2).sum(1, keepdims=True), 0, 1))], 1) for one in (first, second)
    ]
    # more precise for small angles than the arc cosine
    angles: Vector = np.rad2deg(2 * np.arcsin(np.clip(np.linalg.norm(rays[0] - rays[1], axis=1) / 2, 0, 1)))
    return angles


def _scale_and_rotation(nominal: Vector, estimated: Vector) -> dict[str, float]:
    """Return the least-squares scale and rotation (from +x towards +y) of a pattern."""
    if len(nominal) < 2:
        return {}
    before = (nominal - nominal.mean(0)) @ np.array([1j, 1])
    after = (estimated - estimated.mean(0)) @ np.array([1j, 1])
    energy = float((np.abs(before) ** 2).sum())
    if energy == 0:
        return {}
    ratio = complex((before.conj() * after).sum() / energy)
    return {"scale": abs(ratio), "rotation_deg": float(np.rad2deg(np.angle(ratio)))}
