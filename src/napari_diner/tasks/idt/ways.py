"""Alternative assignments of directions to frames: a warning before each run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.calibration.arrangement import (
    Arrangement,
    ArrangementTest,
    Judged,
    arrangements,
)
from napari_diner.solvers.calibration.direction_scale import rotated, scaled
from napari_diner.solvers.calibration.exchanges import exchanged
from napari_diner.solvers.calibration.outlying_frames import Outlying, outlying
from napari_diner.tasks.idt.contrast_side import expected_sign, sign_under, warnings_of_sign
from napari_diner.tasks.idt.disc_doubts import Discs
from napari_diner.tasks.idt.moved_directions import moved_directions
from napari_diner.tasks.idt.optics import ComputedModels
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
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.left_out import LeftOut

# largest error of prediction without a comparison, and in another scale; and smallest number of frames
_WELL_PREDICTED, _PREDICTED = 0.1, 0.5
FEWEST_FRAMES = 4
# errors of two explanations that differ by less than this factor leave it open
_SIMILAR = 1.4


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
        if len(self._recorded) < FEWEST_FRAMES:
            return None
        (judged,) = test_of(self._models, self._recorded, FEW).judge(
            [Arrangement("as given", self._models.illumination)]
        )
        return judged

    @functools.cached_property
    def sign(self) -> int:
        """Sign of the contrast under these directions; 0 if it is unknown."""
        # slow changes, which tell it, depend on how much of a source passes the objective
        if self._judged is None or self._models.is_cut:
            return 0
        return sign_under(self._models, self._recorded, self._judged)

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
            dense = expected_sign(recipe)
            better = _other_directions(models, recorded, scales=scales, dense=dense)
            if better is None and not recorded.repeats:
                better = _other_directions(models, recorded, EDGE_PERIODS, scales=scales, dense=dense)
        if discs is not None:
            by_discs = discs.scale(None if better is None else better.best.arrangement.illumination)
            if by_discs is not None:
                self.doubts_geometry = True
                return [str(by_discs)]
            if better is None and recipe.calibration.illuminations == "given" and (moved := discs.moved()) is not None:
                self.doubts_geometry = True
                # directions opposite to the right ones have the same discs
                return [*warnings_of_sign(recipe.regularization.sign, self.sign), str(moved)]
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
    models: ComputedModels, recorded: Recorded, periods: float = 0.0, *, scales: bool, dense: int
) -> _Directions | None:
    """Return other directions that fit much better; None if there are none.

    Of directions that fit equally well, they are those with the expected sign of the contrast.
    """
    test = test_of(models, recorded, FEW, periods)
    if periods and not test.is_rich:
        return None
    (judged,) = test.judge([Arrangement("as given", models.illumination)])
    ways = test.judge(arrangements(models.illumination))
    best = min(ways, key=error_of)
    pairs = [(best, judged)]
    # edges of fields that continue beyond them favour directions that are alike, as do high frequencies alone where a
    # sample scatters strongly; all frequencies tell more where there are no edges
    if scales and bool(periods) != recorded.repeats:
        pairs += _in_other_scales(models, recorded, periods)
    after, before = min(pairs, key=lambda pair: pair[0].error / pair[1].error)
    better = None
    if after.is_better_than(before):
        if after is best:
            after = _most_likely(models, recorded, [way for way in ways if way.error < ALIKE * best.error], dense)
        better = _Directions(after, before)
    swapped = exchanged(test, judged)
    if swapped is not None and (better is None or swapped.error < ALIKE * better.after):
        better = _Directions(swapped, judged)
    return better


def _most_likely(models: ComputedModels, recorded: Recorded, ways: Sequence[Judged], dense: int) -> Judged:
    """Return the directions that give the sample the expected sign of the contrast, or the first ones."""
    if len(ways) == 1 or models.is_cut:
        return ways[0]
    at_low = test_of(models, recorded, FEW).judge([way.arrangement for way in ways])
    signs = [sign_under(models, recorded, low) for low in at_low]
    return max(zip(ways, signs, strict=True), key=lambda pair: dense * pair[1])[0]


def _in_other_scales(models: ComputedModels, recorded: Recorded, periods: float) -> list[tuple[Judged, Judged]]:
    """Return the best of the directions in other scales or at other angles, together with the given directions."""
    models, recorded = thinned(models, recorded)
    given = Arrangement("as given", models.illumination)
    test = test_of(models, recorded, FEW, periods)
    (before,) = test.judge([given])
    return [(min(scaled_and_rotated(models, test), key=error_of), before)]


def scaled_and_rotated(models: ComputedModels, test: ArrangementTest) -> list[Judged]:
    """Judge the directions in other scales and at other angles.

    Frames may predict each other badly, if they are few or their field continues beyond its edges, and the better the
    more alike their directions are: then smaller ones seem right, and are left out.
    """
    original, geometry = models.illumination, models.geometry
    in_scale = test.judge(scaled(original, geometry.na, geometry.medium_index))
    return [*(way for way in in_scale if way.error < _PREDICTED), *test.judge(rotated(original))]


def error_of(way: Judged) -> float:
    """Return the error of prediction."""
    return way.error


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
