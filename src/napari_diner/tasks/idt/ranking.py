"""A ranking of assignments of directions to frames."""

from __future__ import annotations

import torch

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.solvers.calibration.arrangement import Arrangement, Judged, arrangements, nearby, opposite, unlisted
from napari_diner.solvers.calibration.exchanges import exchanged
from napari_diner.tasks.check import Alternative, Ranking
from napari_diner.tasks.idt.contrast_side import expected_sign, sign_under
from napari_diner.tasks.idt.dark_field import bright_only
from napari_diner.tasks.idt.data import IdtData, contrast_of, with_file_facts, without
from napari_diner.tasks.idt.optics import computed_models
from napari_diner.tasks.idt.other_optics import ALIKE, EDGE_PERIODS, Recorded, test_of
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.ways import FEWEST_FRAMES, error_of, scaled_and_rotated
from napari_diner.tasks.left_out import LeftOut

# frequencies that are compared
_MANY = 400
# steps by which the first angle of a ring is refined
_FIRST_STEP_DEG, _LAST_STEP_DEG = 4.0, 0.5
# rows of a ranking
_ROWS = 10
_COLUMNS = {
    "unexplained": "Part of each frame that the other frames do not predict, relative to the signal",
    "contrast": "Whether the index of the dense parts of the sample is above (+) or below (−) the medium's",
}


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
    if len(data) < FEWEST_FRAMES:
        raise RecipeError(
            f"Directions cannot be compared with {len(data)} frames; give at least {FEWEST_FRAMES}", "illuminations"
        )
    shape = (recipe.slice_count, data.shape[1], data.shape[2])
    illumination = recipe.illumination(left_out.frames).without(left_out.numbers)
    models, _ = computed_models(recipe, illumination, shape, torch.device("cpu"))
    recorded = Recorded(data)
    test = test_of(models, recorded, _MANY)
    if not recorded.repeats:
        # as in a warning
        inside = test_of(models, recorded, _MANY, EDGE_PERIODS)
        test = inside if inside.is_rich else test
    judged = [*test.judge(arrangements(models.illumination)), *scaled_and_rotated(models, test)]
    swapped = exchanged(test, judged[0])
    judged += [] if swapped is None else [swapped]
    current, best = judged[0], min(judged, key=error_of)
    step = _FIRST_STEP_DEG
    while step >= _LAST_STEP_DEG:
        best = min([best, *test.judge(nearby(best.arrangement, step))], key=error_of)
        step /= 2
    new = unlisted([best.arrangement, *opposite(best.arrangement)], [way.arrangement for way in judged])
    judged += test.judge(new)
    dense = expected_sign(recipe)
    # alternatives that differ by chance only count as one, unless the sign of the contrast differs
    alike = [way for way in judged if way.error < ALIKE * best.error]
    low = test_of(models, recorded, _MANY).judge([way.arrangement for way in alike])
    low_of = {id(way): at_low for way, at_low in zip(alike, low, strict=True)}
    signs = {key: sign_under(models, recorded, at_low) for key, at_low in low_of.items()}

    def order(way: Judged) -> tuple[bool, float, float]:
        if id(way) in signs:
            return False, -dense * signs[id(way)], -dense * low_of[id(way)].skewness
        return True, way.error, 0.0

    ordered = sorted(judged, key=order)
    shown = ordered[:_ROWS] + ([] if current in ordered[:_ROWS] else [current])
    return Ranking(
        _COLUMNS,
        tuple(_alternative(recipe, way, signs.get(id(way), way.sign), left_out) for way in shown),
        shown.index(current),
        "Turned by 180°, the directions explain the frames equally well by a volume of the opposite contrast, mirrored "
        "along z: the last column shows which of the two has an index above the medium's",
    )


def _alternative(recipe: IdtRecipe, way: Judged, sign: int, left_out: LeftOut) -> Alternative:
    (name,) = left_out.counted([way.arrangement.name])
    shown = {1: "+", -1: "−", 0: "?"}[sign]
    return Alternative(name, (f"{way.error:.1%}", shown), _changes(recipe, way.arrangement, left_out))


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
