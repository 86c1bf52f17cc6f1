"""The dock that finds distances: a slider to look for oneself, and a search that does it."""

from __future__ import annotations

import functools
from typing import Any

import napari
import pyqtgraph as pg
from napari.layers import Image
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget
from superqt import QLabeledDoubleSlider

from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.background_work import Latest
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.focus.thread import LIVE, LivePicture, begin
from napari_diner.widgets.forms.layer_choice import METADATA_KEY, known_about
from napari_diner.widgets.forms.stack_choice import StackChoice
from napari_diner.widgets.layers.layer_units import layer_pixel_size_um, set_pixel_size_um
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.lensless.distances_table import DistancesTable
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.preparation import PreparationTools
from napari_diner.widgets.plots.loss_plot import COLOURS

FARTHEST_UM = 5000.0
"""How far the slider reaches while nothing is known of the distances."""
BEYOND = 0.3
"""Part of the distances by which the slider reaches to both sides of them."""


class FocusDock(TaskDock):
    """Choose a stack, move the slider and see the sample come into focus, or have all distances found.

    Parameters
    ----------
    napari_viewer
        The viewer; napari hands it over by this name.
    """

    recipe_type = FocusRecipe
    source_field = "stack"
    essentials = ("wavelength_um", "pixel_size_um", "metric", "near_um", "far_um")
    elsewhere = ("distances_um",)
    beside_advanced = ("preprocess",)

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, StackChoice(napari_viewer))
        self._pictures = PreviewLayers(napari_viewer)
        self._picture = LivePicture()
        self.live = Latest(self)
        self.live.done.connect(self._pictures.show)
        self.live.failed.connect(self.panel.complain)
        napari_viewer.dims.events.current_step.connect(self._on_step)
        self.installEventFilter(self)
        self.distances = DistancesTable()
        self.distances.failed.connect(self.panel.complain)
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("slider")
        self.slider.setToolTip("Bring the frame that the viewer shows to this distance, in µm")
        self.slider.setDecimals(1)
        self.slider.setRange(0, FARTHEST_UM)
        self.slider.valueChanged.connect(self._propagate)
        self.use_button = QPushButton("Use")
        self.use_button.setToolTip("Take the slider's distance over for the frame that the viewer shows")
        self.use_button.clicked.connect(self.use)
        section = self.advanced.sections["preprocess"]
        self.preparation = PreparationTools(napari_viewer, section, self.chosen_layer, self.recipe)
        self.preparation.failed.connect(self.panel.complain)
        self.preparation.cropped.connect(self.panel.say)
        self.curves = pg.PlotWidget()
        self.curves.setFixedHeight(120)
        self.curves.hideButtons()
        self.curves.setMenuEnabled(False)
        self.curves.setMouseEnabled(False, False)
        self.curves.setToolTip("Sharpness against distance (µm): each frame by itself, and its peak")
        self.curves.hide()
        row = QHBoxLayout()
        row.addWidget(QLabel("Look at (µm)"))
        row.addWidget(self.slider, 1)
        row.addWidget(self.use_button)
        self.panel.run_button.setText("Find")
        self.distances.changed.connect(self._set_range)
        for name in ("near_um", "far_um"):
            self._essentials[name].changed.connect(self._set_range)
        self.arrange(
            self.rows("wavelength_um", "pixel_size_um"),
            row,
            self.distances,
            self.rows("metric", "near_um", "far_um"),
        )
        self.add_below(self.curves)

    @property
    def frame(self) -> int:
        """The frame of the stack that the viewer shows, from 0."""
        layer = self.choice.layer
        if layer is None:
            return 0
        axis = self._viewer.dims.ndim - layer.ndim
        return int(min(self._viewer.dims.current_step[max(axis, 0)], layer.data.shape[0] - 1))

    def own_values(self) -> dict[str, Any]:
        """Return the distances; an empty table means that nothing is known of them."""
        return {"distances_um": self.distances.value() if any(self.distances.texts()) else ()}

    def show_own_values(self, recipe: FocusRecipe) -> None:
        """Show the distances of a recipe."""
        self.distances.set_value(recipe.distances_um)

    def prepare(self, layer: Image) -> Begin:
        """Check that the recording is described, and give the layer its pixel size."""
        recipe: FocusRecipe = self.recipe()
        recipe.check_complete(layer.data.shape[0])
        assert recipe.pixel_size_um is not None
        if set_pixel_size_um(layer, recipe.pixel_size_um):
            self._viewer.reset_view()
        self._layers.arguments = placement_on(layer, recipe)
        return functools.partial(begin, recipe, layer.data)

    def summary(self, result: Result) -> str:
        """Say what was found."""
        report = result.report
        found = [f"{distance:.1f} ± {error:.1f}" for distance, error in self._pairs(report)]
        shown = ", ".join(found if len(found) <= 3 else [found[0], "…", found[-1]])
        together = ""
        if report.get("offset_um") is not None:
            together = f"; all together {report['offset_um']:+.1f} ± {report['offset_um_se']:.1f} µm"
        return f"{shown} µm{together}, {duration(report['seconds'])}"

    def take(self, outcome: Any) -> None:
        """Show what was found, and keep it with the stack, where the reconstruction's dock reads it."""
        super().take(outcome)
        report = outcome.report
        self._draw(report)
        layer = self.choice.layer
        found = [distance for distance, _ in self._pairs(report)]
        if layer is not None and len(found) == layer.data.shape[0]:
            self.distances.set_value([round(distance, 4) for distance in found])
            self._set_range()
            layer.metadata = {
                **layer.metadata,
                METADATA_KEY: {**known_about(layer), "distances_um": tuple(self.distances.value())},
            }

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer tells about its recording."""
        self.distances.set_frames(layer.data.shape[0])
        known: dict[str, Any] = dict(known_about(layer))
        size = layer_pixel_size_um(layer)
        if size is not None:
            known["pixel_size_um"] = size
        for name in ("wavelength_um", "pixel_size_um"):
            if known.get(name) is not None:
                self._essentials[name].set_value(known[name])
        if known.get("distances_um"):
            self.distances.set_value(known["distances_um"])
        self._set_range()

    def use(self) -> None:
        """Write the slider's distance into the table, for the frame that the viewer shows."""
        item = self.distances.table.item(self.frame, 0)
        if item is not None:
            item.setText(f"{self.slider.value():.1f}")

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Stop following the slider when the dock's content is taken out of its dock."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and isinstance(watched, QWidget)
            and watched.parent() is None
        ):
            self.live.close()
        return False

    def _pairs(self, report: Any) -> list[tuple[float, float]]:
        return list(zip(report["distances_um"], report["distances_um_se"], strict=True))

    def _set_range(self) -> None:
        """Let the slider reach a little beyond what is known of the distances."""
        near, far = self._essentials["near_um"].value(), self._essentials["far_um"].value()
        known = [float(text) for text in self.distances.texts() if _is_number(text)]
        if near is None or far is None:
            near = min(known) * (1 - BEYOND) if known else 0.0
            far = max(known) * (1 + BEYOND) if known else FARTHEST_UM
        if far > near:
            before = self.slider.blockSignals(True)
            self.slider.setRange(near, far)
            if known and self.slider.value() == self.slider.minimum():
                self.slider.setValue(known[0])
            self.slider.blockSignals(before)

    def _on_step(self) -> None:
        """Follow the viewer to another frame, once there is a picture."""
        if LIVE in self._pictures:
            self._propagate(self.slider.value())

    def _propagate(self, distance_um: float) -> None:
        layer = self.choice.layer
        if layer is None or distance_um <= 0:
            return
        with self.panel.explaining():
            # without the distances and the range, which the slider stands for
            values = self.advanced.values() | {name: self._essentials[name].value() for name in self.essentials[:2]}
            recipe = FocusRecipe.parse({**values, "stack": self.choice.source})
            self._pictures.arguments = placement_on(layer, recipe)
            self.live.ask(functools.partial(self._picture.at, recipe, layer.data, self.frame, float(distance_um)))

    def _draw(self, report: Any) -> None:
        self.curves.clear()
        self.curves.show()
        for number, curve in enumerate(report["curves"]):
            colour = COLOURS[number % len(COLOURS)]
            low, high = min(curve["sharpness"]), max(curve["sharpness"])
            heights = [(value - low) / ((high - low) or 1.0) for value in curve["sharpness"]]
            self.curves.plot(curve["distances_um"], heights, pen=pg.mkPen(colour, width=2))
            top = curve["distances_um"][heights.index(max(heights))]
            self.curves.addItem(pg.InfiniteLine(top, pen=pg.mkPen(colour, style=Qt.PenStyle.DotLine)))

    def _on_theme(self) -> None:
        super()._on_theme()
        if hasattr(self, "curves"):
            self.curves.setBackground(get_theme(self._viewer.theme).background.as_hex())


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
