"""A table with one distance per frame: typed, pasted, loaded from a file or filled with equal steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemDelegate, QFileDialog, QLineEdit, QTableWidgetItem, QVBoxLayout, QWidget

from napari_diner.errors import InputError, RecipeError, quoted
from napari_diner.io.tables import read_table
from napari_diner.io.units import length_um
from napari_diner.widgets.forms.controls import button, remove_margins, row
from napari_diner.widgets.forms.number_editor import NumberEditor
from napari_diner.widgets.forms.tables import CompactTable

_LONGEST_NAME = 22
STEP_WIDTH = 60
"""Least width in pixels of the first distance and of the step, with which the dock fits a screen at 150 %."""


class DistancesTable(QWidget):
    """Distances in micrometres, one row per frame of the stack."""

    changed = Signal()
    failed = Signal(object)
    """The `DinerError` raised while reading a file or the clipboard."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0
        self._files: list[str] = []
        self._before: list[list[str]] = []
        self._present: list[str] = []
        self.table = _Table()
        self.table.itemChanged.connect(self._on_changed)
        self.table.copy_pressed.connect(self.copy)
        self.table.undo_pressed.connect(self.undo)
        self.table.paste_pressed.connect(self.paste)
        self.table.delete_pressed.connect(self.delete_selected)
        self.first = _step_editor(0.0, 100, "Distance of the first frame, in µm")
        self.step = _step_editor(-1e9, 10, "Difference from one frame to the next, in µm")
        fill = button("Fill", "Fill the table from the first distance and the step", self.fill)
        steps = row("First", self.first, "Step", self.step, fill, stretch=self.first)
        steps.setStretchFactor(self.step, 1)
        buttons = row(
            button("Paste", "Paste numbers from a spreadsheet or a text (Ctrl+V)", self.paste),
            button("Load CSV…", "Read the distances from a text file", self.choose_file),
            button("Delete", "Delete the selected rows (Del)", self.delete_selected),
        )
        layout = QVBoxLayout(self)
        remove_margins(layout, 4)
        layout.addWidget(self.table)
        layout.addLayout(steps)
        layout.addLayout(buttons)

    def set_frames(self, frames: int, files: Sequence[str] = ()) -> None:
        """Adapt the rows to the frames of another stack, and show their files, if each has one; entries are kept."""
        self._frames = frames
        self._files = [Path(file).name for file in files] if len(files) == frames > 1 else []
        self._show(self.texts())

    def texts(self) -> list[str]:
        """Return the contents of the rows, without the empty ones at the end."""
        items = [self.table.item(number, 0) for number in range(self.table.rowCount())]
        texts = ["" if item is None else item.text().strip() for item in items]
        while texts and not texts[-1]:
            texts.pop()
        return texts

    def value(self) -> tuple[float, ...]:
        """Return the distances.

        Raises
        ------
        RecipeError
            If a row before the last is empty, or does not hold a positive number.
        """
        # include a cell that is still being edited, as a click on a button may not take the focus
        typing = self.table.focusWidget()
        if isinstance(typing, QLineEdit):
            self.table.commitData(typing)
        return tuple(_distance(frame, text) for frame, text in enumerate(self.texts(), start=1))

    def entered(self) -> list[float]:
        """Return the complete distances, while others are being typed."""
        distances = []
        for frame, text in enumerate(self.texts(), start=1):
            with contextlib.suppress(RecipeError):
                distances.append(_distance(frame, text))
        return distances

    def set_value(self, value: object) -> None:
        """Show other distances."""
        self._show([f"{distance:.10g}" for distance in value] if isinstance(value, Sequence) else [])

    def set_distance(self, frame: int, distance_um: float) -> None:
        """Show another distance for one frame, counted from 0."""
        item = self.table.item(frame, 0)
        if item is not None:
            item.setText(f"{distance_um:.10g}")

    def fill(self) -> None:
        """Fill in equally spaced distances, one per frame."""
        first, step = self.first.value() or 0.0, self.step.value() or 0.0
        self.set_value([first + step * number for number in range(self._frames or self.table.rowCount())])

    def paste(self) -> None:
        """Paste the numbers on the clipboard into the rows, starting at the current one."""
        clipboard = QGuiApplication.clipboard()
        numbers = self._read("" if clipboard is None else clipboard.text(), "The clipboard")
        if numbers:
            texts = self.texts()
            start = min(max(self.table.currentRow(), 0), len(texts))
            texts[start : start + len(numbers)] = [f"{number:.10g}" for number in numbers]
            self._show(texts)

    def copy(self) -> None:
        """Copy the selected rows to the clipboard, or all if none is selected."""
        selected = {index.row() for index in self.table.selectedIndexes()}
        texts = [text for number, text in enumerate(self.texts()) if not selected or number in selected]
        if (clipboard := QGuiApplication.clipboard()) is not None:
            clipboard.setText("\n".join(texts))

    def undo(self) -> None:
        """Undo the last change."""
        if self._before:
            self._present = self._before.pop()
            self._show(self._present)

    def choose_file(self) -> None:
        """Ask for a file and read the distances from it."""
        path, _ = QFileDialog.getOpenFileName(self, "Load distances", "", "Text (*.csv *.txt *.tsv);;All files (*)")
        numbers = self._read(Path(path)) if path else []
        if numbers:
            self.set_value(numbers)

    def delete_selected(self) -> None:
        """Delete the selected rows; those below move up."""
        selected = {index.row() for index in self.table.selectedIndexes()}
        self._show([text for number, text in enumerate(self.texts()) if number not in selected])

    def _read(self, text_or_path: str | Path, source: str = "") -> list[float]:
        """Return the distances in a text or a file; on failure, report the error and return none."""
        try:
            return read_table(text_or_path, source).in_order().column("distances_um", unit="um")
        except InputError as error:
            self.failed.emit(error)
            return []

    def _show(self, texts: list[str]) -> None:
        self.table.blockSignals(True)
        self.table.setRowCount(max(self._frames, len(texts), 1))
        for number in range(self.table.rowCount()):
            self.table.setItem(number, 0, QTableWidgetItem(texts[number] if number < len(texts) else ""))
            file = self._files[number] if number < len(self._files) else ""
            label = QTableWidgetItem((file and f"{number + 1}  {_shortened(file)}") or str(number + 1))
            label.setToolTip(file)
            self.table.setVerticalHeaderItem(number, label)
        self.table.blockSignals(False)
        self.table.fit_height()
        self._on_changed()

    def _on_changed(self) -> None:
        texts = self.texts()
        if texts != self._present:
            self._before.append(self._present)
            self._present = texts
        self.changed.emit()


