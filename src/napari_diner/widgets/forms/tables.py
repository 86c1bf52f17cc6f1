"""Small tables of a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

ROW_HEIGHT = 24


class CompactTable(QTableWidget):
    """A table as tall as its rows, up to a limit beyond which it scrolls.

    Parameters
    ----------
    columns
        Titles of the columns, and the tooltip of each.
    least_rows, most_rows
        Limits of the rows that are visible at once.
    """

    def __init__(self, columns: Mapping[str, str], least_rows: int, most_rows: int) -> None:
        super().__init__(0, len(columns))
        self._least_rows, self._most_rows = least_rows, most_rows
        for column, (title, tip) in enumerate(columns.items()):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            self.setHorizontalHeaderItem(column, item)
        if (header := self.horizontalHeader()) is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if (rows := self.verticalHeader()) is not None:
            rows.setDefaultSectionSize(ROW_HEIGHT)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Update the height, since the theme sets the height of the header late."""
        super().showEvent(event)
        self.fit_height()

    def fit_height(self) -> None:
        """Adapt the height to the rows, within the limits."""
        header = self.horizontalHeader()
        rows = min(max(self.rowCount(), self._least_rows), self._most_rows)
        height = 0 if header is None else header.sizeHint().height()
        self.setFixedHeight(height + rows * ROW_HEIGHT + 2 * self.frameWidth() + 2)


class ReadOnlyTable(CompactTable):
    """Named rows of figures; hidden while there are none."""

    def __init__(self, columns: Mapping[str, str], most_rows: int) -> None:
        super().__init__(columns, 0, most_rows)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.hide()

    def show_rows(self, rows: Mapping[str, Sequence[str]], bold: str | None = None) -> None:
        """Show rows of figures by name, one of them in bold; hide the table if there are none."""
        self.setRowCount(len(rows))
        self.setVerticalHeaderLabels(list(rows))
        for row, (name, figures) in enumerate(rows.items()):
            for column, figure in enumerate(figures):
                item = QTableWidgetItem(figure)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                font = item.font()
                font.setBold(name == bold)
                item.setFont(font)
                self.setItem(row, column, item)
        self.setVisible(bool(rows))
        self.fit_height()
