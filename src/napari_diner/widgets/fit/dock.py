"""The dock that fits a neural representation to an image, a volume, a stack or a video."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import napari
from napari.layers import Image, Layer
from qtpy.QtWidgets import QDialog, QFormLayout

from napari_diner.errors import RecipeError
from napari_diner.representations.registry import representations
from napari_diner.tasks.comparison import Comparison
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.dock.run_worker import PREVIEW_INTERVAL_S, Drivable
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.fit import insight_run
from napari_diner.widgets.fit.compare_dialog import CompareDialog
from napari_diner.widgets.fit.insight_layers import show_pictures
from napari_diner.widgets.fit.insight_run import InsightPictures
from napari_diner.widgets.fit.score_table import ScoreTable
from napari_diner.widgets.fit.signal_choice import SignalChoice
from napari_diner.widgets.forms.controls import ShrinkingCombo, WrappedLabel, button, row
from napari_diner.widgets.forms.editors import WheelGuard
from napari_diner.widgets.layers.appearance import Appearance
from napari_diner.widgets.layers.layer_axes import axes_of, scale_um_of
from napari_diner.widgets.layers.layer_metadata import source_of
from napari_diner.widgets.layers.layer_part import data_of
from napari_diner.widgets.work import load_torch
from napari_diner.wording import count, digits, duration

ONE_FIT = "one fit of all"
AXIS_NAMES = "T time, Z depth, C channels, Y, X, S colours, N frames"


class FitDock(TaskDock[FitRecipe]):
    """Fits a compact neural representation to an image, a stack, a volume or a video."""

    task_name = "fit"
    essentials = ("axes", "representation", "epochs", "bit_exact")
    elsewhere = ("select",)
    none_texts: ClassVar = {"learning_rate": "auto", "pixel_size_um": "of the layer", "z_step_um": "of the layer"}

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, SignalChoice(napari_viewer))
        self._appearance: Appearance | None = None
        self._fitted: Appearance | None = None
        self._diner: Result | None = None
        self._insight: list[Layer] = []
        self.axes_note = WrappedLabel()
        self.series = ShrinkingCombo(10)
        self.series.setToolTip("Fit all data at once, or the images along an axis one after the other")
        WheelGuard(self.series)
        self.panel.plot.prefer("psnr_db")
        self.scores = ScoreTable()
        tip = "Fit several representations to this image for the same time, side by side"
        self.compare_button = button("Compare…", tip, self.compare)
        tip = "Show the keys of the last DINER, the function that its network has learned, and spectra"
        self.insight_button = button("Insight", tip, self.show_insight)
        self.insight_button.setEnabled(False)
        self.panel.run_requested.connect(self.scores.hide)
        for signal in (self.panel.started, self.panel.ended):
            signal.connect(self._enable_buttons)
        self.add_below(self.scores)
        self.add_below(row(self.compare_button, self.insight_button))
        for name in self.essentials:
            self.editors[name].changed.connect(self.axes_note.hide if name == "axes" else self._enable_editors)
        self.editors["axes"].changed.connect(self._offer_series)
        self._offer_series()
        self._enable_editors()
        series = QFormLayout()
        series.addRow("Series", self.series)
        self.arrange(self.rows("axes"), self.axes_note, series, self.rows(*self.essentials[1:]), "diner")

    def values(self) -> dict[str, object]:
        """Return the values in the dock, with the axis of a series."""
        axis = self.series.currentData()
        return super().values() | {"select": f"{axis}=all" if axis else ""}

    def set_recipe(self, recipe: FitRecipe) -> None:
        """Show a recipe without changing the layer."""
        super().set_recipe(recipe)
        self._offer_series()
        self.series.setCurrentIndex(max(self.series.findData(recipe.series_axis), 0))

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer specifies, such as its axes."""
        super().fill_in(layer)
        self._offer_series()

    def sections_in_use(self) -> Collection[str]:
        """Return the sections that apply to the representation."""
        name = str(self.editors["representation"].value())
        entry = representations().get(name)
        hidden = {section for each in representations().values() for section in each.sections} | {"training"}
        hidden -= set(() if entry is None else entry.sections)
        if name != "pixels" and not self.editors["bit_exact"].value():
            hidden.remove("training")
        return self.advanced.sections.keys() - hidden

    def notes(self, layer: Image) -> Mapping[str, object]:
        """Show the axes of a layer, and explain where they come from."""
        axes = axes_of(layer)
        self.axes_note.say(axes.note)
        self.axes_note.setVisible(bool(axes.note))
        return {"axes": axes.axes}

    def complete_recipe(self, layer: Image) -> FitRecipe:
        """Return the recipe, and store the placement of the layer if the axes match it."""
        recipe = self.recipe()
        check_axes_of(layer, recipe.axes)
        self.give_pixel_size(layer, recipe.pixel_size_um)
        self._appearance = Appearance.of(layer, recipe.axes)
        self.layers.arguments = self._appearance.arguments
        return recipe

    def frames(self, layer: Image) -> Frames:
        """Return the data of a layer, with their axes and spacing."""
        axes = self.recipe().axes
        check_axes_of(layer, axes)  # the checks before a run say so, too
        return Frames(data_of(layer), axes, scale_um_of(layer, axes), source_of(layer))

    def compare(self) -> None:
        """Ask which representations to compare, and start the comparison."""
        dialog = CompareDialog(self, self.task)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.start_comparison(dialog.names(), dialog.seconds())
        dialog.deleteLater()

    def start_comparison(self, names: tuple[str, ...], seconds: float) -> None:
        """Fit representations to the layer, one after the other, each for the same time."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            recipe = self.complete_recipe(layer)
            self.layers.forget()
            self._running_on = self.choice.name
            self.scores.hide()
            self.panel.start(functools.partial(compare, self.task, recipe, self.frames(layer), names, seconds))

    def show_insight(self) -> None:
        """Compute and show pictures of the last DINER."""
        if self._diner is not None:
            self.panel.start(functools.partial(insight_run.begin, self._diner), curve=False)

    def summary(self, result: Result) -> str:
        """Return the accuracy and the size of the fit."""
        report = result.report
        quality = (
            "every value reproduced exactly"
            if report["identical"] == 1
            else f"{report['verdict']}; {report['psnr_db']:.1f} dB"
        )
        if "largest_error" in report:
            quality += f", no value off by more than {digits(report['largest_error'], 4)}"
        source, bits = report["source_bits_per_pixel"], report["bits_per_pixel"]
        place = "in its file"
        if source is None:
            # the model's bits per pixel give the number of pixels
            source, place = bits * result["reconstruction"].data.nbytes / report["model_bytes"], "in memory"
        epochs = f"{count(report['iterations'], 'epoch')}, " if report["iterations"] > 1 else ""
        return f"{quality}, {bits:.1f} bits per pixel ({source:.1f} {place}), {epochs}{duration(report['seconds'])}"

    def show_outcome(self, outcome: object) -> None:
        """Show the outcome of a run: a fit, pictures of one, or a comparison."""
        if isinstance(outcome, InsightPictures):
            self._show_pictures(outcome)
            return
        # that of the fitted layer; another may be chosen by the time the pictures are requested
        self._fitted = self._appearance
        if isinstance(outcome, Comparison):
            results = list(outcome.results.values())
            self._show_comparison(outcome)
        else:
            super().show_outcome(outcome)
            if self.result is not None:
                # the last steps of a fit are evaluated on a lattice, unlike its result
                self.panel.plot.conclude(self.result.report["seconds"], "psnr_db", self.result.report["psnr_db"])
            results = [] if self.result is None else [self.result]
        diners = [
            result for result in results if result.report["representation"] == "diner" and "series" not in result.report
        ]
        self._diner = max(diners, key=lambda result: result.report["psnr_db"], default=None)

    def _show_pictures(self, pictures: InsightPictures) -> None:
        self._remove_pictures()
        if self._fitted is not None:
            self._insight = show_pictures(self.viewer, pictures, self._fitted)
        # they are placed beside the image, which a grid would separate from them
        self._set_grid(False)
        ratios, inr_ratios = (
            " ".join(f"{ratio:.2f}" for ratio in values) for values in (pictures.ratios, pictures.inr_ratios)
        )
        self.panel.say(
            f"Energy in four frequency bands, low to high: {ratios} for the image, {inr_ratios} for the learned INR"
        )

    def _remove_pictures(self) -> None:
        for layer in self._insight:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self._insight = []

    def _show_comparison(self, comparison: Comparison) -> None:
        # the contenders took turns in one preview; pictures of an earlier fit would be among them in the grid
        self.layers.discard()
        self._remove_pictures()
        for name, result in comparison.results.items():
            title = f"{name} {result.report['psnr_db']:.1f} dB"
            self.layers.finish(replace(result, arrays=(replace(result["reconstruction"], name=title),)))
        self.result, self._result_of = comparison.results[comparison.winner], self._running_on
        self.save_button.setEnabled(True)
        reports = {name: result.report for name, result in comparison.results.items()}
        self.scores.show_scores(reports, comparison.winner)
        self._set_grid(True)
        self.panel.say(f"{comparison.winner} came closest: {comparison.recommendation}. Save results… writes its files")

    def _set_grid(self, enabled: bool) -> None:
        # before napari 0.9 the viewer itself had the grid
        getattr(self.viewer, "canvas", self.viewer).grid.enabled = enabled
        self.viewer.reset_view()

    def _enable_buttons(self) -> None:
        self.compare_button.setEnabled(not self.panel.running)
        self.insight_button.setEnabled(not self.panel.running and self._diner is not None)

    def _offer_series(self) -> None:
        """Offer a series along each axis before Y and X; keep the choice if possible."""
        chosen, axes = self.series.currentData(), str(self.editors["axes"].value() or "").upper()
        self.series.clear()
        self.series.addItem(ONE_FIT, "")
        for axis in axes:
            if axis not in "YXS":
                self.series.addItem(f"along {axis}, one after the other", axis)
        self.series.setCurrentIndex(max(self.series.findData(chosen), 0))

    def _enable_editors(self) -> None:
        """Enable only the settings that apply to the representation."""
        representation = self.editors["representation"].value()
        if representation != "diner":
            self.editors["bit_exact"].set_value(False)
        self.editors["bit_exact"].setEnabled(representation == "diner")
        self.editors["epochs"].setEnabled(representation != "pixels" and not self.editors["bit_exact"].value())


def compare(
    task: AnyTask, recipe: FitRecipe, frames: Frames, names: tuple[str, ...], seconds: float
) -> AbstractContextManager[Drivable]:
    """Start the comparison of representations, in its thread."""
    load_torch()
    return task.compare(recipe, frames, names=names, seconds=seconds, preview_interval_s=PREVIEW_INTERVAL_S)


def check_axes_of(layer: Image, axes: str) -> None:
    """Check that axes are those of the data of a layer.

    Raises
    ------
    RecipeError
        If they are missing, or too many or too few.
    """
    dimensions = layer.data.ndim
    if not axes:
        raise RecipeError(f"The axes are missing; type {dimensions} letters: {AXIS_NAMES}", "axes")
    if len(axes) != dimensions or axes.endswith("S") != layer.rgb:
        shape = "×".join(map(str, layer.data.shape))
        colours = ", the last of them colours (S)" if layer.rgb else ""
        raise RecipeError(
            f"The axes {axes} do not match {layer.name}, which is {shape}; type {dimensions} letters{colours}", "axes"
        )