class _Table(CompactTable):
    """One column with keys for copy, paste, delete and undo; Enter moves to the next row."""

    copy_pressed = Signal()
    undo_pressed = Signal()
    paste_pressed = Signal()
    delete_pressed = Signal()

    def __init__(self) -> None:
        tip = "Distance from the sample to the sensor, one row for each frame in the order of the stack"
        super().__init__({"Distance (µm)": tip}, 3, 6)
        self.setToolTip(tip)
        self.setRowCount(1)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Copy on Ctrl+C, paste on Ctrl+V, undo on Ctrl+Z, delete on Del, edit on Enter."""
        if event is None:
            return
        if event.matches(QKeySequence.StandardKey.Paste):
            self.paste_pressed.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy_pressed.emit()
        elif event.matches(QKeySequence.StandardKey.Undo):
            self.undo_pressed.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (item := self.currentItem()) is not None:
            self.editItem(item)
        elif event.key() == Qt.Key.Key_Delete:
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)

    def closeEditor(self, editor: QWidget | None, hint: QAbstractItemDelegate.EndEditHint) -> None:  # noqa: N802 (Qt's)
        """Move to the next row after Enter."""
        super().closeEditor(editor, hint)
        if hint == QAbstractItemDelegate.EndEditHint.SubmitModelCache and self.currentRow() + 1 < self.rowCount():
            self.setCurrentCell(self.currentRow() + 1, 0)


def _step_editor(low: float, default: float, tip: str) -> NumberEditor:
    editor = NumberEditor(low, 1e9, "µm")
    # napari's style gives numbers room for two buttons; without buttons, Qt of PySide6 leaves the number no room at all
    parts = ", ".join(f"QDoubleSpinBox::{way}-{part}" for way in ("up", "down") for part in ("button", "arrow"))
    none = "{ width: 0px; height: 0px; border: none; image: none; }"
    editor.setStyleSheet(f"QDoubleSpinBox {{ min-width: {STEP_WIDTH - 10}px; padding: 1px 4px; }} {parts} {none}")
    editor.set_value(default)
    editor.setToolTip(tip)
    editor.setMinimumWidth(STEP_WIDTH)
    return editor


def _shortened(name: str) -> str:
    """Return the end of a long name, where the names of frames differ."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _distance(frame: int, text: str) -> float:
    """Return the distance of a frame, counted from 1."""
    if not text:
        raise RecipeError(f"The distance of frame {frame} is missing; type it into the table")
    distance = length_um(text)
    if distance is None or not 0 < distance < math.inf:
        raise RecipeError(
            f"The distance of frame {frame} is {quoted(text)}; type a positive number of micrometres, "
            "or one with a unit of length"
        )
    return distance
