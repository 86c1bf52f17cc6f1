"""The dock that measures labelled regions of a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import napari
import numpy as np
from napari.layers import Image, Labels
from qtpy.QtWidgets import QFileDialog, QFormLayout, QVBoxLayout, QWidget

from napari_diner.errors import DinerError, InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import replaced
from napari_diner.tasks.idt.regions import DEVIATIONS, PRIOR_CHANGE, UNCERTAINTY, Column
from napari_diner.tasks.measure import INCREMENTS, MEASURED, REFRACTION_INCREMENT, doubts, measure, to_csv
from napari_diner.tasks.registry import task
from napari_diner.tasks.result import Result
from napari_diner.widgets.forms.controls import ShrinkingCombo, WrappedLabel, button, row
from napari_diner.widgets.forms.layer_choice import on_layer_list
from napari_diner.widgets.forms.number_editor import NumberEditor
from napari_diner.widgets.forms.tables import ReadOnlyTable
from napari_diner.widgets.layers.layer_axes import scale_um_of
from napari_diner.widgets.layers.placement import Placement

_MOST_ROWS = 8
# labels that are this many pixels away from an image may not belong to it
_ELSEWHERE_PX = 0.5
# arrays of the result that a measurement uses besides the measured one
_BESIDE = ("uncertainty", "unwrapped_phase", UNCERTAINTY, PRIOR_CHANGE)
_TITLES = {
    "area_um2": ("area", "Area of the region in µm²"),
    "mean_phase_rad": ("phase", "Mean phase above the background in rad"),
    "phase_volume_rad_um2": ("∫ phase", "Integral of the phase over the area, in rad µm²"),
    "surface_um2": ("surface", "Area of the surface in µm²"),
    "volume_um3": ("volume", "Volume of the region in µm³"),
    "mean_index": ("index", "Mean refractive index"),
    "optical_volume_um3": ("∫ index", "Integral of the index above the medium's, in µm³"),
    "dry_mass_pg": ("mass", "Dry mass in pg"),
}


class MeasureDock(QWidget):
    """Measures the regions of a Labels layer in a result; the table also becomes the features of the labels.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are measured.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.labels, self.image = ShrinkingCombo(10), ShrinkingCombo(10)
        self.labels.setToolTip("The Labels layer with a number for each region")
        self.image.setToolTip("The phase or the refractive index of a result in the viewer")
        self.increment = NumberEditor(*INCREMENTS, "mL/g", title="Refraction increment")
        self.increment.set_value(REFRACTION_INCREMENT)
        self.increment.setToolTip("Refractive index per concentration of dry matter; about 0.19 mL/g for protein")
        self.message = WrappedLabel()
        self.increment.refused.connect(self.message.setText)
        self.table_area = QVBoxLayout()
        self.measured: dict[str, Column] = {}
        """The table of the last measurement; empty if there is none."""
        self.save_button = button("Save CSV…", "Save the table", self.save)
        self.save_button.setEnabled(False)
        form = QFormLayout()
        form.addRow("Labels", self.labels)
        form.addRow("Result", self.image)
        form.addRow("Refraction increment", self.increment)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        self.measure_button = button("Measure", "Measure all regions", self.measure)
        layout.addLayout(row(self.measure_button, self.save_button))
        layout.addWidget(self.message)
        layout.addLayout(self.table_area)
        layout.addStretch()
        on_layer_list(napari_viewer, self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        """Update the lists of layers, and keep the choices."""
        of_results = [layer for layer in self._viewer.layers if isinstance(layer, Image) and _quantity(layer)]
        of_labels = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        for combo, layers in ((self.labels, of_labels), (self.image, of_results)):
            chosen = combo.currentData()
            combo.clear()
            for layer in layers:
                combo.addItem(layer.name, layer)
            if chosen in layers:
                combo.setCurrentIndex(layers.index(chosen))
        self.measure_button.setEnabled(bool(of_labels and of_results))

    def measure(self) -> None:
        """Measure the regions; show the table here and as features of the labels."""
        labels, image = self.labels.currentData(), self.image.currentData()
        try:
            self.increment.check_typed()
            result = self._result(image)
            table = measure(result, np.asarray(labels.data), float(self.increment.value() or 0))
        except DinerError as error:
            self.message.setText(error.describe(lambda name: name.replace("_", " ").capitalize()))
            return
        self.measured = table
        labels.features = {"index": table["label"].astype(int), **table}
        count = len(table["label"])
        text = f"{count} region{'s' if count > 1 else ''}; also in the features table of {labels.name}"
        if _lies_elsewhere(labels, image):
            text += (
                f". Warning: {labels.name} and {image.name} lie in different places; they were matched pixel by pixel, "
                "so check that the labels belong to this result"
            )
        text += "".join(f". Warning: {doubt}" for doubt in doubts(result))
        self.message.setText(text)
        self.save_button.setEnabled(True)
        self._show(table)

    def save(self) -> None:
        """Ask for a file and write the table."""
        path, _ = QFileDialog.getSaveFileName(self, "Save table", "regions.csv", "Tables (*.csv)")
        if not path:
            return
        text, place = to_csv(self.measured), Path(path)
        if place.suffix.lower() != ".csv":
            place = place.with_name(f"{place.name}.csv")
        try:
            # the dialog has not asked about a file of another name
            asked = place == Path(path)
            replaced(place, lambda file: file.write_text(text, encoding="utf-8"), overwrite=asked)
        except DinerError as error:
            self.message.setText(str(error))

    def _result(self, image: Image) -> Result:
        """Return the result of a layer, with its arrays that are in the viewer."""
        values, report = image.metadata["recipe"], image.metadata["report"]
        recipe = task(str(values["task"])).recipe_type.parse(values)
        arrays = []
        for layer in self._viewer.layers:
            name = _quantity(layer, of=report)
            if name is not None and layer.ndim == image.ndim:
                axes = "ZYX"[-layer.ndim :]
                arrays.append(NamedArray(name, np.asarray(layer.data), axes, scale_um_of(layer, axes)))
                if DEVIATIONS in layer.metadata:
                    samples = layer.metadata[DEVIATIONS]
                    arrays.append(NamedArray(DEVIATIONS, samples, f"C{axes}", (1.0, *arrays[-1].scale_um)))
        if not arrays:
            raise InputError("The result is no longer in the viewer; open it again")
        return Result(recipe.task, tuple(arrays), recipe, report)

    def _show(self, table: Mapping[str, Column]) -> None:
        while (item := self.table_area.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        names = [name for name in _TITLES if name in table]
        shown = ReadOnlyTable({_TITLES[name][0]: _TITLES[name][1] for name in names}, _MOST_ROWS)
        self.table_area.addWidget(shown)
        rows = {}
        for number, label in enumerate(table["label"].astype(int)):
            figures = []
            for name in names:
                errors = table.get(f"{name}_error", table.get(f"{name}_se"))
                digits = 5 if name == "mean_index" else 4
                figures.append(_figure(table[name][number], None if errors is None else errors[number], digits))
            rows[str(label)] = figures
        shown.show_rows(rows)


def _lies_elsewhere(labels: Labels, image: Image) -> bool:
    """Return whether two layers of the same shape have different placements."""
    ends = np.array([[0.0] * image.ndim, np.subtract(image.data.shape, 1.0)])
    there = Placement.of(image).to_pixels(Placement.of(labels).to_world(ends), tuple(labels.units))
    return bool(np.abs(there - ends).max() > _ELSEWHERE_PX)


def _figure(value: float, error: float | None, digits: int) -> str:
    """Format a number with a given number of decimals, or as many as its error justifies."""
    if not error:
        return f"{value:.{digits}g}"
    decimals = max(0, -math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _quantity(layer: object, of: object = None) -> str | None:
    """Return the name of the measurable array that a layer holds; None if it holds none.

    Parameters
    ----------
    layer
        Any layer.
    of
        Report of the result that it must belong to; any if None.
    """
    if not isinstance(layer, Image) or not isinstance(layer.metadata.get("report"), Mapping):
        return None
    if of is not None and layer.metadata["report"] != of:
        return None
    name = layer.name.partition(" ")[0]
    return name if name in MEASURED or (of is not None and name in _BESIDE) else None
