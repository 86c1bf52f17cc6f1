"""Every registered representation as the unknown of a phase retrieval: f_θ of Eq. 4b."""

from __future__ import annotations

import pytest

from napari_diner.representations.registry import representations
from napari_diner.simulate.lensless.recording import LenslessSample
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth
from tests.tasks.lensless.reconstruction import finished

SMALL = {
    "diner": {"lattice_size": 32},
    "network": {"hidden_features": 48},
    "hash_grid": {"levels": 8},
    "decaf": {"hidden_layers": 2, "hidden_features": 48},
}
# PSNR of amplitude and phase in dB that each reaches at least; an even object is at 15 and 15
# from a flat start, after 300 steps
FLAT_DB = {"diner": (36, 23), "siren": (34, 21), "hash-grid": (29, 17)}
# from the field of Gauss-Newton, after 150: tables keep it, networks of coordinates come near it
WARM_DB = {"diner": (65, 65), "siren": (32, 23), "hash-grid": (38, 29), "pe-mlp": (23, 23), "decaf": (26, 24)}


def truth_db(
    recipe: LenslessRecipe, sample: LenslessSample, truth: Truth, iterations: int, **changes: object
) -> tuple[float, float]:
    changed = recipe.updated(SMALL).updated({"gradient": {"iterations": iterations}, **changes})
    scores = finished(changed, sample.frames, truth).report["truth"]
    return scores["amplitude_psnr_db"], scores["phase_psnr_db"]


@pytest.mark.parametrize("solver", FLAT_DB)
def test_amplitude_and_phase_are_retrieved_from_a_flat_start(
    recipe: LenslessRecipe, sample: LenslessSample, truth: Truth, solver: str
) -> None:
    amplitude_db, phase_db = truth_db(recipe, sample, truth, 300, solver=solver, start="flat")
    assert amplitude_db > FLAT_DB[solver][0]
    assert phase_db > FLAT_DB[solver][1]


@pytest.mark.parametrize("solver", WARM_DB)
def test_amplitude_and_phase_are_refined_from_those_of_gauss_newton(
    recipe: LenslessRecipe, sample: LenslessSample, truth: Truth, solver: str
) -> None:
    amplitude_db, phase_db = truth_db(recipe, sample, truth, 150, solver=solver)
    assert amplitude_db > WARM_DB[solver][0]
    assert phase_db > WARM_DB[solver][1]


@pytest.mark.parametrize("name", [*representations()])
def test_the_parameters_are_stored(recipe: LenslessRecipe, sample: LenslessSample, name: str) -> None:
    changes = {"solver": name, "start": "flat", **SMALL, "gradient": {"iterations": 2}}
    result = finished(recipe.updated(changes), sample.frames)
    assert sum(weight.size for weight in result.weights.values()) == result.report["parameters"]
    assert [stage["name"] for stage in result.report["stages"]] == [f"{name}: starting values", name]
    assert result.report["loss"] < 1
