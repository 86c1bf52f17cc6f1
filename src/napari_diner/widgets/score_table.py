"""A small table of what each representation of a comparison reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

ROW_HEIGHT = 22
MOST_ROWS = 7
"""Rows that are visible at once; more are scrolled."""
COLUMNS = {
    "psnr_db": ("dB", "Peak signal-to-noise ratio", "{:.1f}"),
    "bits_per_pixel": ("bits/px", "Size of the model file, the table counted, in bits per pixel", "{:.1f}"),
    "iterations": ("epochs", "How often it was shown the whole data", "{:,}"),
    "seconds": ("s", "Seconds of computing", "{:.1f}"),
}
"""For each figure of a report the title of its column, what it means, and how it is written."""


class ScoreTable(QTableWidget):
    """One row for each contender, the winner in bold; for reading only."""

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setHorizontalHeaderLabels([title for title, _, _ in COLUMNS.values()])
        for column, (_, tip, _) in enumerate(COLUMNS.values()):
            item = self.horizontalHeaderItem(column)
            assert item is not None
            item.setToolTip(tip)
        header, rows = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert rows is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        self.hide()

    def show_scores(self, reports: Mapping[str, Mapping[str, Any]], winner: str) -> None:
        """Show the figures of all contenders.

        Parameters
        ----------
        reports
            Report of each contender by name.
        winner
            The name of the best.
        """
        self.setRowCount(len(reports))
        self.setVerticalHeaderLabels(list(reports))
        for row, (name, report) in enumerate(reports.items()):
            for column, (key, (_, _, form)) in enumerate(COLUMNS.items()):
                item = QTableWidgetItem(form.format(report[key]))
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                font = item.font()
                font.setBold(name == winner)
                item.setFont(font)
                self.setItem(row, column, item)
        self.show()
        header = self.horizontalHeader()
        assert header is not None
        rows = min(len(reports), MOST_ROWS)
        self.setFixedHeight(header.sizeHint().height() + rows * ROW_HEIGHT + 2 * self.frameWidth() + 2)
