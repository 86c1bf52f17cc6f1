"""The dock that fits a neural representation to an image, a volume, a stack or a video."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, ClassVar

import napari
from napari.layers import Image, Layer
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton

from napari_diner.errors import RecipeError
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.fit import insight_run
from napari_diner.widgets.fit.compare_dialog import CompareDialog
from napari_diner.widgets.fit.insight_layers import show_pictures
from napari_diner.widgets.fit.insight_run import Pictures
from napari_diner.widgets.fit.score_table import ScoreTable
from napari_diner.widgets.fit.signal_choice import SignalChoice
from napari_diner.widgets.fit.thread import begin, begin_comparison
from napari_diner.widgets.layers.appearance import Appearance
from napari_diner.widgets.layers.layer_axes import axes_of, scale_um_of
from napari_diner.widgets.layers.layer_units import set_pixel_size_um

AXIS_NAMES = "T time, Z depth, C channels, Y, X, S colours, N frames"


class FitDock(TaskDock):
    """Choose an image of any kind, run, and get a small neural representation of it and the image that this gives.

    Parameters
    ----------
    napari_viewer
        The viewer; napari hands it over by this name.
    """

    recipe_type = FitRecipe
    source_field = "image"
    essentials = ("axes", "representation", "backbone", "table_width", "epochs", "bit_exact")
    sections_of: ClassVar = {
        "diner": ("network", "table", "training"),
        "siren": ("network", "training"),
        "pe-mlp": ("network", "encoding", "training"),
        "hash-grid": ("network", "hash_grid", "training"),
        "bit-exact": ("network", "table"),
        "pixels": (),
    }

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, SignalChoice(napari_viewer))
        self._appearance: Appearance | None = None
        self._fitted: Appearance | None = None
        self._diner: Result | None = None
        self._insight: list[Layer] = []
        self._axes_note = QLabel()
        self._axes_note.setWordWrap(True)
        self.advanced.editors["learning_rate"].setSpecialValueText("auto")
        for name in ("pixel_size_um", "z_step_um"):
            self.advanced.editors[name].setSpecialValueText("of the layer")
        self.panel.plot.prefer("psnr_db")
        self.scores = ScoreTable()
        self.compare_button = QPushButton("Compare…")
        self.compare_button.setToolTip("Fit several representations to this image for the same time, side by side")
        self.compare_button.clicked.connect(self.compare)
        self.insight_button = QPushButton("Insight")
        self.insight_button.setToolTip(
            "Show where the DINER of the last run put its keys, what its network learned, and spectra"
        )
        self.insight_button.setEnabled(False)
        self.insight_button.clicked.connect(self.look_inside)
        self.panel.run_requested.connect(self.scores.hide)
        for signal in (self.panel.started, self.panel.ended):
            signal.connect(self._enable_buttons)
        more = QHBoxLayout()
        for button in (self.compare_button, self.insight_button):
            more.addWidget(button, 1)
        self.add_below(self.scores, more)
        self.arrange(self.rows("axes"), self._axes_note, self.rows(*self.essentials[1:]))
        self._essentials["axes"].setToolTip(f"One letter for each axis in order: {AXIS_NAMES}")
        self._essentials["axes"].changed.connect(self._axes_note.hide)
        for editor in self._essentials.values():
            editor.changed.connect(self._enable)
        self._enable()

    def choices(self) -> set[str]:
        """Return the representation, or that it is to be exact."""
        if self._essentials["bit_exact"].value():
            return {"bit-exact"}
        return {self._essentials["representation"].value()}

    def fill_in(self, layer: Image) -> None:
        """Show the axes of a layer, and where they come from."""
        found = axes_of(layer)
        self._essentials["axes"].set_value(found.axes)
        self._axes_note.setText(found.note)
        self._axes_note.setVisible(bool(found.note))

    def prepare(self, layer: Image) -> Begin:
        """Check that the axes go with the layer."""
        return functools.partial(begin, *self._work(layer))

    def compare(self) -> None:
        """Ask which representations to compare, and start."""
        dialog = CompareDialog(self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.start_comparison(dialog.names(), dialog.seconds())
        dialog.deleteLater()

    def start_comparison(self, names: tuple[str, ...], seconds: float) -> None:
        """Fit representations to the layer, one after the other, each for the same time."""
        with self.panel.explaining():
            work = self._work(self.chosen_layer())
            self._layers.forget()
            self.scores.hide()
            self.panel.start(functools.partial(begin_comparison, *work, names, seconds))

    def look_inside(self) -> None:
        """Compute pictures of the last DINER, and show them."""
        if self._diner is not None:
            self.panel.start(functools.partial(insight_run.begin, self._diner), curve=False)

    def _work(self, layer: Image) -> tuple[FitRecipe, Any, tuple[float, ...]]:
        """Return the recipe, the data and their spacing, once they go together."""
        recipe: FitRecipe = self.recipe()
        dimensions = layer.data.ndim
        if not recipe.axes:
            raise RecipeError(f"The axes are missing; type {dimensions} letters: {AXIS_NAMES}")
        if len(recipe.axes) != dimensions or recipe.axes.endswith("S") != layer.rgb:
            shape = "×".join(map(str, layer.data.shape))
            colours = ", the last of them colours (S)" if layer.rgb else ""
            raise RecipeError(
                f"The axes {recipe.axes} do not go with {layer.name}, which is {shape}; "
                f"type {dimensions} letters{colours}"
            )
        if recipe.pixel_size_um is not None and set_pixel_size_um(layer, recipe.pixel_size_um):
            self._viewer.reset_view()
        self._appearance = Appearance.of(layer, recipe.axes)
        self._layers.arguments = self._appearance.arguments
        return recipe, layer.data, scale_um_of(layer, recipe.axes)

    def summary(self, result: Result) -> str:
        """Say how close the fit is, and how large."""
        report = result.report
        exact = report["identical"] == 1
        quality = "every value reproduced exactly" if exact else f"{report['psnr_db']:.1f} dB PSNR"
        source, bits = report["source_bits_per_pixel"], report["bits_per_pixel"]
        if source is None:
            # what the data take in memory: the model's bits a pixel tell how many pixels there are
            source = bits * result["reconstruction"].data.nbytes / report["model_bytes"]
        epochs = report["iterations"]
        of_source = "in memory" if report["source_bits_per_pixel"] is None else "in its file"
        return (
            f"{quality}, {bits:.1f} bits per pixel ({source:.1f} {of_source}), "
            f"{f'{epochs} epochs, ' if epochs > 1 else ''}{duration(report['seconds'])}"
        )

    def take(self, outcome: Any) -> None:
        """Show what a run found: a fit, pictures of one, or a comparison."""
        if isinstance(outcome, Pictures):
            self._show_pictures(outcome)
            return
        # the layer that the result is about; another may be chosen by the time its pictures are asked for
        self._fitted = self._appearance
        if isinstance(outcome, Result):
            results = [outcome]
            super().take(outcome)
        else:
            results = list(outcome.results.values())
            self._show_comparison(outcome)
        diners = [result for result in results if result.report["representation"] == "diner"]
        self._diner = max(diners, key=lambda result: result.report["psnr_db"], default=None)

    def _show_pictures(self, pictures: Pictures) -> None:
        assert self._fitted is not None
        for layer in self._insight:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._insight = show_pictures(self._viewer, pictures, self._fitted)
        # they lie beside the image, which a grid would tear apart
        self._set_grid(False)
        ratios, inr_ratios = (
            " ".join(f"{ratio:.2f}" for ratio in values) for values in (pictures.ratios, pictures.inr_ratios)
        )
        self.panel.say(
            f"Shares of four frequency bands, low to high: {ratios} in the image, {inr_ratios} in the learned INR"
        )

    def _show_comparison(self, comparison: Any) -> None:
        # one preview stood for all of them in turn
        self._layers.discard()
        for name, result in comparison.results.items():
            title = f"{name} {result.report['psnr_db']:.1f} dB"
            self._layers.finish(replace(result, arrays=(replace(result["reconstruction"], name=title),)))
        self._result = comparison.results[comparison.winner]
        self.save_button.setEnabled(True)
        self.scores.show_scores({name: result.report for name, result in comparison.results.items()}, comparison.winner)
        self._set_grid(True)
        self.panel.say(f"{comparison.winner} came closest to the image; Save results… writes its files")

    def _set_grid(self, enabled: bool) -> None:
        # before napari 0.9 the viewer itself had the grid
        getattr(self._viewer, "canvas", self._viewer).grid.enabled = enabled
        self._viewer.reset_view()

    def _enable_buttons(self) -> None:
        idle = not self.panel.running
        self.compare_button.setEnabled(idle)
        self.insight_button.setEnabled(idle and self._diner is not None)

    def _enable(self) -> None:
        """Let only those settings be changed that matter for the representation."""
        representation = self._essentials["representation"].value()
        diner = representation == "diner"
        if not diner:
            self._essentials["bit_exact"].set_value(False)
        exact = self._essentials["bit_exact"].value()
        for name in ("backbone", "table_width", "bit_exact"):
            self._essentials[name].setEnabled(diner)
        self._essentials["epochs"].setEnabled(representation != "pixels" and not exact)
