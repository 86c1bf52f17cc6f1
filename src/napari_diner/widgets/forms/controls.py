"""Buttons, menus and text labels that every dock uses."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QWidget,
)


def wrap_tooltips(parent: QWidget) -> None:
    """Make the tooltips of all widgets inside another wrap; Qt shows plain text as a single long line."""
    for widget in parent.findChildren(QWidget):
        tip = widget.toolTip()
        if tip and not tip.startswith("<qt>"):
            widget.setToolTip(f"<qt>{html.escape(tip)}</qt>")


def button(text: str, tip: str, slot: Callable[[], object] | None = None) -> QPushButton:
    """Return a button with a tooltip that calls `slot` when clicked."""
    made = QPushButton(text)
    made.setToolTip(tip)
    if slot is not None:
        made.clicked.connect(slot)
    return made


def menu_button(text: str, tip: str, slots: Mapping[str, Callable[[], object]]) -> QPushButton:
    """Return a button that opens a menu with an entry for each slot."""
    made = button(text, tip)
    menu = QMenu(made)
    for entry, slot in slots.items():
        menu.addAction(entry, slot)
    made.setMenu(menu)
    return made


def row(*parts: QWidget | str, stretch: QWidget | None = None) -> QHBoxLayout:
    """Return widgets, and labels for texts, side by side: all equally wide, or one of them stretched."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        widget = QLabel(part) if isinstance(part, str) else part
        layout.addWidget(widget, int(stretch is None or widget is stretch))
    return layout


def remove_margins(layout: QLayout, spacing: int | None = None) -> None:
    """Remove the margins of a layout whose widget is inside another one with margins."""
    layout.setContentsMargins(0, 0, 0, 0)
    if spacing is not None:
        layout.setSpacing(spacing)


def warning_colour(name: str) -> str:
    """Return the colour for warnings and errors in a theme of napari."""
    theme = get_theme(name)
    # the dark theme's colour for errors is hard to read, as is the light theme's for warnings
    colour = theme.warning if QColor(theme.background.as_hex()).lightness() < 128 else theme.error
    return str(colour.as_hex())


class ShrinkingCombo(QComboBox):
    """A combo box that can be narrower than its longest entry.

    Parameters
    ----------
    letters
        Minimum width in letters.
    """

    def __init__(self, letters: int = 8) -> None:
        super().__init__()
        self.setMinimumContentsLength(letters)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


class WrappedLabel(QLabel):
    """Text that wraps, with space reserved for all of its lines, since a splitter would cut it off.

    Parameters
    ----------
    lines
        Minimum number of lines to reserve space for.
    """

    reserved = Signal()
    """Emitted when the space that it needs may have changed."""

    def __init__(self, lines: int = 0) -> None:
        super().__init__()
        self._lines = lines
        self._theme = "dark"
        self._is_warning = False
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    @property
    def is_warning(self) -> bool:
        """Whether the text is shown as a warning or an error."""
        return self._is_warning

    def say(self, text: str, warning: bool = False) -> None:
        """Show a text, or a warning in the colour of warnings."""
        self._is_warning = warning
        self.setText(text)
        self.set_theme(self._theme)
        self._reserve()

    def set_theme(self, name: str) -> None:
        """Apply the colours of a napari theme."""
        self._theme = name
        self.setStyleSheet(f"color: {warning_colour(name)};" if self._is_warning else "")

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Reserve the height that the text needs at another width."""
        super().resizeEvent(event)
        self._reserve()

    def _reserve(self) -> None:
        lines = self._lines * self.fontMetrics().lineSpacing()
        # the height for a width is never less than the height reserved before, that of an earlier text
        self.setMinimumHeight(0)
        self.setMinimumHeight(max(lines, self.heightForWidth(self.width())))
        self.reserved.emit()


class ShortArea(QScrollArea):
    """Shows a label as tall as it is up to a number of lines, from which on it scrolls: docks must fit the screen.

    Parameters
    ----------
    label
        The label.
    lines
        Largest number of lines to show.
    """

    def __init__(self, label: WrappedLabel, lines: int) -> None:
        super().__init__()
        self._label, self._lines = label, lines
        self.setWidget(label)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        label.reserved.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        most = self._lines * self._label.fontMetrics().lineSpacing()
        needed = self._label.minimumHeight()
        # a bar that comes before the text is laid out narrows it, and then stays
        bar = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if needed <= most else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.setVerticalScrollBarPolicy(bar)
        self.setFixedHeight(min(needed, most))
