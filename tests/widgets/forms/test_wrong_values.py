"""Every field of every dock with a value that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_diner.widgets.forms.editors import NumbersEditor, title_of
from napari_diner.widgets.forms.number_editor import NumberEditor
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


def type_into(editor: Any, text: str) -> None:
    """Type a text, and leave the field."""
    line = editor if isinstance(editor, QLineEdit) else editor.lineEdit()
    line.setText(text)
    line.setModified(True)
    line.textEdited.emit(text)
    QApplication.sendEvent(editor, QFocusEvent(QEvent.Type.FocusOut))


@pytest.mark.parametrize("name", REQUIRED)
def test_each_is_named_and_nothing_runs(make_napari_viewer: Callable[..., Any], name: str) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, name)
    dock.set_recipe(dock.recipe().updated(REQUIRED[name]))
    tried = 0
    for title, editor in fields(dock):
        before = editor.value()
        text = ("-1e999", "rubbish")[tried % 2]
        type_into(editor, text)
        dock.panel.run_button.click()
        message = dock.panel.status.text()
        assert not dock.panel.running, (title, text)
        assert dock.panel.status.is_warning and title.split(" (")[0] in message, (title, text, message)
        editor.set_value(before)
        dock.panel.say("")
        tried += 1
    assert tried > 5
    dock.recipe()  # nothing of it is left
