"""The dock for multi-height lensless phase retrieval."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import napari
from napari.layers import Image

from napari_diner.errors import RecipeError
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.forms.layer_choice import known_about
from napari_diner.widgets.forms.stack_choice import StackChoice
from napari_diner.widgets.layers.layer_units import layer_pixel_size_um, set_pixel_size_um
from napari_diner.widgets.lensless.calibration_table import CalibrationTable
from napari_diner.widgets.lensless.distances_table import DistancesTable
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.preparation import PreparationTools
from napari_diner.widgets.lensless.thread import begin


class LenslessDock(TaskDock):
    """Choose a stack, say how it was recorded, run, and get amplitude, phase and residual as layers.

    Parameters
    ----------
    napari_viewer
        The viewer; napari hands it over by this name.
    """

    recipe_type = LenslessRecipe
    source_field = "stack"
    essentials = ("wavelength_um", "pixel_size_um", "solver", "start")
    elsewhere = ("distances_um",)
    groups: ClassVar = {
        "Geometry": (
            "source_distance_um", "source_distance_to", "medium_index", "shifts_um", "registration", "super_resolution",
        ),
    }  # fmt: skip
    beside_advanced = ("preprocess", "Geometry", "calibration")
    sections_of: ClassVar = {
        "gauss-newton": ("prior", "noise", "gauss_newton"),
        "alternating": ("alternating",),
        "diner": ("prior", "noise", "gradient", "diner"),
        "pixels": ("prior", "noise", "gradient"),
    }

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, StackChoice(napari_viewer))
        self._filled_in: dict[str, Any] = {}
        self.distances = DistancesTable()
        self.distances.failed.connect(self.panel.complain)
        self._fillable: dict[str, Any] = {
            "wavelength_um": self._essentials["wavelength_um"],
            "pixel_size_um": self._essentials["pixel_size_um"],
            "distances_um": self.distances,
            "intensity_scale": self.advanced.editors["intensity_scale"],
        }
        section = self.advanced.sections["preprocess"]
        self.preparation = PreparationTools(napari_viewer, section, self.chosen_layer, self.recipe)
        self.preparation.failed.connect(self.panel.complain)
        self.preparation.cropped.connect(self.panel.say)
        self.moved = CalibrationTable()
        self.add_below(self.moved)
        self.arrange(self.rows("wavelength_um", "pixel_size_um"), self.distances, self.rows("solver", "start"))

    def own_values(self) -> dict[str, Any]:
        """Return the distances."""
        return {"distances_um": self.distances.value()}

    def show_own_values(self, recipe: LenslessRecipe) -> None:
        """Show the distances of a recipe."""
        self._filled_in = {}
        self.distances.set_value(recipe.distances_um)

    def choices(self) -> set[str]:
        """Return the solvers that take part."""
        start, solver = self._essentials["start"].value(), self._essentials["solver"].value()
        return {solver, "gauss-newton" if start == "auto" and solver == "diner" else start}

    def prepare(self, layer: Image) -> Begin:
        """Check that the recording is described in full, and give the layer its pixel size."""
        recipe = self._complete_recipe(layer)
        assert recipe.pixel_size_um is not None
        if set_pixel_size_um(layer, recipe.pixel_size_um):
            self._viewer.reset_view()
        self._layers.arguments = placement_on(layer, recipe)
        return functools.partial(begin, recipe, layer.data)

    def summary(self, result: Result) -> str:
        """Say how well the frames are explained."""
        report = result.report
        words = (
            f"explains the frames to {report['measurement_psnr_db']:.1f} dB PSNR, {report['iterations']} iterations, "
            f"{duration(report['seconds'])}"
        )
        for part, label in (("registration", "Registered"), ("calibration", "Calibrated")):
            if "summary" in report.get(part, {}):
                words += f"\n{label}: {report[part]['summary']}"
        return words

    def take(self, outcome: Any) -> None:
        """Show what a run found, and what of the geometry moved by how much."""
        super().take(outcome)
        self.moved.show_report(outcome.report)

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer tells about its recording."""
        self.distances.set_frames(layer.data.shape[0])
        known = {name: value for name, value in known_about(layer).items() if name in self._fillable}
        with self.panel.explaining():
            pixel_size = layer_pixel_size_um(layer)
            if pixel_size is not None:
                known["pixel_size_um"] = pixel_size
        for name, editor in self._fillable.items():
            if name in known:
                editor.set_value(known[name])
                self._filled_in[name] = editor.value()
            elif name in self._filled_in and editor.value() == self._filled_in.pop(name):
                # what the layer before told, and the user left as it was, says nothing about this one
                editor.set_value(LenslessRecipe.model_fields[name].default)

    def _complete_recipe(self, layer: Image) -> LenslessRecipe:
        recipe: LenslessRecipe = self.recipe()
        # said before check_complete says it, which speaks of options of the command line
        if recipe.wavelength_um is None:
            raise RecipeError("The wavelength is missing; type it in above")
        if recipe.pixel_size_um is None:
            raise RecipeError("The pixel size is missing, and the layer does not tell it; type it in above")
        if not recipe.distances_um:
            raise RecipeError("The distances are missing; give one for each frame in the table")
        recipe.check_complete(layer.data.shape[0])
        return recipe
