"""The recipe of a fit."""

from __future__ import annotations

import pytest

from napari_diner.errors import RecipeError
from napari_diner.tasks.fit.recipe import FitRecipe


@pytest.mark.parametrize("axes", ["YX", "yxs", "CYX", "ZCYX", "TCZYX", "TYXS"])
def test_axes_that_can_be(axes: str) -> None:
    assert FitRecipe(axes=axes).axes == axes.upper()


@pytest.mark.parametrize(
    ("axes", "problem"),
    [("YXQ", "no axis Q"), ("ZX", "Y and X"), ("PYX", "no axis P"), ("YYX", "once"), ("CYXS", "not both")],
)
def test_axes_that_cannot_be(axes: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        FitRecipe.parse({"axes": axes})


def test_bit_exact_is_a_mode_of_diner_with_full_keys() -> None:
    with pytest.raises(RecipeError, match="mode of DINER"):
        FitRecipe.parse({"bit_exact": True, "representation": "siren"})
    with pytest.raises(RecipeError, match="stored_bits to 32"):
        FitRecipe.parse({"bit_exact": True, "stored_bits": 8})


def test_names_of_representations() -> None:
    assert FitRecipe(diner={"backbone": "mlp"}).name == "diner-mlp"
    assert FitRecipe(representation="hash-grid").name == "hash-grid"
