"""Choice of the axis of frames in a layer, and of a position along its further axes."""

from __future__ import annotations

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_diner.widgets.forms.controls import ShrinkingCombo, remove_margins
from napari_diner.widgets.forms.editors import WheelGuard
from napari_diner.widgets.layers.layer_part import LayerPart

ALL = "all, as frames"
SERIES = "all, one after the other"
COLOURS = {"grey": None, "red": 0, "green": 1, "blue": 2}


class PartChoice(QWidget):
    """A combo box for each axis of a layer before Y and X; shown only if there are several, or colours.

    Parameters
    ----------
    offers_series
        Whether all stacks along one of the axes can be chosen.
    """

    changed = Signal()

    def __init__(self, *, offers_series: bool = False) -> None:
        super().__init__()
        self._series = {SERIES: SERIES} if offers_series else {}
        self._first_point = 1 + len(self._series)
        self._form = QFormLayout(self)
        remove_margins(self._form)
        self._layer: Image | None = None
        self._shape: tuple[int, ...] = ()
        self._coloured = False
        self.combos: dict[int, ShrinkingCombo] = {}
        self.hide()

    def show_layer(self, layer: Image) -> None:
        """Offer the parts of a layer; keep the choice if the layer is the same."""
        shape = tuple(layer.data.shape)
        if layer is self._layer and shape == self._shape:
            return
        self._layer, self._shape, self._coloured = layer, shape, layer.rgb
        while self._form.rowCount():
            self._form.removeRow(0)
        self.combos = {}
        first = LayerPart.of(layer)
        if first.points:
            for axis in sorted([*first.points, *([] if first.frames_axis is None else [first.frames_axis])]):
                entries: dict[str, int | str | None] = {ALL: None, **self._series}
                entries |= {f"{place} of 0 to {shape[axis] - 1}": place for place in range(shape[axis])}
                label = str(layer.axis_labels[axis])
                self._add(axis, f"Axis {axis}" if label.startswith("-") else label.capitalize(), entries)
                self.combos[axis].setCurrentIndex(self._first_point if axis != first.frames_axis else 0)
        if layer.rgb:
            self._add(layer.ndim, "Colour", dict(COLOURS))
        self.setVisible(bool(self.combos))

    def part(self, layer: Image) -> LayerPart:
        """Return the chosen part of a layer, or the first one if the layer is not shown yet."""
        first, axes = LayerPart.of(layer), layer.ndim
        if layer is not self._layer or not self.combos:
            return first
        chosen = {axis: combo.currentData() for axis, combo in self.combos.items()}
        frames = [axis for axis, point in chosen.items() if point is None and axis < axes]
        return LayerPart(
            layer,
            frames[0] if frames else first.frames_axis,
            {axis: point for axis, point in chosen.items() if axis not in frames and point != SERIES},
            next((axis for axis, point in chosen.items() if point == SERIES), None),
        )

    def choose_series(self, layer: Image, axis: int) -> None:
        """Choose all stacks along an axis of the layer shown."""
        if layer is self._layer and axis in self.combos and self._series:
            self.combos[axis].setCurrentIndex(1)
            self._on_activated(axis)

    def _add(self, axis: int, title: str, entries: dict[str, int | str | None]) -> None:
        combo = self.combos[axis] = ShrinkingCombo()
        for text, place in entries.items():
            combo.addItem(text, place)
        combo.setToolTip(
            "Which part of the layer is the stack; frames are along one axis"
            + ", and all stacks along another can be computed one after the other" * bool(self._series)
        )
        WheelGuard(combo)
        combo.activated.connect(lambda _, axis=axis: self._on_activated(axis))
        self._form.addRow(title, combo)

    def _on_activated(self, axis: int) -> None:
        """Keep a single axis of frames, and a single one of a series: the one that the user has just set to all."""
        axes = [each for each in self.combos if each < len(self._shape) - self._coloured]
        if axis in axes:
            series = [each for each in axes if each != axis and self.combos[each].currentData() == SERIES]
            if self.combos[axis].currentData() == SERIES:
                for each in series:
                    self.combos[each].setCurrentIndex(self._first_point)
            every = [each for each in axes if self.combos[each].currentData() is None]
            if self.combos[axis].currentData() is None:
                for each in every:
                    if each != axis:
                        self.combos[each].setCurrentIndex(self._first_point)
            elif not every:
                other = next((each for each in reversed(axes) if each != axis), axis)
                self.combos[other].setCurrentIndex(0)
        self.changed.emit()
