"""Buttons of the preparation of frames: one shows the prepared frames, the other crops them."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_diner.widgets.forms.controls import button, remove_margins


class PreparationButtons(QWidget):
    """Two buttons, one below the other, as even a folded section determines the least width of the dock.

    Parameters
    ----------
    show, crop
        Called when the buttons are pressed.
    """

    def __init__(self, show: Callable[[], None], crop: Callable[[], None]) -> None:
        super().__init__()
        tip = "Show the frames as these settings prepare them"
        self.show_button = button("Show prepared frames", tip, show)
        tip = "Use only the part of the frames inside a rectangle in a Shapes layer"
        self.crop_button = button("Crop to rectangle", tip, crop)
        column = QVBoxLayout(self)
        remove_margins(column, 4)
        column.addWidget(self.show_button)
        column.addWidget(self.crop_button)
