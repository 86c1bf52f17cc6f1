"""Directions that are each slightly wrong, by which the frames predict each other badly; see `other_optics`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_diner.solvers.calibration.arrangement import Arrangement, ArrangementTest, Judged
from napari_diner.solvers.calibration.idt import IlluminationRefinement, moved
from napari_diner.solvers.calibration.spectral_circles import fitted_pattern
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.other_optics import FEW, FEWEST_FRAMES, OtherOptics, Recorded, thinned
from napari_diner.wording import digits

Vector = npt.NDArray[np.float64]

# error of prediction below which directions are right
_WELL_PREDICTED = 0.06
# sweeps of the refinement: two move each direction once; further ones if that lowers the error by this factor
_SWEEPS, _MORE_SWEEPS, _PROMISING = 2, 6, 0.92
# last step of the search in steps of frequency, and numbers of sources at which the search stays fast
_FINEST, _MOST_SOURCES = 0.2, 48
# the refinement lowers the error to 0.15 to 0.6 if directions are wrong, and to at least 0.72 if something else is
_BETTER = 0.66
_CURE = "calibration.illuminations: refine finds them, if pixel size and NA are right"
# part of the moves that a common shift, rotation and scale leave, below which they are the cause
_COMMON = 0.35


def moved_directions(models: ComputedModels, recorded: Recorded) -> OtherOptics | None:
    """Return directions near the given ones that fit much better; None if there are none.

    Each direction is moved on its own, by the first sweeps of `IlluminationRefinement`. Fields that continue beyond
    their edges are not looked at: there the frames hardly predict each other at the low frequencies that stand out of
    the noise, whatever the directions.

    Parameters
    ----------
    models
        Models with the given directions.
    recorded
        The frames.
    """
    if len(recorded) < FEWEST_FRAMES or not recorded.repeats:
        return None
    models, recorded = thinned(models, recorded)
    data = recorded.data
    if len(models.illumination.apertures) > _MOST_SOURCES:
        return None
    test = ArrangementTest(models.geometry, data, models.dispersion, FEW, source_na=models.source_na)
    (before,) = test.judge([Arrangement("as given", models.illumination)])
    if before.error < _WELL_PREDICTED:
        return None

    def after(sweeps: int) -> Judged:
        refinement = IlluminationRefinement(
            test.geometry,
            models.illumination,
            data,
            iterations=sweeps,
            dispersion=models.dispersion,
            source_na=models.source_na,
            frequencies=FEW,
            finest=_FINEST,
        )
        for _ in refinement.steps():
            pass
        return test.judge([Arrangement("moved", moved(models.illumination, refinement.apertures))])[0]

    found = after(_SWEEPS)
    if found.error > _PROMISING * before.error:
        return None
    found = min(found, after(_MORE_SWEEPS), key=lambda way: way.error)
    if found.error > _BETTER * before.error or not found.is_better_than(before):
        return None
    given, refined = models.illumination.apertures, found.arrangement.illumination.apertures
    return OtherOptics(moves_in_words(given, refined), before.error, found.error, _CURE)


def moves_in_words(given: Vector, refined: Vector) -> str:
    """Return by how much refined directions differ from the given ones, (S, 2) each."""
    moves = refined - given
    common = fitted_pattern(given, refined)
    size, rest = (float(np.sqrt((part**2).sum(1).mean())) for part in (moves, refined - common))
    degrees = f"{digits(math.degrees(math.asin(min(size, 1.0))), 1)}°"
    if rest > _COMMON * size:
        return f"directions that differ from the given ones by about {degrees} each"
    before, after = ((part - part.mean(0)) @ np.array([1j, 1]) for part in (given, common))
    turned = float(np.angle((before.conj() * after).sum(), deg=True))
    if abs(math.radians(turned)) * float(np.abs(before).mean()) > size / 2:
        return (
            f"all directions turned by about {digits(abs(turned), 1)}° {'clockwise' if turned > 0 else 'anticlockwise'}"
        )
    return f"all directions moved together by about {degrees}"
