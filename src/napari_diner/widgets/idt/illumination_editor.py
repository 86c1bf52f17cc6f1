"""Say from where the light comes in each frame: a ring, or a list; drawn as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_diner.errors import DinerError, RecipeError
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.tasks.idt.recipe import IdtRecipe, RingSettings, read_illuminations
from napari_diner.widgets.forms.editors import NumbersEditor, WheelGuard, label_of, make_editor
from napari_diner.widgets.idt.led_plot import LedPlot, outside

EDGE_OF_APERTURE = 0.9
"""Part of the objective's NA that light must reach for slow changes of the index to be seen well."""


class IlluminationEditor(QWidget):
    """The fields `illuminations` and `ring` of a recipe, a picture of them, and a sentence about them."""

    changed = Signal()
    failed = Signal(str)
    """A sentence that says why a file of directions cannot be used."""

    def __init__(self) -> None:
        super().__init__()
        self._frames: int | None = None
        self._na: float | None = None
        self._theme = "dark"
        self._wheel_guard = WheelGuard(self)
        self.kind = QComboBox()
        self.kind.addItem("Ring", "ring")
        self.kind.addItem("Listed", "list")
        self.kind.setToolTip("Directions evenly spaced on a circle, or one listed for each frame")
        self._wheel_guard.protect(self.kind)
        self.ring: dict[str, Any] = {}
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self._form.addRow("Light from", self.kind)
        for name, field in RingSettings.model_fields.items():
            editor: Any = make_editor(name, field)
            self._wheel_guard.protect(editor)
            editor.set_value(field.default)
            editor.setMinimumWidth(60)
            editor.changed.connect(self._on_changed)
            label = QLabel(label_of(name, field))
            label.setToolTip(field.description or "")
            self._form.addRow(label, editor)
            self.ring[name] = editor
        field = IdtRecipe.model_fields["illuminations"]
        self.listed = NumbersEditor(field.title or "", 2, ())
        self.listed.setToolTip(f"{field.description} For example: [0.3, 0], [0, 0.3]")
        self.listed.changed.connect(self._on_changed)
        self.load_button = QPushButton("Load…")
        self.load_button.setToolTip("Read the directions from a CSV table with columns NA_y and NA_x, or a JSON list")
        self.load_button.clicked.connect(self.choose_file)
        self._form.addRow(self.listed)
        self._form.addRow(self.load_button)
        self.plot = LedPlot()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        top = QHBoxLayout()
        top.addWidget(self.plot)
        top.addLayout(self._form, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.words)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self._on_kind()

    def values(self) -> dict[str, Any]:
        """Return the two fields of a recipe.

        Raises
        ------
        RecipeError
            If the list cannot be read.
        """
        if self.kind.currentData() == "ring":
            return {"illuminations": (), "ring": {name: editor.value() for name, editor in self.ring.items()}}
        return {"illuminations": self.listed.value(), "ring": {}}

    def set_values(self, illuminations: Any, ring_settings: Any) -> None:
        """Show directions.

        Parameters
        ----------
        illuminations
            Listed directions; if there are any, they are what is shown.
        ring_settings
            `RingSettings`, or a mapping with some of them.
        """
        given = ring_settings.model_dump() if isinstance(ring_settings, RingSettings) else dict(ring_settings)
        for name, field in RingSettings.model_fields.items():
            self.ring[name].set_value(given.get(name, field.default))
        self.listed.set_value(illuminations)
        self.kind.setCurrentIndex(1 if illuminations else 0)
        self._on_changed()

    def illumination(self) -> Illumination | None:
        """Return the directions, or None if there are none yet.

        Raises
        ------
        RecipeError
            If an entry of the list is no direction.
        """
        if self.kind.currentData() == "ring":
            na = self.ring["na"].value()
            return None if na is None or not self._frames else ring(na, self._frames, offset_deg=self._first_angle())
        listed = self.listed.value()
        return Illumination.of(listed) if listed else None

    def set_recording(self, frames: int | None, na: float | None) -> None:
        """Say how many frames there are, and the objective's NA; None for what is not known."""
        self._frames, self._na = frames, na
        self.draw()

    def choose_file(self) -> None:
        """Let the user pick a file of directions."""
        kinds = "Directions (*.csv *.json);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Load illuminations", "", kinds)
        if not path:
            return
        try:
            found = read_illuminations(Path(path))
            Illumination.of(found)
        except DinerError as error:
            text = str(error)
            self.failed.emit(text[:1].upper() + text[1:])
            return
        self.listed.set_value(found)
        self._on_changed()

    def set_theme(self, name: str) -> None:
        """Take the colours of one of napari's themes."""
        self._theme = name
        self.plot.set_theme(name)
        self.draw()

    def draw(self) -> None:
        """Draw the directions, and say what they are."""
        try:
            illumination = self.illumination()
        except RecipeError as error:
            self.plot.show_directions(np.empty((0, 2)), (), self._na)
            self._say(str(error), warning=True)
            return
        if illumination is None:
            self.plot.show_directions(np.empty((0, 2)), (), self._na)
        else:
            self.plot.show_directions(illumination.apertures, illumination.frame_of_source, self._na)
        self._say(*sentence(illumination, self._frames, self._na, self.kind.currentData() == "ring"))

    def _first_angle(self) -> float:
        angle: float = self.ring["first_angle_deg"].value()
        return angle

    def _say(self, text: str, warning: bool) -> None:
        self.words.setText(text)
        colour = get_theme(self._theme).warning.as_hex() if warning else ""
        self.words.setStyleSheet(f"color: {colour};" if colour else "")

    def _on_kind(self) -> None:
        on_ring = self.kind.currentData() == "ring"
        for editor in self.ring.values():
            self._form.setRowVisible(editor, on_ring)
        for widget in (self.listed, self.load_button):
            self._form.setRowVisible(widget, not on_ring)
        self._on_changed()

    def _on_changed(self) -> None:
        self.draw()
        self.changed.emit()


def sentence(
    illumination: Illumination | None, frames: int | None, na: float | None, on_ring: bool
) -> tuple[str, bool]:
    """Say what directions are, and whether there is something wrong with them."""
    if illumination is None:
        if on_ring and not frames:
            return "Choose a stack: each of its frames is lit from one direction.", False
        wanted = (
            "Give the NA of the ring." if on_ring else "List a direction [NA_y, NA_x] for each frame, or load them."
        )
        return wanted, False
    if frames is not None and len(illumination) != frames:
        return f"{len(illumination)} directions are listed, but the stack has {frames} frames.", True
    radius = np.hypot(*illumination.apertures.T)
    low, high = float(radius.min()), float(radius.max())
    span = f"NA {high:.3g}" if high - low < 5e-4 else f"NA {low:.3g} to {high:.3g}"
    count = len(radius)
    noun = "direction" if count == 1 else "directions"
    if na is None:
        return f"{count} {noun}, {span}. Give the NA of the objective.", False
    beyond = int(outside(illumination.apertures, na).sum())
    if beyond:
        are = "is" if beyond == 1 else "are"
        return (
            f"{beyond} of {count} {noun} {are} outside the objective's NA of {na:g} (up to {high:.4g}): dark field, "
            "which the model does not describe.",
            True,
        )
    if high < EDGE_OF_APERTURE * na:
        return (
            f"{count} {noun}, {span}: well inside the objective's NA of {na:g}, so slow changes of the index are "
            "hardly seen.",
            True,
        )
    return f"{count} {noun}, {span}, within the objective's NA of {na:g}.", False
