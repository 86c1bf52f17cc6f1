"""Choose one of several alternatives from a table."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from napari_diner.tasks.check import Ranking
from napari_diner.widgets.forms.controls import WrappedLabel
from napari_diner.widgets.forms.tables import ReadOnlyTable

_MOST_ROWS = 11
_SIZE = 520, 420


class RankingDialog(QDialog):
    """A ranking with the best alternative first and selected, and the current one in bold.

    Parameters
    ----------
    parent
        The dock.
    title
        Title of the window.
    ranking
        The alternatives.
    """

    picked = Signal(object)
    """The `Alternative` that the user has chosen."""

    def __init__(self, parent: QWidget, title: str, ranking: Ranking) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(*_SIZE)
        self._ranking = ranking
        self.table = ReadOnlyTable(ranking.columns, _MOST_ROWS)
        names = [way.name for way in ranking.alternatives]
        self.table.show_rows({way.name: way.figures for way in ranking.alternatives}, bold=names[ranking.given])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.selectRow(0)
        self.table.itemDoubleClicked.connect(self.accept)
        note = WrappedLabel()
        note.say(f"{ranking.note}.")
        self.answers = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.answers.addButton("Use", QDialogButtonBox.ButtonRole.AcceptRole)
        self.answers.accepted.connect(self.accept)
        self.accepted.connect(self._on_accepted)
        self.answers.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addWidget(note)
        if ranking.picture is not None:
            height, width, _ = ranking.picture.shape
            image = QImage(ranking.picture.tobytes(), width, height, QImage.Format.Format_RGBA8888)
            self.picture = QLabel()
            self.picture.setPixmap(QPixmap.fromImage(image))
            layout.addWidget(self.picture)
        layout.addStretch()
        layout.addWidget(self.answers)

    def _on_accepted(self) -> None:
        self.picked.emit(self._ranking.alternatives[max(self.table.currentRow(), 0)])
