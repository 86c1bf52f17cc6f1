"""Every field of every dock with a value that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_diner.errors import RecipeError
from napari_diner.tasks.idt.recipe import RingSettings
from napari_diner.widgets.forms.editors import NumbersEditor, title_of
from napari_diner.widgets.forms.number_editor import NumberEditor
from tests.kit.docks import Wait
from tests.widgets.conftest import open_dock

REQUIRED = {
    "lensless": {"wavelength_um": 0.5, "pixel_size_um": 1.5, "distances_um": [300.0, 390.0, 500.0]},
    "focus": {"wavelength_um": 0.5, "pixel_size_um": 1.5, "distances_um": [300.0, 390.0, 500.0]},
    "idt": {
        "wavelength_um": 0.5,
        "pixel_size_um": 0.3,
        "na": 0.4,
        "illuminations": [[0.0, 0.1], [0.1, 0.0], [0.0, 0.0]],
    },
    "fit": {"axes": "ZYX"},
}

RUBBISH = ("-1e999", "rubbish", "1..2", "[1, 2", "½", "{field}", "2 furlongs")
"""Texts that no field can use."""
ONLY_NUMBERS = ("1;2", "12 34", "1e", "0x10", "nan", "-")
"""Texts that may be a part of a list."""


def fields(dock: Any) -> Iterator[tuple[str, Any]]:
    """Yield the title of each field in which something can be typed, and its editor."""
    forms = [(dock.recipe_type, dock.editors)]
    forms += [
        (dock.recipe_type.model_fields[name].annotation, section.form.editors)
        for name, section in dock.advanced.sections.items()
    ]
    for model, editors in forms:
        for name, editor in editors.items():
            if isinstance(editor, (NumberEditor, NumbersEditor)):
                yield title_of(name, model.model_fields[name]), editor
    for name, editor in dock.illumination.ring.items() if dock.task_name == "idt" else ():
        yield title_of(name, RingSettings.model_fields[name]), editor


def type_into(editor: Any, text: str) -> None:
    """Type a text, and leave the field."""
    line = editor if isinstance(editor, QLineEdit) else editor.lineEdit()
    line.setText(text)
    line.setModified(True)
    line.textEdited.emit(text)
    QApplication.sendEvent(editor, QFocusEvent(QEvent.Type.FocusOut))


def distance(text: str) -> Callable[[Any], None]:
    """Return what enters a text as the second distance."""
    return lambda dock: dock.distances.table.item(1, 0).setText(text)


TEXTS: dict[str, list[Callable[[Any], None]]] = {
    "lensless": [distance("near"), distance("-3"), lambda dock: type_into(dock.editors["extension"], "{a: [1")],
    "focus": [distance("near")],
    "idt": [
        lambda dock: type_into(dock.illumination.listed, "[0.1, 0.2"),
        lambda dock: type_into(dock.illumination.listed, "[0.1, up], [0, 0], [0, 0]"),
    ],
    "fit": [lambda dock: type_into(dock.editors["axes"], "Q9"), lambda dock: type_into(dock.editors["axes"], "YX")],
}
"""What makes texts, tables and lists of directions wrong, by dock."""


@pytest.mark.parametrize("name", REQUIRED)
def test_each_is_named_and_nothing_runs(make_napari_viewer: Callable[..., Any], name: str) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, name)
    dock.set_recipe(dock.recipe().updated(REQUIRED[name]))
    tried = 0
    for title, editor in fields(dock):
        before = editor.value()
        texts = [*RUBBISH, *(ONLY_NUMBERS if isinstance(editor, NumberEditor) else ())]
        if isinstance(editor, NumberEditor) and not editor.specialValueText():
            texts.append("")
        text = texts[tried % len(texts)]
        type_into(editor, text)
        dock.panel.run_button.click()
        message = dock.panel.status.text()
        assert not dock.panel.running, (title, text)
        assert dock.panel.status.is_warning and title.split(" (")[0] in message, (title, text, message)
        assert dock.mark.marked is editor, (title, text)
        if isinstance(editor, NumberEditor):
            assert editor.value() == before, (title, text)
        editor.set_value(before)
        dock.panel.say("")
        tried += 1
    assert tried > 5
    dock.recipe()  # nothing of it is left
    for enter in TEXTS[name]:
        enter(dock)
        dock.panel.run_button.click()
        message = dock.panel.status.text()
        assert not dock.panel.running and dock.panel.status.is_warning
        assert message and "\n" not in message and "Error" not in message, message
        dock.set_recipe(dock.recipe_type.parse(REQUIRED[name]))
        dock.panel.say("")


FILES = {
    "lensless": ("mask", "illumination", "preprocess.dark", "prior.support"),
    "focus": ("mask", "preprocess.empty"),
    "idt": ("background", "transfer_functions"),
}
"""Fields that name files, by dock."""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_frames_its_field(
    make_napari_viewer: Callable[..., Any], wait_for_end: Wait, tmp_path: Path, name: str
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, name)
    (tmp_path / "notes.mat").write_text("no image")
    recipe = dock.recipe_type.parse(REQUIRED[name])
    for key in FILES[name]:
        *section, field = key.split(".")
        for place in ("missing.tif", "notes.mat", "")[: 3 if key in ("mask", "transfer_functions") else 1]:
            path = str(tmp_path / place)
            changes: dict[str, Any] = {field: path}
            dock.set_recipe(recipe.updated({section[0]: changes} if section else changes))
            dock.panel.run_button.click()
            wait_for_end(dock.panel)
            message = dock.panel.status.text()
            assert dock.panel.status.is_warning and path in message and "Errno" not in message, message
            form = dock.advanced.sections[section[0]].form if section else dock
            editor = form.editors[field]
            part = dock.mark.marked
            assert part is editor or editor.isAncestorOf(part), (key, place)
            # not "#name", which names with dots would end
            assert f'*[objectName="{part.objectName()}"]' in part.styleSheet()


@pytest.mark.parametrize("is_empty", [True, False])
def test_directions_on_a_ring_frame_its_aperture(
    make_napari_viewer: Callable[..., Any], wait_for_end: Wait, is_empty: bool
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "idt")
    ring = {} if is_empty else {"na": REQUIRED["idt"]["na"] + 0.1}
    dock.set_recipe(dock.recipe_type.parse(REQUIRED["idt"] | {"illuminations": [], "ring": ring}))
    dock.panel.run_button.click()
    wait_for_end(dock.panel)
    assert dock.panel.status.is_warning and dock.mark.marked is dock.illumination.ring["na"]


def test_a_refused_number_is_framed_until_it_is_corrected(make_napari_viewer: Callable[..., Any]) -> None:
    dock = open_dock(make_napari_viewer(), "fit")
    editor = dock.editors["max_seconds"]
    type_into(editor, "soon")
    assert dock.mark.marked is editor and "Time limit soon" in dock.panel.status.text()
    type_into(editor, "20")
    assert dock.mark.marked is None and dock.panel.status.text() == "" and editor.value() == 20


def test_an_empty_field_keeps_its_value_and_says_so(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "idt")
    tried = 0
    for title, editor in fields(dock):
        if isinstance(editor, NumberEditor):
            before = editor.value()
            type_into(editor, "")
            if editor.specialValueText():
                assert editor.value() is None
            else:
                assert editor.value() == before and dock.panel.status.text().startswith(f"{title} is empty")
                tried += 1
            editor.set_value(before)
            dock.panel.say("")
    assert tried > 5


def test_what_is_being_typed_is_left_alone_until_it_is_needed(qtbot: QtBot) -> None:
    editor = NumberEditor(0.0, 10.0, title="Height")
    qtbot.addWidget(editor)
    editor.set_value(2.0)
    editor.show()
    line = editor.lineEdit()
    assert line is not None
    # without a window manager, no window is active by itself
    editor.activateWindow()
    line.setFocus()
    qtbot.waitUntil(line.hasFocus)
    line.selectAll()
    qtbot.keyClick(line, Qt.Key.Key_Backspace)
    assert editor.value() == 2.0 and line.text() == ""
    qtbot.keyClicks(line, "7")
    assert editor.value() == 7.0
    line.selectAll()
    qtbot.keyClicks(line, "1e")
    assert editor.value() == 7.0 and line.text() == "1e"
    with pytest.raises(RecipeError, match="Height 1e is not a number; the value stays as it was"):
        editor.check_typed()
    assert line.text() == "7"
