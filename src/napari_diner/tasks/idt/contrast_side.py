"""The side of the medium's index on which that of a sample is."""

from __future__ import annotations

from napari_diner.solvers.calibration.arrangement import Judged
from napari_diner.solvers.idt.regularisers import Sign
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.other_optics import EDGE_PERIODS, FEW, Recorded, test_of
from napari_diner.tasks.idt.recipe import IdtRecipe, SampleSign


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


def sign_under(models: ComputedModels, recorded: Recorded, way: Judged) -> int:
    """Return the sign of the contrast under some directions, judged at low frequencies; 0 if it is uncertain.

    What is beyond the edges of a field disturbs low frequencies, by which skewness tells the sign. There, absorption at
    higher ones must not contradict it.
    """
    if recorded.repeats:
        return way.sign or way.sign_by_absorption
    test = test_of(models, recorded, FEW, EDGE_PERIODS)
    if not test.is_rich:
        return way.sign
    (inside,) = test.judge([way.arrangement])
    return way.sign if way.sign * inside.contrast.agreement > 0 else inside.sign_by_absorption


def expected_sign(recipe: IdtRecipe) -> int:
    """Return the sign of the contrast that is assumed as long as data do not contradict it."""
    return -1 if recipe.regularization.sign == "negative" else 1
