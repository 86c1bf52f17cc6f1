"""Alternative assignments of directions to frames: a warning before each run, and a ranking."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.calibration.arrangement import (
    Arrangement,
    ArrangementTest,
    Judged,
    arrangements,
    nearby,
    opposite,
)
from napari_diner.solvers.calibration.direction_scale import rotated, scaled
from napari_diner.solvers.calibration.exchanges import exchanged
from napari_diner.solvers.calibration.outlying_frames import Outlying, outlying
from napari_diner.solvers.idt.regularisers import Sign
from napari_diner.tasks.check import Alternative, Ranking
from napari_diner.tasks.idt.dark_field import bright_only
from napari_diner.tasks.idt.data import IdtData, contrast_of, with_file_facts, without
from napari_diner.tasks.idt.disc_doubts import Discs
from napari_diner.tasks.idt.moved_directions import moved_directions
from napari_diner.tasks.idt.optics import ComputedModels, computed_models
from napari_diner.tasks.idt.other_optics import (
    ALIKE,
    EDGE_PERIODS,
    FEW,
    OtherOptics,
    Recorded,
    other_pupil,
    other_scale,
    other_slices,
    test_of,
    thinned,
)
from napari_diner.tasks.idt.recipe import IdtRecipe, SampleSign
from napari_diner.tasks.left_out import LeftOut

# frequencies for a ranking
_MANY = 400
# largest error of prediction without a comparison, and in another scale; and smallest number of frames
_WELL_PREDICTED, _PREDICTED = 0.1, 0.5
_FEWEST_FRAMES = 4
# steps by which the first angle of a ring is refined
_FIRST_STEP_DEG, _LAST_STEP_DEG = 4.0, 0.5
# errors of two explanations that differ by less than this factor leave it open
_SIMILAR = 1.4
# rows of a ranking
_ROWS = 10
_COLUMNS = {
    "unexplained": "Part of each frame that the other frames do not predict, relative to the signal",
    "contrast": "Whether the index of the dense parts of the sample is above (+) or below (−) the medium's",
}


class GivenDirections:
    """The directions of a recipe, judged by the frames: at first only by their own error of prediction.

    Parameters
    ----------
    recipe
        Settings of the run.
    models
        Models with the illumination.
    data
        g = I / I_background − 1, real, (N, Y, X).
    odd
        Numbers, from zero, of faulty frames, which say nothing about directions.
    """

    def __init__(self, recipe: IdtRecipe, models: ComputedModels, data: Tensor, odd: Sequence[int] = ()) -> None:
        self._sound = sound = LeftOut(len(data), tuple(odd))
        if sound.numbers:
            data = data[sound.kept]
            models = replace(models, illumination=models.illumination.without(sound.numbers))
        self._recipe, self._models, self._recorded = recipe, models, Recorded(data)
        self.doubts_geometry = False
        """Whether the warnings are about directions or optics."""

    @functools.cached_property
    def _judged(self) -> Judged | None:
        """The directions as given; None if there are too few frames."""
        if len(self._recorded) < _FEWEST_FRAMES:
            return None
        (judged,) = test_of(self._models, self._recorded, FEW).judge(
            [Arrangement("as given", self._models.illumination)]
        )
        return judged

    @property
    def sign(self) -> int:
        """Sign of the contrast under these directions; 0 if it is unknown."""
        # slow changes, which tell it, depend on how much of a source passes the objective
        return 0 if self._judged is None or self._models.is_cut else self._judged.sign

    def warnings(self) -> list[str]:
        """Return a warning about directions, optics or sign; comparing them with others takes seconds."""
        return self._sound.counted(self._warnings())

    def _warnings(self) -> list[str]:
        recipe, models, recorded = self._recipe, self._models, self._recorded
        if self._judged is None:
            return []
        # frames that continue at the opposite edge predict each other, which tells more
        discs = None if recorded.repeats else Discs(models, recorded)
        scales = discs is None or not discs.scale_is_right
        others: list[OtherOptics | None] = [other_slices(models, recorded)]
        if scales:
            others.append(other_scale(models, recorded))
        if not recipe.calibration.pupil:
            others.append(other_pupil(models, recorded))
        # of single frames that are faulty, directions would be moved until they fit
        single = outlying(test_of(models, recorded, FEW), models.illumination)
        if recipe.calibration.illuminations == "given" and single is None:
            others.append(moved_directions(models, recorded))
        better = None
        if self._judged.error > _WELL_PREDICTED:
            # low frequencies stand out of the noise, but contain the edges of fields that continue beyond them
            better = _other_directions(models, recorded, scales=scales) or _other_directions(
                models, recorded, EDGE_PERIODS, scales=scales
            )
        if discs is not None:
            by_discs = discs.scale(None if better is None else better.best.arrangement.illumination)
            if by_discs is None and better is None and recipe.calibration.illuminations == "given":
                by_discs = discs.moved()
            if by_discs is not None:
                self.doubts_geometry = True
                return [str(by_discs)]
        if better is None and (elsewhere := (discs or Discs(models, recorded)).elsewhere()) is not None:
            self.doubts_geometry = True
            return [str(elsewhere)]
        suspicions = sorted((one for one in (*others, better) if one is not None), key=lambda one: one.after)
        # what explains all frames explains single ones, too
        if single is not None and not any(one.after < _SIMILAR * single.rest for one in suspicions):
            return [said_of_outlying(single)]
        if not suspicions:
            return warnings_of_sign(recipe.regularization.sign, self.sign)
        self.doubts_geometry = True
        first, *rest = suspicions
        alike = [other.words for other in rest if other.after < _SIMILAR * first.after]
        return ["; ".join([str(first), *(f"{words} would explain the frames, too" for words in alike)])]


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


def _other_directions(
    models: ComputedModels, recorded: Recorded, periods: float = 0.0, *, scales: bool
) -> _Directions | None:
    """Return other directions that fit much better; None if there are none."""
    test = test_of(models, recorded, FEW, periods)
    if periods and test.frequencies < FEW // 2:
        return None
    (judged,) = test.judge([Arrangement("as given", models.illumination)])
    best = min(test.judge(arrangements(models.illumination)), key=_error)
    pairs = [(best, judged)]
    # edges of fields that continue beyond them favour directions that are alike, as do high frequencies alone where a
    # sample scatters strongly; all frequencies tell more where there are no edges
    if scales and bool(periods) != recorded.repeats:
        pairs += _in_other_scales(models, recorded, periods)
    after, before = min(pairs, key=lambda pair: pair[0].error / pair[1].error)
    better = _Directions(after, before) if after.is_better_than(before) else None
    swapped = exchanged(test, judged)
    if swapped is not None and (better is None or swapped.error < ALIKE * better.after):
        better = _Directions(swapped, judged)
    return better


def _in_other_scales(models: ComputedModels, recorded: Recorded, periods: float) -> list[tuple[Judged, Judged]]:
    """Return the best of the directions in other scales or at other angles, together with the given directions."""
    models, recorded = thinned(models, recorded)
    given = Arrangement("as given", models.illumination)
    test = test_of(models, recorded, FEW, periods)
    (before,) = test.judge([given])
    return [(min(_scaled_and_rotated(models, test), key=_error), before)]


def _scaled_and_rotated(models: ComputedModels, test: ArrangementTest) -> list[Judged]:
    """Judge the directions in other scales and at other angles.

    Frames may predict each other badly, if they are few or their field continues beyond its edges, and the better the
    more alike their directions are: then smaller ones seem right, and are left out.
    """
    original, geometry = models.illumination, models.geometry
    in_scale = test.judge(scaled(original, geometry.na, geometry.medium_index))
    return [*(way for way in in_scale if way.error < _PREDICTED), *test.judge(rotated(original))]


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
            "directions are turned by 180°, or the frames are negatives, which explains the frames equally well; "
            f"{consequence}"
        ]
    if sign > 0 and assumed == "negative":
        return [
            "the index of the sample comes out above the medium's, which contradicts n ≤ n0: either it is higher, or "
            "the directions are turned by 180°, which explains the frames equally well"
        ]
    return []


def said_of_outlying(single: Outlying) -> str:
    """Return a warning about frames that do not fit the others."""
    do, them, was, is_negative = (
        "does",
        "it",
        "its direction, and whether it was",
        "it is a negative, or its direction is",
    )
    if len(single.numbers) > 1:
        do, them, was = "do", "them", "their directions, and whether they were"
        is_negative = "they are negatives, or their directions are"
    cause = f"check {was} exposed twice, displaced, flipped or saved with another curve"
    if single.negatives == single.numbers:
        cause = f"{is_negative} turned by 180°"
    return (
        f"{numbered(single.numbers)} {do} not fit the others, which predict each other to within {single.rest:.0%} of "
        f"their signal, but {them} only to within {single.own:.0%}; {cause}; correct {them}, or leave {them} out "
        "(leave_out)"
    )


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
    left_out = bright_only(recipe, LeftOut.of(recipe, len(recording.frames)))
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
    test = test_of(models, Recorded(data), _MANY)
    judged = [*test.judge(arrangements(models.illumination)), *_scaled_and_rotated(models, test)]
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
        alike = way.error < ALIKE * best.error
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
