"""The upper part of a dock: scrollable settings with collapsible sections."""

from __future__ import annotations

from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QLayout, QScrollArea, QVBoxLayout, QWidget

from napari_diner.widgets.forms.recipe_form import Section


class SettingsArea(QScrollArea):
    """A vertically scrollable column; a section that is expanded in it is scrolled into view."""

    def __init__(self) -> None:
        super().__init__()
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(4, 4, 4, 4)
        self._column.addStretch(1)
        self._unfolded: Section | None = None
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        bar = self.verticalScrollBar()
        if bar is not None:
            bar.rangeChanged.connect(self._scroll_to_unfolded)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for the width of the settings beside the bar: there is no second bar to reach what would be cut off."""
        hint, content, bar = super().minimumSizeHint(), self.widget(), self.verticalScrollBar()
        if content is None or bar is None:
            return hint
        return QSize(content.minimumSizeHint().width() + bar.sizeHint().width(), hint.height())

    def add(self, part: QWidget | QLayout) -> None:
        """Append a widget or a layout to the column."""
        insert(self._column, self._column.count() - 1, part)
        if isinstance(part, Section):
            part.toggled.connect(self._on_toggled)

    def _on_toggled(self, unfolded: bool) -> None:
        """Scroll to the expanded settings as soon as this area has adapted to their height."""
        section = self.sender()
        self.updateGeometry()
        if unfolded and isinstance(section, Section):
            self._unfolded = section
            # later changes of the height are unrelated
            QTimer.singleShot(1000, self._forget_unfolded)

    def _scroll_to_unfolded(self) -> None:
        bar = self.verticalScrollBar()
        if bar is not None and self._unfolded is not None:
            bar.setValue(self._unfolded.y())

    def _forget_unfolded(self) -> None:
        self._unfolded = None


def handle_style(theme: str) -> str:
    """Return the style of the handle below the settings: napari's own is hardly visible in its light theme."""
    colour = get_theme(theme).highlight.as_hex()
    return f"QSplitter::handle:vertical {{ background: {colour}; height: 3px; margin: 2px 120px; }}"


def insert(column: QVBoxLayout, place: int, part: QWidget | QLayout) -> None:
    """Insert a widget or a layout into a column."""
    if isinstance(part, QLayout):
        column.insertLayout(place, part)
    else:
        column.insertWidget(place, part)
