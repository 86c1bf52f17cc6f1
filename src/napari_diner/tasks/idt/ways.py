"""Alternative assignments of directions to frames: a warning before each run, and a ranking."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.padding import fading
from napari_diner.solvers.calibration.arrangement import (
    Arrangement,
    ArrangementTest,
    Judged,
    arrangements,
    nearby,
    opposite,
)
from napari_diner.solvers.calibration.direction_scale import scaled
from napari_diner.solvers.calibration.exchanges import exchanged
from napari_diner.solvers.calibration.other_pupils import better_pupil
from napari_diner.solvers.idt.regularisers import Sign
from napari_diner.tasks.check import Alternative, Ranking
from napari_diner.tasks.idt.crop import busiest
from napari_diner.tasks.idt.data import IdtData, contrast_of, with_file_facts, without
from napari_diner.tasks.idt.optics import ComputedModels, computed_models
from napari_diner.tasks.idt.recipe import IdtRecipe, SampleSign
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.wording import change

# sufficient pixels across, and frequencies for a warning and for a ranking
_SIDE = 128
_FEW, _MANY = 200, 400
# largest error of prediction without a comparison, and smallest number of frames for one
_WELL_PREDICTED = 0.1
_FEWEST_FRAMES = 4
# steps by which the first angle of a ring is refined
_FIRST_STEP_DEG, _LAST_STEP_DEG = 4.0, 0.5
# periods across the field below which edges hide the phase of the pupil
_EDGE_PERIODS = 10.0
# errors that differ by less than this factor count as equal
_ALIKE = 1.02
# errors of two explanations that differ by less than this factor leave it open
_SIMILAR = 1.4
# candidates for the pixel size, and for the aperture relative to that of the most oblique direction, number of
# frames; another scale must halve the error, or be better by so many standard errors: 7.6 to 40 if it is the right
# one, below 5 if not
_PIXELS, _BETWEEN, _NAS = np.geomspace(0.05, 20, 61), np.geomspace(0.95, 1 / 0.95, 7), np.linspace(1.02, 1.5, 13)
_FEWEST_SCALED, _MOST_SCALED, _MUCH_BETTER, _SURE_OF_SCALE = 12, 24, 0.5, 6.0
# rows of a ranking
_ROWS = 10
_COLUMNS = {
    "unexplained": "Part of each frame that the other frames do not predict, relative to the signal",
    "contrast": "Whether the index of the dense parts of the sample is above (+) or below (−) the medium's",
}


def expected_sign(recipe: IdtRecipe, models: ComputedModels, data: Tensor) -> tuple[int, list[str]]:
    """Return the sign of the contrast under the directions of a recipe, 0 if unknown, and warnings about both.

    Parameters
    ----------
    recipe
        Settings of the run.
    models
        Models with the illumination.
    data
        g = I / I_background − 1, real, (N, Y, X).
    """
    if len(data) < _FEWEST_FRAMES:
        return 0, []
    test = _test(models, data, _FEW)
    (judged,) = test.judge([Arrangement("as given", models.illumination)])
    others = [_other_scale(models, data)]
    if not recipe.calibration.pupil:
        others.append(_other_pupil(models, data))
    better: _Directions | None = None
    if judged.error > _WELL_PREDICTED:
        best = min(test.judge(arrangements(models.illumination)), key=_error)
        pairs = [(best, judged), *_in_other_scales(models, data)]
        after, before = min(pairs, key=lambda pair: pair[0].error / pair[1].error)
        better = _Directions(after, before) if after.is_better_than(before) else None
        swapped = exchanged(test, judged)
        if swapped is not None and (better is None or swapped.error < _ALIKE * better.after):
            better = _Directions(swapped, judged)
    suspicions = sorted((one for one in (*others, better) if one is not None), key=lambda one: one.after)
    if not suspicions:
        return judged.sign, warnings_of_sign(recipe.regularization.sign, judged.sign)
    text = str(suspicions[0])
    for other in suspicions[1:]:
        text += f"; {other.words} would explain the frames, too" if other.after < _SIMILAR * suspicions[0].after else ""
    return judged.sign, [text]


@dataclass(frozen=True)
class _Directions:
    """Other directions, with much better mutual predictions of the frames."""

    best: Judged
    given: Judged

    @property
    def words(self) -> str:
        return f"the directions “{self.best.arrangement.name}”"

    @property
    def after(self) -> float:
        return self.best.error

    def __str__(self) -> str:
        return (
            f"the directions do not fit the frames: each frame is predicted from the others to within "
            f"{self.given.error:.0%} of its signal, but to within {self.best.error:.0%} with the alternative "
            f"“{self.best.arrangement.name}”; compare all by the command directions, or “Which way round?” in the dock"
        )


@dataclass(frozen=True)
class _Optics:
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


def _other_pupil(models: ComputedModels, data: Tensor) -> _Optics | None:
    """Return another pupil of the objective that fits much better; None if there is none."""
    if len(data) < _FEWEST_SCALED:
        return None
    models, data = _thinned(models, data)
    way, geometry = Arrangement("as given", models.illumination), models.geometry

    best: tuple[Judged, Judged, float] | None = None
    # low frequencies stand out of the noise, but contain the edges of fields that continue beyond them
    for periods in (0.0, _EDGE_PERIODS):

        def judged(zernike_rad: tuple[float, ...], periods: float = periods) -> Judged:
            return _test(models.aberrated(zernike_rad), data, _FEW, periods).judge([way])[0]

        if _test(models, data, _FEW, periods).frequencies < _FEW // 2:
            continue
        before = judged(geometry.zernike_rad)
        after, rms_rad = better_pupil(judged, geometry.zernike_rad)
        gain = after.error / before.error
        if after.is_better_than(before, _SURE_OF_SCALE) and (best is None or gain < best[1].error / best[0].error):
            best = before, after, rms_rad
    if best is None:
        return None
    before, after, rms_rad = best
    words = f"aberrations of the objective of about {rms_rad:.1g} rad RMS"
    if geometry.is_aberrated:
        words = f"a pupil of the objective that differs from the given one by about {rms_rad:.1g} rad RMS"
    return _Optics(words, before.error, after.error, "calibration.pupil estimates its phase")


def _other_scale(models: ComputedModels, data: Tensor) -> _Optics | None:
    """Return another pixel size or NA of the objective that fits much better; None if there is none.

    The spectrum of a frame is confined to two circles, whose radius NA/λ and centres NA_i/λ only show in units of
    1/pixel.
    """
    if len(data) < _FEWEST_SCALED:
        return None
    models, data = _thinned(models, data)
    way, given = Arrangement("as given", models.illumination), models.geometry

    def judged(geometry: VolumeGeometry) -> Judged | None:
        test = _test(replace(models, geometry=geometry), data, _FEW)
        return test.judge([way])[0] if test.frequencies >= _FEW // 2 else None

    def best(changes: Iterable[tuple[float, VolumeGeometry]]) -> tuple[float, Judged] | None:
        ways = [(value, way) for value, geometry in changes if (way := judged(geometry)) is not None]
        return min(ways, key=lambda pair: pair[1].error, default=None)

    def of_pixel(factors: Iterable[float]) -> tuple[float, Judged] | None:
        return best((factor, replace(given, pixel_size_um=given.pixel_size_um * factor)) for factor in factors)

    before, coarse = judged(given), of_pixel(_PIXELS.tolist())
    if before is None or coarse is None:
        return None
    factor, after = of_pixel((coarse[0] * _BETWEEN).tolist()) or coarse
    words = f"pixels about {change(factor)}, or wavelength or numerical apertures about {change(1 / factor)}"
    directions = max(math.hypot(source.na_y, source.na_x) for frame in way.frames for source in frame)
    by_na = best((na, replace(given, na=na)) for na in (_NAS * directions).tolist() if na < given.medium_index)
    if by_na is not None and by_na[1].error <= _ALIKE * after.error:
        words, after = f"an NA of the objective of about {by_na[0]:.2f}", by_na[1]
    much = after.error < _MUCH_BETTER * before.error
    if not (after.is_better_than(before) if much else after.is_better_than(before, _SURE_OF_SCALE)):
        return None
    return _Optics(words, before.error, after.error)


def _in_other_scales(models: ComputedModels, data: Tensor) -> list[tuple[Judged, Judged]]:
    """Return the best of the directions in other scales, if there are any, together with the given directions."""
    models, data = _thinned(models, data)
    given = Arrangement("as given", models.illumination)
    ways = scaled(models.illumination, models.geometry.na, models.geometry.medium_index)
    before, *others = _test(models, data, _FEW).judge([given, *ways])
    return [(min(others, key=_error), before)] if others else []


def _thinned(models: ComputedModels, data: Tensor) -> tuple[ComputedModels, Tensor]:
    """Return some of the frames, with their directions."""
    some = [int(number) for number in np.unique(np.linspace(0, len(data) - 1, _MOST_SCALED).round())]
    others = [number for number in range(len(data)) if number not in some]
    return replace(models, illumination=models.illumination.without(others)), data[some]


def _error(way: Judged) -> float:
    return way.error


def sign_of_sample(assumed: SampleSign, expected: int) -> Sign:
    """Return the sign of the contrast that a recipe assumes, or that of the data; positive if unknown."""
    if assumed == "auto":
        return -1 if expected < 0 else 1
    return 1 if assumed == "positive" else -1


def warnings_of_sign(assumed: SampleSign, sign: int) -> list[str]:
    """Return a warning if the sign of the contrast in the data is unusual, or not the assumed one."""
    if sign < 0 and assumed != "negative":
        consequence = {
            "auto": "n ≤ n0 is assumed where positivity is",
            "positive": "this contradicts n ≥ n0",
        }[assumed]
        return [
            "the index of the sample comes out below the medium's: either it is lower, as in bubbles, or the "
            f"directions are turned by 180°, which explains the frames equally well; {consequence}"
        ]
    if sign > 0 and assumed == "negative":
        return [
            "the index of the sample comes out above the medium's, which contradicts n ≤ n0: either it is higher, or "
            "the directions are turned by 180°, which explains the frames equally well"
        ]
    return []


def rank(recipe: IdtRecipe, recording: IdtData) -> Ranking:
    """Rank alternative assignments of directions, best first; of two equal ones, that of higher index first.

    Parameters
    ----------
    recipe
        Description of the recording; transfer functions are ignored.
    recording
        The recording.

    Raises
    ------
    RecipeError
        If there are too few frames, or settings are missing.
    """
    recipe = with_file_facts(recipe, recording)
    left_out = LeftOut.of(recipe, len(recording.frames))
    recording = without(recording, left_out)
    contrast, _ = contrast_of(recipe, recording)
    data = torch.from_numpy(contrast)
    if len(data) < _FEWEST_FRAMES:
        raise RecipeError(
            f"Directions cannot be compared with {len(data)} frames; give at least {_FEWEST_FRAMES}", "illuminations"
        )
    shape = (recipe.slice_count, data.shape[1], data.shape[2])
    illumination = recipe.illumination(left_out.frames).without(left_out.numbers)
    models, _ = computed_models(recipe, illumination, shape, torch.device("cpu"))
    test = _test(models, data, _MANY)
    others = scaled(models.illumination, models.geometry.na, models.geometry.medium_index)
    judged = test.judge([*arrangements(models.illumination), *others])
    swapped = exchanged(test, judged[0])
    judged += [] if swapped is None else [swapped]
    current, best = judged[0], min(judged, key=_error)
    step = _FIRST_STEP_DEG
    while step >= _LAST_STEP_DEG:
        best = min([best, *test.judge(nearby(best.arrangement, step))], key=_error)
        step /= 2
    judged += [] if best in judged else test.judge([best.arrangement, *opposite(best.arrangement)])
    dense = -1 if recipe.regularization.sign == "negative" else 1

    def order(way: Judged) -> tuple[bool, float]:
        # alternatives that differ by chance only count as one, unless the sign of the contrast differs
        alike = way.error < _ALIKE * best.error
        return not alike, -dense * way.skewness if alike else way.error

    ordered = sorted(judged, key=order)
    shown = ordered[:_ROWS] + ([] if current in ordered[:_ROWS] else [current])
    return Ranking(
        _COLUMNS,
        tuple(_alternative(recipe, way, left_out) for way in shown),
        shown.index(current),
        "Turned by 180°, the directions explain the frames equally well by a volume of the opposite contrast, mirrored "
        "along z: the last column shows which of the two has an index above the medium's",
    )


def _alternative(recipe: IdtRecipe, way: Judged, left_out: LeftOut) -> Alternative:
    sign = {1: "+", -1: "−", 0: "?"}[way.sign]
    (name,) = left_out.counted([way.arrangement.name])
    return Alternative(name, (f"{way.error:.1%}", sign), _changes(recipe, way.arrangement, left_out))


def _test(models: ComputedModels, data: Tensor, frequencies: int, periods: float = 0.0) -> ArrangementTest:
    """Return the test for a part of the field, faded out towards edges; see `ArrangementTest` for the parameters."""
    planes, rows, columns = models.geometry.shape
    size = min(rows, _SIDE), min(columns, _SIDE)
    if periods or size != (rows, columns):
        data = data[busiest(data, size)] * fading(*size).to(data)
    geometry = replace(models.geometry, shape=(planes, *size))
    return ArrangementTest(geometry, data, models.dispersion, frequencies, periods)


def _changes(recipe: IdtRecipe, way: Arrangement, left_out: LeftOut) -> dict[str, object]:
    """Return the changes of a recipe that assign directions to frames in another way."""
    if way.name == "as given":
        return {}
    if recipe.ring.na is not None and way.first_angle_deg is not None:
        return {"ring": {"first_angle_deg": way.first_angle_deg}}
    directions = _listed(recipe.illumination(left_out.frames))
    for place, direction in zip(left_out.kept, _listed(way.illumination), strict=True):
        directions[place] = direction
    return {"illuminations": directions, "ring": {"na": None}}


def _listed(illumination: Illumination) -> list[object]:
    """Return an illumination as in a recipe."""
    return [
        [round(frame[0].na_y, 9), round(frame[0].na_x, 9)]
        if len(frame) == 1
        else [[round(s.na_y, 9), round(s.na_x, 9), s.weight] for s in frame]
        for frame in illumination.frames
    ]
