"""Every field of a recipe is an option, with the same names and validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from cyclopts import App
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from napari_diner.cli.options import Options, assignment, collect, options_of
from napari_diner.errors import RecipeError
from napari_diner.settings import Settings, all_keys, sections
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import absolute_paths


class Part(Settings):
    """A section."""

    flag: bool = True
    """A flag of a section."""


class Whole(Settings):
    """Settings with a field of each kind."""

    count: int = Field(default=3, ge=1)
    """Count."""
    length_um: float | None = None
    """Duration."""
    kind: Literal["one", "two"] = "one"
    """Kind."""
    numbers: tuple[float, ...] = ()
    """A list."""
    pairs: tuple[tuple[float, float], ...] | None = None
    """A list of pairs."""
    size: tuple[int, int] = (1, 2)
    """Exactly two."""
    file: str | None = None
    """A file."""
    part: Part = Field(default_factory=Part, title="The part")
    """A section."""


def parse(*arguments: str) -> dict[str, Any]:
    app = App(result_action="return_value")

    options = Options(Whole)

    @app.default
    @options.added_to
    def command(**settings: object) -> dict[str, Any]:
        return options.values(settings)

    found = app(list(arguments), exit_on_error=False, print_error=False)
    assert isinstance(found, dict)
    return found


def test_every_key_of_the_recipe_is_an_option() -> None:
    nested = set(sections(LenslessRecipe))
    keys = {".".join(option.keys) for option in options_of(LenslessRecipe)}
    # what an extension reads is not known; it is given by --set
    assert keys == set(all_keys(LenslessRecipe)) - nested - {"extension"}
    assert all(option.field.description for option in options_of(LenslessRecipe))


def test_only_what_was_given_is_set() -> None:
    assert parse() == {}
    assert parse("--count", "4", "--part.no-flag", "--kind", "two") == {
        "count": 4,
        "part": {"flag": False},
        "kind": "two",
    }


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_through_as_they_are(numbers: list[float]) -> None:
    assert parse("--numbers", ",".join(map(repr, numbers))) == {"numbers": numbers}


@pytest.mark.parametrize("text", ["1,2.5,-3", "1, 2.5, -3", " 1 2.5 -3 ", "1;2.5;-3", "[1, 2.5, -3]", "1,2.5,-3,"])
def test_a_list_may_be_written_in_several_ways(text: str) -> None:
    assert Whole.model_validate(parse("--numbers", text)).numbers == (1, 2.5, -3)


def test_a_size_and_pairs() -> None:
    whole = Whole.model_validate(parse("--size", "64,32", "--pairs", "[[0, 1], [2, 3.5]]"))
    assert (whole.size, whole.pairs) == ((64, 32), ((0, 1), (2, 3.5)))


@pytest.mark.parametrize(
    "table",
    [
        "10\n20\n30\n",
        "# taken on Monday\n10\n20\n30",
        "numbers\n10\n20\n30",
        "frame,numbers\n1,10\n2,20\n3,30\n",
        "\ufeff10\n20\n30",
    ],
)
def test_a_list_may_be_the_column_of_a_table(table: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    assert parse("--numbers", str(tmp_path / "table.csv")) == {"numbers": [10, 20, 30]}


def test_pairs_may_be_the_columns_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("0.1, 0.2\n0.3, 0.4\n")
    assert parse("--pairs", str(tmp_path / "table.csv")) == {"pairs": [[0.1, 0.2], [0.3, 0.4]]}


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(RecipeError, match="--numbers: 'ten' is not a number"):
        parse("--numbers", "ten")
    with pytest.raises(RecipeError, match=r"--numbers .* is not a list"):
        parse("--numbers", "[1, 2")


def test_values_are_judged_by_the_recipe_not_by_the_option() -> None:
    assert parse("--count", "-4") == {"count": -4}


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    recipe = tmp_path / "sub" / "recipe.yaml"
    recipe.write_text("file: a/*.tif\ncount: 2\n")
    assert collect(Whole, recipe, (), {}) == {"file": str(tmp_path / "sub" / "a" / "*.tif"), "count": 2}
    assert collect(Whole, recipe, ("file=b.tif",), {})["file"] == str(tmp_path / "b.tif")
    assert collect(Whole, recipe, ("file=b.tif",), {"file": "/c.tif"})["file"] == "/c.tif"


def test_choices_are_no_paths(tmp_path: Path) -> None:
    values = {"solver": "diner", "mask": "m.png", "device": "cpu"}
    assert absolute_paths(LenslessRecipe, values, tmp_path) == {**values, "mask": str(tmp_path / "m.png")}


def test_assignments_are_nested_and_typed() -> None:
    assert assignment("diner.lattice_size=64") == {"diner": {"lattice_size": 64}}
    assert assignment("gains=[1, 2.5]") == {"gains": [1, 2.5]}
    for text in ("novalue", "=3", "a=[1"):
        with pytest.raises(RecipeError, match="--set"):
            assignment(text)
