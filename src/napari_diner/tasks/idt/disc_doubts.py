"""Pixel size, NA and directions that do not fit the discs in the spectra of the frames; see `spectral_discs`.

This also holds for fields that continue beyond their edges, where the frames hardly predict each other.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_diner.physics.idt.illumination import Illumination
from napari_diner.solvers.calibration.spectral_circles import CircleSearch, fitted_pattern
from napari_diner.solvers.calibration.spectral_discs import DiscFit, SpectralDiscs
from napari_diner.tasks.idt.moved_directions import moves_in_words
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.other_optics import Recorded, thinned
from napari_diner.wording import change

Vector = npt.NDArray[np.float64]

# frames, log-likelihood of each, and radius in steps of frequency, from which discs are seen at all
_FEWEST_FRAMES, _SEEN, _SMALLEST = 8, 20.0, 12.0
# discs are elsewhere if they gain this part of the evidence, and so many standard errors: 0.15 to 0.97, and 7 to 84, if
# pixels or apertures are wrong by 10 to 100 %; up to 0.13 if they are right, for strong samples
_GAIN, _SURE = 0.18, 6.0
# change of radius or distance that counts, also in steps of frequency; and that within which they are as expected, if
# hardly anything is gained; at the end of the search, discs may be elsewhere still
_CHANGED, _STEPS, _AS_EXPECTED, _NOTHING, _FARTHEST = 1.07, 1.5, 1.05, 0.05, 2.6
# ratio of the evidence from which other directions are right, and of their size within which they have a better name
_OTHER, _SAME = 1.05, 1.08
# range of the search for each direction; gain and standard errors from which the directions found there are better:
# 0.05 to 0.25 and 4 to 11 for errors of 2°, below 0.005 and 1 for right ones; and the least moves in steps of frequency
_RANGE_NA, _MOVED_GAIN, _SURE_OF_MOVES, _MOVED_STEPS = 0.05, 0.04, 3.5, 0.5
# part of the gain from which a common move is the cause, and what is left is the error of the search
_PATTERN = 0.8
# evidence of each frame from which discs are certain wherever they are; the part of it that given directions have if
# they are wrong, which is 0.06 to 0.3 for rings in place of grids and others, and above 1.2 if they are right; and how
# far most are then from the given ones, in apertures
_CERTAIN, _MISSED, _FAR = 40.0, 0.5, 0.25


@dataclass(frozen=True)
class DiscDoubt:
    """Another pixel size, NA or directions by the discs."""

    words: str
    cure: str = "check these"

    def __str__(self) -> str:
        return (
            f"the frames fit better with {self.words}, by the two discs that the objective's aperture leaves in the "
            f"spectrum of each frame; {self.cure}"
        )


class Discs:
    """What the discs in the spectra say; nothing if frames are few, or have several sources.

    Parameters
    ----------
    models
        Models with the given directions.
    recorded
        The frames.
    """

    def __init__(self, models: ComputedModels, recorded: Recorded) -> None:
        self._of_all, self._recorded = models, recorded
        self._models, some = thinned(models, recorded)
        self._frames = some.part.numpy()
        geometry = self._models.geometry
        self._geometry = replace(geometry, shape=(geometry.shape[0], *self._frames.shape[1:]))

    @property
    def scale_is_right(self) -> bool:
        """Whether the discs have their expected size and place."""
        fit = self._fit
        return fit is not None and fit.gain < _NOTHING and not _differs(fit, _AS_EXPECTED)

    def scale(self, other: Illumination | None) -> DiscDoubt | None:
        """Return another scale of pixels or apertures; None if there is none.

        Parameters
        ----------
        other
            Other directions, that explain everything if their discs fit better.
        """
        fit = self._fit
        if fit is None or fit.gain < _GAIN or fit.standard_errors < _SURE:
            return None
        if fit.moved_steps < _STEPS or not _differs(fit, _CHANGED) or _differs(fit, _FARTHEST):
            return None
        if other is not None and (best := self._best(self._thinned(other))) is not None:
            larger = _largest(other) / _largest(self._of_all.illumination)
            named = replace(fit, distance=fit.distance / larger)
            if best.evidence > _OTHER * fit.evidence or not _differs(named, _SAME):
                return None
        return DiscDoubt(_scale_in_words(fit, self._geometry.na))

    def moved(self) -> DiscDoubt | None:
        """Return directions near the given ones, each or all together elsewhere; None if there are none."""
        fit = self._fit
        if fit is None or fit.gain > _GAIN:
            return None
        given = self._models.illumination.apertures
        search = CircleSearch(self._frames, given, self._geometry, range_na=_RANGE_NA)
        for _ in search.steps():
            pass
        found = search.current().apertures
        pattern = fitted_pattern(given, found)
        unit = search.step * self._geometry.wavelength_um
        each, together = self._gained(found), self._gained(pattern)
        if _size(found - pattern) >= _MOVED_STEPS * unit and together.gain < _PATTERN * each.gain:
            best, words, cure = each, moves_in_words(given, found), "circles finds them"
        elif _size(pattern - given) >= _MOVED_STEPS * unit:
            best, words = together, moves_in_words(given, pattern)
            cure = "circles finds them, with calibration.move: together"
        else:
            return None
        if best.gain < _MOVED_GAIN or best.standard_errors < _SURE_OF_MOVES:
            return None
        return DiscDoubt(words, f"calibration.illuminations: {cure}")

    def _gained(self, apertures: Vector) -> DiscFit:
        """Return what the discs of other directions, (N, 2), gain."""
        before, after = self._discs(self._models.illumination.apertures), self._discs(apertures)
        likelihoods, none = after.likelihoods(1.0, 1.0), after.likelihoods(0.0, 1.0)
        return DiscFit(1.0, 1.0, likelihoods - before.likelihoods(1.0, 1.0), float((likelihoods - none).sum()))

    def elsewhere(self) -> DiscDoubt | None:
        """Return that there are discs, but far from the given directions; None if there are none."""
        if not self._can_be_seen(self._models.illumination):
            return None
        given, na = self._models.illumination.apertures, self._geometry.na
        discs = self._discs(given)
        centres = discs.anywhere()
        none = discs.likelihoods(0.0, 1.0)
        evidence = float((discs.likelihoods(1.0, 1.0, centres=centres) - none).sum())
        if evidence < _CERTAIN * len(given) or float((discs.likelihoods(1.0, 1.0) - none).sum()) > _MISSED * evidence:
            return None
        found = centres * self._geometry.wavelength_um / self._geometry.pixel_size_um
        apart = np.minimum(np.hypot(*(found - given).T), np.hypot(*(found + given).T))
        if np.median(apart) < _FAR * na:
            return None
        return DiscDoubt(
            "other directions of light than those given",
            "check whether the list of directions, or the ring, is that of this recording",
        )

    @functools.cached_property
    def _fit(self) -> DiscFit | None:
        return self._best(self._models.illumination)

    def _best(self, illumination: Illumination) -> DiscFit | None:
        """Return the discs that fit best; None if there are hardly any."""
        if not self._can_be_seen(illumination):
            return None
        fit = self._discs(illumination.apertures).best()
        return fit if fit.evidence > _SEEN * len(self._frames) else None

    def _can_be_seen(self, illumination: Illumination) -> bool:
        """Return whether discs are large enough, and those of single sources in enough frames."""
        steps = self._geometry.cutoff * self._geometry.pixel_size_um * min(self._frames.shape[1:])
        if steps < _SMALLEST or len(self._frames) < _FEWEST_FRAMES:
            return False
        return all(len(frame) == 1 for frame in illumination.frames)

    def _discs(self, apertures: Vector) -> SpectralDiscs:
        geometry = self._geometry
        per_pixel = geometry.pixel_size_um / geometry.wavelength_um
        return SpectralDiscs(self._frames, apertures * per_pixel, geometry.na * per_pixel)

    def _thinned(self, other: Illumination) -> Illumination:
        return thinned(replace(self._of_all, illumination=other), self._recorded)[0].illumination


def _size(moves: Vector) -> float:
    """Return the root mean square of moves, (N, 2)."""
    return float(np.sqrt((moves**2).sum(1).mean()))


def _largest(illumination: Illumination) -> float:
    """Return the largest numerical aperture of all directions."""
    return float(np.hypot(*illumination.apertures.T).max())


def _differs(fit: DiscFit, by: float) -> bool:
    """Whether radius or distance differ from those expected by more than a factor."""
    return max(abs(math.log(fit.radius)), abs(math.log(fit.distance))) > math.log(by)


def _scale_in_words(fit: DiscFit, na: float) -> str:
    """Return which other scale has discs of the radius and distance of a fit, for an objective of some NA."""
    if abs(math.log(fit.radius / fit.distance)) < math.log(_AS_EXPECTED):
        factor = math.sqrt(fit.radius * fit.distance)
        return f"pixels about {change(factor)}, or wavelength or numerical apertures about {change(1 / factor)}"
    words = []
    if abs(math.log(fit.radius)) >= math.log(_AS_EXPECTED):
        words.append(f"an NA of the objective of about {na * fit.radius:.2f}")
    if abs(math.log(fit.distance)) >= math.log(_AS_EXPECTED):
        words.append(f"the sines of all directions about {change(fit.distance)}")
    return " and ".join(words)
