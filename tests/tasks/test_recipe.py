"""Recipes: read, merged, explained and written."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from napari_diner.errors import RecipeError
from napari_diner.settings import all_keys, sections
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import absolute_path, absolute_paths, input_files, merge, read_yaml


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wavelength_um": True}, "wavelength_um = True cannot be used: it should be a number"),
        ({"distances_um": [300, True, 500]}, "distances_um = .* cannot be used: each entry should be a number"),
        ({"gauss_newton": {"iterations": False}}, "iterations = False cannot be used: it should be a number"),
        ({"stack": "a\udcff.tif"}, "stack = .* cannot be used: it is not valid UTF-8; rename the file or folder"),
        ({"preprocess": {"dark": "\udcff/a"}}, "dark = .* cannot be used: it is not valid UTF-8"),
        ({"wavelenght_um": 0.5}, "no key 'wavelenght_um'; did you mean 'wavelength_um'?"),
        ({"learning_rate": 0.1}, "did you mean 'gradient.learning_rate'?"),
        ({"diner": {"backbon": "mlp"}}, "no key 'diner.backbon'; did you mean 'diner.backbone'?"),
        ({"pixel-size um": 0.5}, "no key 'pixel-size um'; did you mean 'pixel_size_um'?"),
        ({"diner": {"table-width": 2}}, "no key 'diner.table-width'; did you mean 'diner.table_width'?"),
        ({"line\nbreak": 2, "": 3}, "no key"),
        ({5: 1}, "cannot be used"),
        ({"wavelength_um": 0}, "wavelength_um = 0 cannot be used: it should be greater than 0"),
        ({"wavelength_um": -0.5}, "greater than 0"),
        ({"wavelength_um": "red"}, "wavelength_um = 'red' cannot be used: it should be a number"),
        ({"distances_um": [100, -1]}, "must be a positive number, not -1"),
        ({"distances_um": [100, math.nan]}, "must be a positive number"),
        ({"shifts_um": [[0, math.inf]]}, "must be a finite number"),
        ({"solver": "magic"}, "solver = 'magic' cannot be used"),
        ({"gains": [1.0], "equalise_gains": True}, "exclude each other"),
        ({"diner": {"table_width": 4}}, r"diner\.table_width = 4"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        LenslessRecipe.parse(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("wavelength_um", "wavelength is missing"),
        ("pixel_size_um", "pixel size is missing"),
        ("distances_um", "distances are missing"),
    ],
)
def test_what_is_missing_is_named(missing: str, message: str) -> None:
    values = {"wavelength_um": 0.5, "pixel_size_um": 1.0, "distances_um": [1, 2]}
    del values[missing]
    with pytest.raises(RecipeError, match=message):
        LenslessRecipe.parse(values).check_complete(2)


@pytest.mark.parametrize("name", ["distances_um", "gains", "shifts_um"])
def test_counts_must_fit_the_stack(name: str) -> None:
    values: dict[str, Any] = {"wavelength_um": 0.5, "pixel_size_um": 1.0, "distances_um": [1, 2, 3]}
    values[name] = [[0, 0], [0, 0]] if name == "shifts_um" else [1, 2]
    with pytest.raises(RecipeError, match=f"{name} has 2 entries but the stack has 3 frames"):
        LenslessRecipe.parse(values).check_complete(3)


def test_distances_may_be_a_table_as_text_or_as_a_file(tmp_path: Path) -> None:
    table = tmp_path / "heights.csv"
    table.write_text("frame;distance_mm\n2;0,75\n1;0,5\n")
    for text in (str(table), "0.5 mm; 750 um", "500, 750"):
        assert LenslessRecipe.parse({"distances_um": text}).distances_um == (500, 750)
    with pytest.raises(RecipeError, match="value 2: 'far' is not a number"):
        LenslessRecipe.parse({"distances_um": "500, far"})
    with pytest.raises(RecipeError, match=r"absent.csv cannot be read \(No such file or directory\)"):
        LenslessRecipe.parse({"distances_um": "absent.csv"})


def test_yaml_round_trip(tmp_path: Path) -> None:
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": 0.5,
            "shifts_um": [[0.1, -0.2]],
            "diner": {"backbone": "mlp"},
            "stack": str(tmp_path / "a µ.tif"),
        }
    )
    for complete in (True, False):
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe.to_yaml(complete=complete), encoding="utf-8")
        assert LenslessRecipe.load(path) == recipe
    assert set(yaml.safe_load(recipe.to_yaml(complete=False))) == {
        "task", "wavelength_um", "shifts_um", "diner", "stack",
    }  # fmt: skip


def test_every_key_is_explained_and_has_a_default() -> None:
    LenslessRecipe()
    for model in (LenslessRecipe, *sections(LenslessRecipe).values()):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert field.title or name == "task", name
    assert "gauss_newton.cg_steps" in set(all_keys(LenslessRecipe))


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words"])
def test_files_that_are_no_recipes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"bad\.yaml"):
        read_yaml(path)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("task: !!python/object/apply:os.getcwd []")
    with pytest.raises(RecipeError, match="not valid YAML"):
        read_yaml(path)


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        LenslessRecipe.load(tmp_path / "none.yaml")


NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6
)


@given(st.dictionaries(st.sampled_from("abc"), NESTED), st.dictionaries(st.sampled_from("abc"), NESTED))
def test_merging_keeps_what_is_not_changed(base: dict[str, Any], changes: dict[str, Any]) -> None:
    merged = merge(base, changes)
    assert merge(merged, changes) == merged
    assert set(merged) == set(base) | set(changes)
    for key in set(base) - set(changes):
        assert merged[key] == base[key]


def test_an_update_keeps_what_was_set() -> None:
    recipe = LenslessRecipe.parse({"diner": {"backbone": "mlp"}}).updated({"diner": {"lattice_size": 64}})
    assert (recipe.diner.backbone, recipe.diner.lattice_size) == ("mlp", 64)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another name for the home")
def test_a_way_out_of_the_home_starts_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute_path("~/../x.tif", tmp_path) == "/home/x.tif"
    assert absolute_path("~nobody-of-this-name/x.tif", tmp_path) == str(tmp_path / "~nobody-of-this-name" / "x.tif")


def test_files_named_in_a_recipe_are_relative_to_its_folder(tmp_path: Path) -> None:
    """Also those in sections; names of choices are not files."""
    path = tmp_path / "recipe.yaml"
    path.write_text("stack: frames/*.tif\nsolver: diner\nprior: {support: s.png}\nmask: /m.png\n")
    recipe = LenslessRecipe.load(path)
    assert recipe.stack == str(tmp_path / "frames" / "*.tif")
    assert recipe.prior.support == str(tmp_path / "s.png")
    assert set(input_files(recipe)) == {tmp_path / "frames" / "*.tif", tmp_path / "s.png", Path("/m.png")}
    assert absolute_paths(LenslessRecipe, {"solver": "diner", "device": "cpu"}, tmp_path)["solver"] == "diner"
