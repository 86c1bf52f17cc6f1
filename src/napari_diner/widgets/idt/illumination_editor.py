"""Editor of the illumination of each frame: a ring or a list of directions, with a live plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from napari_diner.errors import DinerError, RecipeError
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.tasks.idt.directions_file import read_illuminations
from napari_diner.tasks.idt.recipe import IdtRecipe, RingSettings
from napari_diner.widgets.forms.controls import ShrinkingCombo, WrappedLabel, button, remove_margins
from napari_diner.widgets.forms.editors import NumbersEditor, WheelGuard, add_rows, make_editors, values_in
from napari_diner.widgets.forms.number_editor import NumberEditor
from napari_diner.widgets.idt.led_plot import LedPlot, outside
from napari_diner.wording import digits

EDGE_OF_APERTURE = 0.9
"""Fraction of the objective's NA that the illumination must reach for slow changes of the index to be visible."""
_DARK_FIELD = {
    "refuse": "dark field; use it, or leave it out",
    "leave_out": "dark field, which is left out",
    "use": "dark field, which the multi-slice model uses",
}


class IlluminationEditor(QWidget):
    """Editors of the fields `illuminations` and `ring` of a recipe, with a plot and a description."""

    changed = Signal()
    failed = Signal(object)
    """The `DinerError` raised while reading a file of directions."""
    left_out = Signal(object)
    """Frames to leave out, as they are lit from outside the aperture: a tuple, counted from 1."""
    dark_field_used = Signal()
    """Frames lit from outside the aperture are to be used."""

    def __init__(self) -> None:
        super().__init__()
        self._frames: int | None = None
        self._na: float | None = None
        self._without: tuple[int, ...] = ()
        self._dark_field = "refuse"
        self.kind = ShrinkingCombo(4)
        self.kind.addItem("Ring", "ring")
        self.kind.addItem("Listed", "list")
        self.kind.setToolTip("Directions evenly spaced on a circle, or listed for each frame")
        WheelGuard(self.kind)
        self.kind.setMinimumWidth(76)
        self.ring = make_editors(RingSettings, tuple(RingSettings.model_fields))
        self._form = QFormLayout()
        remove_margins(self._form)
        self._form.addRow("Light from", self.kind)
        add_rows(self._form, RingSettings, self.ring)
        for editor in self.ring.values():
            editor.changed.connect(self._on_changed)
            if isinstance(editor, NumberEditor):
                editor.setMinimumWidth(60)
        field = IdtRecipe.model_fields["illuminations"]
        self.listed = NumbersEditor(field.title or "", 2, ())
        self.listed.setToolTip(f"{field.description} For example: [0.3, 0], [0, 0.3]")
        self.listed.changed.connect(self._on_changed)
        tip = "Read the directions from a CSV table with columns NA_y and NA_x, or a JSON list"
        self.load_button = button("Load…", tip, self.choose_file)
        self._form.addRow(self.listed)
        self._form.addRow(self.load_button)
        self.plot = LedPlot()
        self.words = WrappedLabel()
        tip = "Leave out frames whose light comes from outside the objective's aperture"
        self.leave_out_button = button("Leave dark field out", tip, self._leave_out)
        tip = (
            "Use frames whose light comes from outside the objective's aperture: they show finer detail, by the "
            "multi-slice model, which takes longer"
        )
        self.use_button = button("Use dark field", tip, self.dark_field_used.emit)
        top = QHBoxLayout()
        top.addWidget(self.plot)
        top.addLayout(self._form, 1)
        layout = QVBoxLayout(self)
        remove_margins(layout, 2)
        layout.addLayout(top)
        layout.addWidget(self.words)
        layout.addWidget(self.use_button)
        layout.addWidget(self.leave_out_button)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self._on_kind()

    @property
    def on_ring(self) -> bool:
        """Whether the directions are evenly spaced on a circle."""
        return bool(self.kind.currentData() == "ring")

    def field(self) -> QWidget:
        """Return the field that the directions are entered in."""
        return cast(QWidget, self.ring["na"]) if self.on_ring else self.listed

    def values(self) -> dict[str, object]:
        """Return the two fields of a recipe.

        Raises
        ------
        RecipeError
            If the list cannot be read.
        """
        if self.on_ring:
            return {"illuminations": (), "ring": {name: editor.value() for name, editor in self.ring.items()}}
        return {"illuminations": values_in("illuminations", self.listed.value), "ring": {}}

    def set_values(self, illuminations: object, ring_settings: object) -> None:
        """Show the directions.

        Parameters
        ----------
        illuminations
            Listed directions; shown if there are any.
        ring_settings
            `RingSettings`, or a mapping with some of its fields.
        """
        settings = RingSettings.model_validate(ring_settings)
        for name, editor in self.ring.items():
            editor.set_value(getattr(settings, name))
        self.listed.set_value(illuminations)
        self.kind.setCurrentIndex(1 if illuminations else 0)
        self._on_changed()

    def illumination(self) -> Illumination | None:
        """Return the directions, or None if there are none yet.

        Raises
        ------
        RecipeError
            If an entry of the list is not a direction.
        """
        if self.on_ring:
            settings = RingSettings.model_validate({name: editor.value() for name, editor in self.ring.items()})
            if settings.na is None or not self._frames:
                return None
            return ring(settings.na, self._frames, offset_deg=settings.first_angle_deg)
        listed = self.listed.value()
        return Illumination.of(listed) if isinstance(listed, Sequence) and listed else None

    def set_recording(
        self, frames: int | None, na: float | None, without: tuple[int, ...] = (), dark_field: str = "refuse"
    ) -> None:
        """Describe the recording and the use of dark field.

        Parameters
        ----------
        frames, na
            Number of frames and the objective's NA; None if unknown.
        without
            Frames that are left out, counted from 1.
        dark_field
            That of a recipe.
        """
        self._frames, self._na, self._without, self._dark_field = frames, na, without, dark_field
        self.draw()

    def choose_file(self) -> None:
        """Ask for a file of directions."""
        kinds = "Directions (*.csv *.json);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Load illuminations", "", kinds)
        if not path:
            return
        try:
            directions = IdtRecipe.parse({"illuminations": read_illuminations(Path(path))}).illuminations
            Illumination.of(directions)
        except DinerError as error:
            self.failed.emit(error)
            return
        self.listed.set_value(directions)
        self.kind.setCurrentIndex(self.kind.findData("list"))
        self._on_changed()

    def set_theme(self, name: str) -> None:
        """Apply the colours of a napari theme."""
        self.plot.set_theme(name)
        self.words.set_theme(name)

    def draw(self) -> None:
        """Draw the directions, and describe them."""
        illumination = None
        try:
            illumination = self.illumination()
            words, warning = description(
                illumination, self._frames, self._na, self.on_ring, self._without, self._dark_field
            )
        except RecipeError as error:
            words, warning = str(error), True
        dark = bool(dark_field(illumination, self._na, self._without))
        self.leave_out_button.setVisible(dark and self._dark_field != "leave_out")
        self.use_button.setVisible(dark and self._dark_field != "use")
        if illumination is None:
            self.plot.show_directions(np.empty((0, 2)), np.empty(0, np.int64), self._na)
        else:
            frames = illumination.frame_of_source
            wanted = np.isin(1 + frames, self._without) | (self._dark_field != "refuse")
            self.plot.show_directions(illumination.apertures, frames, self._na, wanted)
        self.words.say(words, warning)

    def _leave_out(self) -> None:
        frames = dark_field(self.illumination(), self._na, self._without)
        self.left_out.emit(tuple(sorted({*frames, *self._without})))

    def _on_kind(self) -> None:
        for number in range(1, self._form.rowCount()):
            is_of_ring = number <= len(self.ring)
            # files can be loaded at any time, and become a list
            is_loading = number == self._form.rowCount() - 1
            self._form.setRowVisible(number, is_loading or is_of_ring == self.on_ring)
        self._on_changed()

    def _on_changed(self) -> None:
        self.draw()
        self.changed.emit()


