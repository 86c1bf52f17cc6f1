"""A table with one distance for each frame: typed, pasted, loaded from a file or filled in steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_diner.errors import InputError, RecipeError
from napari_diner.io.tables import read_table
from napari_diner.widgets.forms.number_editors import FloatEditor

ROW_HEIGHT = 24
MOST_ROWS = 6
"""Rows that are visible at once; more are scrolled."""


class DistancesTable(QWidget):
    """Distances in micrometres, one row for each frame of the stack."""

    changed = Signal()
    failed = Signal(str)
    """A sentence that says why a file or the clipboard could not be used."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0
        self.table = _Table()
        self.table.itemChanged.connect(self.changed)
        self.table.paste_pressed.connect(self.paste)
        self.table.delete_pressed.connect(self.delete_selected)
        self.first = FloatEditor(0.0, 1e9)
        self.step = FloatEditor(-1e9, 1e9)
        self.first.set_value(100)
        self.step.set_value(10)
        for editor, tip in ((self.first, "Distance of the first frame"), (self.step, "From one frame to the next")):
            editor.setToolTip(f"{tip}, in µm")
            editor.setMinimumWidth(60)
        fill = _button("Fill", "Fill the table from the first distance and the step")
        fill.clicked.connect(self.fill)
        paste = _button("Paste", "Paste numbers from a spreadsheet or a text (Ctrl+V)")
        paste.clicked.connect(self.paste)
        load = _button("Load CSV…", "Read the distances from a text file")
        load.clicked.connect(self.choose_file)
        delete = _button("Delete", "Delete the selected rows (Del)")
        delete.clicked.connect(self.delete_selected)
        steps, buttons = QHBoxLayout(), QHBoxLayout()
        for widget, stretch in ((QLabel("First"), 0), (self.first, 1), (QLabel("Step"), 0), (self.step, 1), (fill, 0)):
            steps.addWidget(widget, stretch)
        for button in (paste, load, delete):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.table)
        layout.addLayout(steps)
        layout.addLayout(buttons)

    def set_frames(self, frames: int) -> None:
        """Make room for the frames of another stack; what was typed in stays."""
        self._frames = frames
        self._show([self._text(row) for row in range(self.table.rowCount())])

    def texts(self) -> list[str]:
        """Return what the rows hold, without the empty ones at the end."""
        texts = [self._text(row) for row in range(self.table.rowCount())]
        while texts and not texts[-1]:
            texts.pop()
        return texts

    def value(self) -> tuple[float, ...]:
        """Return the distances.

        Raises
        ------
        RecipeError
            If a row before the last is empty or is no positive number.
        """
        # a cell that is still being typed counts, even where a click on a button takes no focus
        typing = self.table.focusWidget()
        if isinstance(typing, QLineEdit):
            self.table.commitData(typing)
        distances = []
        for row, text in enumerate(self.texts(), start=1):
            number = _number(text)
            if not text:
                raise RecipeError(f"The distance of frame {row} is missing; type it into the table")
            if number is None or number <= 0:
                raise RecipeError(f"The distance of frame {row} is {text!r}; give a positive number of micrometres")
            distances.append(number)
        return tuple(distances)

    def set_value(self, distances: Sequence[float]) -> None:
        """Show other distances."""
        self._show([f"{distance:.10g}" for distance in distances])

    def fill(self) -> None:
        """Fill in equally spaced distances, one for each frame."""
        first, step = self.first.value(), self.step.value()
        self.set_value([first + step * row for row in range(self._frames or self.table.rowCount())])

    def paste(self) -> None:
        """Put the numbers on the clipboard into the rows from the current one on."""
        clipboard = QGuiApplication.clipboard()
        numbers = self._read(clipboard.text() if clipboard is not None else "", "The clipboard")
        if not numbers:
            return
        texts = self.texts()
        start = min(max(self.table.currentRow(), 0), len(texts))
        texts[start : start + len(numbers)] = [f"{number:.10g}" for number in numbers]
        self._show(texts)

    def choose_file(self) -> None:
        """Let the user pick a file and read the distances from it."""
        path, _ = QFileDialog.getOpenFileName(self, "Load distances", "", "Text (*.csv *.txt *.tsv);;All files (*)")
        numbers = self._read(Path(path)) if path else []
        if numbers:
            self.set_value(numbers)

    def delete_selected(self) -> None:
        """Delete the selected rows; those below move up."""
        selected = {index.row() for index in self.table.selectedIndexes()}
        self._show([text for row, text in enumerate(self.texts()) if row not in selected])

    def _read(self, text_or_path: str | Path, source: str = "") -> list[float]:
        """Return the distances in a text or a file; none, and a message, if they cannot be read."""
        try:
            return read_table(text_or_path, source).column("distances_um", unit="um")
        except InputError as error:
            self.failed.emit(str(error))
            return []

    def _text(self, row: int) -> str:
        item = self.table.item(row, 0)
        return item.text().strip() if item is not None else ""

    def _show(self, texts: list[str]) -> None:
        while texts and not texts[-1]:
            texts.pop()
        self.table.blockSignals(True)
        self.table.setRowCount(max(self._frames, len(texts), 1))
        for row in range(self.table.rowCount()):
            self.table.setItem(row, 0, QTableWidgetItem(texts[row] if row < len(texts) else ""))
        self.table.blockSignals(False)
        self.table.show_rows()
        self.changed.emit()


class _Table(QTableWidget):
    """One column that knows the keys for pasting and deleting."""

    paste_pressed = Signal()
    delete_pressed = Signal()

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.setHorizontalHeaderLabels(["Distance (µm)"])
        header = self.horizontalHeader()
        assert header is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        rows = self.verticalHeader()
        assert rows is not None
        rows.setDefaultSectionSize(ROW_HEIGHT)
        self.setToolTip("Distance from the sample to the sensor, one row for each frame in the order of the stack")

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Measure anew, since the theme has set the height of the header by now."""
        super().showEvent(event)
        self.show_rows()

    def show_rows(self) -> None:
        """Be as high as the rows, if they are not too many."""
        header = self.horizontalHeader()
        assert header is not None
        rows = min(max(self.rowCount(), 3), MOST_ROWS)
        self.setFixedHeight(header.sizeHint().height() + rows * ROW_HEIGHT + 2 * self.frameWidth() + 2)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Paste on Ctrl+V, delete on Del."""
        if event is None:
            return
        if event.matches(QKeySequence.StandardKey.Paste):
            self.paste_pressed.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
