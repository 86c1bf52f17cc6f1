"""The form that is built from a recipe's types and bounds."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QLabel, QWidget

from napari_diner.errors import RecipeError
from napari_diner.solvers.settings import Settings
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import Recipe
from napari_diner.widgets.forms.controls import wrap_tooltips
from napari_diner.widgets.forms.editors import NumbersEditor, with_titles
from napari_diner.widgets.forms.number_editor import NumberEditor
from napari_diner.widgets.forms.recipe_form import RecipeForm

RECIPES: list[dict[str, Any]] = [
    {},
    {
        "wavelength_um": 0.6328,
        "pixel_size_um": 1.67,
        "distances_um": [100, 110],
        "max_seconds": 12.5,
        "seed": 2**31 - 1,
    },
    {"intensity_scale": 2.2617862003031584, "phase_scale_rad": 1 / 3},
    {"solver": "diner", "start": "flat", "propagation": "fresnel", "band_limit": False, "device": "cpu"},
    {"gains": [1, 0.98], "shifts_um": [[0, 0], [0.125, -0.05]], "mask": "mask.tif", "illumination": "flat field.tif"},
    {"shifts_um": [[0.125, -0.05]], "gains": [0.5]},
    {"padding": {"mode": "reflect", "width_um": 0}, "gauss_newton": {"tolerance": 3.25e-7, "damping": 1e-4}},
    {"gradient": {"learning_rate": 1e-5, "loss": "intensity"}, "diner": {"key_range": 0, "table_width": 3}},
]


@pytest.fixture
def form(qtbot: QtBot) -> RecipeForm:
    form = RecipeForm(LenslessRecipe, exclude=("stack",))
    qtbot.addWidget(form)
    form.show()
    return form


@pytest.mark.parametrize("values", RECIPES)
def test_what_is_shown_is_what_is_read(form: RecipeForm, values: dict[str, Any]) -> None:
    recipe = LenslessRecipe.parse(values)
    form.set_values(recipe)
    assert LenslessRecipe.parse(form.values()) == recipe
    form.set_values(LenslessRecipe())
    assert LenslessRecipe.parse(form.values()) == LenslessRecipe()


def test_every_editor_explains_itself(form: RecipeForm) -> None:
    editors = dict(form.editors)
    for section in form.sections.values():
        editors |= section.form.editors
        assert not section.isExpanded()
        assert section.toggleButton().toolTip()
    assert len(editors) > 30
    assert all(editor.toolTip() for editor in editors.values())


def test_units_stand_behind_the_numbers(form: RecipeForm) -> None:
    assert form.editors["wavelength_um"].suffix() == " µm"
    assert form.editors["phase_scale_rad"].suffix() == " rad"
    assert form.editors["max_seconds"].suffix() == " s"
    labels = [label.text() for label in form.findChildren(QLabel)]
    assert "Wavelength" in labels
    assert [label for label in labels if label.endswith("(µm)")] == [
        "Distances (µm)",
        "Shifts (µm)",
        "Positions (µm)",
    ]


def test_small_numbers_are_typed_and_shown_in_full(qtbot: QtBot, form: RecipeForm) -> None:
    editor = form.sections["gauss_newton"].form.editors["tolerance"]
    editor.set_value(1e-5)
    assert editor.text() == "1e-05"
    editor.lineEdit().selectAll()
    qtbot.keyClicks(editor, "2.5e-7")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert editor.value() == 2.5e-7


def test_a_number_counts_before_it_is_confirmed(qtbot: QtBot, form: RecipeForm) -> None:
    for editor, text in ((form.editors["wavelength_um"], "0.5"), (form.editors["seed"], "42")):
        editor.lineEdit().selectAll()
        qtbot.keyClicks(editor, text)
        assert editor.value() == float(text)


def test_an_empty_number_means_none(qtbot: QtBot, form: RecipeForm) -> None:
    editor = form.editors["max_seconds"]
    assert editor.text() == "none"
    editor.lineEdit().selectAll()
    qtbot.keyClicks(editor, "30")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert editor.value() == 30
    assert editor.text() == "30 s"
    editor.lineEdit().clear()
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert editor.value() is None


@pytest.mark.parametrize(
    ("text", "state"), [("x", "Invalid"), ("1e", "Intermediate"), ("20", "Intermediate"), ("1,5", "Acceptable")]
)
def test_numbers_are_checked_while_they_are_typed(qtbot: QtBot, text: str, state: str) -> None:
    editor = NumberEditor(0, 10)
    qtbot.addWidget(editor)
    assert editor.validate(text, 0)[0] == QValidator.State[state]


def test_bounds_come_from_the_recipe(form: RecipeForm) -> None:
    editor = form.sections["diner"].form.editors["table_width"]
    editor.set_value(99)
    assert editor.value() == 3
    assert form.sections["gauss_newton"].form.editors["damping"].minimum() > 0


def test_a_list_that_cannot_be_read_is_a_sentence(form: RecipeForm) -> None:
    form.editors["gains"].setText("1, [2")
    with pytest.raises(RecipeError, match="Gains"):
        form.values()


def test_a_change_is_announced(qtbot: QtBot, form: RecipeForm) -> None:
    with qtbot.waitSignal(form.changed):
        form.sections["diner"].form.editors["omega"].set_value(12)


def test_any_recipe_gets_a_form(qtbot: QtBot) -> None:
    class Part(Settings):
        rate: float = Field(default=0.5, gt=0, lt=1)

    class Other(Recipe):
        task: Literal["other"] = "other"
        limit: float | None = Field(default=None, ge=-5, le=5)
        part: Part = Part()

    form = RecipeForm(Other)
    qtbot.addWidget(form)
    for limit in (None, -5.0, 0.0, 5.0):
        form.set_values({"limit": limit})
        assert form.values()["limit"] == limit
    assert Other.parse(form.values()) == Other(limit=5)


def test_a_type_without_an_editor_is_told_to_the_programmer(qtbot: QtBot) -> None:
    class Odd(Recipe):
        thing: bytes = b""

    with pytest.raises(TypeError, match="thing"):
        RecipeForm(Odd)


def test_fields_of_the_recipe_can_stand_in_a_group(qtbot: QtBot) -> None:
    form = RecipeForm(LenslessRecipe, exclude=("stack",), groups={"Geometry": ("medium_index", "super_resolution")})
    qtbot.addWidget(form)
    section = form.groups["Geometry"]
    assert not section.isExpanded()
    assert set(section.form.editors) == {"medium_index", "super_resolution"}
    with qtbot.waitSignal(form.changed):
        section.form.editors["super_resolution"].set_value(2)
    recipe = LenslessRecipe.parse(form.values())
    assert recipe.super_resolution == 2 and recipe.medium_index == 1
    form.set_values(recipe.updated({"medium_index": 1.33}))
    assert section.form.editors["medium_index"].value() == 1.33


@pytest.mark.parametrize(
    ("typed", "value"),
    [("633 nm", 0.633), ("0,532", 0.532), ("0.4880µm", 0.488), ("2e-3 mm", 2.0), ("5150 Å", 0.515), ("1 micron", 1.0)],
)
@pytest.mark.parametrize("beside_unit", [True, False])
def test_a_length_is_typed_in_any_unit(qtbot: QtBot, typed: str, value: float, beside_unit: bool) -> None:
    editor = NumberEditor(0.1, 100, "µm")
    qtbot.addWidget(editor)
    editor.set_value(0.5)
    # either the number alone is replaced, or the unit that is shown with it
    editor.lineEdit().setSelection(0, 3 if beside_unit else 6)
    qtbot.keyClicks(editor, typed)
    assert editor.value() == pytest.approx(value)


@pytest.mark.parametrize(
    ("typed", "words"),
    [("1120", "is not between 0.1 and 100 µm"), ("3 foo", "is not a length"), ("1,120", "may be 1120 or 1.120")],
)
def test_a_number_that_is_not_taken_is_said_once(qtbot: QtBot, typed: str, words: str) -> None:
    editor, said = NumberEditor(0.1, 100, "µm", title="Pixel size"), []
    qtbot.addWidget(editor)
    editor.refused.connect(said.append)
    editor.set_value(1.12)
    editor.selectAll()
    qtbot.keyClicks(editor, typed)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert editor.value() == 1.12
    assert len(said) == 1 and words in said[0] and said[0].startswith(f"Pixel size {typed} ")
    # a run that is started with the same click does not begin
    with pytest.raises(RecipeError, match=words):
        editor.check_typed()
    editor.check_typed()


def test_tooltips_are_broken_into_lines(qtbot: QtBot) -> None:
    form = RecipeForm(LenslessRecipe)
    qtbot.addWidget(form)
    wrap_tooltips(form)
    wrap_tooltips(form)
    tips = [widget.toolTip() for widget in form.findChildren(QWidget) if widget.toolTip()]
    assert len(tips) > 20 and all(tip.startswith("<qt>") and tip.count("<qt>") == 1 for tip in tips)


def test_settings_in_a_sentence_go_by_their_titles() -> None:
    sentence = "set padding.mode to unknown, or raise pixel_size_um; e.g. n0.tif and no_such.field stay"
    assert with_titles(LenslessRecipe, sentence) == (
        'set "Mode (Padding)" to unknown, or raise "Pixel size"; e.g. n0.tif and no_such.field stay'
    )
    assert with_titles(LenslessRecipe, "start.tif and wavelength_um.csv") == "start.tif and wavelength_um.csv"
    assert with_titles(LenslessRecipe, "did you mean 'wavelength_um'?") == "did you mean 'wavelength_um'?"
    # a value that is also the name of a field
    assert with_titles(IdtRecipe, "set dark_field to leave_out, or leave_out to them") == (
        'set "Dark field" to leave_out, or "Leave out" to them'
    )


def test_a_section_makes_its_editors_when_it_is_unfolded(qtbot: QtBot) -> None:
    form = RecipeForm(LenslessRecipe)
    qtbot.addWidget(form)
    section, made, changes = form.sections["gauss_newton"], [], []
    form.grown.connect(made.append)
    form.changed.connect(lambda: changes.append(1))
    assert not section.findChildren(NumberEditor)
    form.set_values({"gauss_newton": {"iterations": 9, "no such field": 1}})
    form.set_values({"gauss_newton": {"iterations": 9}})
    assert len(changes) == 1 and not made
    folded = LenslessRecipe.parse(form.values())
    section.expand()
    assert made == [section.form] and section.form.editors["iterations"].value() == 9
    assert LenslessRecipe.parse(form.values()) == folded
    section.form.editors["iterations"].set_value(4)
    assert len(changes) == 2 and LenslessRecipe.parse(form.values()).gauss_newton.iterations == 4


def test_a_long_list_shows_its_beginning(qtbot: QtBot) -> None:
    editor = NumbersEditor("Numbers", 1, ())
    qtbot.addWidget(editor)
    editor.set_value([0.125] * 50)
    assert editor.cursorPosition() == 0
    assert editor.value() == [0.125] * 50
