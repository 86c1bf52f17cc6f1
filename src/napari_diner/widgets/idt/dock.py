"""The dock for intensity diffraction tomography: a volume of refractive index from oblique illumination."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar

import napari
from napari.layers import Image
from qtpy.QtCore import QEvent, QEventLoop, QObject
from qtpy.QtWidgets import QApplication, QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.tasks.idt.geometry_preview import Circles, circles
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.background_work import Latest
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.forms.layer_choice import known_about
from napari_diner.widgets.forms.number_editors import FloatEditor
from napari_diner.widgets.idt.background_choice import BackgroundChoice
from napari_diner.widgets.idt.geometry_layers import GeometryLayers
from napari_diner.widgets.idt.illumination_editor import IlluminationEditor
from napari_diner.widgets.idt.recording_choice import RecordingChoice
from napari_diner.widgets.idt.thread import Check, begin, check
from napari_diner.widgets.idt.volume_layers import VolumeLayers
from napari_diner.widgets.idt.volume_view import (
    film,
    show_in_space,
    show_slices,
    surface,
    surface_layer,
    surface_level,
)
from napari_diner.widgets.layers.layer_units import layer_pixel_size_um, set_pixel_size_um


class IdtDock(TaskDock):
    """Choose a stack, say how it was lit, run, and look at the refractive index in three dimensions.

    Parameters
    ----------
    napari_viewer
        The viewer; napari hands it over by this name.
    """

    recipe_type = IdtRecipe
    source_field = "stack"
    essentials = (
        "wavelength_um",
        "pixel_size_um",
        "na",
        "medium_index",
        "slice_count",
        "slice_spacing_um",
        "model",
        "solver",
    )
    elsewhere = ("illuminations", "ring", "background")
    sections_of: ClassVar = {
        "voxels": ("regularization",),
        "tikhonov": ("regularization",),
        "diner": ("regularization", "diner", "gradient"),
        "decaf": ("regularization", "decaf", "gradient"),
        "auto": ("multislice",),
        "multislice": ("multislice",),
    }

    _layers: VolumeLayers

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, RecordingChoice(napari_viewer), VolumeLayers(napari_viewer))
        self._filled_in: dict[str, Any] = {}
        self._geometry = GeometryLayers(napari_viewer)
        self._live = Latest(self)
        self._live.failed.connect(self._on_failed)
        self._live.done.connect(self._on_done)
        self.installEventFilter(self)
        self.illumination = IlluminationEditor()
        self.illumination.failed.connect(self.panel.complain)
        self.background = BackgroundChoice(napari_viewer)
        self.background.setToolTip(IdtRecipe.model_fields["background"].description or "")
        self._wheel_guard.protect(self.background)
        self.advanced.editors["first_slice_um"].setSpecialValueText("centred")
        for name in ("tikhonov", "tv"):
            self.advanced.sections["regularization"].form.editors[name].setSpecialValueText("chosen")
        self._essentials["na"].changed.connect(self._tell_illumination)
        napari_viewer.dims.events.current_step.connect(self._on_step)
        self.check_button = _button(
            "Check geometry", "Show the spectra of the frames, and the circles that should bound them"
        )
        self.check_button.clicked.connect(self.check_geometry)
        background = QFormLayout()
        background.addRow("Background", self.background)
        self.arrange(
            self.rows("wavelength_um", "pixel_size_um", "na", "medium_index"),
            self.illumination,
            self.check_button,
            background,
            self.rows("slice_count", "slice_spacing_um", "model", "solver"),
        )
        self.view_buttons = {
            "space": _button("3D", "Show n_re in three dimensions, filling the canvas"),
            "slices": _button("Slices", "Show n_re slice by slice"),
            "surface": _button("Surface", "Show where n_re has the value typed beside it"),
            "film": _button("Film…", "Write a film (GIF) that turns what is seen once around"),
        }
        self.level = FloatEditor(0.0, 10.0)
        self.level.setToolTip("Index on the surface")
        self.level.setButtonSymbols(FloatEditor.ButtonSymbols.NoButtons)
        # napari's style gives numbers room for two buttons
        self.level.setStyleSheet("QDoubleSpinBox { min-width: 44px; padding: 1px 4px; }")
        self.level.setFixedWidth(64)
        views = QHBoxLayout()
        views.setSpacing(4)
        for name, button in self.view_buttons.items():
            button.clicked.connect(getattr(self, f"view_{name}"))
            # no wider than its text, as five of them would make the dock wide
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(button.text()) + 12)
            views.addWidget(button, 1)
            if name == "surface":
                views.addWidget(self.level)
        self.add_below(views)
        for signal in (self.panel.started, self.panel.ended):
            signal.connect(self._enable_views)
        napari_viewer.layers.events.removed.connect(self._enable_views)
        self._enable_views()

    def own_values(self) -> dict[str, Any]:
        """Return the illumination and the background."""
        return {**self.illumination.values(), "background": self.background.value()}

    def show_own_values(self, recipe: IdtRecipe) -> None:
        """Show the illumination and the background of a recipe."""
        self._filled_in = {}
        self.illumination.set_values(recipe.illuminations, recipe.ring)
        self.background.set_value(recipe.background)
        self._tell_illumination()

    def choices(self) -> set[str]:
        """Return the solver, and the model that it may use."""
        return {self._essentials["solver"].value(), self._essentials["model"].value()}

    def prepare(self, layer: Image) -> Begin:
        """Check that the recording is described in full, and give the layer its pixel size."""
        recipe = self._complete_recipe(layer)
        self._adapt(layer, recipe)
        self._layers.begin(recipe)
        return functools.partial(begin, recipe, layer.data, self._background_data())

    def summary(self, result: Result) -> str:
        """Say what was found, and how much of the frames it leaves unexplained."""
        report = result.report
        highest = float(result["n_re"].data.max())
        left = report["residual_rms"] / max(report["data_rms"], 1e-12)
        return (
            f"index up to {highest:.4f}, phase up to {report['peak_phase_rad']:.2g} rad, {left:.0%} of the signal "
            f"left unexplained, {report['model']} model, {report['iterations']} iterations, "
            f"{duration(report['seconds'])}"
        )

    def take(self, outcome: Any) -> None:
        """Show the volume in three dimensions."""
        super().take(outcome)
        volume = self._layers.volume
        if volume is not None:
            self.level.set_value(round(surface_level(volume.data), 4))
            show_in_space(self._viewer, volume)
        self._enable_views()

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer tells about its recording."""
        known: dict[str, Any] = dict(known_about(layer))
        self.background.set_stack(layer)
        with self.panel.explaining():
            pixel_size = layer_pixel_size_um(layer)
            if pixel_size is not None:
                known["pixel_size_um"] = pixel_size
        for name, editor in self._essentials.items():
            if known.get(name) is not None:
                editor.set_value(known[name])
                self._filled_in[name] = editor.value()
            elif name in self._filled_in and editor.value() == self._filled_in.pop(name):
                # what the layer before told, and the user left as it was, says nothing about this one
                editor.set_value(IdtRecipe.model_fields[name].default)
        if "illuminations" in known or "ring" in known:
            self.illumination.set_values(known.get("illuminations", ()), known.get("ring", {}))
        if "background" in known:
            self.background.set_value(known["background"])
        self._tell_illumination()

    def check_geometry(self) -> None:
        """Show the spectra of the frames, with the circles of the directions given, and of those that a run found."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            recipe = self._complete_recipe(layer)
            self._adapt(layer, recipe)
            self.check_button.setEnabled(False)
            self._live.ask(functools.partial(check, recipe, layer.data, self._background_data()))

    def view_space(self) -> None:
        """Show the volume in three dimensions."""
        if self._layers.volume is not None:
            show_in_space(self._viewer, self._layers.volume)

    def view_slices(self) -> None:
        """Show the volume slice by slice."""
        if self._layers.volume is not None:
            show_slices(self._viewer, self._layers.volume)

    def view_surface(self) -> None:
        """Show the surface on which the index has the value typed."""
        volume, level = self._layers.volume, self.level.value()
        if volume is None:
            return
        with self.panel.explaining():
            layer = surface_layer(volume, *surface(volume.data, level), level)
            if layer.name in self._viewer.layers:
                self._viewer.layers.remove(layer.name)
            self._viewer.add_layer(layer)
            show_in_space(self._viewer, layer, turn=not self._in_space)

    def view_film(self) -> None:
        """Let the user name a file, and write a film that turns what is seen."""
        volume = self._layers.volume
        if volume is None:
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save film", f"{self._output_name()}.gif", "Animated GIF (*.gif)")
        if not path:
            return
        if not self._in_space:
            show_in_space(self._viewer, volume)
        with self.panel.explaining():
            film(self._viewer, Path(path), self._on_film)
            self.panel.say(f"Film saved in {path}")

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Drop the spectra that are being computed when the dock's content is taken out of its dock."""
        if (
            event is not None
            and event.type() == QEvent.Type.ParentChange
            and isinstance(watched, QWidget)
            and watched.parent() is None
        ):
            self._live.close()
        return False

    @property
    def _in_space(self) -> bool:
        return bool(self._viewer.dims.ndisplay == 3)

    def _complete_recipe(self, layer: Image) -> IdtRecipe:
        recipe: IdtRecipe = self.recipe()
        # said before check_complete says it, which speaks of options of the command line
        if recipe.wavelength_um is None:
            raise RecipeError("The wavelength is missing; type it in above")
        if recipe.pixel_size_um is None:
            raise RecipeError("The pixel size is missing, and the layer does not tell it; type it in above")
        if recipe.transfer_functions is None:
            if recipe.na is None:
                raise RecipeError("The NA of the objective is missing; type it in above")
            if not recipe.illuminations and recipe.ring.na is None:
                raise RecipeError("The illuminations are missing; give the NA of the ring, or list or load directions")
        recipe.check_complete(layer.data.shape[0])
        return recipe

    def _adapt(self, layer: Image, recipe: IdtRecipe) -> None:
        """Give a layer its pixel size, and the unit of the volume along all axes: napari wants one for all layers."""
        assert recipe.pixel_size_um is not None
        changed = set_pixel_size_um(layer, recipe.pixel_size_um)
        layer.units = ("um", *layer.units[1:])
        if changed:
            self._viewer.reset_view()

    def _background_data(self) -> Any:
        layer = self.background.layer
        return None if layer is None else layer.data

    def _tell_illumination(self) -> None:
        layer = self.choice.layer
        self.illumination.set_recording(
            None if layer is None else int(layer.data.shape[0]), self._essentials["na"].value()
        )

    def _on_layer(self, layer: Image | None) -> None:
        super()._on_layer(layer)
        if layer is None:
            self.background.set_stack(None)
            self._tell_illumination()

    def _on_step(self) -> None:
        """Follow the viewer to another frame: the dots that light it grow."""
        layer = self.choice.layer
        if layer is not None and not self._in_space:
            point = self._viewer.dims.point[self._viewer.dims.ndim - 3] if self._viewer.dims.ndim >= 3 else 0.0
            self.illumination.plot.set_current(round((point - layer.translate[0]) / layer.scale[0]))

    def _on_failed(self, message: str) -> None:
        self.check_button.setEnabled(True)
        self.panel.complain(message)

    def _on_done(self, found: Check) -> None:
        self.check_button.setEnabled(True)
        layer = self.choice.layer
        if layer is None or layer.data.shape[0] != found.spectra.data.shape[0]:
            return
        self._geometry.show(layer, found.spectra, found.circles, self._found_circles())
        warnings = [f"\nWarning: {warning}." for warning in found.warnings]
        words = (
            "The spectrum of each frame is bright in two discs, and the circles should bound them. Look through the "
            "frames with the slider."
        )
        self.panel.say(words + "".join(warnings), error=bool(warnings))

    def _found_circles(self) -> Circles | None:
        """Return the circles of the directions that the calibration of the last run found."""
        result = self._result
        if result is None or "calibration" not in result.report:
            return None
        recipe = result.recipe
        assert isinstance(recipe, IdtRecipe) and recipe.wavelength_um is not None and recipe.na is not None
        apertures = result.report["calibration"]["illuminations_na"]
        return circles(Illumination.of(apertures), recipe.wavelength_um, recipe.na)

    def _on_film(self, number: int, count: int) -> None:
        self.panel.say(f"Film: picture {number} of {count}")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)

    def _enable_views(self) -> None:
        volume = self._layers.volume
        if volume is not None and volume not in self._viewer.layers:
            volume = self._layers.volume = None
        for widget in (*self.view_buttons.values(), self.level):
            widget.setEnabled(volume is not None and not self.panel.running)

    def _on_theme(self) -> None:
        super()._on_theme()
        self.illumination.set_theme(self._viewer.theme)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
