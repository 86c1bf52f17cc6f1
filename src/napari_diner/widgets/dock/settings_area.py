"""The upper part of a dock: settings that scroll, with parts that can be folded away."""

from __future__ import annotations

import contextlib

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QLayout, QScrollArea, QVBoxLayout, QWidget

from napari_diner.widgets.forms.recipe_form import Section


class SettingsArea(QScrollArea):
    """A column that scrolls up and down; a section that is unfolded in it comes into sight."""

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

    def add(self, part: QWidget | QLayout) -> None:
        """Append a widget or a layout to the column."""
        place = self._column.count() - 1
        if isinstance(part, QLayout):
            self._column.insertLayout(place, part)
            return
        self._column.insertWidget(place, part)
        if isinstance(part, Section):
            part.toggled.connect(self._on_toggled)

    def _on_toggled(self, unfolded: bool) -> None:
        """Scroll to the settings that were unfolded, as soon as this area has taken their height."""
        bar = self.verticalScrollBar()
        section = self.sender()
        assert bar is not None
        if unfolded and isinstance(section, Section):
            self._unfolded = section
            bar.rangeChanged.connect(self._scroll)
            # later changes of the height have other causes
            QTimer.singleShot(1000, self._stop_scrolling)

    def _scroll(self) -> None:
        bar = self.verticalScrollBar()
        assert bar is not None
        if self._unfolded is not None:
            bar.setValue(self._unfolded.y())

    def _stop_scrolling(self) -> None:
        bar = self.verticalScrollBar()
        assert bar is not None
        # refused where it was not connected any more: unfolded twice within the second
        with contextlib.suppress(TypeError):
            bar.rangeChanged.disconnect(self._scroll)
