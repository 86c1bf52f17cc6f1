"""Find the directions and the brightness of the illuminations from the recording itself, as a recipe asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import EDGE, Illumination
from napari_diner.solvers.calibration.idt import Refined, Refinement, moved
from napari_diner.solvers.calibration.spectral_circles import CircleSearch
from napari_diner.solvers.step import Step
from napari_diner.tasks.idt.recipe import IdtRecipe

Frames = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

# steps of frequency that circles are blurred by: the spectrum of a finite frame has no finer detail
_BLUR_STEPS = 1.5


class Calibration:
    """A calibration in progress: go through `steps`, then take what was found.

    Parameters
    ----------
    recipe
        A complete recipe; its section ``calibration`` says what to find.
    illumination
        The illumination that the recipe gives; see `within_aperture`.
    contrast
        g = I / I_background − 1, (N, Y, X).

    Raises
    ------
    RecipeError
        If circles are to be found in frames with several sources.
    """

    def __init__(self, recipe: IdtRecipe, illumination: Illumination, contrast: Frames) -> None:
        self.settings = recipe.calibration
        self.recipe = recipe
        self.given = illumination
        self._contrast = contrast
        self._apertures = illumination.apertures
        self._refined: Refined | None = None
        self._likelier: float | None = None
        self._unexplained: list[float] = []
        self._with_circles = self.settings.illuminations != "given" and not _multiplexed(illumination)
        if self.settings.illuminations == "circles" and not self._with_circles:
            raise RecipeError(
                "Circles are looked for in frames with one source each; set calibration.illuminations to refine"
            )

    def steps(self) -> Iterator[tuple[str, Step]]:
        """Do the work; yields the stage, ``circles`` or ``refinement``, and where it stands."""
        recipe, settings = self.recipe, self.settings
        geometry = recipe.geometry((recipe.slice_count, *self._contrast.shape[1:]))
        together = settings.move == "together"
        if self._with_circles:
            search = CircleSearch(
                self._contrast,
                self._apertures,
                pixel_size_um=geometry.pixel_size_um,
                wavelength_um=geometry.wavelength_um,
                na=geometry.na,
                range_na=settings.search_na,
                together=together,
            )
            for step in search.steps():
                yield "circles", step
            self._likelier = search.likelihood_gain()
            self._apertures = _brought_inside(search.apertures, geometry.na)
        refines = settings.illuminations == "refine"
        if refines and self._with_circles and not together:
            self._keep_what_circles_cannot_tell(search.step * geometry.wavelength_um)
        if not (refines or settings.gain):
            return
        refinement = Refinement(
            geometry,
            moved(self.given, self._apertures),
            torch.from_numpy(self._contrast),
            directions=refines,
            gain=settings.gain,
            together=together,
            range_na=settings.search_na,
            iterations=settings.iterations,
            dispersion=recipe.dispersion,
        )
        for step in refinement.steps():
            self._unexplained.append(step.loss)
            yield "refinement", step
        self._refined = refinement.result()
        self._apertures = self._refined.apertures

    def _keep_what_circles_cannot_tell(self, step_na: float) -> None:
        """Let the refinement start from the directions given where circles are no more than their blur away."""
        given = self.given.apertures
        close = np.hypot(*(self._apertures - given).T) < _BLUR_STEPS * step_na
        self._apertures = np.where(close[:, None], given, self._apertures)

    @property
    def illumination(self) -> Illumination:
        """The illumination found so far."""
        return moved(self.given, self._apertures)

    @property
    def contrast(self) -> Frames:
        """The data with the gains taken off, (N, Y, X)."""
        if self._refined is None or not self.settings.gain:
            return self._contrast
        gains = self._refined.gains.astype(np.float32)[:, None, None]
        corrected: Frames = (self._contrast + 1) / gains - 1
        return corrected

    def report(self) -> dict[str, Any]:
        """Return what was found, and how far it is from what was given."""
        given = self.given.apertures
        away = self._apertures - given
        report: dict[str, Any] = {
            "illuminations": self.settings.illuminations,
            "move": self.settings.move,
            "illuminations_na_given": given.tolist(),
            "illuminations_na": self._apertures.tolist(),
            "shifts_na": away.tolist(),
            "shift_deg": _angles_deg(given, self._apertures).tolist(),
            "mean_shift_na": away.mean(0).tolist(),
            "rms_shift_na": float(np.sqrt((away**2).sum(1).mean())),
            **_growth_and_turn(given, self._apertures),
        }
        if self._likelier is not None:
            report["circles_log_likelihood_gain"] = self._likelier
        if self._refined is not None:
            report["gains"] = self._refined.gains.tolist()
            report["unexplained_rms"] = [self._unexplained[0], self._unexplained[-1]]
        return report


def within_aperture(recipe: IdtRecipe, illumination: Illumination) -> tuple[Illumination, list[str]]:
    """Return an illumination to start a calibration with, and what is to be said of it.

    Directions that are outside the objective's aperture by less than the search range are moved to its edge; farther
    ones, and all if there are no directions to find, are left for the model to refuse.
    """
    apertures = illumination.apertures
    if recipe.calibration.illuminations == "given" or recipe.na is None:
        return illumination, []
    radius = np.hypot(*apertures.T)
    beyond = (radius > recipe.na * (1 + EDGE)) & (radius <= recipe.na + recipe.calibration.search_na)
    if not beyond.any():
        return illumination, []
    apertures[beyond] = _brought_inside(apertures[beyond], recipe.na)
    return moved(illumination, apertures), [
        f"{beyond.sum()} of the directions given are outside the objective's NA; the calibration starts at its edge"
    ]


def _brought_inside(apertures: Vector, na: float) -> Vector:
    radius = np.linalg.norm(apertures, axis=1, keepdims=True)
    inside: Vector = apertures * np.minimum(1.0, na / np.maximum(radius, 1e-12))
    return inside


def _multiplexed(illumination: Illumination) -> bool:
    return len(illumination.apertures) != len(illumination)


def _angles_deg(first: Vector, second: Vector) -> Vector:
    """Return the angles between directions in air, (S,); of such as air does not have, those at the horizon."""
    rays = [
        np.concatenate([one, np.sqrt(np.clip(1 - (one**2).sum(1, keepdims=True), 0, 1))], 1) for one in (first, second)
    ]
    # more precise for small angles than the arc of the cosine
    angles: Vector = np.rad2deg(2 * np.arcsin(np.clip(np.linalg.norm(rays[0] - rays[1], axis=1) / 2, 0, 1)))
    return angles


def _growth_and_turn(given: Vector, found: Vector) -> dict[str, float]:
    """Return by how much a pattern has grown and turned (from +x towards +y), in the least squares."""
    if len(given) < 2:
        return {}
    before = (given - given.mean(0)) @ np.array([1j, 1])
    after = (found - found.mean(0)) @ np.array([1j, 1])
    energy = float((np.abs(before) ** 2).sum())
    if energy == 0:
        return {}
    ratio = complex((before.conj() * after).sum() / energy)
    return {"scale": abs(ratio), "rotation_deg": float(np.rad2deg(np.angle(ratio)))}
