"""Another pixel size, NA, pupil or place of the slices, by which the frames predict each other much better."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.padding import fading
from napari_diner.solvers.calibration.arrangement import Arrangement, ArrangementTest, Judged
from napari_diner.solvers.calibration.field_spectrum import FieldSpectrum
from napari_diner.solvers.calibration.other_pupils import better_pupil
from napari_diner.tasks.idt.crop import busiest
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.surround import repeat
from napari_diner.wording import change, digits

FEW = 200
"""Frequencies sufficient for a warning."""
ALIKE = 1.02
"""Errors that differ by less than this factor count as equal."""
EDGE_PERIODS = 10.0
"""Periods across the field below which edges hide phases."""
# pixels across a part of a field: oblique light displaces slices, out of a part that is too small, and fading hides
# less of a large one; and fewest slices of a part of a volume
_SIDE, _FEWEST_SLICES = 512, 4
# candidates for the pixel size, and for the aperture relative to that of the most oblique direction, number of
# frames; another scale must halve the error, or lower it clearly and by so many standard errors: 7.6 to 40 if it is the
# right one, below 5 if not
_PIXELS, _BETWEEN, _NAS = np.geomspace(0.05, 20, 61), np.geomspace(0.95, 1 / 0.95, 7), np.linspace(1.02, 1.5, 13)
FEWEST_FRAMES, _MOST_SCALED, _MUCH_BETTER, _BETTER, _SURE_OF_SCALE = 12, 24, 0.5, 0.8, 6.0


@dataclass(frozen=True)
class OtherOptics:
    """Another pixel size, NA or pupil, with much better mutual predictions of the frames."""

    words: str
    before: float
    after: float
    cure: str = "check these"

    def __str__(self) -> str:
        return (
            f"the frames fit better with {self.words}: each frame is predicted from the others to within "
            f"{self.after:.0%} of its signal instead of {self.before:.0%}; {self.cure}"
        )


def other_pupil(models: ComputedModels, recorded: Recorded) -> OtherOptics | None:
    """Return another pupil of the objective that fits much better; None if there is none."""
    if len(recorded) < FEWEST_FRAMES:
        return None
    models, recorded = thinned(models, recorded)
    way, geometry = Arrangement("as given", models.illumination), models.geometry

    best: tuple[Judged, Judged, float] | None = None
    # low frequencies stand out of the noise, but contain the edges of fields that continue beyond them
    for periods in (0.0, EDGE_PERIODS):

        def judged(zernike_rad: tuple[float, ...], periods: float = periods) -> Judged:
            return test_of(models.aberrated(zernike_rad), recorded, FEW, periods).judge([way])[0]

        if not test_of(models, recorded, FEW, periods).is_rich:
            continue
        before = judged(geometry.zernike_rad)
        after, rms_rad = better_pupil(judged, geometry.zernike_rad)
        gain = after.error / before.error
        if after.is_better_than(before, _SURE_OF_SCALE) and (best is None or gain < best[1].error / best[0].error):
            best = before, after, rms_rad
    if best is None:
        return None
    before, after, rms_rad = best
    words = f"aberrations of the objective of about {digits(rms_rad, 1)} rad RMS"
    if geometry.is_aberrated:
        words = f"a pupil of the objective that differs from the given one by about {digits(rms_rad, 1)} rad RMS"
    return OtherOptics(words, before.error, after.error, "calibration.pupil estimates its phase")


def other_scale(models: ComputedModels, recorded: Recorded) -> OtherOptics | None:
    """Return another pixel size or NA of the objective that fits much better; None if there is none.

    The spectrum of a frame is confined to two circles, whose radius NA/λ and centres NA_i/λ only show in units of
    1/pixel.
    """
    if len(recorded) < FEWEST_FRAMES:
        return None
    models, recorded = thinned(models, recorded)
    way, given = Arrangement("as given", models.illumination), models.geometry

    def judged(geometry: VolumeGeometry, *, is_rough: bool = False) -> Judged | None:
        test = test_of(replace(models, geometry=geometry), recorded, FEW)
        if not test.is_rich:
            return None
        return (test.rough() if is_rough else test).judge([way])[0]

    def best(changes: Iterable[tuple[float, VolumeGeometry]]) -> tuple[float, VolumeGeometry, Judged] | None:
        tried = ((value, geometry, judged(geometry, is_rough=True)) for value, geometry in changes)
        ways = [(rough.error, value, geometry) for value, geometry, rough in tried if rough is not None]
        if not ways:
            return None
        _, value, geometry = min(ways, key=lambda one: one[0])
        found = judged(geometry)
        return None if found is None else (value, geometry, found)

    def of_pixel(factors: Iterable[float]) -> tuple[float, VolumeGeometry, Judged] | None:
        return best((factor, replace(given, pixel_size_um=given.pixel_size_um * factor)) for factor in factors)

    coarse = of_pixel(_PIXELS.tolist())
    if judged(given) is None or coarse is None:
        return None
    factor, other, found = of_pixel((coarse[0] * _BETWEEN).tolist()) or coarse
    words = f"pixels about {change(factor)}, or wavelength or numerical apertures about {change(1 / factor)}"
    directions = max(math.hypot(source.na_y, source.na_x) for frame in way.frames for source in frame)
    by_na = best((na, replace(given, na=na)) for na in (_NAS * directions).tolist() if 0 < na < given.medium_index)
    if by_na is not None and by_na[2].error <= ALIKE * found.error:
        words, other = f"an NA of the objective of about {by_na[0]:.2f}", by_na[1]
    before, after = _alike(models, recorded, way, other)
    ratio = after.error / before.error
    sure = after.is_better_than(before) if ratio < _MUCH_BETTER else after.is_better_than(before, _SURE_OF_SCALE)
    if ratio > _BETTER or not sure:
        return None
    return OtherOptics(words, before.error, after.error)


def _alike(
    models: ComputedModels, recorded: Recorded, way: Arrangement, other: VolumeGeometry
) -> tuple[Judged, Judged]:
    """Judge the given geometry and another one at the same frequencies of the same part of the field.

    Other pixels move the strong low frequencies to where all frames are alike, or the weak high ones out of the pupil:
    both alone lower the error.
    """
    test = test_of(replace(models, geometry=other), recorded, FEW)
    # in a volume much higher than the sample, or beside it, other pixels have the same effect as other slices
    volumes = [replace(models, geometry=volume) for volume in _volumes(models.geometry)]
    befores = [test_of(volume, recorded, FEW, alike=test).judge([way])[0] for volume in volumes]
    return min(befores, key=lambda before: before.error), test.judge([way])[0]


def other_slices(models: ComputedModels, recorded: Recorded) -> OtherOptics | None:
    """Return slices elsewhere, or more or fewer of them, that fit much better; None if there are none."""
    if len(recorded) < FEWEST_FRAMES:
        return None
    models, recorded = thinned(models, recorded)
    way, given = Arrangement("as given", models.illumination), models.geometry

    def judged(geometry: VolumeGeometry) -> Judged:
        return test_of(replace(models, geometry=geometry), recorded, FEW).judge([way])[0]

    (_, before), *trials = [(geometry, judged(geometry)) for geometry in _volumes(given)]
    geometry, after = min(trials, key=lambda pair: pair[1].error)
    if after.error > _MUCH_BETTER * before.error or not after.is_better_than(before):
        return None
    first, last = geometry.slice_positions_um[[0, -1]]
    words = f"slices from {digits(first, 3)} to {digits(last, 3)} µm above the plane in focus"
    cure = "the command slices, or “Which slices?” in the dock, recommends some"
    return OtherOptics(words, before.error, after.error, cure)


def _volumes(given: VolumeGeometry) -> Iterable[VolumeGeometry]:
    """Return a volume, and others: halves of it, larger ones, and some beside it, such as around the plane in focus."""
    count, spacing = given.shape[0], given.slice_spacing_um
    low, high = (float(place) for place in given.slice_positions_um[[0, -1]])
    yield given

    def volume(slices: int, middle_um: float) -> VolumeGeometry:
        shape = (slices, *given.shape[1:])
        return replace(given, shape=shape, first_slice_um=middle_um - (slices - 1) / 2 * spacing)

    middle, height = (low + high) / 2, count * spacing
    kept = count // 2
    while kept >= _FEWEST_SLICES:
        yield volume(kept, middle)
        kept //= 2
    for place in (middle, middle - height / 2, middle + height / 2):
        yield volume(2 * count, place)
    if abs(middle) > spacing:
        yield volume(count, 0.0)
        yield volume(count, middle / 2)


class Recorded:
    """The frames, with the spectra of the part of the field by which geometries are compared.

    Parameters
    ----------
    data
        g = I / I_background − 1, real, (N, Y, X).
    """

    def __init__(self, data: Tensor) -> None:
        self.data = data

    def spectrum(self, *, faded: bool) -> FieldSpectrum:
        """Return the spectra, faded out towards edges that do not match, or towards all."""
        return self._faded if faded or self._is_part or not self.repeats else self._whole

    def __len__(self) -> int:
        return len(self.data)

    @functools.cached_property
    def repeats(self) -> bool:
        """Whether frames continue at the opposite edge."""
        return repeat(self.data.numpy())

    @property
    def _is_part(self) -> bool:
        return max(self.data.shape[1:]) > _SIDE

    @functools.cached_property
    def _whole(self) -> FieldSpectrum:
        return FieldSpectrum(self.data)

    @property
    def part(self) -> Tensor:
        """The part of the field with most structure, (N, Y', X')."""
        rows, columns = self.data.shape[1:]
        return self.data[busiest(self.data, (min(rows, _SIDE), min(columns, _SIDE)))]

    @functools.cached_property
    def _faded(self) -> FieldSpectrum:
        part = self.part
        return FieldSpectrum(part * fading(*part.shape[1:]).to(part), is_cut=True)


def thinned(models: ComputedModels, recorded: Recorded) -> tuple[ComputedModels, Recorded]:
    """Return some of the frames, with their directions."""
    count = len(recorded)
    some = [int(number) for number in np.unique(np.linspace(0, count - 1, _MOST_SCALED).round())]
    others = [number for number in range(count) if number not in some]
    return replace(models, illumination=models.illumination.without(others)), Recorded(recorded.data[some])


def test_of(
    models: ComputedModels,
    recorded: Recorded,
    frequencies: int,
    periods: float = 0.0,
    *,
    alike: ArrangementTest | None = None,
) -> ArrangementTest:
    """Return the test for a part of the field, faded out towards edges that do not match.

    See `ArrangementTest` for the other parameters.
    """
    field = recorded.spectrum(faded=periods > 0)
    geometry = replace(models.geometry, shape=(models.geometry.shape[0], *field.shape))
    return ArrangementTest(geometry, field, models.dispersion, frequencies, periods, models.source_na, alike)
