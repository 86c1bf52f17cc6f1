"""The dock that finds distances: a slider to focus by eye, and an automatic search."""

from __future__ import annotations

import functools

import napari
import pyqtgraph as pg
from napari.layers import Image
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from superqt import QLabeledDoubleSlider

from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.report import Report
from napari_diner.tasks.result import Result
from napari_diner.widgets.focus.live_picture import LIVE, LivePicture
from napari_diner.widgets.forms.controls import button, row
from napari_diner.widgets.layers.layer_metadata import add_notes
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.recording_dock import RecordingDock
from napari_diner.widgets.plots.loss_plot import COLOURS, FixedPlot
from napari_diner.wording import all_but, duration

FARTHEST_UM = 5000.0
"""Upper end of the slider if there are no distances."""
MARGIN = 0.3
"""The range of the slider extends by this fraction beyond the distances on both sides."""


class FocusDock(RecordingDock[FocusRecipe]):
    """Finds the distances of a stack: with a slider that refocuses it, or automatically."""

    task_name = "focus"
    essentials = ("wavelength_um", "pixel_size_um", "metric", "near_um", "far_um")

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._refocused = LivePicture(self.task)
        self._searched: LayerPart | None = None
        self.live = self.latest_work()
        self.live.done.connect(self.pictures.show)
        napari_viewer.dims.events.current_step.connect(self._on_step)
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("slider")
        self.slider.setToolTip("Refocus the frame that the viewer shows to this distance, in µm")
        self.slider.setDecimals(1)
        self.slider.setRange(0, FARTHEST_UM)
        self.slider.valueChanged.connect(self._refocus)
        tip = "Enter the slider's distance for the frame that the viewer shows"
        self.use_button = button("Use", tip, self.use)
        self.curves = FixedPlot("Sharpness against distance (µm): a curve for each frame, and its peak")
        self.curves.setFixedHeight(120)
        self.curves.hide()
        self.panel.run_button.setText("Find")
        self.distances.changed.connect(self._set_range)
        for name in ("near_um", "far_um"):
            self.editors[name].changed.connect(self._set_range)
        self.add_below(self.curves)
        self.arrange(
            self.rows("wavelength_um", "pixel_size_um"),
            row("Refocus (µm)", self.slider, self.use_button, stretch=self.slider),
            self.distances,
            "preprocess",
            self.rows("metric", "near_um", "far_um"),
        )

    def complete_recipe(self, layer: Image) -> FocusRecipe:
        """Return the recipe, and keep the part of the layer that is searched, as another may be chosen meanwhile."""
        self._searched = self.choice.part_of(layer)
        return super().complete_recipe(layer)

    def summary(self, result: Result) -> str:
        """Return the distances with their standard errors."""
        report = result.report
        pairs = zip(report["distances_um"], report["distances_um_se"], strict=True)
        distances = [f"{distance:.1f} ± {error:.1f}" for distance, error in pairs]
        shown = ", ".join(distances if len(distances) <= 3 else [distances[0], "…", distances[-1]])
        together = ""
        if report.get("offset_um") is not None:
            together = f"; common offset {report['offset_um']:+.1f} ± {report['offset_um_se']:.1f} µm"
        if "unexplained" in report:
            together += f"; {all_but(report['unexplained'], 'the signal in the frames')} is explained"
        return f"{shown} µm{together}, {duration(report['seconds'])}"

    def show_outcome(self, outcome: object) -> None:
        """Show the distances, and store them with the stack for the dock of the reconstruction."""
        super().show_outcome(outcome)
        if self.result is None:
            return
        self._draw(self.result.report)
        part = self._searched
        distances = tuple(round(distance, 4) for distance in self.result.report["distances_um"])
        if part is None or len(distances) != part.shape[0]:
            return
        add_notes(part.layer, distances_um=distances)
        text, doubtful = self.panel.status.text(), self.panel.status.is_warning
        if part.layer is not self.choice.layer:
            self.panel.say(f"{text}\nThey are kept with {part.layer.name}, which was searched", warning=doubtful)
            return
        if self.distances.entered():
            self.panel.say(f"{text}\nThe distances are in the table; Ctrl+Z there restores yours", warning=doubtful)
        self.distances.set_value(list(distances))

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer specifies."""
        super().fill_in(layer)
        self._set_range()

    def use(self) -> None:
        """Enter the slider's distance into the table, for the frame that the viewer shows."""
        self.distances.set_distance(self.frame, round(self.slider.value(), 1))

    def _set_range(self) -> None:
        """Extend the range of the slider a little beyond the distances."""
        near, far = (self.editors[name].value() for name in ("near_um", "far_um"))
        entered = self.distances.entered()
        if not (isinstance(near, float) and isinstance(far, float)):
            near, far = (min(entered) * (1 - MARGIN), max(entered) * (1 + MARGIN)) if entered else (0.0, FARTHEST_UM)
        if far > near:
            before = self.slider.blockSignals(True)
            self.slider.setRange(near, far)
            if entered and self.slider.value() == self.slider.minimum():
                self.slider.setValue(entered[0])
            self.slider.blockSignals(before)

    def _on_step(self) -> None:
        """Switch to the frame that the viewer shows, if the refocused picture is visible."""
        if LIVE in self.pictures.shown:
            self._refocus(self.slider.value())

    def _refocus(self, distance_um: float) -> None:
        part = self.choice.part
        if part is None or distance_um <= 0:
            return
        with self.panel.explaining():
            # without the distances and the range, which the slider replaces
            values = self.advanced.values() | {name: self.editors[name].value() for name in self.essentials[:2]}
            recipe = FocusRecipe.parse({**values, "stack": self.choice.source})
            self.pictures.arguments = placement_on(part, recipe)
            self.live.request(functools.partial(self._refocused.at, recipe, part, self.frame, float(distance_um)))

    def _draw(self, report: Report) -> None:
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
        self.curves.setBackground(get_theme(self.viewer.theme).background.as_hex())
