"""Positions of the object with another sign or order of axes are named before a run."""

from __future__ import annotations

import pytest

from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.task import simulate
from napari_diner.tasks.registry import task


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda y, x: (y, x), None),
        (lambda y, x: (-y, -x), "the opposite sign would"),
        (lambda y, x: (x, y), "down and across exchanged would"),
        (lambda y, x: (x, -y), "down and across exchanged, and the opposite sign"),
    ],
)
@pytest.mark.parametrize("kind", ["vignetted", "even"])
def test_turned_positions_are_named(kind: str, turn: object, words: str | None) -> None:
    made = simulate(
        LenslessSimulation(
            height_px=96, width_px=96, distances_um=(300.0, 420.0), illumination=kind, lateral_positions=3,
            noise_sigma=0.005, seed=3,
        )
    )  # fmt: skip
    places = [list(turn(*place)) for place in made.recipe.positions_um]  # type: ignore[attr-defined, operator]
    recipe = made.recipe.updated({"positions_um": places, "unknown_illumination": {"solve": True}})
    warnings = [
        text
        for text in task("lensless").job(recipe, LenslessData(made.data.data)).all_warnings
        if "positions_um" in text
    ]
    assert [words in text for text in warnings] == ([] if words is None else [True])  # type: ignore[operator]
