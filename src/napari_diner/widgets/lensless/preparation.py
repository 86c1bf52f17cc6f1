"""What a dock offers for the preparation of frames: see what it makes of them, and crop them by a drawn rectangle."""

from __future__ import annotations

import functools
from collections.abc import Callable

import napari
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_diner.errors import DinerError
from napari_diner.tasks.lensless.recipe import Recording
from napari_diner.widgets.dock.background_work import Latest
from napari_diner.widgets.forms.recipe_form import Section
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.recorded import prepared
from napari_diner.widgets.lensless.rectangle import drawn_rectangle, offer_rectangle


class PreparationTools(QWidget):
    """Two buttons for the section of the recipe that says how frames are prepared.

    Parameters
    ----------
    viewer
        The viewer.
    section
        That section; the buttons go to its end.
    layer
        Returns the layer that is chosen, or raises a `DinerError`.
    recipe
        Returns the recipe that is shown, or raises a `DinerError`.
    """

    failed = Signal(str)
    """What went wrong, in a sentence."""
    cropped = Signal(str)
    """Which part of the frames is used from now on, in a sentence."""

    def __init__(
        self,
        viewer: napari.Viewer,
        section: Section,
        layer: Callable[[], Image],
        recipe: Callable[[], Recording],
    ) -> None:
        super().__init__()
        self._viewer, self._layer, self._recipe = viewer, layer, recipe
        self._crop = section.form.editors["crop_px"]
        self.live = Latest(self)
        self._pictures = PreviewLayers(viewer)
        self.live.done.connect(self._pictures.show)
        self.live.failed.connect(self.failed)
        self.show_button = QPushButton("Show prepared frames")
        self.show_button.setToolTip("See what these settings make of the frames")
        self.show_button.clicked.connect(self.show_prepared)
        self.crop_button = QPushButton("Crop to rectangle")
        self.crop_button.setToolTip("Use only the part of the frames that a rectangle in a Shapes layer covers")
        self.crop_button.clicked.connect(self.crop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.show_button, self.crop_button):
            layout.addWidget(button, 1)
        section.addWidget(self)

    def show_prepared(self) -> None:
        """Show the frames as the preparation leaves them, and the pixels that it ignores."""
        try:
            layer, recipe = self._layer(), self._recipe()
            self._pictures.arguments = placement_on(layer, recipe)
            self.live.ask(functools.partial(prepared, recipe, layer.data))
        except DinerError as error:
            self.failed.emit(str(error))

    def crop(self) -> None:
        """Take the rectangle over that the user drew, or offer to draw one."""
        try:
            image = self._layer()
            offer_rectangle(self._viewer, image)
            top, left, height, width = part = drawn_rectangle(self._viewer, image)
            self._crop.set_value(part)
            self.cropped.emit(
                f"Rows {top} to {top + height - 1} and columns {left} to {left + width - 1} are used; empty the field "
                "Crop to use all"
            )
        except DinerError as error:
            self.failed.emit(str(error))