def dark_field(illumination: Illumination | None, na: float | None, without: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the frames lit from outside the aperture, counted from 1, except those that are left out."""
    if illumination is None or na is None:
        return ()
    beyond = 1 + illumination.frame_of_source[outside(illumination.apertures, na)]
    return tuple(sorted({*beyond.tolist()} - {*without}))


def description(
    illumination: Illumination | None,
    frames: int | None,
    na: float | None,
    on_ring: bool,
    without: Sequence[int] = (),
    dark_field: str = "refuse",
) -> tuple[str, bool]:
    """Describe directions in a sentence; return it with whether there is a problem.

    Parameters
    ----------
    illumination
        The directions; None if there are none yet.
    frames, na
        Number of frames and the objective's NA; None if unknown.
    on_ring
        Whether the directions are evenly spaced on a circle.
    without
        Frames that are left out, counted from 1.
    dark_field
        That of a recipe.
    """
    if illumination is None:
        if on_ring and not frames:
            return "Choose a stack: each of its frames is lit from one direction.", False
        if on_ring:
            return "Enter the NA of the ring, or load the direction of each frame.", False
        return "List a direction [NA_y, NA_x] for each frame, or load them.", False
    if frames is not None and len(illumination) != frames:
        return f"{len(illumination)} directions are listed, but the stack has {frames} frames.", True
    used = illumination.apertures[~np.isin(1 + illumination.frame_of_source, without)]
    if len(used) == 0:
        return "All frames are left out; keep some.", True
    radius = np.hypot(*used.T)
    low, high = float(radius.min()), float(radius.max())
    span = f"NA {digits(high, 3)}" if high - low < 5e-4 else f"NA {digits(low, 3)} to {digits(high, 3)}"
    directions = "1 direction" if len(radius) == 1 else f"{len(radius)} directions"
    if na is None:
        return f"{directions}, {span}. Enter the NA of the objective.", False
    beyond = int(outside(used, na).sum())
    if beyond:
        return (
            f"{beyond} of {directions} {'is' if beyond == 1 else 'are'} outside the objective's NA of {na:g} (up to "
            f"{digits(high, 4)}): {_DARK_FIELD[dark_field]}.",
            dark_field == "refuse" or beyond == len(used),
        )
    if high < EDGE_OF_APERTURE * na:
        return (
            f"{directions}, {span}: well inside the objective's NA of {na:g}, so slow changes of the index are hardly "
            "visible.",
            True,
        )
    return f"{directions}, {span}, within the objective's NA of {na:g}.", False
