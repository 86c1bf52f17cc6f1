"""A small table of figures, for reading only, that is no taller than a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

ROW_HEIGHT = 22


class ReadingTable(QTableWidget):
    """Rows with names and figures; hidden until there are some.

    Parameters
    ----------
    columns
        Titles of the columns, and what each means.
    most_rows
        Rows that are visible at once; more are scrolled.
    """

    def __init__(self, columns: Mapping[str, str], most_rows: int) -> None:
        super().__init__(0, len(columns))
        self.most_rows = most_rows
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setHorizontalHeaderLabels(list(columns))
        for column, tip in enumerate(columns.values()):
            item = self.horizontalHeaderItem(column)
            assert item is not None
            item.setToolTip(tip)
        header, rows = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert rows is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        self.hide()

    def fill(self, figures: Mapping[str, Sequence[str]], bold: str | None = None) -> None:
        """Show rows by their names, one of them in bold."""
        self.setRowCount(len(figures))
        self.setVerticalHeaderLabels(list(figures))
        for row, (name, texts) in enumerate(figures.items()):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                font = item.font()
                font.setBold(name == bold)
                item.setFont(font)
                self.setItem(row, column, item)
        self.show()
        header = self.horizontalHeader()
        assert header is not None
        rows = min(len(figures), self.most_rows)
        self.setFixedHeight(header.sizeHint().height() + rows * ROW_HEIGHT + 2 * self.frameWidth() + 2)
